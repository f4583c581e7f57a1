"""The verdicts on who takes writes: by haproxy, and by the connections that nodes see."""

from __future__ import annotations

import pytest

from holdfast.judges.haproxy import (
    node_idle,
    none_left_out,
    none_past,
    one_writer,
    reload_keeps_writer,
)
from holdfast.model import Json, Unanswered
from holdfast.observations.galera import GaleraNode
from holdfast.observations.haproxy import HaproxyServer, HaproxyState, WriterViews
from tests.unit.judges.test_galera import node, views
from tests.unit.judges.verdicts import cases, outcome_and_reason

SILENT = Unanswered("lb2's haproxy cannot be asked: there is no socket")


def server(number: int, **changed: Json) -> HaproxyServer:
    values: dict[str, Json] = {
        "name": f"db{number}",
        "up": True,
        "admin": 0,
        "backup": number > 1,
        "weight": 1,
        "sessions": 0,
    }
    return HaproxyServer(**{**values, **changed})


def haproxy(*servers: HaproxyServer) -> HaproxyState:
    return HaproxyState(servers=servers)


GOOD = haproxy(server(1, sessions=4), server(2), server(3))
NODES = (node(1, clients={"nova@10.0.0.5": 4}), node(2), node(3))


def writers(
    first: HaproxyState | Unanswered = GOOD,
    second: HaproxyState | Unanswered = GOOD,
    nodes: tuple[GaleraNode | Unanswered, ...] = NODES,
    not_writers: tuple[str, ...] = (),
) -> WriterViews:
    return WriterViews(
        backend="galera",
        servers={f"db{number}": f"db{number}" for number in (1, 2, 3)},
        haproxies={"lb1": first, "lb2": second},
        nodes=views(*nodes),
        not_writers=not_writers,
    )


OLD_SESSIONS = haproxy(server(1, admin=1, sessions=2), server(2), server(3))
MOVED = haproxy(server(1, admin=1), server(2), server(3))
OTHERS = (node(1, clients={"nova@10.0.0.5": 4}), node(2, clients={"nova@10.0.0.6": 1}), node(3))
WRITERS = [
    ("one", writers(), "PASS", "one"),
    ("the haproxies disagree", writers(second=MOVED), "FAIL", "two_writers"),
    ("no backups", writers(haproxy(server(1), server(2, backup=False), server(3))), "FAIL", "two_writers"),
    ("old sessions are left", writers(OLD_SESSIONS, MOVED), "FAIL", "two_writers"),
    ("clients on another node", writers(nodes=OTHERS), "FAIL", "two_writers"),
    ("a monitor on another node", writers(nodes=OTHERS, not_writers=("nova",)), "PASS", "one"),
    ("nobody", writers(haproxy(*[server(n, admin=1) for n in (1, 2, 3)])), "FAIL", "no_writer"),
    ("a server that nobody knows", writers(haproxy(server(1), server(2), server(9))), "FAIL", "no_writer"),
    ("a node without a server", writers(haproxy(server(1), server(2))), "FAIL", "no_writer"),
    ("one haproxy is silent", writers(second=SILENT), "UNKNOWN", "unanswered"),
    ("a node is silent", writers(nodes=(NODES[0], node(2), Unanswered("db3 is away"))), "UNKNOWN", "unanswered"),
    ("it is read-only", writers(nodes=(node(1, read_only=True), node(2), node(3))), "FAIL", "read_only"),
    ("it is a donor", writers(nodes=(node(1, state=2), node(2), node(3))), "FAIL", "not_synced"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(WRITERS))
def test_one_writer(seen: WriterViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(one_writer("c", seen)) == (outcome, reason)


def test_the_writer_is_told() -> None:
    assert one_writer("c", writers()).evidence["writer"] == "db1"


def test_two_writers_are_both_named() -> None:
    said = one_writer("c", writers(second=MOVED, nodes=OTHERS)).message
    assert "new sessions go to db1 and to db2" in said
    said = one_writer("c", writers(nodes=OTHERS)).message
    assert said.startswith(
        "db2 has connections of clients while the writer is db1: 1 of nova@10.0.0.6"
    )


IDLE_NODES = (node(1, clients={"nova@10.0.0.5": 4}), node(2), node(3))
STILL_USED = haproxy(server(1), server(2, admin=1, sessions=1), server(3))
TAKEN_OUT = haproxy(server(1, sessions=4), server(2, admin=1), server(3))
IDLE = [
    ("idle", writers(TAKEN_OUT, TAKEN_OUT, IDLE_NODES), "PASS", "idle"),
    ("one haproxy may use it", writers(TAKEN_OUT, GOOD, IDLE_NODES), "FAIL", "in_use"),
    ("a session is left", writers(STILL_USED, TAKEN_OUT), "FAIL", "in_use"),
    ("it sees a client", writers(TAKEN_OUT, TAKEN_OUT, OTHERS), "FAIL", "in_use"),
    ("only draining", writers(haproxy(server(1), server(2, admin=8), server(3)), TAKEN_OUT), "FAIL", "in_use"),
    ("one haproxy is silent", writers(TAKEN_OUT, SILENT, IDLE_NODES), "UNKNOWN", "unanswered"),
    ("it is silent", writers(TAKEN_OUT, TAKEN_OUT, (node(1), Unanswered("away"), node(3))), "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(IDLE))
def test_node_idle(seen: WriterViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(node_idle("c", seen, "db2")) == (outcome, reason)


def test_a_host_that_no_haproxy_knows_is_not_idle() -> None:
    assert "haproxy on lb1 has no server for db9" in node_idle("c", writers(), "db9").message


FOUR = haproxy(server(1, sessions=4), server(2), server(3))
NONE = haproxy(server(1), server(2), server(3))
NOBODY = haproxy(*[server(n, admin=1) for n in (1, 2, 3)])
PAST = [
    ("all through haproxy", writers(FOUR, NONE), "PASS", "none"),
    ("some have gone since", writers(FOUR, FOUR), "PASS", "none"),
    ("one past it", writers(haproxy(server(1, sessions=3), server(2), server(3)), NONE), "FAIL", "past_haproxy"),
    ("all past it", writers(NONE, NONE), "FAIL", "past_haproxy"),
    ("only a monitor past it", writers(NONE, NONE, not_writers=("nova",)), "PASS", "none"),
    ("one haproxy is silent", writers(FOUR, SILENT), "UNKNOWN", "unanswered"),
    ("the writer is silent", writers(FOUR, NONE, (SILENT, node(2), node(3))), "UNKNOWN", "unanswered"),
    ("two writers", writers(FOUR, MOVED), "UNKNOWN", "unanswered"),
    ("nobody", writers(NOBODY, NOBODY), "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(PAST))
def test_none_past(seen: WriterViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(none_past("c", seen)) == (outcome, reason)


LEFT = [
    ("none", writers(), "PASS", "none"),
    ("by a command", writers(TAKEN_OUT), "FAIL", "left_out"),
    (
        "by the configuration",
        writers(haproxy(server(1), server(2, admin=4), server(3))),
        "PASS",
        "none",
    ),
    ("one is silent", writers(second=SILENT), "UNKNOWN", "unanswered"),
]


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(LEFT))
def test_none_left_out(seen: WriterViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(none_left_out("c", seen)) == (outcome, reason)


KEPT_OUT = haproxy(server(1), server(2), server(3, admin=1))
UNCHECKED = haproxy(server(1, admin=1, up=False), server(2), server(3))
NO_WEIGHT = haproxy(server(1, weight=0), server(2), server(3))
RELOADED = [
    ("nothing by commands", writers(), "", "PASS", "kept"),
    ("a backup was taken out", writers(KEPT_OUT, KEPT_OUT), "", "PASS", "kept"),
    ("the writer was moved", writers(MOVED), "", "FAIL", "moves_writer"),
    ("and haproxy does not check it", writers(UNCHECKED), "", "FAIL", "moves_writer"),
    ("by a drain", writers(haproxy(server(1, admin=8), server(2), server(3))), "", "FAIL", "moves_writer"),
    ("by its weight", writers(NO_WEIGHT), "", "FAIL", "moves_writer"),
    ("by the configuration", writers(haproxy(server(1, admin=4), server(2), server(3))), "", "PASS", "kept"),
    ("its checks fail", writers(haproxy(server(1, up=False), server(2), server(3))), "", "PASS", "kept"),
    ("nobody, by commands", writers(NOBODY), "", "FAIL", "moves_writer"),
    ("the other haproxy", writers(MOVED), "lb2", "PASS", "kept"),
    ("that one", writers(MOVED), "lb1", "FAIL", "moves_writer"),
    ("one is silent", writers(second=SILENT), "", "UNKNOWN", "unanswered"),
    ("the other is silent", writers(second=SILENT), "lb1", "PASS", "kept"),
    ("that one is silent", writers(second=SILENT), "lb2", "UNKNOWN", "unanswered"),
    ("no such haproxy", writers(), "lb3", "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "host", "outcome", "reason"), cases(RELOADED))
def test_reload_keeps_writer(seen: WriterViews, host: str, outcome: str, reason: str) -> None:
    assert outcome_and_reason(reload_keeps_writer("c", seen, host)) == (outcome, reason)
