"""Judge who takes writes: one node, by every haproxy and by the connections that the nodes see."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.evidence import LEADERS, LEFT, UNSEEN
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.haproxy import BY_COMMAND, HaproxyState, WriterViews, elected

TWO_WRITERS = "two_writers"
MOVES_WRITER = "moves_writer"


def one_writer(claim: str, views: WriterViews) -> Verdict:
    """PASS where every haproxy gives new sessions to the same node, no client is on another, and it takes writes.

    By haproxy's own state, and by the connections that each node has from others than the accounts of monitors
    (``galera_not_writers``). A roll takes the writer last.
    """
    faults = [*_elections(views), *_sessions(views)]
    writers = _writers(views)
    evidence: dict[str, Json] = {
        "writer": writers[0] if len(writers) == 1 else "",
        "by_haproxy": _shown(views),
    }
    if len(writers) > 1:
        faults.insert(0, f"new sessions go to {' and to '.join(writers)}")
    if faults:
        many = len(writers) > 1 or any(
            "more than one" in each or "while the writer" in each for each in faults
        )
        reason = TWO_WRITERS if many else "no_writer"
        return Verdict(claim, Outcome.FAIL, reason, first_few(faults), evidence)
    silent = [*views.silent.values(), *views.nodes.silent.values()]
    if silent or not writers:
        message = first_few(silent) or "the inventory has no haproxy to ask"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    return _is_fit(claim, views, writers[0], evidence)


def _is_fit(claim: str, views: WriterViews, writer: str, evidence: dict[str, Json]) -> Verdict:
    """Return whether the one writer takes writes."""
    node = views.nodes.answered[writer]
    if node.read_only:
        message = f"the writer {writer} is read-only (read_only): haproxy leads clients to a node that refuses writes"
        return Verdict(claim, Outcome.FAIL, "read_only", message, evidence)
    if not node.serves:
        message = (
            f"the writer {writer} is {node.state_name} in the component {node.status}, not Synced"
        )
        return Verdict(claim, Outcome.FAIL, "not_synced", message, evidence)
    count = sum(views.clients_of(writer).values())
    asked = ", ".join(views.haproxies)
    message = (
        f"the writer is {writer}, by haproxy on {asked} and by {count} connections of clients there"
    )
    facts = {each: {LEADERS: int(each == writer)} for each in views.servers}
    return Verdict(claim, Outcome.PASS, "one", message, evidence, facts)


def _writers(views: WriterViews) -> list[str]:
    """Return the hosts that any haproxy gives new sessions to."""
    names = (name for state in views.answered.values() for name in state.elected)
    return list(
        dict.fromkeys(views.host_of(name) or f"{name} (no host of the inventory)" for name in names)
    )


def _elections(views: WriterViews) -> Iterator[str]:
    """Yield what is wrong with whom each haproxy gives new sessions to."""
    for haproxy, state in views.answered.items():
        names = [each.name for each in state.servers]
        if unknown := [name for name in names if not views.host_of(name)]:
            yield (
                f"haproxy on {haproxy}: {views.backend} has server {', '.join(unknown)}, which is no host of the"
                " group galera (galera_haproxy_server)"
            )
        if missing := [host for host, name in views.servers.items() if name not in names]:
            yield (
                f"haproxy on {haproxy}: {views.backend} has no server for {', '.join(missing)}"
                " (galera_haproxy_server)"
            )
        if not state.elected:
            yield f"haproxy on {haproxy} gives new sessions to no server: {_servers(state)}"
        if len(state.elected) > 1:
            yield f"haproxy on {haproxy} gives new sessions to more than one server: {', '.join(state.elected)}"


def _sessions(views: WriterViews) -> Iterator[str]:
    """Yield where clients are still on another node than the one that gets new sessions."""
    for haproxy, state in views.answered.items():
        for server in state.servers:
            if server.sessions and state.elected and server.name not in state.elected:
                yield (
                    f"haproxy on {haproxy} still has {server.sessions} sessions on {server.name}"
                    f" while the writer is {', '.join(state.elected)}"
                )
    writers = _writers(views)
    for host in views.nodes.answered:
        clients = views.clients_of(host)
        if clients and writers and host not in writers:
            shown = first_few(
                [f"{count} of {who}" for who, count in clients.items()], separator=", "
            )
            yield (
                f"{host} has connections of clients while the writer is {', '.join(writers)}: {shown}"
                " (galera_not_writers)"
            )


def node_idle(claim: str, views: WriterViews, host: str) -> Verdict:
    """PASS where no haproxy gives the node new sessions, none is left on it, and the node sees no client."""
    server, left = views.servers.get(host, ""), []
    for haproxy, state in views.answered.items():
        found = next((each for each in state.servers if each.name == server), None)
        if found is None:
            left.append(f"haproxy on {haproxy} has no server for {host}")
        elif not found.in_maintenance:
            left.append(f"haproxy on {haproxy} may give {host} new sessions")
        elif found.sessions:
            left.append(f"haproxy on {haproxy} has {found.sessions} sessions there")
    clients = views.clients_of(host)
    left += [f"{host} has {count} of {who}" for who, count in clients.items()]
    evidence: dict[str, Json] = {"host": host, "clients": dict(clients)}
    if left:
        return Verdict(claim, Outcome.FAIL, "in_use", first_few(left), evidence)
    silent = list(views.silent.values())
    if host not in views.nodes.answered:
        silent.append(views.nodes.silent.get(host, f"{host} is no node of the inventory"))
    if silent or not views.answered:
        return Verdict(
            claim,
            Outcome.UNKNOWN,
            "unanswered",
            first_few(silent) or "no haproxy was asked",
            evidence,
        )
    return Verdict(
        claim,
        Outcome.PASS,
        "idle",
        f"{host} is in maintenance in haproxy and has no client",
        evidence,
    )


def none_past(claim: str, views: WriterViews) -> Verdict:
    """PASS where the writer has no more connections of clients than the haproxies have sessions on it.

    What comes past them, or through an old process of one that was reloaded, none of them can end: the writer could not
    be moved. Counted at slightly different times, so one reading more or less proves nothing against it.
    """
    silent = [*views.silent.values(), *views.nodes.silent.values()]
    writers = _writers(views)
    agreed = all(len(state.elected) == 1 for state in views.answered.values())
    if silent or not agreed or len(writers) != 1 or writers[0] not in views.nodes.answered:
        message = first_few(silent) or "the haproxies have no single writer"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message)
    [writer] = writers
    clients, server = views.clients_of(writer), views.servers[writer]
    sessions = sum(
        each.sessions
        for state in views.answered.values()
        for each in state.servers
        if each.name == server
    )
    count = sum(clients.values())
    evidence: dict[str, Json] = {"host": writer, "clients": dict(clients), "sessions": sessions}
    told = f"the writer {writer} has {count} connections of clients, and haproxy has {sessions} sessions there"
    if count > sessions:
        shown = first_few([f"{n} of {who}" for who, n in clients.items()], separator=", ")
        message = (
            f"{told}: some come past haproxy, or through one that was reloaded since: {shown}"
            " (galera_not_writers)"
        )
        return Verdict(claim, Outcome.FAIL, "past_haproxy", message, evidence)
    return Verdict(claim, Outcome.PASS, "none", told, evidence)


def reload_keeps_writer(claim: str, views: WriterViews, host: str = "") -> Verdict:
    """PASS where a haproxy would give new sessions to the same node after a reload, which forgets commands.

    Otherwise a reload makes a second writer at once: the old process keeps its sessions on the node that the commands
    had chosen. Told from the state alone: a changed configuration may have another order.
    """
    answered = {h: each for h, each in views.answered.items() if host in ("", h)}
    after = {
        h: elected(tuple(s.as_configured for s in each.servers)) for h, each in answered.items()
    }
    evidence: dict[str, Json] = {
        "by_haproxy": {
            h: {"now": list(answered[h].elected), "after": list(after[h])} for h in after
        }
    }
    moved = [
        f"haproxy on {each} leads to {', '.join(state.elected) or 'nobody'} by commands, and after a reload to"
        f" {', '.join(after[each]) or 'nobody'}"
        for each, state in answered.items()
        if state.elected != after[each]
    ]
    if moved:
        return Verdict(claim, Outcome.FAIL, MOVES_WRITER, first_few(moved), evidence)
    silent = [cause for each, cause in views.silent.items() if host in ("", each)]
    if silent or not answered:
        message = first_few(silent) or f"{host or 'the inventory'} has no haproxy to ask"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    message = f"a reload of haproxy on {', '.join(answered)} would change no writer"
    return Verdict(claim, Outcome.PASS, "kept", message, evidence)


def none_left_out(claim: str, views: WriterViews) -> Verdict:
    """PASS where no haproxy has a server in maintenance by a command: the next reload of haproxy would end that."""
    out = [
        (haproxy, server.name)
        for haproxy, state in views.answered.items()
        for server in state.servers
        if server.admin & BY_COMMAND
    ]
    left = [f"haproxy on {haproxy} has {name} in maintenance by a command" for haproxy, name in out]
    hosts = {views.host_of(name) or name: "" for _, name in out}
    evidence: dict[str, Json] = {LEFT: hosts, UNSEEN: list(views.silent.values())}
    if left:
        return Verdict(claim, Outcome.FAIL, "left_out", first_few(left), evidence)
    if views.silent or not views.answered:
        message = first_few(list(views.silent.values())) or "the inventory has no haproxy to ask"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    return Verdict(claim, Outcome.PASS, "none", "no server was taken out by a command", evidence)


def _servers(state: HaproxyState) -> str:
    return first_few(
        [
            f"{each.name} {'maintenance' if each.in_maintenance else 'up' if each.up else 'down'}"
            for each in state.servers
        ],
        5,
        ", ",
    )


def _shown(views: WriterViews) -> dict[str, Json]:
    return {haproxy: list(state.elected) for haproxy, state in views.answered.items()}
