"""A test is within its limits only if every end is known, all is deleted and no more failed than may."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.boots.model import BootTest, Conflicts, Counters, FailureKind, Options, sample
from holdfast.boots.summary import Ending, conflicts_since, end_of, figures, for_programs, times
from holdfast.boots.summary_text import summary_lines
from tests.unit.boots.boots_harness import BEGAN, boot, made

ACTIVE, FAILED = boot("cmp1", 1), boot("cmp1", 2, "failed")
UNKNOWN = boot("cmp1", 3, "unknown", ended=None)


@pytest.mark.parametrize(
    ("test", "end"),
    [
        (made(ACTIVE), Ending.WITHIN),
        (made(ACTIVE, FAILED), Ending.EXCEEDED),
        (made(ACTIVE, FAILED, options=Options(flavor="a", image="b", failures=1)), Ending.WITHIN),
        (made(ACTIVE, UNKNOWN), Ending.UNKNOWN),
        (made(ACTIVE, FAILED, UNKNOWN), Ending.EXCEEDED),
        (made(), Ending.UNKNOWN),
        (made(ACTIVE, left=["x"]), Ending.UNKNOWN),
        (made(ACTIVE, FAILED, left=["x"]), Ending.UNKNOWN),
        (made(ACTIVE, ended=None), Ending.UNKNOWN),
        (made(ACTIVE, stopped="by an operator"), Ending.STOPPED),
        (made(ACTIVE, boot("cmp1", 2, "not_asked", asked=None, ended=None)), Ending.UNKNOWN),
    ],
)
def test_how_a_test_ends(test: BootTest, end: Ending) -> None:
    assert end_of(test) is end


ENDS = st.sampled_from(["active", "failed", "unknown", "not_asked"])


@given(st.lists(ENDS, max_size=8), st.integers(0, 3), st.booleans())
def test_a_test_is_never_within_its_limits_while_anything_is_not_known(
    ends: list[str], failures: int, left: bool
) -> None:
    boots = [boot("cmp1", number, end) for number, end in enumerate(ends)]
    options = Options(flavor="a", image="b", failures=failures)
    test = made(*boots, options=options, left=["x"] if left else [])
    if end_of(test) is Ending.WITHIN:
        assert ends
        assert not left
        assert set(ends) <= {"active", "failed"}
        assert ends.count("failed") <= failures


@given(st.lists(st.text(min_size=1), unique=True), st.integers(0, 30))
def test_a_sample_has_each_host_once_in_order_and_as_many_as_were_asked_for(
    hosts: list[str], count: int
) -> None:
    found = sample(hosts, count)
    assert found == sample(hosts, count)
    assert found == [host for host in hosts if host in found]
    assert len(found) == (min(count, len(hosts)) if count else len(hosts))


def test_a_sample_is_spread_over_the_inventory() -> None:
    assert sample([f"cmp{number}" for number in range(242)], 4) == [
        "cmp0",
        "cmp60",
        "cmp121",
        "cmp181",
    ]


def test_the_times_are_those_of_servers_that_became_active() -> None:
    boots = [boot("cmp1", number, ended=float(number)) for number in range(1, 21)]
    slow = boot("cmp2", 1, "failed", ended=300.0)
    assert times(made(*boots, slow)) == {"median": 10.0, "p95": 19.0, "slowest": 20.0}
    assert times(made(slow)) == {}


def counters(start: str, failures: int) -> Counters:
    return Counters(start=start, failures=failures, aborts=0, deadlocks=2)


def test_conflicts_are_the_difference_and_never_that_of_two_starts() -> None:
    found = conflicts_since(
        Conflicts(
            before={"db1": counters("a", 5), "db2": counters("a", 5), "db4": "no answer"},
            after={
                "db1": counters("a", 8),
                "db2": counters("b", 0),
                "db3": counters("a", 1),
                "db4": counters("a", 1),
                "db5": "no answer",
            },
        )
    )
    assert found["db1"] == {"failures": 3, "aborts": 0, "deadlocks": 0}
    assert isinstance(found["db2"], str)
    assert found["db3"] == "not asked before"
    assert found["db4"] == "no answer"
    assert found["db5"] == "no answer"


def test_what_people_read_names_failures_left_servers_and_the_last_test() -> None:
    last = made(ACTIVE, id="20261120-1000-boots-aaaa", began=datetime(2026, 11, 20, tzinfo=UTC))
    lines = list(
        summary_lines(
            made(ACTIVE, FAILED, left=["x (ERROR)"], left_out={"cmp9": "disabled: disk"}), last
        )
    )
    assert lines[0].endswith("1 of 2 servers failed (1 deadlock); 0 may fail: outcome not known")
    assert "left out: cmp9 (disabled: disk)" in lines
    assert "left: x (ERROR)" in lines
    assert "the last, 20261120-1000-boots-aaaa: 0 of 1 failed, median 2.0 s" in lines


def test_a_program_is_given_the_record_the_figures_and_those_of_the_last() -> None:
    told = for_programs(made(ACTIVE, FAILED), made(ACTIVE, id="before"))
    assert told["outcome"] == "limits_exceeded"
    assert told["began"] == BEGAN.isoformat().replace("+00:00", "Z")
    assert told["figures"] == figures(made(ACTIVE, FAILED))
    assert told["figures"]["kinds"] == {str(FailureKind.DEADLOCK): 1}
    assert told["last"]["id"] == "before"
    assert told["last"]["figures"]["failed"] == 0
