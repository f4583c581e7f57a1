"""What is wrong before a rolling restart of Galera stops it in preflight, with nothing touched, and says what to do.

Each situation is judged by the claims that roles/galera asks in preflight, as its file names them: at least one must
not pass. What a node or a haproxy answers in each is recorded in the tests of the probes.
"""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.claims import find_claim
from holdfast.model import Outcome, Unanswered, Verdict
from holdfast.observations.galera import GaleraNode, GaleraViews, GroupRound, GroupRounds
from holdfast.observations.haproxy import HaproxyState, WriterViews
from holdfast.probes.galera.nodes import probe_rounds
from tests.content.repository import ROOT, yaml_of
from tests.unit.judges.test_galera import node, views
from tests.unit.judges.test_haproxy import GOOD, NODES, haproxy, server, writers

ROLE = yaml_of(ROOT / "roles/galera/vars/main.yml")
ASKED = [
    find_claim(each if isinstance(each, str) else each["claim"])
    for name in ("_galera_cluster_claims", "_galera_may_be_taken", "_galera_told_by_figures")
    for each in ROLE[name]
    if not str(each).startswith("{{")
]
REFUSED = "refused 'holdfast': Access denied (1045): the account or its password is wrong"
FULL = "Too many connections (1040): all connections are taken (max_connections)"
NO_SOCKET = (
    "lb1's haproxy cannot be asked: there is no socket /run/haproxy/admin.sock (haproxy_socket)"
)
GARBD = ("10.0.0.1:3306", "10.0.0.2:3306", "10.0.0.3:3306", "")


def situation(
    *nodes: GaleraNode | Unanswered, first: HaproxyState | Unanswered = GOOD
) -> WriterViews:
    seen = writers(first, nodes=nodes or NODES)
    return seen.model_copy(update={"nodes": views(*(nodes or NODES))})


def rounds(seen: GaleraViews) -> GroupRounds:
    """Return rounds through the group of nodes that report this; all members answer."""
    nodes = {
        host: GroupRound(seconds=0.01, view=each.view, size=each.size)
        if isinstance(each, GaleraNode)
        else each
        for host, each in seen.nodes.items()
    }
    return GroupRounds(arbitrators=seen.arbitrators, nodes=nodes)


def judged(seen: WriterViews) -> dict[str, Verdict]:
    """Return the verdicts of preflight about this situation that are told by one reading."""
    found = {}
    for claim in ASKED:
        if claim.judges_history:
            continue
        observed: Any = seen if claim.name.startswith("haproxy.") else seen.nodes
        if claim.probe is probe_rounds:
            observed = rounds(seen.nodes)
        values = {"host": "db2"} if "host" in claim.judge_parameters else {}
        found[claim.name] = claim.judge(claim.name, observed, **values)
    return found


WRITER = NODES[0]
SITUATIONS = {
    "two nodes claim to be writer": (
        situation(first=haproxy(server(1, sessions=4), server(2, backup=False), server(3))),
        "haproxy.one_writer",
        "gives new sessions to more than one server: db1, db2",
    ),
    "the haproxies have another writer each": (
        situation(first=haproxy(server(1, admin=1), server(2, sessions=1), server(3))),
        "haproxy.one_writer",
        "new sessions go to db2 and to db1",
    ),
    "a host of the inventory is not in the cluster": (
        situation(WRITER, node(2), Unanswered("db3's MariaDB is no node of a Galera cluster: wsrep_on is OFF")),
        "galera.members_agree",
        "wsrep_on is OFF",
    ),
    "a host of the inventory is in another cluster": (
        situation(WRITER, node(2), node(3, cluster="c9")),
        "galera.members_agree",
        "db3",
    ),
    "an arbitrator that nobody told of": (
        situation(*[each.model_copy(update={"size": 4, "addresses": GARBD}) for each in NODES]),
        "galera.members_agree",
        "as an arbitrator (garbd): galera_arbitrators",
    ),
    "a node desynced on purpose for a backup": (
        situation(WRITER, node(2), node(3, desynced=True, desync_count=1)),
        "galera.nodes_synced",
        "was desynced on purpose, as for a backup",
    ),
    "a wrong password": (
        situation(*[Unanswered(f"db{n}'s MariaDB {REFUSED}") for n in (1, 2, 3)]),
        "galera.nodes_synced",
        "the account or its password is wrong",
    ),
    "the writer is read-only": (
        situation(WRITER.model_copy(update={"read_only": True}), node(2), node(3)),
        "haproxy.one_writer",
        "the writer db1 is read-only (read_only)",
    ),
    "max_connections is reached on the writer": (
        situation(Unanswered(f"db1's MariaDB {FULL}"), node(2), node(3)),
        "galera.nodes_synced",
        "all connections are taken (max_connections)",
    ),
    "the socket of a haproxy cannot be reached": (
        situation(first=Unanswered(NO_SOCKET)),
        "haproxy.one_writer",
        "there is no socket /run/haproxy/admin.sock (haproxy_socket)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "claim", "says"), SITUATIONS.values(), ids=SITUATIONS.keys())
def test_it_is_refused_before_anything_is_touched(seen: WriterViews, claim: str, says: str) -> None:
    verdict = judged(seen)[claim]
    assert verdict.outcome is not Outcome.PASS
    assert says in verdict.message


def test_a_cluster_that_is_well_is_not_refused() -> None:
    assert {each.outcome for each in judged(situation()).values()} == {Outcome.PASS}


def test_each_is_described_where_a_run_that_holds_sends_people() -> None:
    """Word for word: who reads the message finds it there."""
    text = (ROOT / "runbooks/galera-restart.md").read_text()
    named = (
        "new sessions go to two servers",
        "was desynced on purpose",
        "sees N members, expected are M",
        "the writer is read-only",
        "haproxy cannot be asked",
        "refused the account, or all connections are taken",
    )
    assert [each for each in named if f"**{each}" not in text] == []
