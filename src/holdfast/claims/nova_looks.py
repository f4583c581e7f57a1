"""How nova is looked at: from a look and a claim's parameters to what its judge is given.

Owns which hosts of the inventory are asked. The asking is the probes', the judging the gates'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, SecretStr

from holdfast.claims.base import Parameters
from holdfast.errors import InvalidInput
from holdfast.judges import nova as judges
from holdfast.judges import nova_answers as answers
from holdfast.judges import nova_host as on_host
from holdfast.model import Json
from holdfast.probes import nova_api, nova_host, nova_http, nova_rpc
from holdfast.probes.base import ProbeContext, SiteVariables

Topic = Literal["conductor", "scheduler", "compute"]
TOPICS: tuple[Topic, ...] = ("conductor", "scheduler", "compute")
PeerService = Literal["conductor", "scheduler", "api", "metadata"]


class NamedSite(SiteVariables):
    """``nova_service_host``: nova's own name for the host, its option ``host``."""

    nova_service_host: str = ""


class RpcSite(SiteVariables):
    """What it takes to call the services of one host; cells have brokers of their own."""

    nova_transport_url: SecretStr
    nova_ca_file: str = ""


class OneHost(Parameters):
    """``host``: its name in the inventory."""

    host: str = Field(min_length=1)


class RpcAsked(Parameters):
    """``topics`` and ``hosts`` narrow what is called, by default everything in the inventory.

    ``pings``: calls for each host; its workers share one queue and take turns, so with fewer calls
    than workers some are not asked.
    """

    topics: tuple[Topic, ...] = Field(TOPICS, min_length=1)
    hosts: tuple[str, ...] = ()
    pings: int = Field(3, ge=1, le=200)


class PeerAsked(OneHost):
    """``service`` of the ``host`` that is about to be without it."""

    service: PeerService


class LogAsked(Parameters):
    """``log``: the file the unit logs to, or ``journal``."""

    unit: str = Field(min_length=1)
    log: str = Field(min_length=1)


class UnitAsked(Parameters):
    """``unit``: a systemd unit of the task's host."""

    unit: str = Field(min_length=1)


def look_at_services(look: ProbeContext, _: Parameters) -> judges.ServiceList:
    """The service list, and what the inventory expects to be in it."""
    expected = [
        judges.Expected(f"nova-{topic}", host, _known_as(look, host))
        for topic in TOPICS
        for host in look.groups.get(f"nova_{topic}", ())
    ]
    listed = nova_api.services(_api_sites(look))
    return judges.ServiceList(expected, [_service(entry) for entry in listed])


def look_at_work(look: ProbeContext, asked: OneHost) -> judges.Work:
    """What is in flight on a compute, between two looks at its service."""
    _members(look, "nova_compute", (asked.host,))
    sites, name = _api_sites(look), _known_as(look, asked.host)
    before = _compute(sites, name)
    instances = nova_api.instances_on(sites, name)
    migrations = nova_api.migrations_of(sites, name)
    return judges.Work(
        host=asked.host,
        before=before,
        instances=[_instance(entry) for entry in instances],
        migrations=[_migration(entry) for entry in migrations],
        after=_compute(sites, name),
    )


def look_by_rpc(look: ProbeContext, asked: RpcAsked) -> Sequence[answers.Pinged]:
    """Call every asked service, through the brokers of its own cell."""
    wanted = {
        (topic, host): nova_rpc.Target(topic, _known_as(look, host))
        for topic in asked.topics
        for host in look.groups.get(f"nova_{topic}", ())
        if not asked.hosts or host in asked.hosts
    }
    missing = sorted(set(asked.hosts) - {host for _, host in wanted})
    if missing or not wanted:
        what = (
            f"{', '.join(missing) or 'any host'} in {', '.join(f'nova_{t}' for t in asked.topics)}"
        )
        raise InvalidInput(f"nova.rpc_answers: the inventory has not {what}")
    echoes = _call(look, {host: _targets(wanted, host) for _, host in wanted}, asked.pings)
    return [_pinged(topic, host, echoes[target]) for (topic, host), target in wanted.items()]


def look_at_apis(look: ProbeContext, _: Parameters) -> Mapping[str, answers.ApiAsked]:
    """Ask every host's nova-api."""
    replies = nova_http.ask_apis(_api_sites(look))
    return {host: _api_asked(each) for host, each in replies.items()}


def look_at_metadata(look: ProbeContext, _: Parameters) -> Mapping[str, answers.MetadataAsked]:
    """Ask every host's metadata service."""
    hosts = look.groups.get("nova_metadata", ())
    replies = nova_http.ask_metadata(
        {host: look.site(host, nova_http.MetadataSite) for host in hosts}
    )
    return {host: _metadata_asked(each) for host, each in replies.items()}


def look_at_group(look: ProbeContext, asked: PeerAsked) -> Mapping[str, answers.Finding]:
    """Ask the same service of every host of its group, the host itself included."""
    members = _members(look, f"nova_{asked.service}", (asked.host,))
    if asked.service == "api":
        return {host: answers.of_api(each) for host, each in look_at_apis(look, asked).items()}
    if asked.service == "metadata":
        return {h: answers.of_metadata(each) for h, each in look_at_metadata(look, asked).items()}
    pinged = look_by_rpc(look, RpcAsked(topics=(asked.service,), hosts=tuple(members)))
    return {each.host: answers.of_ping(each) for each in pinged}


def look_at_log(look: ProbeContext, asked: LogAsked) -> on_host.Log:
    """Read the unit's log on the task's host back to the unit's start."""
    seen = nova_host.logged_since_start(look, asked.unit, asked.log)
    return on_host.Log(
        look.host, asked.unit, asked.log, seen.since, seen.lines, seen.complaints, seen.last
    )


def look_at_stop_timeout(look: ProbeContext, asked: UnitAsked) -> on_host.StopTimeout:
    """Ask systemd on the task's host."""
    seconds = nova_host.stop_timeout_seconds(look, asked.unit)
    return on_host.StopTimeout(look.host, asked.unit, seconds)


def _members(look: ProbeContext, group: str, named: Sequence[str]) -> Sequence[str]:
    """The group's hosts; those that a claim names must be among them."""
    members = look.groups.get(group, ())
    strangers = [host for host in named if host not in members]
    if strangers:
        raise InvalidInput(f"{', '.join(strangers)}: not in the inventory's group {group}")
    return members


def _api_sites(look: ProbeContext) -> Mapping[str, nova_api.ApiSite]:
    return {host: look.site(host, nova_api.ApiSite) for host in look.groups.get("nova_api", ())}


def _known_as(look: ProbeContext, host: str) -> str:
    return look.site(host, NamedSite).nova_service_host or host


def _compute(sites: Mapping[str, nova_api.ApiSite], name: str) -> judges.Service | None:
    listed = nova_api.services(sites, binary="nova-compute", host=name)
    return _service(listed[0]) if listed else None


def _targets(
    wanted: Mapping[tuple[Topic, str], nova_rpc.Target], host: str
) -> Sequence[nova_rpc.Target]:
    return [target for (_, each), target in wanted.items() if each == host]


def _call(
    look: ProbeContext, targets: Mapping[str, Sequence[nova_rpc.Target]], pings: int
) -> Mapping[nova_rpc.Target, nova_rpc.Echo]:
    """One round of calls for each distinct set of brokers, which is one for each cell."""
    cells: dict[tuple[frozenset[nova_rpc.Broker], str], dict[nova_rpc.Target, int]] = {}
    for host, theirs in targets.items():
        site = look.site(host, RpcSite)
        brokers = nova_rpc.brokers_of(site.nova_transport_url.get_secret_value())
        cell = cells.setdefault((frozenset(brokers), site.nova_ca_file), {})
        cell.update(dict.fromkeys(theirs, pings))
    echoes: dict[nova_rpc.Target, nova_rpc.Echo] = {}
    for (brokers_of_cell, ca_file), asked in cells.items():
        in_order = sorted(brokers_of_cell, key=lambda broker: broker.name)
        echoes |= nova_rpc.ping(in_order, asked, ca_file)
    return echoes


def _service(entry: Json) -> judges.Service:
    """One entry as nova lists it; a silent cell's has binary, host and status alone."""
    return judges.Service(
        binary=entry["binary"],
        host=entry["host"],
        status=entry["status"],
        state=entry.get("state", ""),
        updated_at=entry.get("updated_at") or "",
        disabled_reason=entry.get("disabled_reason") or "",
        forced_down=bool(entry.get("forced_down")),
    )


def _instance(entry: Json) -> judges.Instance:
    task = entry.get("OS-EXT-STS:task_state") or ""
    return judges.Instance(id=entry["id"], status=entry["status"], task=task)


def _migration(entry: Json) -> judges.Migration:
    kind = entry.get("migration_type") or "migration"
    return judges.Migration(id=str(entry["id"]), kind=kind, status=entry["status"])


def _pinged(topic: Topic, host: str, echo: nova_rpc.Echo) -> answers.Pinged:
    return answers.Pinged(topic, host, echo.sent, echo.answered, echo.no_queue, echo.error)


def _reply(reply: nova_http.Reply | None) -> answers.HttpReply | None:
    return answers.HttpReply(reply.status, reply.said) if reply else None


def _api_asked(replies: nova_http.ApiReplies) -> answers.ApiAsked:
    root = answers.HttpReply(replies.root.status, replies.root.said)
    return answers.ApiAsked(root, _reply(replies.call), replies.no_token)


def _metadata_asked(replies: nova_http.MetadataReplies) -> answers.MetadataAsked:
    root = answers.HttpReply(replies.root.status, replies.root.said)
    return answers.MetadataAsked(
        root, _reply(replies.unsigned), _reply(replies.signed), replies.known
    )
