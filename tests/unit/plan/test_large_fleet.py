"""A decision, and the fold of an event, look at few of ten thousand hosts; counted, since time is not exact."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType

from holdfast.engine.play_builder import MEANWHILE_AT_MOST, parked_play
from holdfast.journal import events as ev
from holdfast.journal.events import Event, Recorded
from holdfast.journal.fold import advance
from holdfast.journal.run_state import SWEEP_AT_LEAST, RunState
from holdfast.model import ALL_PHASES, Act, Grant, Outcome
from holdfast.plan.decide import Roll, decide
from holdfast.plan.following import Following
from holdfast.plan.model import Plan, PlannedRoll
from holdfast.policy import PlaybookPolicy

START = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
HOSTS = tuple(f"h{number:05}" for number in range(10_000))
DONE = 9_000
FEW = 200
"""More calls than a decision or an event takes, far fewer than hosts."""


def plan() -> Plan:
    policy = PlaybookPolicy(
        service="u",
        group="g",
        batch_max=5,
        batch_max_reason="tests",
        order=("unhealthy_first", "fewest_leaders_first"),
    )
    roll = PlannedRoll(
        number=1,
        title="Roll",
        playbook="u.yml",
        hosts=HOSTS,
        batch=5,
        canary=False,
        variables={},
        settle=None,
        policy=policy,
    )
    return Plan(
        runbook="r",
        runbook_hash="",
        site="s",
        inventory="i",
        inputs={},
        limit="",
        leases={},
        steps=(roll,),
    )


def turn(host: str) -> list[Event]:
    unit = {"host": host, "unit": "u"}
    return [
        ev.ActIntended(at=START, act=Act.RESTART, invocation_id="old", **unit),
        ev.ActDone(at=START, act=Act.RESTART, invocation_id="new", **unit),
        ev.HostDone(at=START, invocation_id="new", **unit),
    ]


def batch(*hosts: str) -> list[Event]:
    begun = ev.BatchStarted(at=START, step=1, hosts=list(hosts), phases=list(ALL_PHASES), why="")
    gate = ev.GateJudged(
        at=START,
        host=hosts[0],
        gate="g",
        phase="preflight",
        outcome=Outcome.PASS,
        verdicts=[{"claim": "c", "outcome": "PASS", "hosts": {}}],
        readings=1,
        seconds=0,
    )
    acts = [event for host in hosts for event in turn(host)]
    ended = ev.BatchEnded(at=START, step=1, status="ok", hosts=dict.fromkeys(hosts, "ok"))
    return [begun, gate, *acts, ended]


def apply(state: RunState, *events: Event) -> None:
    numbered = enumerate(events, state.seq + 1)
    advance(state, [Recorded(run="r", seq=seq, event=event) for seq, event in numbered])


def calls_of(function: Callable[[], object]) -> int:
    """Return how many calls of Python functions were made by the function."""
    calls = 0

    def counted(_frame: FrameType, event: str, _about: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(counted)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


def test_late_in_a_large_run_a_decision_and_an_event_cost_as_much_as_early_in_it() -> None:
    state, planned = RunState(grant=Grant("r", {})), plan()
    apply(state, ev.StepStarted(at=START, step=1, title="Roll"))
    for host in HOSTS[:DONE]:
        state.step.turn(host)
        apply(state, ev.HostDone(at=START, host=host, unit="u", invocation_id="new"))
    swept = {host: START + timedelta(seconds=1) for host in HOSTS[:DONE]}
    state.proved_at = swept
    state.step.surveyed = True
    decided: list[object] = []

    assert (
        calls_of(lambda: decided.append(decide(planned, state, START + timedelta(seconds=2)))) < FEW
    )
    [roll] = decided
    assert isinstance(roll, Roll)
    assert (roll.hosts, len(roll.sweep)) == (HOSTS[DONE : DONE + 5], SWEEP_AT_LEAST)
    for event in batch(*HOSTS[DONE : DONE + 5]):
        assert calls_of(partial(apply, state, event)) < FEW, event.kind


def late_in_a_large_run() -> RunState:
    """Return the state of a run over all hosts in which most are done and the next five are in hand."""
    state = RunState(grant=Grant("r", {}))
    apply(state, ev.StepStarted(at=START, step=1, title="Roll"))
    for number, host in enumerate(HOSTS[:DONE]):
        at = START + timedelta(seconds=number)
        apply(state, ev.HostDone(at=at, host=host, unit="u", invocation_id="new"))
    return state


def test_a_parked_play_is_given_few_of_them_to_sweep_those_asked_longest_ago() -> None:
    state, planned = late_in_a_large_run(), plan()
    apply(state, batch(*HOSTS[DONE : DONE + 5])[0])
    step = planned.step(1)
    assert isinstance(step, PlannedRoll)
    parked = parked_play(planned, state, Following(step, HOSTS[DONE + 5 : DONE + 10], (), 0))
    swept = parked.variables["holdfast_sweep_meanwhile"]
    assert list(swept) == list(HOSTS[:MEANWHILE_AT_MOST])
    assert swept["h00000"] == {"u": "new"}


def test_how_old_an_answer_may_be_is_the_runbook_s() -> None:
    state, planned = late_in_a_large_run(), plan()
    now = START + timedelta(seconds=DONE)
    assert len(state.due(now)) == DONE - 30
    opened = ev.RunOpened(
        at=START, runbook="r", runbook_hash="", site="s", by="me", reason="", controller="c", process=1,
        plan=planned.model_copy(update={"sweep_seconds": 600}).as_json(),
    )  # fmt: skip
    apply(state, opened)
    assert len(state.due(now)) == DONE - 600
    assert "sweep_seconds" not in planned.as_json(), (
        "a plan that approvals are bound to is as it was"
    )


def test_what_a_play_was_given_does_not_change_when_a_unit_is_restarted_again() -> None:
    state = RunState()
    done = ev.HostDone(at=START, host="h", unit="u", invocation_id="new")
    apply(state, ev.StepStarted(at=START, step=1, title="Roll"), done)
    given = state.done_units["h"]
    apply(state, ev.Observed(at=START, host="h", unit="u", active=True, invocation_id="newer"))
    apply(
        state, ev.ActIntended(at=START, host="h", act=Act.RESTART, unit="u", invocation_id="newer")
    )
    assert (given, state.done_units["h"]) == ({"u": "new"}, {})
