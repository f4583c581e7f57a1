"""Move the writer of a database cluster from one server of haproxy's backend to another: never two at a time.

A server that only drains keeps its open sessions, and with them a second writer. So all servers that are not to write
are put into maintenance, their sessions are shut down, and not before no session and no client is left on any of them
does the next one get new sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from holdfast.errors import CannotTell
from holdfast.observations.haproxy import (
    DRAINING,
    HaproxyServer,
    HaproxyState,
    WriterViews,
    elected,
)
from holdfast.probes.base import ask_all
from holdfast.probes.haproxy import Haproxy

READY, MAINTENANCE, DRAIN = "ready", "maint", "drain"
"""The states of a server in haproxy's own words, for ``set server``."""

SECONDS = 10.0
"""How long sessions may take to end before the writer gets its place back."""

PAUSE = 0.05

States = Mapping[str, Mapping[str, str]]
"""Per haproxy the state of each server."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What haproxy is to do: the server that takes writes, and the state of every server in each haproxy."""

    writer: str
    states: States


@dataclass(frozen=True, slots=True)
class Moved:
    """What was done: whether anything, and for how many seconds nobody took writes; 0 where the writer stayed."""

    changed: bool
    seconds: float


def states_in(views: WriterViews) -> dict[str, dict[str, str]]:
    """Return the state of every server in each haproxy.

    Raises:
        CannotTell: a haproxy does not answer.
    """
    if views.silent:
        raise CannotTell("; ".join(views.silent.values()))
    return {
        host: {each.name: _word(each) for each in state.servers}
        for host, state in views.answered.items()
    }


def without(views: WriterViews, host: str) -> Wanted:
    """Return what haproxy is to do while a host is away: its server gets no sessions; if it writes, another does.

    The next writer is the first server in haproxy's order that may take sessions in every haproxy. Any other keeps its
    state, unless it would then be the writer in the place of the next.

    Raises:
        CannotTell: the haproxies do not agree who is the writer, or nobody else could be.
    """
    states, server = states_in(views), views.servers.get(host, "")
    present = writer_in(views)
    for haproxy, known in states.items():
        if server not in known:
            raise CannotTell(f"haproxy on {haproxy} has no server {server or host}")
    if present != server:
        return Wanted(present, {h: {**known, server: MAINTENANCE} for h, known in states.items()})
    able = [_able(state) for state in views.answered.values()]
    others = [name for name in able[0] if name != server and all(name in each for each in able)]
    if not others:
        raise CannotTell(
            f"{server} is the writer, and no other server of {views.backend} could be in its place"
        )
    following = others[0]
    return Wanted(
        following,
        {
            haproxy: _with(state, {**states[haproxy], server: MAINTENANCE}, following)
            for haproxy, state in views.answered.items()
        },
    )


def as_noted(views: WriterViews, noted: States) -> Wanted:
    """Return what haproxy is to do so that every server has the state it had before.

    Raises:
        CannotTell: a haproxy does not answer or has other servers than then, or there was not one writer.
    """
    writers = set()
    for haproxy, states in states_in(views).items():
        if states.keys() != noted.get(haproxy, {}).keys():
            raise CannotTell(
                f"haproxy on {haproxy} has other servers than before the first restart"
            )
        writers.add(_elected(views.answered[haproxy], noted[haproxy]))
    if len(writers) != 1 or len(next(iter(writers))) != 1:
        raise CannotTell("haproxy had no single writer before the first restart")
    return Wanted(next(iter(writers))[0], noted)


def writer_in(views: WriterViews) -> str:
    """Return the one server that every haproxy gives new sessions to.

    Raises:
        CannotTell: there is none, or more than one.
    """
    writers = {state.elected for state in views.answered.values()}
    if views.silent or len(writers) != 1 or len(next(iter(writers))) != 1:
        shown = {haproxy: list(state.elected) for haproxy, state in views.answered.items()}
        raise CannotTell(
            f"haproxy has no single writer: {shown} {'; '.join(views.silent.values())}".strip()
        )
    return next(iter(writers))[0]


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves the writer. ``look`` asks haproxies and nodes; ``prove_lease`` raises where nothing may be changed."""

    haproxies: Mapping[str, Haproxy]
    look: Callable[[], WriterViews]
    prove_lease: Callable[[], None]
    clock: Callable[[], float]
    wait: Callable[[float], object]

    def move(self, views: WriterViews, target: Wanted) -> Moved:
        """Bring every haproxy to the target, and return what was done; ``views`` are the newest.

        Raises:
            CannotTell: it could not be done, or whether it was done is not known; the message says who takes writes.
            LeaseLost: another run may act; nothing was sent.
        """
        if _is_at(views, target):
            return Moved(changed=False, seconds=0.0)
        seconds, present = 0.0, states_in(views)
        if not _writes_alone(views, target.writer):
            _require_fit(views, target.writer)
            _require_told(views, _to_stop(views, target.writer))
            self.prove_lease()
            seconds = self._hand_over(views, target.writer)
            present = {h: dict.fromkeys(known, MAINTENANCE) for h, known in present.items()}
        self.prove_lease()
        others = {
            haproxy: [
                f"set server {self._backend(haproxy)}/{name} state {word}"
                for name, word in states.items()
                if name != target.writer and word != present[haproxy][name]
            ]
            for haproxy, states in target.states.items()
        }
        try:
            self._send(others)
        except CannotTell as error:
            raise CannotTell(f"{error.message}; the writer is {target.writer}") from None
        after = self.look()
        if not _is_at(after, target):
            raise CannotTell(
                f"haproxy did not take its servers' states: {states_in(after)}, wanted {dict(target.states)}"
            )
        return Moved(changed=True, seconds=round(seconds, 3))

    def _hand_over(self, views: WriterViews, writer: str) -> float:
        """Stop all servers but the writer, and it too unless it has new sessions everywhere; then let it write.

        Those that have new sessions are stopped last: else the first backup would get them in between.
        """
        before = [state.elected for state in views.answered.values()]
        stop = _to_stop(views, writer)
        stays = writer not in stop
        began = self.clock()
        try:
            self._stop(stop, states_in(views))
        except CannotTell as error:
            raise CannotTell(f"{error.message}; {self._give_back(before)}") from None
        try:
            self._ready(writer)
        except CannotTell as error:
            raise CannotTell(
                f"{error.message}; no server but {writer} takes writes, and not by every haproxy"
            ) from None
        return 0.0 if stays else self.clock() - began

    def _stop(self, servers: Sequence[str], present: States) -> None:
        """Put servers into maintenance and end their sessions; return when none is left, on nodes neither.

        One that is in maintenance already, as by the configuration, is not sent there by a command on top.
        """
        self._send(
            {
                haproxy: [
                    *[
                        f"set server {self._backend(haproxy)}/{name} state maint"
                        for name in servers
                        if present[haproxy][name] != MAINTENANCE
                    ],
                    *self._shutdowns(haproxy, servers),
                ]
                for haproxy in self.haproxies
            }
        )
        began = self.clock()
        while left := _left(self.look(), servers):
            if self.clock() - began > SECONDS:
                raise CannotTell(f"after {SECONDS:.0f} s sessions are left: {'; '.join(left)}")
            self.wait(PAUSE)
            self._send({haproxy: self._shutdowns(haproxy, servers) for haproxy in self.haproxies})

    def _shutdowns(self, haproxy: str, servers: Sequence[str]) -> list[str]:
        return [f"shutdown sessions server {self._backend(haproxy)}/{name}" for name in servers]

    def _give_back(self, before: Sequence[tuple[str, ...]]) -> str:
        """Give new sessions to the server that had them, whose sessions may be left; return what a message says."""
        if len(set(before)) != 1 or len(before[0]) != 1:
            return "no server takes writes now"
        [writer] = before[0]
        try:
            self._ready(writer)
        except CannotTell as error:
            return f"{writer} could not be given its place back by every haproxy: {error.message}"
        return f"{writer} takes writes again"

    def _ready(self, writer: str) -> None:
        commands = {
            h: [f"set server {each.backend}/{writer} state ready"]
            for h, each in self.haproxies.items()
        }
        self._send(commands)

    def _backend(self, haproxy: str) -> str:
        return self.haproxies[haproxy].backend

    def _send(self, commands: Mapping[str, Sequence[str]]) -> None:
        """Send each haproxy its commands, to all at the same time.

        Raises:
            CannotTell: one refused a command, or did not answer.
        """
        targets = {
            haproxy: each for haproxy, each in self.haproxies.items() if commands.get(haproxy)
        }
        ask_all(targets, partial(_send_to, commands))


def _send_to(commands: Mapping[str, Sequence[str]], haproxy: Haproxy) -> None:
    answer = haproxy.send(*commands[haproxy.host]).strip()
    if answer:
        raise CannotTell(
            f"{haproxy.host}'s haproxy answered {answer.splitlines()[0][:120]!r} (`level admin` is needed)"
        )


def _word(server: HaproxyServer) -> str:
    if server.in_maintenance:
        return MAINTENANCE
    return DRAIN if server.admin & DRAINING else READY


def _able(state: HaproxyState) -> list[str]:
    return [each.name for each in state.servers if each.takes_sessions]


def _with(state: HaproxyState, states: Mapping[str, str], writer: str) -> dict[str, str]:
    """Return the states with as many servers as they were, and the writer as the only one that gets new sessions."""
    found = {name: READY if name == writer else MAINTENANCE for name in states}
    for name, word in states.items():
        if name != writer and _elected(state, {**found, name: word}) == (writer,):
            found[name] = word
    return found


def _elected(state: HaproxyState, states: Mapping[str, str]) -> tuple[str, ...]:
    """Return who would get new sessions with these states; the checks of a server begin with its being up."""
    bits = {READY: 0, MAINTENANCE: 1, DRAIN: 8}
    return elected(
        tuple(
            each.model_copy(
                update={"admin": bits[states[each.name]], "up": each.up or each.in_maintenance}
            )
            for each in state.servers
        )
    )


def _is_at(views: WriterViews, target: Wanted) -> bool:
    states = {haproxy: dict(each) for haproxy, each in target.states.items()}
    return states_in(views) == states and _writes_alone(views, target.writer)


def _writes_alone(views: WriterViews, writer: str) -> bool:
    """Return whether every haproxy gives new sessions to the writer, and none is left on another."""
    return all(
        state.elected == (writer,)
        and not any(each.sessions for each in state.servers if each.name != writer)
        for state in views.answered.values()
    )


def _require_fit(views: WriterViews, writer: str) -> None:
    host = views.host_of(writer)
    node = views.nodes.answered.get(host)
    if node is None or not node.serves or node.read_only:
        why = (
            "does not answer"
            if node is None
            else "is read-only"
            if node.read_only
            else f"is {node.state_name}"
        )
        raise CannotTell(f"{writer} {why}, so it is not made the writer; haproxy was left as it is")


def _to_stop(views: WriterViews, writer: str) -> list[str]:
    """Return all but the writer, and it too unless it has new sessions everywhere; those that have some last."""
    having = [state.elected for state in views.answered.values()]
    stays = all(each == (writer,) for each in having)
    stop = [name for name in views.servers.values() if name != writer or not stays]
    return sorted(stop, key=lambda name: any(name in each for each in having))


def _require_told(views: WriterViews, servers: Sequence[str]) -> None:
    """Return only if all can be asked whether a session is left: else the outage would end where it began."""
    hosts = [host for host, name in views.servers.items() if name in servers]
    silent = [
        *views.silent.values(),
        *(views.nodes.silent[host] for host in hosts if host in views.nodes.silent),
    ]
    if silent:
        raise CannotTell(
            f"whether clients are left could not be asked everywhere: {'; '.join(silent)};"
            " haproxy was left as it is"
        )


def _left(views: WriterViews, servers: Sequence[str]) -> list[str]:
    """Return where a session or a client is left on the servers, or may be since somebody does not answer."""
    left = [*views.silent.values()]
    for haproxy, state in views.answered.items():
        found = [each for each in state.servers if each.name in servers]
        left += [
            f"{each.sessions} on {each.name} by haproxy on {haproxy}"
            for each in found
            if each.sessions
        ]
        left += [
            f"haproxy on {haproxy} still uses {each.name}"
            for each in found
            if not each.in_maintenance
        ]
    for host, name in views.servers.items():
        if name in servers:
            if host not in views.nodes.answered:
                left.append(views.nodes.silent.get(host, f"{host} was not asked"))
            left += [f"{count} of {who} on {host}" for who, count in views.clients_of(host).items()]
    return left
