"""The claims about nova: its services, a compute's work, a unit on its host."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.claims.systemd import CALM_SECONDS, FlappingParameters, UnitParameters
from holdfast.evidence import STOP_TIMEOUT_TOO_SHORT
from holdfast.judges.flapping import FLAPPING, none_flapping
from holdfast.judges.nova import answers, compute, host, interruptions, services
from holdfast.judges.processes import processes_connected
from holdfast.judges.systemd import RESTARTED
from holdfast.nova_services import (
    PEER_SERVICES,
    RPC_SERVICES,
    SERVICES,
    PeerService,
    RpcService,
    group_of,
    groups_of,
)
from holdfast.observations.nova import LogPosition
from holdfast.probes.nova.answers import (
    DEFAULT_PINGS,
    probe_apis,
    probe_metadata,
    probe_metadata_from,
    probe_peers,
    probe_rpc,
)
from holdfast.probes.nova.compute import probe_compute_work
from holdfast.probes.nova.fleet import (
    UnitSite,
    probe_fleet_logs,
    probe_fleet_units,
    probe_nova_starts,
)
from holdfast.probes.nova.host import probe_unit_log
from holdfast.probes.nova.interruptions import probe_interruptions
from holdfast.probes.nova.processes import probe_service_processes
from holdfast.probes.nova.service_host import probe_service_host
from holdfast.probes.nova.services import probe_services
from holdfast.probes.nova.site import ApiSite, MetadataSite, NovaHost, QueuesSite, RpcSite
from holdfast.probes.processes import BROKERS, BrokerPlace
from holdfast.probes.systemd import probe_stop_timeout

IF_IT_HOLDS = "holdfast show nova-restart#if-it-holds"
API, METADATA = group_of("api"), group_of("metadata")
RPC_GROUPS = groups_of(RPC_SERVICES)
LIST_NEEDS = (*NovaHost.needs(), *ApiSite.needs())
FLEET_NEEDS = tuple(dict.fromkeys((*UnitSite.needs(), *LIST_NEEDS)))
PROCESS_NEEDS = tuple(dict.fromkeys((*UnitSite.needs(), *QueuesSite.needs(), *BrokerPlace.needs())))
RPC_NEEDS = (*NovaHost.needs(), *RpcSite.needs())


class HostParameters(Parameters):
    """``host``: its name in the inventory."""

    host: str = Field(min_length=1)


class HeartbeatParameters(HostParameters):
    """``times``: how often the service on the host must report; two prove the new process. ``service``: which."""

    service: RpcService
    times: int = Field(2, ge=2, le=10)


class RpcParameters(Parameters):
    """``topics``: which services are called; all by default. ``hosts``: on which hosts; on all by default.

    ``computes``: of the computes only these, where not all. ``pings``: calls for each host. Its workers share one queue
    and take turns, so with fewer calls than workers some are not asked; a compute has no workers and gets one call.
    """

    topics: tuple[RpcService, ...] = Field(RPC_SERVICES, min_length=1)
    hosts: tuple[str, ...] = ()
    computes: tuple[str, ...] = ()
    pings: int = Field(DEFAULT_PINGS, ge=1, le=200)


class RpcQuickParameters(RpcParameters):
    """``baseline``: seconds that a call took before. ``factor``: how many times as long it may take.

    ``slack``: what is never too long, in seconds.
    """

    baseline: float = Field(0.05, ge=0)
    factor: float = Field(10.0, ge=1)
    slack: float = Field(1.0, gt=0)


class FromComputesParameters(Parameters):
    """``hosts``: the computes to ask from. ``count``: from how many, where none is named."""

    hosts: tuple[str, ...] = ()
    count: int = Field(3, ge=1, le=50)


class ComputeIdleParameters(HostParameters):
    """``wait_for_users``: a finished resize that a user has not confirmed counts as in flight."""

    wait_for_users: bool = False


class PeerParameters(HostParameters):
    """``service``: of ``host``, which is about to be without it.

    ``minimum``: so many other hosts must serve; 0 where the site accepts to be without.
    """

    service: PeerService
    minimum: int = Field(1, ge=0)


class FleetParameters(Parameters):
    """``calm_seconds``: how long a start by systemd itself must have lasted to count."""

    calm_seconds: float = Field(CALM_SECONDS, ge=0)


class SteadyParameters(Parameters):
    """``window_seconds``: how far back losses count.

    ``losses``: so many are too many; a roll over three brokers costs a connection, and a heartbeat, up to three.
    """

    window_seconds: float = Field(1800, gt=0)
    losses: int = Field(4, ge=2)


class UnitLogParameters(UnitParameters):
    """``log``: the file the unit logs to, or ``journal``.

    ``position``: where it ended before the unit's restart; not known in a check. ``prefix``: the words in front of a
    command in the unit's container, none where the unit runs on the host itself.
    """

    log: str = Field(min_length=1)
    position: LogPosition = LogPosition()
    prefix: tuple[str, ...] = ()


class ServiceHostParameters(UnitParameters):
    """``files``: nova's configuration files on the host; by default those that the process of ``unit`` reads."""

    files: tuple[str, ...] = ()


class StopTimeoutParameters(UnitParameters):
    """``seconds``: nova's graceful_shutdown_timeout. ``required``: fail; otherwise only warn."""

    seconds: float = Field(60, ge=0)
    required: bool = True


_about_interruptions = partial(
    Claim,
    parameters=SteadyParameters,
    probe=probe_interruptions,
    final=(interruptions.FLAPPING,),
    group=API,
    also=RPC_GROUPS,
    needs=FLEET_NEEDS,
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="nova.services_up",
        remedy="openstack compute service list --long",
        probe=probe_services,
        judge=services.services_up,
        group=API,
        also=RPC_GROUPS,
        needs=LIST_NEEDS,
        standing=True,
    ),
    Claim(
        name="nova.units_stay_up",
        remedy="on the host: systemctl --failed; holdfast check --for 60s watches",
        parameters=FleetParameters,
        probe=probe_fleet_units,
        judge=host.units_stay_up,
        judges_history=True,
        final=(RESTARTED,),
        group=API,
        also=groups_of(SERVICES),
        needs=FLEET_NEEDS,
        standing=True,
    ),
    Claim(
        name="nova.processes_connected",
        remedy="on the host: systemctl --failed; holdfast diagnose says why",
        probe=probe_service_processes,
        judge=processes_connected,
        group=API,
        also=(BROKERS, *groups_of(SERVICES)),
        needs=PROCESS_NEEDS,
    ),
    Claim(
        name="nova.none_flapping",
        remedy=IF_IT_HOLDS,
        parameters=FlappingParameters,
        probe=probe_nova_starts,
        judge=none_flapping,
        final=(FLAPPING,),
        group=API,
        also=groups_of(SERVICES),
        needs=FLEET_NEEDS,
    ),
    _about_interruptions(
        name="nova.heartbeats_steady",
        judge=interruptions.heartbeats_steady,
        remedy="on its host: journalctl -u nova-compute; holdfast diagnose; restart nothing meanwhile",
    ),
    _about_interruptions(
        name="nova.connections_steady",
        judge=interruptions.connections_steady,
        remedy="on a broker: rabbitmq-diagnostics status; holdfast diagnose; restart none of its clients meanwhile",
    ),
    Claim(
        name="nova.logs_can_be_told",
        remedy="holdfast show nova-restart#if-it-holds",
        probe=probe_fleet_logs,
        judge=host.logs_can_be_told,
        group=API,
        also=groups_of(SERVICES),
        needs=FLEET_NEEDS,
        standing=True,
    ),
    Claim(
        name="nova.none_left_disabled",
        remedy="if no run is under way (holdfast status): openstack compute service set --enable HOST nova-compute",
        probe=probe_services,
        judge=services.none_left_disabled,
        group=group_of("compute"),
        also=(API, *RPC_GROUPS),
        needs=LIST_NEEDS,
        standing=True,
    ),
    Claim(
        name="nova.heartbeat_advanced",
        remedy=IF_IT_HOLDS,
        parameters=HeartbeatParameters,
        probe=probe_services,
        judge=services.heartbeat_advanced,
        judges_history=True,
        group=API,
        also=RPC_GROUPS,
        needs=LIST_NEEDS,
    ),
    Claim(
        name="nova.rpc_answers",
        remedy=IF_IT_HOLDS,
        parameters=RpcParameters,
        probe=probe_rpc,
        judge=answers.rpc_answers,
        group=RPC_GROUPS[0],
        also=(*RPC_GROUPS[1:], API),
        needs=tuple(dict.fromkeys((*RPC_NEEDS, *LIST_NEEDS))),
        standing=True,
    ),
    Claim(
        name="nova.rpc_quick",
        remedy="on a broker: rabbitmqctl list_queues name messages consumers; then holdfast show nova-restart",
        parameters=RpcQuickParameters,
        probe=probe_rpc,
        judge=answers.rpc_quick,
        group=RPC_GROUPS[0],
        also=(*RPC_GROUPS[1:], API),
        needs=tuple(dict.fromkeys((*RPC_NEEDS, *LIST_NEEDS))),
    ),
    Claim(
        name="nova.api_answers",
        remedy="on the host: systemctl status nova-api",
        probe=probe_apis,
        judge=answers.api_answers,
        group=API,
        needs=ApiSite.needs(),
        standing=True,
    ),
    Claim(
        name="nova.metadata_answers",
        remedy="on the host: systemctl status nova-api-metadata",
        probe=probe_metadata,
        judge=answers.metadata_answers,
        group=METADATA,
        needs=MetadataSite.needs(),
        standing=True,
    ),
    Claim(
        name="nova.metadata_from_computes",
        remedy="on the compute: curl -s http://METADATA:8775/; then on the host: systemctl status nova-api-metadata",
        parameters=FromComputesParameters,
        probe=probe_metadata_from,
        judge=answers.metadata_from_computes,
        group=group_of("compute"),
        also=(METADATA,),
        needs=MetadataSite.needs(),
    ),
    Claim(
        name="nova.compute_idle",
        remedy="openstack server migration list; openstack server list --all-projects --host HOST",
        parameters=ComputeIdleParameters,
        probe=probe_compute_work,
        judge=compute.compute_idle,
        group=group_of("compute"),
        also=(API,),
        needs=LIST_NEEDS,
    ),
    Claim(
        name="nova.peer_remains",
        remedy=IF_IT_HOLDS,
        parameters=PeerParameters,
        probe=probe_peers,
        judge=answers.peer_remains,
        also=groups_of(PEER_SERVICES),
        needs=tuple(dict.fromkeys((*RPC_NEEDS, *LIST_NEEDS, *MetadataSite.needs()))),
    ),
    Claim(
        name="nova.no_messaging_timeouts",
        remedy=IF_IT_HOLDS,
        parameters=UnitLogParameters,
        probe=probe_unit_log,
        judge=host.no_messaging_timeouts,
        final=(host.MESSAGING_TIMEOUT,),
        in_time=host.TOLD_IN_TIME,
    ),
    Claim(
        name="nova.service_host_is_local",
        remedy=IF_IT_HOLDS,
        parameters=ServiceHostParameters,
        probe=probe_service_host,
        judge=host.service_host_is_local,
        needs=NovaHost.needs(),
        final=(host.ELSEWHERE,),
    ),
    Claim(
        name="nova.stop_timeout_covers",
        remedy="on the host, TimeoutStopSec in a drop-in: systemctl edit nova-compute",
        parameters=StopTimeoutParameters,
        probe=probe_stop_timeout,
        judge=host.stop_timeout_covers,
        final=(STOP_TIMEOUT_TOO_SHORT,),
    ),
)
