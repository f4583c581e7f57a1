"""The claims about haproxy: who takes writes behind it, and how it stands around its own reload."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import haproxy, haproxy_service
from holdfast.observations.haproxy_service import HaproxyFigures
from holdfast.probes.galera.site import ACCOUNT, GaleraSite
from holdfast.probes.galera.site import GROUP as NODES
from holdfast.probes.haproxy import GROUP, HaproxySite, probe_writer
from holdfast.probes.haproxy_service import probe_configuration, probe_service

SHOW_STATE = "on the haproxy's host: socat - /run/haproxy/admin.sock <<< 'show servers state'"


class IdleParameters(Parameters):
    """``host``: whose node."""

    host: str = Field(min_length=1)


class ReloadParameters(Parameters):
    """``host``: whose haproxy; each of them by default."""

    host: str = ""


class ConfigurationParameters(ReloadParameters):
    """``unit``: the one that must be able to reload; by default that is not asked."""

    unit: str = ""


class WasParameters(Parameters):
    """``was``: what ``haproxy.figures_known`` has found before the act, its evidence ``before``."""

    was: HaproxyFigures


class ServedParameters(WasParameters):
    """``accepted``: why frontends and servers may be gone from the configuration."""

    accepted: str = ""


_claim = partial(
    Claim,
    group=GROUP,
    also=(NODES,),
    needs=(*HaproxySite.needs(), *GaleraSite.needs()),
    probe=probe_writer,
    remedy=SHOW_STATE,
    standing_with=(NODES, ACCOUNT),
)

_own = partial(
    Claim,
    group=GROUP,
    needs=HaproxySite.needs(),
    probe=probe_service,
    remedy="holdfast show haproxy-reload#if-it-holds",
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
    _claim(
        name="haproxy.reload_keeps_writer",
        judge=haproxy.reload_keeps_writer,
        final=(haproxy.MOVES_WRITER,),
        parameters=ReloadParameters,
    ),
    _own(
        name="haproxy.configuration_valid",
        probe=probe_configuration,
        judge=haproxy_service.configuration_valid,
        final=(haproxy_service.REFUSED, haproxy_service.NO_RELOAD),
        parameters=ConfigurationParameters,
    ),
    _own(name="haproxy.figures_known", judge=haproxy_service.figures_known),
    _own(name="haproxy.replaced", judge=haproxy_service.replaced, parameters=WasParameters),
    _own(
        name="haproxy.serves_as_before",
        judge=haproxy_service.serves_as_before,
        parameters=ServedParameters,
    ),
    _own(
        name="haproxy.state_as_before",
        judge=haproxy_service.state_as_before,
        parameters=WasParameters,
    ),
)
