"""The writer is moved with never two at a time, and where that cannot be done, it stays where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest

from holdfast.errors import CannotTell, LeaseLost
from holdfast.model import Json, Unanswered
from holdfast.observations.galera import GaleraNode
from holdfast.observations.haproxy import HaproxyServer, HaproxyState, WriterViews
from holdfast.probes.base import CommandResult
from holdfast.probes.haproxy import Haproxy, HaproxySite
from holdfast.writer_move import Mover, as_noted, states_in, without
from tests.unit.judges.test_galera import node, views

ADMIN = {"ready": 0, "maint": 1, "drain": 8}
SERVERS = ("db1", "db2", "db3")


@dataclass
class FakeHaproxies:
    """Two haproxies whose clients connect again as soon as they may; ``writers`` are all that could write at a time.

    ``stuck``: sessions on this server do not end. ``answer``: what every command is answered. ``silent``: a node that
    gives no answer from the first command on. ``refused``: a haproxy and the end of the commands that it refuses.
    """

    stuck: str = ""
    answer: str = ""
    silent: str = ""
    refused: tuple[str, str] = ("", "?")
    backups: tuple[str, ...] = ("db2", "db3")
    direct: dict[str, int] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    writers: list[set[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.servers: dict[str, dict[str, dict[str, Json]]] = {
            haproxy: {
                name: {"admin": 0, "sessions": 0, "backup": name in self.backups}
                for name in SERVERS
            }
            for haproxy in ("lb1", "lb2")
        }
        self._clients_connect()

    def shell(self, haproxy: str) -> _Socket:
        return _Socket(self, haproxy)

    def run(self, haproxy: str, command: str) -> str:
        self.sent.append((haproxy, command))
        if haproxy == self.refused[0] and command.endswith(self.refused[1]):
            return "No such server."
        words = command.split()
        server = self.servers[haproxy][words[-3 if words[0] == "set" else -1].rpartition("/")[2]]
        if words[0] == "set":
            server["admin"] = ADMIN[words[-1]]
        elif words[-1].rpartition("/")[2] != self.stuck:
            server["sessions"] = 0
        self._clients_connect()
        return self.answer

    def _clients_connect(self) -> None:
        for haproxy in self.servers:
            for name in self.state(haproxy).elected:
                self.servers[haproxy][name]["sessions"] += 1
        writes = {
            n for each in self.servers.values() for n, server in each.items() if server["sessions"]
        }
        self.writers.append(writes)

    def state(self, haproxy: str) -> HaproxyState:
        return HaproxyState(
            servers=tuple(
                HaproxyServer(name=name, up=not each["admin"] & 5, weight=1, **each)
                for name, each in self.servers[haproxy].items()
            ),
        )

    def look(self) -> WriterViews:
        nodes: list[GaleraNode | Unanswered] = []
        for number, name in enumerate(SERVERS, 1):
            sessions = sum(each[name]["sessions"] for each in self.servers.values())
            sessions += self.direct.get(name, 0)
            clients = {"nova@10.0.0.5": sessions} if sessions else {}
            silent = name == self.silent and self.sent
            nodes.append(Unanswered(f"{name} is away") if silent else node(number, clients=clients))
        return WriterViews(
            backend="galera",
            servers={name: name for name in SERVERS},
            haproxies={haproxy: self.state(haproxy) for haproxy in self.servers},
            nodes=views(*nodes),
        )


@dataclass(frozen=True, slots=True)
class _Socket:
    haproxies: FakeHaproxies
    haproxy: str

    def run(self, argv: Sequence[str]) -> CommandResult:
        answers = [self.haproxies.run(self.haproxy, each) for each in argv[-1].split(";")]
        return CommandResult(0, "\n".join([*answers, ""]), "")


def mover(haproxies: FakeHaproxies, prove: Callable[[], None] = lambda: None) -> Mover:
    clock = count()
    return Mover(
        {h: Haproxy(h, HaproxySite(), haproxies.shell(h)) for h in haproxies.servers},
        haproxies.look,
        prove,
        lambda: float(next(clock)),
        lambda _: None,
    )


def words(haproxies: FakeHaproxies) -> list[str]:
    return [" ".join(each.values()) for each in states_in(haproxies.look()).values()]


def drain(haproxies: FakeHaproxies, host: str) -> None:
    seen = haproxies.look()
    mover(haproxies).move(seen, without(seen, host))


def assert_never_two(haproxies: FakeHaproxies) -> None:
    assert max(len(each) for each in haproxies.writers) == 1


def test_a_node_that_does_not_write_is_taken_out_alone() -> None:
    haproxies = FakeHaproxies()
    drain(haproxies, "db3")
    assert words(haproxies) == ["ready ready maint"] * 2
    assert not [each for _, each in haproxies.sent if "shutdown" in each]
    assert_never_two(haproxies)


def test_the_writer_is_moved_and_moved_back_with_never_two() -> None:
    haproxies = FakeHaproxies()
    noted = states_in(haproxies.look())
    drain(haproxies, "db1")
    assert words(haproxies) == ["maint ready ready"] * 2
    assert haproxies.state("lb1").elected == ("db2",)
    seen = haproxies.look()
    moved = mover(haproxies).move(seen, as_noted(seen, noted))
    assert words(haproxies) == ["ready ready ready"] * 2
    assert moved.changed
    assert moved.seconds > 0
    assert_never_two(haproxies)
    assert [*map(sorted, haproxies.writers)] != [["db1"]]


def test_another_server_that_would_take_the_place_of_the_next_stays_out() -> None:
    """All are equal: only maintenance makes one the writer, as where haproxy has no backups."""
    haproxies = FakeHaproxies(backups=())
    for each in haproxies.servers.values():
        each["db2"] |= {"admin": 1, "sessions": 0}
        each["db3"] |= {"admin": 8, "sessions": 0}
    with pytest.raises(
        CannotTell, match="db1 is the writer, and no other server of galera could be in its place"
    ):
        without(haproxies.look(), "db1")


def test_what_was_out_before_is_out_afterwards() -> None:
    haproxies = FakeHaproxies()
    for each in haproxies.servers.values():
        each["db2"] |= {"admin": 1, "sessions": 0}
    noted = states_in(haproxies.look())
    drain(haproxies, "db1")
    assert haproxies.state("lb1").elected == ("db3",)
    seen = haproxies.look()
    mover(haproxies).move(seen, as_noted(seen, noted))
    assert words(haproxies) == ["ready maint ready"] * 2
    assert_never_two(haproxies)


@pytest.mark.parametrize("host", ["db1", "db3"])
def test_a_server_that_the_configuration_disables_is_sent_no_command(host: str) -> None:
    """With one on top it would be left out by a command, which is a fault that this run has made."""
    haproxies = FakeHaproxies()
    for each in haproxies.servers.values():
        each["db2"] |= {"admin": 4, "sessions": 0}
    noted = states_in(haproxies.look())
    drain(haproxies, host)
    seen = haproxies.look()
    mover(haproxies).move(seen, as_noted(seen, noted))
    assert [each["db2"]["admin"] for each in haproxies.servers.values()] == [4, 4]
    assert states_in(haproxies.look()) == noted
    assert_never_two(haproxies)


def test_sessions_that_do_not_end_give_the_writer_its_place_back() -> None:
    haproxies = FakeHaproxies(stuck="db1")
    with pytest.raises(
        CannotTell, match=r"after 10 s sessions are left: .*; db1 takes writes again"
    ):
        drain(haproxies, "db1")
    assert haproxies.state("lb1").elected == haproxies.state("lb2").elected == ("db1",)
    assert_never_two(haproxies)


def test_a_client_that_connects_past_haproxy_is_a_session_that_is_left() -> None:
    haproxies = FakeHaproxies(direct={"db1": 2})
    with pytest.raises(CannotTell, match=r"2 of nova@10\.0\.0\.5 on db1; db1 takes writes again"):
        drain(haproxies, "db1")
    assert_never_two(haproxies)


def test_a_node_that_does_not_say_who_is_left_is_a_doubt() -> None:
    haproxies = FakeHaproxies(silent="db1")
    with pytest.raises(CannotTell, match="db1 is away; db1 takes writes again"):
        drain(haproxies, "db1")
    assert_never_two(haproxies)


@pytest.mark.parametrize("away", SERVERS)
def test_a_move_that_would_end_where_it_began_is_not_begun(away: str) -> None:
    """A node that is silent beforehand would be counted as used until the old writer got its place back."""
    haproxies = FakeHaproxies()
    noted = states_in(haproxies.look())
    drain(haproxies, "db1")
    haproxies.sent.clear()
    seen = haproxies.look()
    nodes = {**seen.nodes.nodes, away: Unanswered(f"{away} is away")}
    ill = seen.model_copy(update={"nodes": seen.nodes.model_copy(update={"nodes": nodes})})
    with pytest.raises(CannotTell, match="haproxy was left as it is"):
        mover(haproxies).move(ill, as_noted(ill, noted))
    assert haproxies.sent == []


def test_a_move_that_was_interrupted_is_ended() -> None:
    """Nobody writes: the driver died between the two halves."""
    haproxies = FakeHaproxies()
    noted = states_in(haproxies.look())
    for each in haproxies.servers.values():
        for server in each.values():
            server |= {"admin": 1, "sessions": 0}
    haproxies.writers.clear()
    seen = haproxies.look()
    mover(haproxies).move(seen, as_noted(seen, noted))
    assert words(haproxies) == ["ready ready ready"] * 2
    assert_never_two(haproxies)


def test_one_haproxy_that_forgot_the_move_is_brought_back() -> None:
    haproxies = FakeHaproxies()
    noted = states_in(haproxies.look())
    drain(haproxies, "db1")
    haproxies.servers["lb2"]["db1"]["admin"] = 0  # a reload
    haproxies.writers.clear()
    seen = haproxies.look()
    mover(haproxies).move(seen, as_noted(seen, noted))
    assert haproxies.writers[-1] == {"db1"}
    assert words(haproxies) == ["ready ready ready"] * 2


def test_a_node_that_is_ill_is_not_made_the_writer() -> None:
    haproxies = FakeHaproxies()
    noted = states_in(haproxies.look())
    drain(haproxies, "db1")
    haproxies.sent.clear()
    seen = haproxies.look()
    ill = seen.model_copy(
        update={"nodes": views(node(1, state=1, state_name="Joining"), node(2), node(3))}
    )
    with pytest.raises(
        CannotTell, match="db1 is Joining, so it is not made the writer; haproxy was left as it is"
    ):
        mover(haproxies).move(ill, as_noted(ill, noted))
    assert haproxies.sent == []


def test_without_a_lease_nothing_is_sent() -> None:
    def lost() -> None:
        raise LeaseLost("lost")

    haproxies = FakeHaproxies()
    seen = haproxies.look()
    for host in SERVERS:
        with pytest.raises(LeaseLost):
            mover(haproxies, lost).move(seen, without(seen, host))
    assert haproxies.sent == []


@pytest.mark.parametrize(
    ("refused", "who"),
    [
        ("db2 state ready", "no server but db2 takes writes, and not by every haproxy"),
        ("db3 state ready", "the writer is db2"),
    ],
)
def test_a_command_that_one_haproxy_refuses_is_told_with_who_takes_writes(
    refused: str, who: str
) -> None:
    haproxies = FakeHaproxies(refused=("lb2", refused))
    with pytest.raises(CannotTell, match=f"lb2's haproxy answered 'No such server.*; {who}"):
        drain(haproxies, "db1")
    assert_never_two(haproxies)


def test_a_socket_without_the_right_to_change_is_a_refusal() -> None:
    haproxies = FakeHaproxies(answer="Permission denied")
    with pytest.raises(CannotTell, match="haproxy answered 'Permission denied'"):
        drain(haproxies, "db1")


def test_nothing_is_decided_where_it_is_not_known_who_writes() -> None:
    haproxies = FakeHaproxies()
    haproxies.servers["lb2"]["db1"]["admin"] = 1
    with pytest.raises(CannotTell, match="no single writer"):
        without(haproxies.look(), "db3")
    silent = haproxies.look().model_copy(update={"haproxies": {"lb1": Unanswered("lb1 is away")}})
    with pytest.raises(CannotTell, match="lb1 is away"):
        without(silent, "db3")
    with pytest.raises(CannotTell, match="has no server db9"):
        without(FakeHaproxies().look(), "db9")


def test_nothing_is_given_back_to_servers_of_another_configuration() -> None:
    seen = FakeHaproxies().look()
    noted = states_in(seen)
    with pytest.raises(
        CannotTell, match="haproxy on lb1 has other servers than before the first restart"
    ):
        as_noted(seen, {**noted, "lb1": {"db1": "ready"}})
    nobody = {haproxy: dict.fromkeys(each, "maint") for haproxy, each in noted.items()}
    with pytest.raises(CannotTell, match="no single writer before the first restart"):
        as_noted(seen, nobody)
