"""The claims about nova: what they are called, what they need, and who looks and judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from holdfast.claims import nova_looks as looks
from holdfast.claims.base import Claim, Parameters
from holdfast.evidence import STOP_TIMEOUT_TOO_SHORT
from holdfast.judges import nova as judges
from holdfast.judges import nova_answers, nova_host
from holdfast.judges.base import Observation
from holdfast.model import Verdict
from holdfast.probes.nova_api import ApiSite
from holdfast.probes.nova_http import MetadataSite

LISTED = ("nova_conductor", "nova_scheduler", "nova_compute")  # what has an entry and a queue
NAMED = looks.NamedSite.needs()
CALLED = (*NAMED, *looks.RpcSite.needs())
ASKED = (*NAMED, *ApiSite.needs())
History = Sequence[Observation]


class Heartbeat(looks.OneHost):
    """``times``: how often ``service`` on ``host`` must report; two prove the new process."""

    service: Literal["conductor", "scheduler", "compute"]
    times: int = Field(2, ge=2, le=10)


class Idle(looks.OneHost):
    """``wait_for_users``: a finished resize that a user has not confirmed counts as in flight."""

    wait_for_users: bool = False


class Peer(looks.PeerAsked):
    """``minimum``: so many other hosts must serve; 0 where the site accepts to be without."""

    minimum: int = Field(1, ge=0)


class StopTimeout(looks.UnitAsked):
    """``seconds``: nova's graceful_shutdown_timeout; ``required`` false: say it, do not fail."""

    seconds: float = Field(60, ge=0)
    required: bool = True


def _services_up(history: History, _: Parameters) -> Verdict:
    return judges.services_up(SERVICES_UP.name, history)


def _heartbeat(history: History, asked: Heartbeat) -> Verdict:
    binary = f"nova-{asked.service}"
    return judges.heartbeat_advanced(HEARTBEAT.name, history, binary, asked.host, asked.times)


def _rpc(history: History, _: looks.RpcAsked) -> Verdict:
    return nova_answers.rpc_answers(RPC.name, history)


def _api(history: History, _: Parameters) -> Verdict:
    return nova_answers.api_answers(API.name, history)


def _metadata(history: History, _: Parameters) -> Verdict:
    return nova_answers.metadata_answers(METADATA.name, history)


def _idle(history: History, asked: Idle) -> Verdict:
    return judges.compute_idle(IDLE.name, history, asked.wait_for_users)


def _peer(history: History, asked: Peer) -> Verdict:
    service, host, minimum = asked.service, asked.host, asked.minimum
    return nova_answers.peer_remains(PEER.name, history, service, host, minimum)


def _log(history: History, _: looks.LogAsked) -> Verdict:
    return nova_host.no_messaging_timeouts(LOG.name, history)


def _stop_timeout(history: History, asked: StopTimeout) -> Verdict:
    return nova_host.stop_timeout_covers(STOP.name, history, asked.seconds, asked.required)


SERVICES_UP = Claim(
    name="nova.services_up",
    summary="nova lists every service of the inventory as up; says which are disabled",
    probe=looks.look_at_services,
    judge=_services_up,
    group="nova_api",
    also=LISTED,
    needs=ASKED,
    standing=True,
)
HEARTBEAT = Claim(
    name="nova.heartbeat_advanced",
    summary="a service's heartbeat advanced twice while the gate looks; ask it after the restart",
    parameters=Heartbeat,
    probe_parameters=Parameters,
    probe=looks.look_at_services,
    judge=_heartbeat,
    group="nova_api",
    also=LISTED,
    needs=ASKED,
)
RPC = Claim(
    name="nova.rpc_answers",
    summary="every conductor, scheduler and compute answers calls over the broker",
    parameters=looks.RpcAsked,
    probe=looks.look_by_rpc,
    judge=_rpc,
    group="nova_conductor",
    also=("nova_scheduler", "nova_compute"),
    needs=CALLED,
    standing=True,
)
API = Claim(
    name="nova.api_answers",
    summary="every host's nova-api answers, also a request with a token",
    probe=looks.look_at_apis,
    judge=_api,
    group="nova_api",
    needs=ApiSite.needs(),
    standing=True,
)
METADATA = Claim(
    name="nova.metadata_answers",
    summary="every host's metadata service answers, through the database where it is signed for",
    probe=looks.look_at_metadata,
    judge=_metadata,
    group="nova_metadata",
    needs=MetadataSite.needs(),
    standing=True,
)
IDLE = Claim(
    name="nova.compute_idle",
    summary="a compute has no instance with a task, none in BUILD and no running migration",
    parameters=Idle,
    probe_parameters=looks.OneHost,
    probe=looks.look_at_work,
    judge=_idle,
    group="nova_compute",
    also=("nova_api",),
    needs=ASKED,
)
PEER = Claim(
    name="nova.peer_remains",
    summary="without this host, another conductor, scheduler, API or metadata service serves",
    parameters=Peer,
    probe_parameters=looks.PeerAsked,
    probe=looks.look_at_group,
    judge=_peer,
    also=("nova_conductor", "nova_scheduler", "nova_api", "nova_metadata"),
    needs=tuple(dict.fromkeys((*CALLED, *ASKED, *MetadataSite.needs()))),
)
LOG = Claim(
    name="nova.no_messaging_timeouts",
    summary="the unit's log on this host shows no messaging timeout since the unit's start",
    parameters=looks.LogAsked,
    probe=looks.look_at_log,
    judge=_log,
    final=(nova_host.COMPLAINED,),
)
STOP = Claim(
    name="nova.stop_timeout_covers",
    summary="systemd lets the unit finish what is in flight before it kills it",
    parameters=StopTimeout,
    probe_parameters=looks.UnitAsked,
    probe=looks.look_at_stop_timeout,
    judge=_stop_timeout,
    final=(STOP_TIMEOUT_TOO_SHORT,),
)

CLAIMS: tuple[Claim, ...] = (SERVICES_UP, HEARTBEAT, RPC, API, METADATA, IDLE, PEER, LOG, STOP)
