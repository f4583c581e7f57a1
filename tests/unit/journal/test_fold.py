"""What events mean together, one rule at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from holdfast.errors import StateUnusable
from holdfast.evidence import HEALTHY, HOSTS
from holdfast.journal import events as ev
from holdfast.journal.events import Event, Recorded
from holdfast.journal.fold import _apply, advance, fold
from holdfast.journal.run_state import RunState, Status, StepState, Turn
from holdfast.model import ALL_PHASES, Act, Json, Outcome, Phase

START = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
_seconds = count()


def at() -> datetime:
    return START + timedelta(seconds=next(_seconds))


def journal(*events: Event) -> list[Recorded]:
    return [Recorded(run="r", seq=number, event=event) for number, event in enumerate(events, 1)]


def state(*events: Event) -> RunState:
    return fold(journal(ev.StepStarted(at=at(), step=1, title="Roll"), *events))


def batch(*hosts: str, phases: tuple[Phase, ...] = ALL_PHASES) -> Event:
    return ev.BatchStarted(at=at(), step=1, hosts=list(hosts), phases=list(phases), why="")


def ended(status: str = "ok", /, **hosts: str) -> Event:
    return ev.BatchEnded.model_validate({"at": at(), "step": 1, "status": status, "hosts": hosts})


def intent(host: str, act: Act = Act.RESTART, was: str = "old") -> Event:
    return ev.ActIntended(at=at(), host=host, act=act, unit="u", invocation_id=was)


def acted(host: str, act: Act = Act.RESTART, now: str = "new", *, changed: bool = True) -> Event:
    return ev.ActDone(at=at(), host=host, act=act, unit="u", invocation_id=now, changed=changed)


def done(host: str, now: str = "new") -> Event:
    return ev.HostDone(at=at(), host=host, unit="u", invocation_id=now)


def observed(host: str, now: str, *, active: bool = True) -> Event:
    return ev.Observed(at=at(), host=host, unit="u", invocation_id=now, active=active)


def resumed() -> Event:
    return ev.Resumed(at=at(), by="ada", reason="x", controller="c", process=1)


def judged(
    claim: str, outcome: Outcome, host: str = "h1", phase: str = "check", ill: Sequence[str] = ()
) -> ev.GateJudged:
    verdict = {
        "claim": claim,
        "outcome": outcome.value,
        "reason": "r",
        "message": f"{claim} said",
        "hosts": {each: {HEALTHY: False} for each in ill},
    }
    return ev.GateJudged.model_validate(
        {
            "at": at(),
            "host": host,
            "gate": "g",
            "phase": phase,
            "outcome": outcome,
            "verdicts": [verdict],
            "readings": 1,
            "seconds": 0,
        }
    )


TURN = (batch("h1"), intent("h1"), acted("h1"), done("h1"), ended(h1="ok"))


def test_a_whole_turn() -> None:
    after = state(*TURN)

    assert (after.done(), list(after.in_hand()), after.failure) == (["h1"], [], None)
    assert after.done_units == {"h1": {"u": "new"}}


@pytest.mark.parametrize(
    ("gates", "evidence"),
    [
        ([judged("s.well", Outcome.PASS), judged("t.well", Outcome.PASS)], ""),
        ([judged("s.well", Outcome.PASS)], "h1: the play ended without asking t.well"),
        (
            [judged("s.well", Outcome.PASS), judged("t.well", Outcome.PASS, phase="preflight")],
            "h1: the play ended without asking t.well",
        ),
    ],
    ids=["asked", "not asked", "asked for something else"],
)
def test_a_batch_whose_survey_is_not_in_the_journal_did_not_end_well(
    gates: list[Event], evidence: str
) -> None:
    asks = ["s.well", {"claim": "t.well", "x": 1}]
    begun = ev.BatchStarted(
        at=at(), step=1, hosts=["h1"], phases=list(ALL_PHASES), why="", survey=asks
    )
    after = state(begun, *gates, *TURN[1:])

    assert (after.failure.evidence if after.failure else "") == evidence


def test_a_play_without_verify_does_not_end_a_turn() -> None:
    after = state(
        batch("h1"), intent("h1", Act.DRAIN), ended("failed", h1="failed"), resumed(),
        batch("h1", phases=(Phase.UNDRAIN,)), done("h1"), acted("h1", Act.UNDRAIN), ended(h1="ok"),
    )  # fmt: skip

    assert after.done() == []
    assert list(after.in_hand()) == []
    assert after.step.turns == {}, "it counts as not touched"
    assert after.failure is None
    assert state(batch("h1", phases=(Phase.UNDRAIN,)), ended(h1="ok")).failure is None


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_after_a_play_that_did_not_end_well_its_hosts_are_observed(status: str) -> None:
    after = state(*TURN, batch("h2"), intent("h2"), ended(status, h2="failed"))
    assert after.hosts_to_observe == {"h2"}


@pytest.mark.parametrize(
    ("observation", "happened"), [(None, None), ("old", False), ("another", True)]
)
def test_whether_a_restart_happened_is_read_from_the_host(
    observation: str | None, happened: bool | None
) -> None:
    reported = [observed("h1", observation)] if observation else []
    after = state(batch("h1"), intent("h1"), resumed(), *reported)

    [(_, turn)] = after.in_hand()
    assert turn.restarts["u"].happened is happened
    assert turn.outcome_unknown is (happened is None)


def test_an_observation_from_before_a_later_failure_is_forgotten() -> None:
    after = state(
        batch("h1"), intent("h1"), resumed(), observed("h1", "old"),
        batch("h1"), intent("h1", was="old"), ended("failed", h1="unreachable"),
    )  # fmt: skip

    [(_, turn)] = after.in_hand()
    assert turn.outcome_unknown
    assert after.hosts_to_observe == {"h1"}


def test_what_was_observed_before_a_play_that_failed_counts_no_more() -> None:
    cut = (batch("h1"), intent("h1"), resumed(), observed("h1", "old"))
    assert state(*cut).step.turns["h1"].restarts["u"].happened is False
    after = state(*cut, batch("h1"), ended("failed", h1="unreachable"))
    assert after.step.turns["h1"].restarts["u"].happened is None


def test_a_drain_that_changed_nothing_is_not_undone() -> None:
    after = state(batch("h1"), intent("h1", Act.DRAIN), acted("h1", Act.DRAIN, changed=False))

    assert list(after.in_hand()) == []


def test_a_new_intent_takes_the_host_out_of_the_sweep() -> None:
    after = state(*TURN, batch("h1"), intent("h1", was="new"))

    assert after.done() == []
    assert [turn.host for _, turn in after.in_hand()] == ["h1"]


def test_a_turn_begins_with_an_act_and_is_in_hand_from_then_on() -> None:
    turn = state(batch("h1"), acted("h1", Act.UNDRAIN)).step.turns["h1"]
    assert turn == Turn("h1")
    assert (turn.drain_seen, turn.given_back, turn.done, turn.in_hand) == (False,) * 4
    assert state(batch("h1"), intent("h1", Act.DRAIN)).step.turns["h1"].in_hand


def test_of_several_units_one_restarted_or_unknown_is_enough() -> None:
    other = ev.ActIntended(at=at(), host="h1", act=Act.RESTART, unit="v", invocation_id="v1")
    turn = state(batch("h1"), intent("h1"), other, acted("h1")).step.turns["h1"]
    assert (turn.restarted, turn.outcome_unknown) == (True, True)


@pytest.mark.parametrize(
    ("ends_with_restart", "restarted", "undo"),
    [(True, False, "revive"), (True, True, ""), (False, False, "revive"), (False, True, "revive")],
)
def test_a_drain_is_undone_as_its_intent_says_unless_a_restart_has_ended_it(
    ends_with_restart: bool, restarted: bool, undo: str
) -> None:
    changes = {"undo": "revive", "ends_with_restart": ends_with_restart}
    drain = intent("h1", Act.DRAIN).model_copy(update=changes)
    restart = (intent("h1"), acted("h1")) if restarted else ()
    assert state(batch("h1"), drain, *restart).step.turns["h1"].undo == undo
    assert not state(batch("h1"), intent("h1")).step.turns["h1"].undo


def test_a_restart_that_did_nothing_undrains_nothing() -> None:
    after = state(
        batch("h1"), intent("h1", Act.DRAIN), acted("h1", Act.DRAIN),
        intent("h1"), acted("h1", changed=False),
    )  # fmt: skip
    assert after.step.turns["h1"].drain is not None


def test_what_is_known_of_a_drain() -> None:
    drain = (batch("h1"), intent("h1", Act.DRAIN))
    undrained = (*drain, acted("h1", Act.DRAIN), acted("h1", Act.UNDRAIN))

    def known(*events: Event) -> tuple[bool, bool]:
        turn = state(*events).step.turns["h1"]
        return turn.drain_seen, turn.given_back

    assert known(*drain) == (False, False)
    assert known(*drain, acted("h1", Act.DRAIN)) == (True, False)
    assert known(*undrained) == (True, True)
    assert known(*undrained, intent("h1", Act.DRAIN)) == (False, False)
    # Where the node was not drained, nothing was given back; a restarted one was verified before.
    assert known(batch("h1"), acted("h1", Act.UNDRAIN)) == (False, False)
    assert known(*drain, acted("h1", Act.UNDRAIN, changed=False)) == (False, False)
    assert known(*drain, intent("h1"), acted("h1"), acted("h1", Act.UNDRAIN)) == (False, False)


@pytest.mark.parametrize(
    ("events", "failed_host"),
    [
        ((batch("h1"), ended("failed", h1="failed")), "h1"),
        ((batch("h1", "h2"), ended("failed", h1="absent", h2="unreachable")), "h2"),
        ((batch("h1"), ended("ok", h1="ok")), "h1"),
        ((batch("h1"), done("h1"), ended("ok", h1="unreachable")), "h1"),
        ((batch("h1"), done("h1"), ended("ok", h9="failed")), "h9"),
        ((batch("h1"), done("h1"), ended("no_hosts")), ""),
    ],
)
def test_a_play_that_did_not_succeed_on_every_host_is_a_failure(
    events: tuple[Event, ...], failed_host: str
) -> None:
    failure = state(*events).failure

    assert failure is not None
    assert failure.host == failed_host


@pytest.mark.parametrize(
    ("events", "evidence"),
    [
        ((batch("h1"), ended(h1="ok")), "h1: the play ended without recording host_done"),
        (
            (batch("h1"), intent("h1", Act.DRAIN), ended("failed", h1="failed"), resumed(),
             batch("h1", phases=(Phase.UNDRAIN,)), ended(h1="ok")),
            "h1: the play ended without recording that the drain was undone",
        ),
        ((batch("h1"), ended("failed", h1="failed")), "h1: the play failed"),
        ((batch("h1"), ended("failed", h1="unreachable")), "h1: the host was unreachable"),
        ((batch("h1"), ended("failed", h1="absent")), "h1: the play did not reach the host"),
        ((batch("h1"), done("h1"), ended("failed", h1="ok")), "the play failed"),
        ((batch("h1"), ended("failed", h1="ok")), "h1: the play failed"),
        ((batch("h1"), done("h1"), ended("no_hosts")), "the play ran on no host"),
    ],
)  # fmt: skip
def test_a_play_without_output_fails_with_what_is_known_of_it(
    events: tuple[Event, ...], evidence: str
) -> None:
    failure = state(*events).failure

    assert failure is not None
    assert failure.evidence == evidence


def test_reading_a_state_does_not_change_it() -> None:
    after = fold(journal(*TURN[:1]))
    empty = RunState()

    assert empty.step == StepState(0)
    assert (empty.step.done(), empty.touched, list(empty.in_hand())) == ([], False, [])
    assert empty == RunState()
    assert after.step.number == 0


def swept(hosts: int) -> list[Event]:
    """Return the gate of a sweep that asked so many hosts."""
    gate = judged("systemd.unchanged_since", Outcome.PASS, phase="sweep")
    verdicts = [verdict | {"evidence": {HOSTS: hosts}} for verdict in gate.verdicts]
    return [gate.model_copy(update={"verdicts": verdicts})]


def test_a_batch_whose_sweep_judged_nothing_is_a_failure() -> None:
    swept = batch("h2").model_copy(update={"sweep": ["h1"]})
    passed = judged("systemd.unchanged_since", Outcome.PASS, phase="sweep")
    turn = (intent("h2"), acted("h2"), done("h2"), ended(h1="ok", h2="ok"))

    unswept = state(*TURN, swept, *turn).failure
    assert unswept is not None
    assert unswept.host == "h1"
    assert unswept.evidence == "h1: the play ended without a sweep of this host"
    assert state(*TURN, swept, passed, *turn).failure is None

    # A gate of another phase is no sweep.
    verified = judged("systemd.active", Outcome.PASS, phase="verify")
    assert state(*TURN, swept, verified, *turn).failure is not None

    # What an earlier play judged is no proof for a later one.
    later = batch("h3").model_copy(update={"sweep": ["h1"]})
    turn_of_h3 = (intent("h3"), acted("h3"), done("h3"), ended(h1="ok", h3="ok"))
    unswept = state(*TURN, swept, passed, *turn, later, *turn_of_h3).failure
    assert unswept is not None
    assert unswept.host == "h1"


def test_one_gate_sweeps_all_hosts_that_are_due_or_proves_nothing() -> None:
    turns = (*TURN, batch("h2"), *swept(1), intent("h2"), acted("h2"), done("h2"), ended(h2="ok"))
    assert state(*turns).failure is None

    for too_few in ([], swept(0), swept(1)):
        turn_of_h3 = (intent("h3"), acted("h3"), done("h3"), ended(h3="ok"))
        failure = state(*turns, batch("h3"), *too_few, *turn_of_h3).failure
        assert failure is not None
        assert failure.evidence.endswith("the play ended without a sweep of this host")


def test_the_hosts_asked_longest_ago_are_due_and_all_whose_answer_is_old() -> None:
    """A large fleet: what a batch costs does not grow with the hosts done before it."""
    fleet = RunState()
    start = START
    for second in range(60):
        fleet.done_units[f"h{second}"] = {"u": "i"}
        fleet.found_well(start + timedelta(seconds=second), f"h{second}")

    def due(seconds: float) -> list[str]:
        return list(fleet.due(start + timedelta(seconds=seconds)))

    assert due(0) == [f"h{second}" for second in range(60)]  # a clock that was set back
    assert due(60) == [f"h{second}" for second in range(30)]
    fleet.found_well(start + timedelta(seconds=60), "h0")
    del fleet.done_units["h1"]  # in hand again
    assert due(60)[0] == "h2"
    assert due(50.5) == [f"h{second}" for second in range(2, 22)]
    assert len(due(1000)) == 59


def test_who_was_found_ill_counts_until_the_gates_of_the_next_play() -> None:
    survey = ev.InspectionStarted(at=at(), step=1, what="survey")
    well = judged("c", Outcome.PASS, phase="preflight")
    noted = (survey, judged("c", Outcome.PASS, ill=["h1"]), judged("d", Outcome.PASS, ill=["h2"]))
    both = {"h1": {HEALTHY: False}, "h2": {HEALTHY: False}}

    assert state(*noted).facts == both
    assert state(*noted, batch("h1"), *swept(0)).facts == both, "a sweep asks only some"
    assert state(*noted, batch("h1"), *swept(0), well).facts == {}
    again = judged("c", Outcome.PASS, phase="preflight", ill=["h1"])
    after = state(*noted, batch("h1"), again, judged("d", Outcome.PASS, phase="drain"))
    assert after.facts == {"h1": {HEALTHY: False}}

    leaders = well.model_copy(
        update={"verdicts": [{**well.verdicts[0], "hosts": {"h1": {HEALTHY: True, "leaders": 2}}}]}
    )
    assert state(survey, leaders, batch("h1"), well).facts == {"h1": {"leaders": 2}}


def test_a_sweep_makes_the_proof_of_the_hosts_that_it_asked_younger() -> None:
    turns = (*TURN, batch("h2"), *swept(1), intent("h2"), acted("h2"), done("h2"), ended(h2="ok"))
    before, after = state(*TURN), state(*turns)
    assert after.proved_at["h1"] > before.proved_at["h1"]
    assert list(after.proved_at) == ["h1", "h2"]
    failed = judged("systemd.unchanged_since", Outcome.FAIL, phase="sweep", ill=["h1"])
    assert state(*TURN, batch("h2"), failed).proved_at == before.proved_at


@pytest.mark.parametrize("under_way", [["h2"], [], ["h3"]], ids=["before", "between", "after"])
def test_a_late_failure_is_one_whenever_a_waiting_play_has_journaled_it(
    under_way: list[str],
) -> None:
    """Also between two batches, and once its own has begun with another play, which ends well."""
    late = judged("systemd.unchanged_since", Outcome.FAIL, "h3", phase="sweep", ill=["h1"])
    turns = [
        event
        for host in under_way
        for event in (late, intent(host), acted(host), done(host), ended(**{host: "ok"}))
    ]

    failure = state(*TURN, *map(batch, under_way), *(turns or [late])).failure

    assert failure is not None
    assert (failure.host, failure.claim) == ("h1", "systemd.unchanged_since")


def test_a_host_that_gave_a_sweep_no_answer_is_the_one_that_is_named() -> None:
    unknown = judged("systemd.unchanged_since", Outcome.UNKNOWN, "h2", phase="sweep")
    [verdict] = unknown.verdicts
    silent = unknown.model_copy(update={"verdicts": [verdict | {"hosts": {"h1": {HEALTHY: None}}}]})
    failure = state(*TURN, batch("h2"), silent, ended("failed", h2="failed")).failure
    assert failure is not None
    assert (failure.host, failure.ill) == ("h1", ("h1",))
    assert "of h2" in failure.evidence


def test_a_roll_is_surveyed_from_its_first_preflight_on() -> None:
    rest = (Phase.VERIFY, Phase.UNDRAIN)
    assert not state(batch("h1", phases=rest)).step.surveyed
    assert state(batch("h1"), batch("h1", phases=rest)).step.surveyed


def test_an_event_without_a_rule_is_an_error() -> None:
    with pytest.raises(TypeError, match="no rule for the event"):
        _apply(Event, RunState())  # type: ignore[arg-type] # no event at all


def test_the_failure_is_the_gate_of_the_failed_host() -> None:
    after = state(
        batch("h1"), judged("a.b", Outcome.FAIL, "h2"), judged("c.d", Outcome.UNKNOWN),
        ended("failed", h1="failed"),
    )  # fmt: skip

    assert after.failure is not None
    assert (after.failure.claim, after.failure.evidence) == ("c.d", "UNKNOWN r: c.d said")

    after = state(
        batch("h1"), judged("c.d", Outcome.FAIL), judged("e.f", Outcome.PASS),
        judged("a.b", Outcome.FAIL, "h2"), ended("failed", h1="failed"),
    )  # fmt: skip
    assert after.failure is not None
    assert after.failure.claim == "c.d"


def evidence_of(outcomes: str, *ill: str) -> tuple[str, str]:
    """Return host and evidence of a batch's failure: FAIL, UNKNOWN or PASS by first letter; ``ill`` as FAIL says."""
    kinds = {"F": Outcome.FAIL, "U": Outcome.UNKNOWN, "P": Outcome.PASS}
    hosts = {host: {"healthy": False} for host in ill} | {"h9": {"healthy": True}}
    verdicts: list[Json] = [
        {
            "claim": f"a.{n}",
            "outcome": kinds[kind].value,
            "reason": "r",
            "message": str(n),
            "hosts": hosts if kind == "F" else {"h8": {"healthy": False}},
        }
        for n, kind in enumerate(outcomes)
    ]
    gate = judged("a.b", Outcome.FAIL).model_copy(update={"verdicts": verdicts})
    failure = state(batch("h1"), gate, ended("failed", h1="failed")).failure
    assert failure is not None
    return failure.host, failure.evidence


def test_the_evidence_of_a_gate_is_all_that_failed_and_the_first_that_is_unknown() -> None:
    assert evidence_of("PUU") == ("h1", "UNKNOWN r: 1; UNKNOWN r: 2")
    assert evidence_of("UFPF") == ("h1", "FAIL r: 1; FAIL r: 3; UNKNOWN r: 0")
    assert evidence_of("UFU") == ("h1", "FAIL r: 1; UNKNOWN r: 0; and 1 more UNKNOWN")
    assert evidence_of("FUUU") == ("h1", "FAIL r: 0; UNKNOWN r: 1; and 2 more UNKNOWN")


def test_the_failure_is_about_the_host_that_is_ill_and_says_who_saw_it() -> None:
    assert evidence_of("F", "h2", "h1") == ("h1", "FAIL r: 0")
    assert evidence_of("F", "h2") == ("h2", "FAIL r: 0; seen by the gate 'g' of h1")


def test_a_restart_without_a_gate_after_it_is_a_failure() -> None:
    after = state(batch("h1"), intent("h1"), acted("h1"), ended(h1="ok"))
    assert after.failure is not None
    assert after.failure.evidence == "h1: the play ended without recording host_done"


@pytest.mark.parametrize(
    ("messages", "evidence"),
    [
        ({"h2": "two", "h1": "one"}, "one"),
        ({"h2": "two"}, "two"),
        ({}, "h1: the play failed"),
    ],
)
def test_without_a_gate_the_evidence_is_what_the_play_said(
    messages: dict[str, str], evidence: str
) -> None:
    end = ended("failed", h1="failed").model_copy(update={"messages": messages})
    after = state(batch("h1"), end)
    assert after.failure is not None
    assert after.failure.evidence == evidence


@pytest.mark.parametrize(("phase", "host"), [("preflight", "h1"), ("verify", "h2")])
def test_of_several_ill_hosts_the_failure_is_the_one_that_was_proved_before(
    phase: str, host: str
) -> None:
    """A broker that freezes lets the others answer nobody; after an act it is the host in hand that did."""
    gate = judged("a.b", Outcome.FAIL, "h2", phase, ill=["h3", "h2", "h1"])

    after = state(*TURN, batch("h2"), gate, ended("failed", h2="failed"))

    assert after.failure is not None
    assert after.failure.host == host
    assert after.failure.ill == ("h3", "h2", "h1")
    assert ("seen by the gate 'g' of h2" in after.failure.evidence) == (host == "h1")


CHECK = ev.InspectionStarted(
    at=START, step=1, what="check", claims=["a.b", {"claim": "c.d", "n": 1}]
)
CHECK_ENDED = ev.InspectionEnded(at=START, step=1, what="check", status="ok")
BOTH = (judged("a.b", Outcome.PASS), judged("c.d", Outcome.PASS))


@pytest.mark.parametrize(
    ("verdicts", "passed"),
    [
        (BOTH, True),
        (BOTH[:1], False),
        ((), False),
        ((*BOTH, judged("e.f", Outcome.FAIL)), False),
        ((*BOTH, judged("a.b", Outcome.UNKNOWN)), False),
    ],
)
def test_an_inspection_passes_when_every_claim_of_it_did(
    verdicts: tuple[Event, ...], passed: bool
) -> None:
    after = state(CHECK, *verdicts, CHECK_ENDED)

    assert after.step.passed is passed
    assert (after.failure is None) is passed
    assert after.proves(["a.b", {"n": 1, "claim": "c.d"}]) is passed
    assert not after.proves(["c.d"])


def test_a_verdict_that_is_no_pass_proves_nothing_whatever_its_gate_says() -> None:
    odd = judged("c.d", Outcome.FAIL).model_copy(update={"outcome": Outcome.PASS})
    assert not state(CHECK, BOTH[0], odd, CHECK_ENDED).step.passed


def test_no_claim_stays_proved_after_an_act() -> None:
    assert not state(CHECK, *BOTH, CHECK_ENDED, batch("h1")).proves(["a.b"])
    assert not state(CHECK, *BOTH, CHECK_ENDED, resumed()).proves(["a.b"])


def test_a_sweep_that_judged_nothing_proves_nothing() -> None:
    sweep = ev.InspectionStarted(at=START, step=1, what="sweep", hosts=["h1"])
    swept = ev.InspectionEnded(at=START, step=1, what="sweep", status="ok")

    assert not state(*TURN, sweep, swept).step.swept
    other = judged("systemd.unchanged_since", Outcome.PASS, "h2", phase="sweep")
    assert not state(*TURN, sweep, other, swept).step.swept
    passed = judged("systemd.unchanged_since", Outcome.PASS, phase="sweep")
    assert state(*TURN, sweep, passed, swept).step.swept
    assert not state(*TURN, sweep, passed, swept, batch("h1")).step.swept


def test_an_inspection_that_failed_on_several_hosts_names_them_all() -> None:
    after = state(
        CHECK,
        *(judged("a.b", Outcome.FAIL, host) for host in ("h2", "h3", "h1")),
        CHECK_ENDED.model_copy(update={"status": "failed"}),
    )
    assert after.failure is not None
    assert after.failure.host == "h1"
    assert after.failure.evidence == "FAIL r: a.b said; also not PASS on h2, h3"


def test_an_inspection_whose_play_failed_did_not_pass() -> None:
    after = state(CHECK, *BOTH, CHECK_ENDED.model_copy(update={"status": "failed"}))
    assert not after.step.passed
    assert after.failure is not None


def test_the_first_failure_is_kept() -> None:
    dead = observed("h1", "new", active=False)
    failed = CHECK_ENDED.model_copy(update={"status": "failed"})
    after = state(*TURN, resumed(), dead, CHECK, judged("a.b", Outcome.FAIL), failed)
    assert after.failure is not None
    assert after.failure.claim == "systemd.active"


def test_an_interrupted_inspection_is_no_failure_and_no_proof() -> None:
    interrupted = CHECK_ENDED.model_copy(update={"status": "interrupted"})
    after = state(CHECK, *BOTH, interrupted)

    assert (after.failure, after.step.passed) == (None, False)


def test_a_resume_clears_the_failure_and_observes_every_host() -> None:
    held = ev.Held(at=at(), evidence="x")
    abort = ev.AbortRequested(at=at(), by="eve")
    after = state(
        *TURN, batch("h2"), intent("h2"), ended("failed", h2="failed"), abort, held, resumed()
    )

    assert (after.status, after.failure, after.abort_request) == (Status.RUNNING, None, None)
    assert after.hosts_to_observe == {"h1", "h2"}


def test_an_operators_start_becomes_what_the_sweep_compares_with() -> None:
    assert state(*TURN, resumed(), observed("h1", "newer")).done_units == {"h1": {"u": "newer"}}
    dead = state(*TURN, resumed(), observed("h1", "new", active=False))
    assert dead.failure is not None
    assert dead.failure.host == "h1"


def test_advancing_is_folding_in_parts() -> None:
    whole = journal(ev.StepStarted(at=START, step=1, title="x"), *TURN, resumed())

    for cut in range(len(whole)):
        assert advance(fold(whole[:cut]), whole) == fold(whole)


def test_evidence_that_several_claims_share_is_reported_once() -> None:
    """A wrong password makes five claims UNKNOWN; its message five times would hide the sixth."""
    same = {"outcome": "UNKNOWN", "reason": "unanswered", "message": "401 from a1"}
    other = {"claim": "e.f", "outcome": "FAIL", "reason": "r", "message": "e.f said"}
    gate = ev.GateJudged.model_validate(
        {
            "at": at(),
            "host": "h1",
            "gate": "g",
            "phase": "check",
            "outcome": "FAIL",
            "verdicts": [{"claim": "a.b", **same}, {"claim": "c.d", **same}, other],
            "readings": 1,
            "seconds": 0.0,
        }
    )
    check = ev.InspectionStarted(at=at(), step=1, what="check", hosts=["h1"], claims=[])
    after = state(check, gate, ev.InspectionEnded(at=at(), step=1, what="check", status="failed"))
    assert after.failure is not None
    assert after.failure.claim == "e.f"
    assert after.failure.evidence == "FAIL r: e.f said; UNKNOWN unanswered: 401 from a1"


# --- acts, for whoever draws them on a time axis


def test_act_with_a_result_has_ended_with_it() -> None:
    result = acted("h1", changed=False)
    (act,) = state(batch("h1"), intent("h1"), result).acts
    assert (act.done, act.ended, act.changed) == (result, result.at, False)


def test_result_without_an_intent_is_an_act() -> None:
    """Where a play journals no intent: taking back a drain."""
    after = state(batch("h1"), intent("h1"), acted("h1"), acted("h1", Act.UNDRAIN))
    assert [(act.event.act, act.intended is None) for act in after.acts] == [
        (Act.RESTART, False),
        (Act.UNDRAIN, True),
    ]


def test_a_result_of_another_act_or_without_an_intent_is_no_restart() -> None:
    after = state(batch("h1"), intent("h1"), acted("h1", Act.REBALANCE))
    assert after.step.turns["h1"].restarts["u"].happened is None
    assert not state(batch("h1"), acted("h1")).step.turns["h1"].restarts


def test_an_act_without_a_result_ends_when_its_host_is_done() -> None:
    end = done("h1")
    (act,) = state(batch("h1"), intent("h1"), end).acts
    assert (act.ended, act.changed) == (end.at, True)


def test_act_without_a_result_ends_with_its_play() -> None:
    end = ended("interrupted", h1="absent")
    (act,) = state(batch("h1"), intent("h1"), end).acts
    assert (act.done, act.ended, act.changed) == (None, end.at, None)


def test_act_without_a_result_ends_with_the_last_event_of_a_dead_driver() -> None:
    begun = intent("h1")
    (act,) = state(batch("h1"), begun, resumed()).acts
    assert act.ended == begun.at


@pytest.mark.parametrize(("now", "changed"), [("old", False), ("new", True)])
def test_host_tells_whether_a_restart_without_a_result_happened(now: str, changed: bool) -> None:
    cut = (batch("h1"), intent("h1"), ended("interrupted", h1="absent"))
    (act,) = state(*cut, observed("h1", now)).acts
    assert act.changed is changed
    (act,) = state(*cut, done("h1", now)).acts
    assert act.changed is changed


def test_a_result_is_not_changed_by_what_comes_later() -> None:
    result = acted("h1", changed=False)
    later = (observed("h1", "other"), ended(h1="ok"))
    (act,) = state(batch("h1"), intent("h1"), result, *later).acts
    assert (act.ended, act.changed) == (result.at, False)
    (act,) = state(batch("h1"), intent("h1"), observed("h1", "other")).acts
    assert (act.ended, act.changed) == (None, None), "it is still under way"


def test_another_units_observation_tells_nothing_of_a_restart() -> None:
    other = ev.Observed(at=at(), host="h1", unit="other", invocation_id="x", active=True)
    cut = (batch("h1"), intent("h1"), ended("interrupted", h1="absent"), other)
    (act,) = state(*cut).acts
    assert act.changed is None
    (act,) = state(*cut, observed("h1", "new")).acts
    assert act.changed


def test_steps_have_their_times() -> None:
    started = ev.StepStarted(at=at(), step=1, title="Roll")
    finished = ev.StepFinished(at=at(), step=1)
    step = fold(journal(started, finished)).steps[1]
    assert (step.started, step.ended) == (started.at, finished.at)


def approval(step: int = 1, plan: str = "p") -> Event:
    return ev.ApprovalRequested(at=at(), step=step, question="?", plan_hash=plan)


def approved(step: int = 1, plan: str = "p") -> Event:
    return ev.Approved(at=at(), step=step, by="eve", plan_hash=plan)


def rejected(step: int = 1, plan: str = "p") -> Event:
    return ev.Rejected(at=at(), step=step, by="eve", plan_hash=plan, person="Eve", reason="no")


def test_answers_count_for_the_plan_and_the_request_that_they_are_for() -> None:
    def answers(*events: Event) -> tuple[int, bool]:
        step = state(*events).step
        return len(step.approvals), step.rejected is not None

    assert answers(approval(), approved(), rejected()) == (1, True)
    assert answers(approval(), approved(plan="q"), rejected(plan="q")) == (0, False)
    assert answers(approval(), approved(), rejected(), approval()) == (0, False)
    assert answers(approval(), approved(), rejected(), resumed()) == (1, False)


@pytest.mark.parametrize(
    "event",
    [ev.StepFinished(at=START, step=2), approval(step=2), approved(step=2), rejected(step=2)],
)
def test_an_event_of_a_step_that_none_has_begun_is_damage(event: Event) -> None:
    with pytest.raises(StateUnusable, match="about step 2, which no event has begun") as caught:
        state(event)
    assert "backup" in caught.value.remedy


def test_a_hard_request_to_stop_replaces_a_soft_one_and_no_other_does() -> None:
    soft = ev.AbortRequested(at=at(), by="eve")
    hard = ev.AbortRequested(at=at(), by="bob", hard=True)
    assert state(soft, hard).abort_request == hard
    assert state(hard, soft).abort_request == hard


@pytest.mark.parametrize(
    ("meanwhile", "named"),
    [
        # It was drained, and given back without a restart: its play ends before that of the host with the gate.
        ((), "h2"),
        # What failed was a restart, or a gate, of its own.
        ((intent("h1"),), "h1"),
        ((judged("own", Outcome.FAIL, "h1", "drain"),), "h1"),
    ],
)
def test_a_hold_names_the_host_that_failed_and_not_one_that_was_told_of_it(
    meanwhile: tuple[Event, ...], named: str
) -> None:
    after = state(
        batch("h1"),
        intent("h1", Act.DRAIN),
        batch("h2"),
        judged("c", Outcome.FAIL, "h2", "verify"),
        *meanwhile,
        ended("failed", h1="failed"),
        ended("failed", h2="failed"),
    )

    assert after.failure is not None
    assert after.failure.host == named
    assert ("c said" in after.failure.evidence) == (named == "h2")


def test_a_freeze_outlasts_the_host_s_turn_and_ends_with_its_undo() -> None:
    frozen = [intent("a", Act.FREEZE), acted("a", Act.FREEZE), done("a", now="")]
    after = state(batch("a"), *frozen, ended(a="ok"))
    assert (list(after.frozen), after.step.done(), after.failure) == (["a"], ["a"], None)
    assert (list(after.in_hand()), after.done(), after.due(at())) == ([], [], ())
    assert list(state(intent("a", Act.FREEZE)).frozen) == ["a"], "it may have happened"
    others = state(intent("a", Act.FREEZE), acted("a", Act.FREEZE, changed=False))
    assert others.frozen == {}
    undone = state(*frozen, intent("a", Act.UNFREEZE), acted("a", Act.UNFREEZE))
    assert undone.frozen == {}
