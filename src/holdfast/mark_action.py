"""``MarkAction``: the base class of the action plugins that mark hosts, or renew marks (docs/adr/0023)."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from holdfast.action_plugin import HoldfastAction, HostShells
from holdfast.marking import Marker
from holdfast.marks import meeting_hosts
from holdfast.model import Holder, Json
from holdfast.play_context import PlayContext, Variables, holder_of, mark_counts
from holdfast.policy import PlaybookPolicy
from holdfast.store.database import Store

MARKED = "holdfast_marked"
"""The variable with the result of the task that has marked the batch."""


def marked_service(variables: Variables) -> str:
    """Return the service whose mark a host must have for an act; "" where the play has marked none."""
    return str(_marked(variables).get("service", ""))


def _marked(variables: Variables) -> Mapping[str, Json]:
    marked: Mapping[str, Json] = variables.get(MARKED) or {}
    return marked


class MarkAction(HoldfastAction):
    """Marks hosts over connections of its own; they need not be in the play."""

    def marker(self, store: Store, holder: Holder, variables: Variables) -> Marker:
        """Return what marks hosts for the holder of the play's leases."""
        service = PlaybookPolicy.parse(variables["holdfast_policy"]).service
        scope = f"{variables['holdfast_site']}/{service}"
        release = ["holdfast", "lease", "release", scope, "--site", str(variables["inventory_dir"])]
        return Marker(
            HostShells(self, variables),
            service,
            holder,
            lambda mark: mark_counts(store, mark),
            shlex.join(release),
        )

    def renew_marks(self, store: Store, run: PlayContext, variables: Variables) -> None:
        """Mark the task's host and the first hosts of the group again, if it is time.

        What came before an act, the wait for the engine's word too, may take longer than marks count.

        Raises:
            LeaseHeld, CannotTell: they are not marked, and nothing may be touched.
        """
        marked = _marked(variables)
        if "renew_at" not in marked or time.time() <= marked["renew_at"]:
            return
        group = PlaybookPolicy.parse(variables["holdfast_policy"]).group
        self.place_marks(store, run, variables, [group], [self.host])

    def place_marks(
        self,
        store: Store,
        run: PlayContext,
        variables: Variables,
        groups: Sequence[str],
        hosts: Sequence[str],
    ) -> Sequence[str]:
        """Mark the hosts and the first of each group; return all of them.

        Raises:
            LeaseLost: the play's leases are not valid.
            LeaseHeld, CannotTell: as ``Marker.place``.
        """
        store.check(run.grant)
        marker = self.marker(store, holder_of(store, run), variables)
        meeting = meeting_hosts(variables["groups"], groups)
        return marker.place(meeting, hosts, datetime.now(UTC))
