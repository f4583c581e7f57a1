"""The claims about haproxy in front of a Galera cluster: who takes writes."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import haproxy
from holdfast.probes.galera.site import ACCOUNT, GaleraSite
from holdfast.probes.galera.site import GROUP as NODES
from holdfast.probes.haproxy import GROUP, HaproxySite, probe_writer

SHOW_STATE = "on the haproxy's host: socat - /run/haproxy/admin.sock <<< 'show servers state'"


class IdleParameters(Parameters):
    """``host``: whose node."""

    host: str = Field(min_length=1)


_claim = partial(
    Claim,
    group=GROUP,
    also=(NODES,),
    needs=(*HaproxySite.needs(), *GaleraSite.needs()),
    probe=probe_writer,
    remedy=SHOW_STATE,
    standing_with=(NODES, ACCOUNT),
)

CLAIMS: tuple[Claim, ...] = (
    _claim(
        name="haproxy.one_writer",
        judge=haproxy.one_writer,
        final=(haproxy.TWO_WRITERS,),
        standing=True,
    ),
    _claim(name="haproxy.none_past", judge=haproxy.none_past),
    _claim(name="haproxy.none_left_out", judge=haproxy.none_left_out, standing=True),
    _claim(name="haproxy.node_idle", judge=haproxy.node_idle, parameters=IdleParameters),
)
