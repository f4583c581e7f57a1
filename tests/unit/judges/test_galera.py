"""The verdicts on a Galera cluster: its nodes, its quorum, its load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from holdfast.judges.galera import load, nodes, quorum
from holdfast.model import Json, Unanswered
from holdfast.observations.galera import (
    GaleraCounters,
    GaleraNode,
    GaleraViews,
    GroupRound,
    GroupRounds,
    ReturnForecast,
)
from tests.unit.judges.verdicts import cases, outcome_and_reason

SILENT = Unanswered("db3's MariaDB gave no answer in 5 s")
ADDRESSES = ("10.0.0.1:0", "10.0.0.2:0", "10.0.0.3:0")


def node(number: int = 1, **changed: Json) -> GaleraNode:
    counters = {
        "start": f"start-{number}",
        "paused_ns": 0,
        "failures": 0,
        "aborts": 0,
        "deadlocks": 0,
        "written_bytes": 0,
    }
    own = {key: changed.pop(key) for key in (*counters,) if key in changed}
    values: dict[str, Json] = {
        "name": f"db{number}",
        "cluster": "c1",
        "view": 7,
        "size": 3,
        "status": "Primary",
        "connected": True,
        "ready": True,
        "state": 4,
        "state_name": "Synced",
        "desync_count": 0,
        "desynced": False,
        "weight": 1,
        "addresses": ADDRESSES,
        "committed": 1000,
        "cached_from": 100,
        "cache_bytes": 64 << 20,
        "queue": 0,
        "read_only": False,
        "clients": {},
    }
    return GaleraNode(**{**values, **changed}, counters=GaleraCounters(**{**counters, **own}))


def views(*answers: GaleraNode | Unanswered, at: float = 0.0, arbitrators: int = 0) -> GaleraViews:
    hosts = {f"db{number}": each for number, each in enumerate(answers, 1)}
    return GaleraViews(at=at, arbitrators=arbitrators, nodes=hosts)


WELL = views(node(1), node(2), node(3))


def third(**changed: Json) -> GaleraViews:
    return views(node(1), node(2), node(3, **changed))


SYNCED = [
    ("all are", WELL, "PASS", "synced"),
    ("one joins", third(state=1), "FAIL", "not_synced"),
    ("one is a donor", third(state=2, desync_count=1), "FAIL", "desynced"),
    ("one was desynced", views(node(1), node(2), node(3, desynced=True)), "FAIL", "desynced"),
    ("one is cut off", views(node(1), node(2), node(3, status="non-Primary")), "FAIL", "not_synced"),
    ("one is not ready", views(node(1), node(2), node(3, ready=False)), "FAIL", "not_synced"),
    ("one is not connected", views(node(1), node(2), node(3, connected=False)), "FAIL", "not_synced"),
    ("one is silent", views(node(1), node(2), SILENT), "UNKNOWN", "unanswered"),
    ("one is silent, one joins", views(node(1), node(2, state=1), SILENT), "FAIL", "not_synced"),
    ("there is none", views(), "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(SYNCED))
def test_nodes_synced(seen: GaleraViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(nodes.nodes_synced("c", seen)) == (outcome, reason)


def test_a_backup_is_named() -> None:
    verdict = nodes.nodes_synced(
        "c", views(node(1), node(2), node(3, desynced=True, desync_count=1))
    )
    assert (
        "db3 was desynced on purpose, as for a backup (wsrep_desync_count 1, wsrep_desync ON"
        in verdict.message
    )
    assert verdict.hosts["db3"] == {"healthy": False}


GARBD = (*ADDRESSES, "")


def with_arbitrator(told: int) -> GaleraViews:
    return views(*[node(n, size=4, addresses=GARBD) for n in (1, 2, 3)], arbitrators=told)


AGREE = [
    ("all", WELL, "PASS", "agree"),
    ("another view", views(node(1), node(2), node(3, view=6)), "FAIL", "other_cluster"),
    ("another cluster", views(node(1), node(2), node(3, cluster="c2")), "FAIL", "other_cluster"),
    ("a host that is in no cluster", third(cluster="", view=0, size=0), "FAIL", "other_cluster"),
    ("a member less", views(*[node(n, size=2) for n in (1, 2, 3)]), "FAIL", "other_size"),
    ("a member more", views(*[node(n, size=4) for n in (1, 2, 3)]), "FAIL", "other_size"),
    ("an arbitrator that is known", with_arbitrator(1), "PASS", "agree"),
    ("an arbitrator that is gone", views(node(1), node(2), node(3), arbitrators=1), "FAIL", "other_size"),
    ("one server for two hosts", views(node(1), node(1), node(3)), "FAIL", "one_server"),
    ("two that have not joined", views(*[node(n, connected=False, start="0") for n in (1, 2, 3)]), "PASS", "agree"),
    ("one is silent", views(node(1), node(2), SILENT), "UNKNOWN", "unanswered"),
    ("there is none", views(), "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(AGREE))
def test_members_agree(seen: GaleraViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(nodes.members_agree("c", seen)) == (outcome, reason)


def rounds(*seen: GroupRound | Unanswered, arbitrators: int = 0) -> GroupRounds:
    hosts = {f"db{number}": each for number, each in enumerate(seen, 1)}
    return GroupRounds(arbitrators=arbitrators, nodes=hosts)


QUICK = GroupRound(seconds=0.01, view=7, size=3)
LATE = QUICK.model_copy(update={"seconds": 1.1})
FEWER = QUICK.model_copy(update={"size": 2})
ANSWER = [
    ("at once", rounds(QUICK, QUICK, QUICK), "PASS", "answer"),
    ("one after more than a second", rounds(QUICK, LATE, QUICK), "FAIL", "late"),
    ("one was dropped meanwhile", rounds(FEWER, FEWER, SILENT), "FAIL", "other_size"),
    ("an arbitrator is missing", rounds(QUICK, QUICK, QUICK, arbitrators=1), "FAIL", "other_size"),
    ("another view", rounds(QUICK, QUICK, QUICK.model_copy(update={"view": 8})), "FAIL", "other_view"),
    ("one is silent", rounds(QUICK, QUICK, SILENT), "UNKNOWN", "unanswered"),
    ("there is none", rounds(), "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(ANSWER))
def test_members_answer(seen: GroupRounds, outcome: str, reason: str) -> None:
    assert outcome_and_reason(nodes.members_answer("c", seen)) == (outcome, reason)


def test_an_arbitrator_that_nobody_told_of_is_named() -> None:
    four = with_arbitrator(0)
    message = nodes.members_agree("c", four).message
    assert "sees 4 members, expected are 3: the 3 of the inventory" in message
    assert (
        "one member is without an address for clients, as an arbitrator (garbd): galera_arbitrators"
        in message
    )


QUORUM = [
    ("two are left", WELL, "", "PASS", "holds"),
    ("one other is ill", views(node(1), node(2), node(3, state=1)), "", "FAIL", "majority_would_be_lost"),
    ("one other is a donor", third(state=2, desync_count=1), "", "FAIL", "majority_would_be_lost"),
    ("one other is silent", views(node(1), node(2), SILENT), "", "UNKNOWN", "unanswered"),
    ("silent, and accepted", views(node(1), node(2), SILENT), "so be it", "UNKNOWN", "unanswered"),
    ("of two nodes", views(node(1), node(2)), "", "FAIL", "majority_would_be_lost"),
    ("of two nodes, accepted", views(node(1), node(2)), "so be it", "PASS", "accepted"),
    ("alone, accepted", views(node(1)), "so be it", "FAIL", "majority_would_be_lost"),
    ("of two and an arbitrator", views(node(1), node(2), arbitrators=1), "", "PASS", "holds"),
    ("it has most of the weight", views(node(1, weight=3), node(2), node(3)), "", "FAIL", "majority_would_be_lost"),
    ("no such node", views(), "", "FAIL", "no_node"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "accepted", "outcome", "reason"), cases(QUORUM))
def test_quorum_holds_without(seen: GaleraViews, accepted: str, outcome: str, reason: str) -> None:
    verdict = quorum.quorum_holds_without("c", seen, "db1", accepted)
    assert outcome_and_reason(verdict) == (outcome, reason)


def test_the_node_itself_may_be_ill_or_silent() -> None:
    """A restart may be what repairs it."""
    for ill in (node(1, state=1), SILENT):
        assert quorum.quorum_holds_without("c", views(ill, node(2), node(3)), "db1").passed


def forecasts(*pairs: GaleraViews, megabytes: int | None = 900) -> list[ReturnForecast]:
    return [ReturnForecast(host="db1", views=each, megabytes=megabytes) for each in pairs]


def caches(*oldest: int | None, at: float = 0.0) -> GaleraViews:
    return views(node(1), *[node(n, cached_from=each) for n, each in enumerate(oldest, 2)], at=at)


def written(megabytes: int, at: float = 0.0, **changed: Json) -> GaleraViews:
    donors = [node(n, written_bytes=megabytes << 20, **changed) for n in (2, 3)]
    return views(node(1), *donors, at=at)


RETURNS = [
    ("the caches fill slowly", [written(0), written(1, at=10)], "PASS", "increment"),
    ("the caches are full soon", [written(0), written(4, at=10)], "FAIL", "whole_copy"),
    ("no size is told", [written(0, cache_bytes=0), written(1, at=10, cache_bytes=0)], "FAIL", "whole_copy"),
    ("the donors were restarted", [written(0), written(0, at=10, start="later")], "FAIL", "whole_copy"),
    ("the counters were set back", [written(5), written(1, at=10)], "FAIL", "whole_copy"),
    ("the caches lose nothing", [caches(100, 100), caches(100, 100, at=2)], "PASS", "increment"),
    ("one donor is enough", [caches(None, 100), caches(None, 100, at=2)], "PASS", "increment"),
    ("slow", [caches(100, 100), caches(102, 102, at=2)], "PASS", "increment"),
    ("too fast", [caches(100, 100), caches(300, 300, at=2)], "FAIL", "whole_copy"),
    ("one is slow enough", [caches(100, 100), caches(300, 101, at=2)], "PASS", "increment"),
    ("already gone", [caches(1002, 1002)], "FAIL", "whole_copy"),
    ("just there", [caches(1001, 1001), caches(1001, 1001, at=2)], "PASS", "increment"),
    ("read once", [caches(100, 100)], "UNKNOWN", "too_few_samples"),
    ("nobody caches anything", [caches(None, None)], "FAIL", "whole_copy"),
    ("many serve meanwhile", [caches(1002, 1002, 1002)], "PASS", "whole_copy"),
    ("the donor was silent before", [views(node(1), SILENT, SILENT), caches(100, 100, at=2)], "FAIL", "whole_copy"),
    ("a silent node may have it", [views(node(1), node(2, cached_from=None), SILENT)], "UNKNOWN", "unanswered"),
    ("it is silent itself", [views(SILENT, node(2), node(3))], "UNKNOWN", "unanswered"),
    ("a donor that is none", [views(node(1), node(2, state=2), node(3, cached_from=2000))], "FAIL", "whole_copy"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(RETURNS))
def test_returns_by_increment(seen: Sequence[GaleraViews], outcome: str, reason: str) -> None:
    verdict = quorum.returns_by_increment("c", forecasts(*seen))
    assert outcome_and_reason(verdict) == (outcome, reason)


def test_a_whole_copy_is_refused_with_what_it_costs() -> None:
    message = quorum.returns_by_increment("c", forecasts(caches(1002, 1002))).message
    assert message == (
        "no Synced node still has what db1 would miss from 1001 on; db1 would get a whole copy (SST, about 900 MB)"
        " from a donor that serves no clients meanwhile, and 1 would be left Synced"
    )
    unknown = quorum.returns_by_increment("c", forecasts(caches(1002, 1002), megabytes=None))
    assert "(SST, size not known)" in unknown.message


def test_a_person_may_take_a_whole_copy_where_there_is_a_donor() -> None:
    taken = quorum.returns_by_increment("c", forecasts(caches(1002, 1002)), accepted="night")
    assert outcome_and_reason(taken) == ("PASS", "accepted")
    none = forecasts(views(node(1), node(2, state=1), node(3, state=1)))
    assert not quorum.returns_by_increment("c", none, accepted="night").passed


QUEUES = [
    ("empty", WELL, "PASS", "short"),
    ("long", views(node(1), node(2), node(3, queue=101)), "FAIL", "long"),
    ("one is silent", views(node(1), node(2), SILENT), "UNKNOWN", "unanswered"),
    ("there is none", views(), "UNKNOWN", "unanswered"),
]


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(QUEUES))
def test_queues_short(seen: GaleraViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(load.queues_short("c", seen)) == (outcome, reason)


def paused(seconds: float, at: float, start: str = "start-1") -> GaleraViews:
    return views(node(1, paused_ns=int(seconds * 1e9), start=start), at=at)


FLOW = [
    ("read once", [paused(9, 0)], "UNKNOWN", "too_few_samples"),
    ("quiet", [paused(9, 0), paused(9.05, 2)], "PASS", "quiet"),
    ("paused", [paused(9, 0), paused(10, 2)], "FAIL", "paused"),
    ("long ago", [paused(0, 0), paused(9, 10), paused(9, 20)], "PASS", "quiet"),
    ("just before", [paused(0, 0), paused(9, 10), paused(9, 12)], "FAIL", "paused"),
    ("started afresh", [paused(9, 0), paused(0, 2, "other")], "UNKNOWN", "too_few_samples"),
    ("since the new start", [paused(9, 0), paused(5, 2, "other"), paused(5, 4, "other")], "PASS", "quiet"),
    ("silent now", [paused(9, 0), views(SILENT, at=2)], "UNKNOWN", "unanswered"),
    ("there is none", [views(), views(at=2)], "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(FLOW))
def test_flow_quiet(seen: Sequence[GaleraViews], outcome: str, reason: str) -> None:
    assert outcome_and_reason(load.flow_quiet("c", seen)) == (outcome, reason)


def lost(at: float, failures: int, deadlocks: int = 0, start: str = "start-1") -> GaleraViews:
    """Return a reading of a cluster of one, which has lost so many transactions since it began."""
    return views(node(1, failures=failures, deadlocks=deadlocks, start=start), at=at)


QUIET = [
    ("read once", [lost(0, 9)], "UNKNOWN", "too_few_samples"),
    ("none", [lost(0, 9), lost(2, 9)], "PASS", "quiet"),
    ("as many as allowed", [lost(0, 9), lost(2, 10, 1)], "PASS", "quiet"),
    ("one more", [lost(0, 9), lost(2, 11, 1)], "FAIL", "conflicts"),
    ("just before", [lost(0, 0), lost(4, 9), lost(6, 9)], "FAIL", "conflicts"),
    ("long ago", [lost(0, 0), lost(4, 9), lost(15, 9)], "PASS", "quiet"),
    ("started afresh", [lost(0, 9), lost(2, 0, start="other")], "UNKNOWN", "too_few_samples"),
    ("silent now", [lost(0, 9), views(SILENT, at=2)], "UNKNOWN", "unanswered"),
    ("there is none", [views(), views(at=2)], "UNKNOWN", "unanswered"),
    (
        "many, and one is silent",
        [views(node(1), node(2), at=0), views(node(1, failures=9), SILENT, at=2)],
        "FAIL",
        "conflicts",
    ),
]


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(QUIET))
def test_conflicts_quiet(seen: Sequence[GaleraViews], outcome: str, reason: str) -> None:
    assert outcome_and_reason(load.conflicts_quiet("c", seen)) == (outcome, reason)


def test_who_has_lost_how_many_is_said() -> None:
    message = load.conflicts_quiet("c", [lost(0, 0), lost(2, 3, 1)]).message
    assert message == (
        "4 transactions were lost to conflicts in 10 s, 2 are allowed: db1 3 failures, 1 deadlocks"
    )


def first(**changed: Json) -> GaleraViews:
    return views(node(1, **changed), node(2, **SAME), node(3, **SAME))


SAME = {"failures": 5, "deadlocks": 1}
BEFORE = {
    f"db{n}": {"start": f"start-{n}", "failures": 5, "aborts": 0, "deadlocks": 1} for n in (1, 2, 3)
}
CONFLICTS = [
    ("none", views(*[node(n, **SAME) for n in (1, 2, 3)]), BEFORE, "PASS", "few"),
    ("as many as allowed", first(failures=15, deadlocks=1), BEFORE, "PASS", "few"),
    ("one more", first(failures=15, deadlocks=2), BEFORE, "FAIL", "conflicts"),
    ("counted afresh", first(failures=11, start="new"), BEFORE, "FAIL", "conflicts"),
    ("restarted", first(start="new"), BEFORE, "PASS", "few"),
    ("one has no baseline", WELL, {"db1": BEFORE["db1"]}, "UNKNOWN", "no_baseline"),
    ("one is silent", views(node(1, **SAME), node(2, **SAME), SILENT), BEFORE, "UNKNOWN", "unanswered"),
    ("there is none", views(), BEFORE, "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "before", "outcome", "reason"), cases(CONFLICTS))
def test_conflicts_at_baseline(
    seen: GaleraViews, before: Mapping[str, Mapping[str, Json]], outcome: str, reason: str
) -> None:
    assert outcome_and_reason(load.conflicts_at_baseline("c", seen, before)) == (outcome, reason)


def test_conflicts_are_told_as_a_baseline_keeps_them() -> None:
    kept = load.conflicts_known("c", WELL).evidence["conflicts"]
    assert load.conflicts_at_baseline("c", WELL, kept, conflicts=0).passed
    grown = views(node(1, aborts=1), node(2), node(3))
    said = load.conflicts_at_baseline("c", grown, kept, conflicts=0).message
    assert (
        "1 transactions were lost to conflicts since the first restart, 0 are allowed: db1 1 aborts"
        in said
    )
