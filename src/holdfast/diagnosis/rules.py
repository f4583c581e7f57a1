"""The rules: each looks for one kind of cause in what was found out. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from holdfast.diagnosis import kinds
from holdfast.diagnosis.model import DeadRun, Diagnosis, Findings, Kind, VerdictJson
from holdfast.diagnosis.partitions import sides_of
from holdfast.evidence import CAUSES, DOWN, FIGURES, HEALTHY, LEFT, MUTE, UNREACHED, WAITING
from holdfast.model import Json, Outcome
from holdfast.report.remedies import remedy_for
from holdfast.text import format_duration, join_names, one_line

Rule = Callable[[Findings], Iterator[Diagnosis]]
_BROKERS_CLAIM, _NOVA_CLAIM = "rabbitmq.processes_run", "nova.processes_connected"
_ACT: Mapping[str, str] = {
    "frozen": "systemctl restart UNIT",
    "masked": "systemctl unmask UNIT; systemctl start UNIT",
    "stopped": "systemctl start UNIT",
    "failed": "journalctl -u UNIT -n 50",
    "flapping": "journalctl -u UNIT -n 50",
    "restarted": "journalctl -u UNIT -n 50",
    "changing": "systemctl status UNIT",
    "no_such_unit": "systemctl status UNIT",
    "full": "df -h",
    "skewed": "timedatectl status; chronyc tracking",
    "database": "grep -m 1 DBConnectionError /var/log/nova/*.log",
    "refused": "systemctl restart UNIT",
    "cut_off": "nft list ruleset; ip route",
    "unconnected": "nft list ruleset; ip route",
}
"""What is typed on the host, by what the host says is wrong with the service; ``UNIT`` is the service's."""


def dead_runs(found: Findings) -> Iterator[Diagnosis]:
    """Yield the runs whose driver is gone, with a host in hand."""
    for run in found.dead_runs:
        hosts = join_names(run.in_hand)
        line = f"{hosts}: in hand of a dead run, {run.run} ({run.what}): its driver is gone"
        command = shlex.join(["holdfast", "resume", run.run])
        yield Diagnosis(
            kinds.DEAD_RUN,
            line,
            run.in_hand,
            evidence=(*run.left, *filter(None, [run.plays])),
            rules_out=("another run: nobody else may act before its lease is taken",),
            next=(f"{command} --reason '…'", f"{_abandon(run)}"),
        )


def _abandon(run: DeadRun) -> str:
    return f"only if you abandon the run: holdfast abort {shlex.quote(run.run)}"


_ACCOUNT = re.compile(
    r"\b40[13] from \S+ management API to |\(rabbitmq_(?:management|probe)_user '|"
    r"\(nova_transport_url\) [^;]*refused|no token from keystone at \S+: login refused|"
    r"nova_auth_username '[^']*' in project '[^']*' may not"
)


def accounts(found: Findings) -> Iterator[Diagnosis]:
    """Yield the accounts of the site that a service refuses: what they are needed for is not known then."""
    causes: dict[str, str] = {}
    for verdict in found.bad:
        message = one_line(str(verdict["message"]))
        if match := _ACCOUNT.search(message):
            remedy = remedy_for(message, found.site)
            causes.setdefault(remedy, _sentence_at(message, match.start()))
    for remedy, text in causes.items():
        line = f"the site's login is refused: {text}"
        ruled_out = ("nothing about the services themselves: they could not be asked",)
        yield Diagnosis(
            kinds.ACCOUNT,
            line,
            (),
            (),
            ruled_out,
            tuple(filter(None, [remedy])),
            pattern=_ACCOUNT.pattern,
        )


def _sentence_at(text: str, position: int) -> str:
    """Return the part between semicolons that a position is in."""
    begin = text.rfind(";", 0, position) + 1
    return text[begin:].partition(";")[0].strip()


def unreached(found: Findings) -> Iterator[Diagnosis]:
    """Yield the hosts that SSH does not reach."""
    causes: dict[str, str] = {}
    for claim in (_BROKERS_CLAIM, _NOVA_CLAIM):
        causes |= found.evidence(claim).get(UNREACHED) or {}
    for message in found.messages:
        if host := unreachable_host(found, message):
            causes.setdefault(host, message)
    alike: dict[str, list[str]] = {}
    for host, cause in causes.items():
        text = one_line(cause).removeprefix(f"{host}: ").removeprefix(f"{host} is unreachable: ")
        alike.setdefault(text, []).append(host)
    for text, hosts in alike.items():
        line = f"{join_names(hosts)}: the host itself does not answer Holdfast: {text}"
        ping = ["ansible", "-i", found.site, ",".join(hosts), "-m", "ansible.builtin.ping"]
        yield Diagnosis(kinds.UNREACHABLE, line, tuple(hosts), next=(shlex.join(ping),))


def unreachable_host(found: Findings, message: str) -> str:
    """Return the host that a message of the check calls unreachable, "" where it is about something else."""
    host = message.partition(":")[0]
    return host if host in found.hosts and "unreachable" in message else ""


def services(found: Findings) -> Iterator[Diagnosis]:
    """Yield what hosts say is wrong with their own services; one for all hosts with the same cause."""
    alike: dict[tuple[str, str], list[tuple[str, Mapping[str, Json]]]] = {}
    for name, cause in found.causes():
        if name not in found.absent:
            # One database is behind all services of nova.
            service = "nova" if cause["cause"] == "database" else cause["service"]
            alike.setdefault((service, cause["cause"]), []).append((name, cause))
    brokers = set(found.evidence(_BROKERS_CLAIM).get(CAUSES) or {})
    for (service, code), members in alike.items():
        kind, broker = kinds.BY_CAUSE[code], members[0][0] in brokers
        if broker:
            kind = _OF_BROKERS.get(kind, kind)
        yield _service(found, kind, (service, code), members)


_OF_BROKERS: Final[Mapping[Kind, Kind]] = {
    kinds.FROZEN: kinds.FROZEN_BROKER,
    **dict.fromkeys(
        (kinds.MASKED, kinds.STOPPED, kinds.FAILED, kinds.STARTING, kinds.FLAPPING),
        kinds.BROKER_DOWN,
    ),
}
"""What is wide where it is a broker's. One that systemd has started again once runs, and makes nothing else ill."""


def _service(
    found: Findings,
    kind: Kind,
    what: tuple[str, str],
    members: Sequence[tuple[str, Mapping[str, Json]]],
) -> Diagnosis:
    service, code = what
    hosts = tuple(dict.fromkeys(str(cause["host"]) for _, cause in members))
    first = members[0][1]
    text = f"{service} {first['text']}{_since(first)}"
    unit, on = shlex.quote(service), hosts[0]
    act = _ACT[code].replace("UNIT", unit)
    steps = [f"on {on}: {act}"]
    if code == "refused" and not first["same_as"]:
        steps = [f"on {on}: correct transport_url in /etc/nova/nova.conf, then {act}"]
    if kind is kinds.FROZEN_BROKER:
        text += f": it accepts connections and says nothing{_waiting(found, hosts)}"
    elif code in {"cut_off", "unconnected"}:
        text += ": a packet filter, a route or a wrong address"
    told = [f"{cause['service']} on {cause['host']} {cause['text']}" for _, cause in members]
    more = tuple(told if len(told) > 1 else ())
    if kind is kinds.DATABASE and (ill := _ill_database(found)):
        return _database(found, ill, more)
    return Diagnosis(
        kind,
        f"{join_names(hosts)}: {text}",
        hosts,
        more,
        _RULES_OUT.get(code, ()),
        tuple(steps),
    )


def _ill_database(found: Findings) -> list[VerdictJson]:
    """Return what did not pass about the database itself or the way to it, where something of it failed."""
    bad = [
        each for each in found.bad if str(each["claim"]).partition(".")[0] in {"galera", "haproxy"}
    ]
    return bad if any(each["outcome"] == Outcome.FAIL for each in bad) else []


def _database(found: Findings, ill: Sequence[VerdictJson], evidence: tuple[str, ...]) -> Diagnosis:
    """Return that nova misses its database because that is ill itself: the first failure comes before nova's words."""
    first = next(each for each in ill if each["outcome"] == Outcome.FAIL)
    hosts = tuple(sorted(found.ill(first)))
    line = f"the database: {first['claim']}: {first['message']}; so nova gets no connection to it"
    shown = tuple(str(each["message"]) for each in ill)
    check = ["holdfast", "check", "--site", found.site, str(first["claim"])]
    ruled_out = ("nova's own configuration: its database is ill",)
    return Diagnosis(
        kinds.DATABASE, line, hosts, (*shown, *evidence), ruled_out, (shlex.join(check),)
    )


_RULES_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    "frozen": ("a network fault: the host says so itself",),
    "masked": ("a crash: a masked unit was told not to start",),
    "stopped": ("a crash: its last end counts as a success",),
    "cut_off": ("the password: it had logged in", "the service itself: its process runs"),
    "unconnected": ("the service itself: its process runs",),
    "refused": ("the network: the broker answered",),
}


def _since(cause: Mapping[str, Json]) -> str:
    seconds = cause.get("seconds")
    return (
        f", {format_duration(seconds)} ago"
        if seconds is not None and cause["cause"] == "stopped"
        else (f", since {format_duration(seconds)}" if seconds is not None else "")
    )


def _waiting(found: Findings, hosts: Sequence[str]) -> str:
    """Return which other brokers gave no answer either, as the end of a sentence."""
    silent = found.evidence("rabbitmq.members_agree").get("unanswered") or {}
    waiting = [host for host in silent if host not in hosts]
    verb = "waits" if len(waiting) == 1 else "wait"
    return f"; {' and '.join(waiting)} {verb} for it" if waiting else ""


def partition(found: Findings) -> Iterator[Diagnosis]:
    """Yield that the brokers are partitioned, and which side is restarted."""
    if not (verdict := found.failed("rabbitmq.no_partitions")):
        return
    if verdict["reason"] != "partitioned":
        return
    sides = sides_of(verdict["evidence"]["views"], set(verdict["evidence"]["unanswered"]))
    ill, why = sides.ill, sides.why
    line = f"{join_names(ill)}: partition: {sides.line}; {why}"
    rule = "holdfast show rabbitmq-recover#partition"
    restart = f"on {ill[0]}: systemctl restart rabbitmq-server"
    steps = (restart, rule) if sides.known else (rule,)
    evidence = (str(verdict["message"]),)
    ruled_out = (
        ("a network that is cut now: every node answers",)
        if not verdict["evidence"]["unanswered"]
        else ()
    )
    yield Diagnosis(kinds.PARTITION, line, tuple(ill), evidence, ruled_out, steps)


def alarm(found: Findings) -> Iterator[Diagnosis]:
    """Yield the alarms of the brokers, with their figures."""
    if not (verdict := found.failed("rabbitmq.no_alarms")):
        return
    figures = verdict["evidence"].get(FIGURES) or {}
    for each in verdict["evidence"]["alarms"]:
        resource, _, node = str(each).partition(" on ")
        host = next(
            (
                h
                for h in found.hosts
                if node.partition("@")[2].partition(".")[0] == h.partition(".")[0]
            ),
            node,
        )
        told = f" ({figures[each]})" if each in figures else ""
        line = f"{host}: {resource} alarm{told}: it blocks every publisher of the cluster"
        memory = resource == "memory"
        act = "set_vm_memory_high_watermark 0.4" if memory else "set_disk_free_limit 50MB"
        act = f"on {host}: rabbitmqctl {act}"
        look = f"on {host}: {'rabbitmq-diagnostics memory_breakdown' if memory else 'df -h'}"
        steps = (
            (act, look) if _is_set_by_somebody(figures.get(each, "")) else (look, act)[: 1 + memory]
        )
        yield Diagnosis(
            kinds.ALARM,
            line,
            (host,),
            (str(verdict["message"]),),
            (),
            steps,
        )


def _is_set_by_somebody(figures: str) -> bool:
    """Return whether a limit was set so: of memory one that no broker is below, of disk one far above its peers'."""
    memory = re.search(r"limit of ([\d.e+-]+) GB", figures)
    disk = re.search(r"the limit is ([\d.e+-]+) GB; \S+'s limit is ([\d.e+-]+) GB", figures)
    return bool(memory and float(memory[1]) < 0.1) or bool(
        disk and float(disk[1]) > 10 * float(disk[2])
    )


def wedged(found: Findings) -> Iterator[Diagnosis]:
    """Yield the brokers that accept a connection and do not serve it, though their process runs: their host says so.

    Where many clients wait for one, the kernel takes no more, and a connection is not even made. A network that is cut
    looks the same from outside, but then no client waits.
    """
    asked = found.evidence(_BROKERS_CLAIM)
    known = {str(cause["host"]) for cause in (asked.get(CAUSES) or {}).values()}
    drained = set(found.evidence("rabbitmq.none_left_drained").get(LEFT) or {})
    waiting: Mapping[str, Json] = asked.get(WAITING) or {}
    if not asked or found.failed("rabbitmq.no_alarms"):
        return
    alike: dict[str, dict[str, str]] = {}
    for host, trip in found.evidence("rabbitmq.amqp_round_trip").items():
        if (
            trip.get("ok")
            or host in known | drained
            or host in asked[UNREACHED]
            or trip["how"] not in {"silent", "broken", "refused"}
            or (_is_unmade(trip) and host not in waiting)
        ):
            continue
        told = f"{host}: {trip['stage']}: {trip['cause']}"
        if host in waiting:
            told += f"; {sum(map(int, waiting[host].values()))} clients wait to be taken"
        alike.setdefault(_says(trip), {})[host] = told
    for says, evidence in alike.items():
        hosts = tuple(evidence)
        steps = (
            f"on {hosts[0]}: rabbitmq-diagnostics check_running",
            f"on {hosts[0]}: systemctl restart rabbitmq-server",
        )
        line = f"{join_names(hosts)}: rabbitmq-server runs and {says}"
        ruled_out = ("a frozen process: the host says that it runs",)
        yield Diagnosis(kinds.WEDGED, line, hosts, tuple(evidence.values()), ruled_out, steps)


def _says(trip: Mapping[str, Json]) -> str:
    """Return what a broker that is wedged does, from how a message through it ended."""
    if _is_unmade(trip):
        return "takes no client, though clients wait for it"
    return {
        "silent": f"accepts a connection and gives no answer to {trip['stage']}",
        "broken": f"breaks off at {trip['stage']}: {trip['cause']}",
        "refused": "does not listen: it boots, has paused (pause_minority) or has closed its listeners",
    }[str(trip["how"])]


def _is_unmade(trip: Mapping[str, Json]) -> bool:
    """Return whether no connection was made, without a refusal."""
    return bool(trip["how"] == "silent" and trip["stage"] == "connect")


def drained(found: Findings) -> Iterator[Diagnosis]:
    """Yield the brokers that are left in maintenance."""
    if not (verdict := found.failed("rabbitmq.none_left_drained")):
        return
    for host in verdict["evidence"].get(LEFT) or {}:
        line = f"{host}: its broker is left drained (in maintenance): it runs and takes no clients"
        steps = (f"on {host}: rabbitmq-upgrade revive",)
        ruled_out = ("a packet filter: a drained node closes its listeners itself",)
        yield Diagnosis(kinds.DRAINED, line, (host,), (str(verdict["message"]),), ruled_out, steps)


def disabled(found: Findings) -> Iterator[Diagnosis]:
    """Yield the computes that a run left disabled."""
    if not (verdict := found.failed("nova.none_left_disabled")):
        return
    for host, run in (verdict["evidence"].get(LEFT) or {}).items():
        line = f"{host}: nova-compute is left disabled by run {run}: it gets no new instance"
        enable = shlex.join(
            ["openstack", "compute", "service", "set", "--enable", host, "nova-compute"]
        )
        steps = (
            f"holdfast status {shlex.quote(str(run))}",
            f"only if you abandon the run: {enable}",
        )
        yield Diagnosis(kinds.DISABLED, line, (host,), (str(verdict["message"]),), (), steps)


def deaf(found: Findings) -> Iterator[Diagnosis]:
    """Yield the services that answer no call though their process runs and is connected, or that have no queue."""
    mute = found.evidence("nova.rpc_answers").get(MUTE) or {}
    known = _with_a_cause(found)
    asked = found.of(_NOVA_CLAIM)
    for name, each in mute.items():
        if name in known or each["host"] in (found.evidence(_NOVA_CLAIM).get(UNREACHED) or {}):
            continue
        service = name.partition(" on ")[0]
        restart = f"on {each['host']}: systemctl restart {shlex.quote(service)}"
        if each["no_queue"]:
            line = f"{each['host']}: {service} has lost its queue on the broker: it runs and gets no calls"
            yield Diagnosis(kinds.NO_QUEUE, line, (each["host"],), (each["text"],), (), (restart,))
            continue
        told = "runs, is connected and" if asked else "is up and"
        line = f"{each['host']}: {service} {told} {each['text']}: it is deaf, or a connection is half open"
        ruled_out = (
            ("a frozen or stopped process, and a refused login: the host was asked",)
            if asked
            else ()
        )
        look = f"on {each['host']}: journalctl -u {shlex.quote(service)} -n 50"
        yield Diagnosis(
            kinds.DEAF, line, (each["host"],), (each["text"],), ruled_out, (look, restart)
        )


_PUPPET: Final[Mapping[str, tuple[Kind, str]]] = {
    "puppet.no_mass_run": (kinds.MASS_PUPPET, "salt-run jobs.active"),
    "puppet.none_left_disabled": (kinds.HELD_PUPPET, "holdfast status"),
    "puppet.none_disabled": (kinds.HELD_PUPPET, "puppet config print agent_disabled_lockfile"),
    "puppet.agents_fresh": (kinds.STALE_PUPPET, "puppet agent --test --noop"),
}


def puppet(found: Findings) -> Iterator[Diagnosis]:
    """Yield what is wrong with Puppet's agents; nothing else follows from it by itself."""
    for claim, (kind, act) in _PUPPET.items():
        if verdict := found.failed(claim):
            hosts = tuple(sorted(found.ill(verdict)))
            step = (
                act
                if act.startswith(("holdfast", "salt"))
                else f"on {hosts[0]}: {act}"
                if hosts
                else act
            )
            yield Diagnosis(kind, f"Puppet: {verdict['message']}", hosts, next=(step,))


def recovering(found: Findings) -> Iterator[Diagnosis]:
    """Yield the services that nova does not list as up yet, and that answer: their next report ends it."""
    down = found.evidence("nova.services_up").get(DOWN) or {}
    rpc, asked = found.of("nova.rpc_answers"), found.of(_NOVA_CLAIM)
    if not rpc or not asked or rpc["outcome"] == "UNKNOWN":
        return
    # Evidence names ten services, the verdict every host that does not answer (journal.events.journaled).
    mute = {host for host, each in (rpc.get("hosts") or {}).items() if not each.get(HEALTHY, True)}
    known = _with_a_cause(found)
    calm = {
        name: each
        for name, each in down.items()
        if each["host"] not in mute and name not in known and not each["forced_down"]
    }
    if calm:
        hosts = tuple(dict.fromkeys(str(each["host"]) for each in calm.values()))
        told = [
            f"{name}, {_heartbeat(each['updated_at'], found.now)}" for name, each in calm.items()
        ]
        line = f"recovering: {join_names(told, 3)}: it answers calls, and nova lists it as up after its next report"
        yield Diagnosis(
            kinds.RECOVERING,
            line,
            hosts,
            next=(f"holdfast check --site {shlex.quote(found.site)} --wait 1m",),
        )


def _heartbeat(stamp: str, now: datetime) -> str:
    """Return how old a heartbeat of nova's is, which it writes in UTC without a zone."""
    try:
        age = (now - datetime.fromisoformat(stamp).replace(tzinfo=UTC)).total_seconds()
    except ValueError:
        return "no heartbeat yet"
    return f"heartbeat {format_duration(age)} old, catching up"


def _with_a_cause(found: Findings) -> set[str]:
    return {name for name, _ in found.causes()}


RULES: tuple[Rule, ...] = (
    dead_runs,
    accounts,
    unreached,
    services,
    partition,
    alarm,
    wedged,
    drained,
    disabled,
    deaf,
    puppet,
    recovering,
)
