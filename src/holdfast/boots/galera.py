"""The conflict counters of a site's Galera cluster, read beside a boot test; where the site has an account for it."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.boots.model import Counters
from holdfast.model import Unanswered
from holdfast.probes.base import ProbeContext
from holdfast.probes.galera.nodes import probe_nodes
from holdfast.probes.galera.site import GROUP, GaleraSite


def has_account(context: ProbeContext) -> bool:
    """Return whether the site lets Holdfast ask its database nodes."""
    return any(context.site(host, GaleraSite).galera_user for host in context.members(GROUP))


def read_counters(context: ProbeContext) -> Mapping[str, Counters | str]:
    """Return each node's counters, or why it gave none.

    Raises:
        InvalidInput: the site's variables about the nodes are wrong.
    """
    found: dict[str, Counters | str] = {}
    for host, node in probe_nodes(context).nodes.items():
        if isinstance(node, Unanswered):
            found[host] = node.cause
        else:
            found[host] = Counters(**node.counters.model_dump(include=set(Counters.model_fields)))
    return found
