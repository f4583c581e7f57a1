"""Given this journal, this comes next. What whole runs do is in tests/unit/engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.evidence import ALONE, TURN
from holdfast.evidence import HOSTS as ASKED
from holdfast.journal import events as ev
from holdfast.journal.events import Event, Recorded
from holdfast.journal.fold import fold
from holdfast.journal.run_state import RunState
from holdfast.model import ALL_PHASES, Act, Json, Outcome, Phase
from holdfast.plan.decide import (
    Abort,
    AwaitApproval,
    AwaitPlays,
    BeginStep,
    Decision,
    EndStep,
    Finish,
    Hold,
    Inspect,
    Refuse,
    RequestApproval,
    Roll,
    TakeLease,
    decide,
)
from holdfast.plan.following import following
from holdfast.plan.model import Plan, PlannedApprove, PlannedRoll, PlannedWait
from holdfast.policy import PlaybookPolicy
from holdfast.runbook.model import SettleSpec

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
HOSTS = ("h1", "h2", "h3")
POLICY = PlaybookPolicy(
    service="s", group="g", batch_max=3, batch_max_reason="x", survey=("s.well",)
)
PLAN = Plan(
    runbook="r",
    runbook_hash="",
    site="lab",
    inventory="/",
    inputs={},
    limit="",
    leases={},
    steps=(
        PlannedRoll(
            number=1,
            title="Roll",
            playbook="s_restart.yml",
            hosts=HOSTS,
            batch=2,
            canary=True,
            variables={},
            settle=None,
            policy=POLICY,
        ),
    ),
)

LEASE = ev.LeaseTaken(at=NOW, tokens={})
BEGUN = ev.StepStarted(at=NOW, step=1, title="Roll")
ENDED = ev.StepFinished(at=NOW, step=1)
RESUMED = ev.Resumed(at=NOW, by="ada", reason="x", controller="c", process=1)
ABORT = ev.AbortRequested(at=NOW, by="eve")


def survey(outcome: Outcome = Outcome.PASS, step: int = 1) -> list[Event]:
    verdict = {"claim": "s.well", "outcome": outcome.value, "reason": "r", "message": "m"}
    gate = ev.GateJudged(
        at=NOW, host="h1", gate="g", phase="check", outcome=outcome, verdicts=[verdict],
        readings=1, seconds=0,
    )  # fmt: skip
    status = "ok" if outcome is Outcome.PASS else "failed"
    return [
        ev.InspectionStarted(at=NOW, step=step, what="survey", claims=["s.well"]),
        gate,
        ev.InspectionEnded.model_validate(
            {"at": NOW, "step": step, "what": "survey", "status": status}
        ),
    ]


def batch(*hosts: str, phases: tuple[Phase, ...] = ALL_PHASES) -> Event:
    return ev.BatchStarted(at=NOW, step=1, hosts=list(hosts), phases=list(phases), why="")


def intent(host: str, act: Act = Act.RESTART) -> Event:
    return ev.ActIntended(at=NOW, host=host, act=act, unit="u", invocation_id="old")


def observe(*answers: tuple[str, str], asked: tuple[str, ...]) -> list[Event]:
    said = [
        ev.Observed(at=NOW, host=host, unit="u", invocation_id=now, active=True)
        for host, now in answers
    ]
    look = {"at": NOW, "step": 1, "what": "observe"}
    return [
        ev.InspectionStarted.model_validate(look | {"hosts": list(asked)}),
        *said,
        ev.InspectionEnded.model_validate(look | {"status": "ok"}),
    ]


def swept(hosts: int) -> Event:
    """Return the gate of a sweep that asked so many hosts, and found them well."""
    verdict = {"claim": "c", "outcome": "PASS", "reason": "r", "message": "m"}
    return ev.GateJudged(
        at=NOW, host="h1", gate="g", phase="sweep", outcome=Outcome.PASS,
        verdicts=[verdict | {"evidence": {ASKED: hosts}}], readings=1, seconds=0,
    )  # fmt: skip


def turned(*hosts: str, done: int = 0) -> list[Event]:
    """Return the turns of a batch that sweeps so many hosts first."""
    events: list[Event] = [batch(*hosts)]
    events += [swept(done)] if done else []
    for host in hosts:
        events += [
            intent(host),
            ev.ActDone(at=NOW, host=host, act=Act.RESTART, unit="u", invocation_id="new"),
            ev.HostDone(at=NOW, host=host, unit="u", invocation_id="new"),
        ]
    ended = {"at": NOW, "step": 1, "status": "ok", "hosts": dict.fromkeys(hosts, "ok")}
    return [*events, ev.BatchEnded.model_validate(ended)]


def after(*events: Event) -> RunState:
    return fold(
        Recorded(run="r", seq=number, event=event) for number, event in enumerate(events, 1)
    )


def decided(*events: Event) -> Decision:
    return decide(PLAN, after(*events), NOW + timedelta(seconds=1))


def test_the_survey_then_the_lease_then_the_first_step() -> None:
    assert decided() == Inspect(0, "survey", ("s.well",), deadline_seconds=120)
    assert decided(*survey(step=0)) == TakeLease()
    assert decided(*survey(step=0), LEASE) == BeginStep(1, "Roll")
    assert isinstance(decided(*survey(Outcome.FAIL, step=0)), Refuse)
    assert isinstance(decided(*survey(Outcome.UNKNOWN, step=0)), Refuse)


def test_claims_proved_before_the_lease_are_not_surveyed_again() -> None:
    assert isinstance(decided(*survey(step=0), LEASE, BEGUN), Roll)
    again = decided(LEASE, BEGUN)
    assert isinstance(again, Inspect)
    assert (again.what, again.claims) == ("survey", ("s.well",))


def test_the_sweep_follows_the_last_batch() -> None:
    start: list[Event] = [*survey(step=0), LEASE, BEGUN]

    first, second = decided(*start), decided(*start, *turned("h1"))
    assert isinstance(first, Roll)
    assert isinstance(second, Roll)
    assert (first.hosts, first.sweep) == (("h1",), ())
    assert (second.hosts, second.sweep) == (("h2", "h3"), ("h1",))

    sweep = decided(*start, *turned("h1"), *turned("h2", "h3", done=1))
    assert sweep == Inspect(1, "sweep", hosts=HOSTS)
    inspection: tuple[Event, ...] = (
        ev.InspectionStarted(at=NOW, step=1, what="sweep", hosts=list(HOSTS)),
        swept(3),
        ev.InspectionEnded(at=NOW, step=1, what="sweep", status="ok"),
    )  # fmt: skip
    assert decided(*start, *turned("h1"), *turned("h2", "h3", done=1), *inspection) == EndStep(1)
    assert decided(*start, ENDED) == Finish()


def two_rolls(*events: Event, order: tuple[Json, ...] = ()) -> Decision:
    """Return what is decided in a plan of two rolls over the same hosts."""
    [roll] = PLAN.steps
    policy = POLICY.model_copy(update={"order": order})
    second = roll.model_copy(update={"number": 2, "policy": policy})
    plan = PLAN.model_copy(update={"steps": (roll, second)})
    return decide(plan, after(*events), NOW)


def test_where_nothing_was_restarted_nobody_is_swept() -> None:
    """A freeze restarts nothing: its hosts are done without a start to compare with."""
    frozen: list[Event] = [
        ev.HostDone(at=NOW, host=host, unit="u", invocation_id="") for host in HOSTS
    ]
    assert decided(LEASE, BEGUN, *survey(), *frozen) == EndStep(1)


def test_before_another_roll_the_sweep_and_the_survey_are_left_to_its_first_batch() -> None:
    start: list[Event] = [*survey(step=0), LEASE, BEGUN]
    start += [*turned("h1"), *turned("h2", "h3", done=1)]
    assert two_rolls(*start) == EndStep(1)

    start += [ENDED, ev.StepStarted(at=NOW, step=2, title="Roll")]
    first = two_rolls(*start)
    assert isinstance(first, Roll)
    assert (first.hosts, first.sweep, first.survey) == (("h1",), HOSTS, ("s.well",))
    assert two_rolls(*start, order=("unhealthy_first",)) == first
    apart = two_rolls(*start, order=("fewest_leaders_first",))
    assert isinstance(apart, Inspect)
    assert (apart.what, apart.claims) == ("survey", ("s.well",))


@pytest.mark.parametrize("then", [(), ("h1",)], ids=["last", "before another"])
def test_a_roll_that_the_limit_left_without_hosts_sweeps_nobody(then: tuple[str, ...]) -> None:
    """What follows it decides who sweeps: after the last batch of all, a play of its own."""
    [roll] = PLAN.steps
    empty = roll.model_copy(update={"number": 2, "hosts": ()})
    last = roll.model_copy(update={"number": 3, "hosts": then})
    plan = PLAN.model_copy(update={"steps": (roll, empty, last)})
    state = after(*survey(step=0), LEASE, BEGUN, *turned("h1"), *turned("h2", "h3", done=1))

    decision = decide(plan, state, NOW)

    assert decision == (EndStep(1) if then else Inspect(1, "sweep", hosts=HOSTS))
    assert isinstance(roll, PlannedRoll)
    expected = following(plan, state, roll, ("h2", "h3"))
    assert (expected.step.number, expected.hosts) == (3, then) if expected else not then


@pytest.mark.parametrize(
    ("phases", "rounds"), [(ALL_PHASES, 1), ((Phase.VERIFY, Phase.UNDRAIN), 0)]
)
def test_the_first_whole_batch_after_a_resume_asks_all_hosts(
    phases: tuple[Phase, ...], rounds: int
) -> None:
    """Its play may be parked beside the one that verifies and undrains what was in hand (docs/adr/0063)."""
    [roll] = PLAN.steps
    assert isinstance(roll, PlannedRoll)
    policy = POLICY.model_copy(update={"survey": ()})
    step = roll.model_copy(update={"window": True, "policy": policy})
    state = after(LEASE, BEGUN, batch("h1"), intent("h1"), RESUMED, batch("h1", phases=phases))

    expected = following(PLAN, state, step, ("h1",))

    assert expected is not None
    assert (expected.hosts, expected.rounds) == (("h2",), rounds)
    # A survey is a play of its own, which comes first after a resume.
    surveyed = phases == ALL_PHASES
    assert (following(PLAN, state, roll, ("h1",)) is not None) == surveyed


@pytest.mark.parametrize(
    ("count", "owed"), [(21, True), (20, True), (21, False)], ids=["large", "failed", "swept"]
)
def test_all_hosts_done_are_due_until_a_batch_has_swept_them(count: int, owed: bool) -> None:
    """21 hosts that were all found well a moment ago, of which a sweep asks 20 otherwise."""
    hosts = [f"h{number}" for number in range(count)]
    state = after(LEASE, BEGUN, *turned(*hosts), ENDED)
    if not owed:
        state = after(LEASE, BEGUN, *turned(*hosts), ENDED, *turned("x", done=count))
        assert not state.sweep_owed
    assert len(state.due(NOW)) == (count if owed else 20)


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ((), Hold),
        ((("h1", "old"),), Inspect),
        ((("h1", "another"),), Roll),
    ],
)
def test_a_host_in_hand_is_taken_for_what_was_observed(
    answers: tuple[tuple[str, str], ...], wanted: type
) -> None:
    crashed: list[Event] = [LEASE, BEGUN, batch("h1"), intent("h1"), RESUMED]
    assert decided(*crashed) == Inspect(1, "observe", hosts=("h1",))

    decision = decided(*crashed, *observe(*answers, asked=("h1",)))

    assert isinstance(decision, wanted)
    if isinstance(decision, Roll):
        assert decision.phases == (Phase.VERIFY, Phase.UNDRAIN)
    if isinstance(decision, Inspect):
        assert decision.what == "survey"


def test_undraining_comes_before_verifying() -> None:
    crashed: list[Event] = [
        LEASE, BEGUN, batch("h1", "h2"), intent("h1", Act.DRAIN), intent("h1"),
        intent("h2", Act.DRAIN), intent("h2"), RESUMED,
    ]  # fmt: skip
    answers = observe(("h1", "another"), ("h2", "old"), asked=("h1", "h2"))

    decision = decided(*crashed, *answers)

    assert isinstance(decision, Roll)
    assert (decision.hosts, decision.phases) == (("h2",), (Phase.UNDRAIN,))


def test_a_failure_comes_before_an_abort_and_an_abort_before_the_next_batch() -> None:
    failed = ev.BatchEnded(at=NOW, step=1, status="failed", hosts={"h1": "failed"})
    start: list[Event] = [*survey(step=0), LEASE, BEGUN, batch("h1")]

    assert isinstance(decided(*start, ABORT, failed), Hold)
    assert decided(*survey(step=0), LEASE, BEGUN, *turned("h1"), ABORT) == Abort("eve")


def test_hosts_are_observed_in_the_order_of_their_names() -> None:
    hosts = tuple(f"h{n}" for n in range(9))
    crashed = [batch(*hosts), *(intent(host) for host in reversed(hosts)), RESUMED]
    assert decided(LEASE, BEGUN, *crashed) == Inspect(1, "observe", hosts=hosts)


def test_a_host_of_which_some_units_were_restarted_is_for_a_person() -> None:
    other = ev.ActIntended(at=NOW, host="h1", act=Act.RESTART, unit="v", invocation_id="old")
    acted = ev.ActDone(at=NOW, host="h1", act=Act.RESTART, unit="v", invocation_id="new")
    crashed: list[Event] = [LEASE, BEGUN, batch("h1"), intent("h1"), other, acted, RESUMED]

    decision = decided(*crashed, *observe(("h1", "old"), asked=("h1",)))

    assert isinstance(decision, Hold)
    assert decision.failure.evidence.startswith("some units of this host were restarted")


def test_a_step_that_waits_is_inspected_as_it_is_planned_and_one_without_hosts_has_ended() -> None:
    settle = SettleSpec(seconds=60, readings=3)
    wait = PlannedWait(
        number=1, title="Roll", deadline_seconds=90, claims=("s.well",), hosts=HOSTS, settle=settle
    )
    plan = PLAN.model_copy(update={"steps": (wait,)})
    assert decide(plan, after(LEASE, BEGUN), NOW) == Inspect(
        1, "wait", ("s.well",), HOSTS, settle=settle, deadline_seconds=90
    )

    empty = PLAN.steps[0].model_copy(update={"hosts": ()})
    assert decide(PLAN.model_copy(update={"steps": (empty,)}), after(LEASE, BEGUN), NOW) == EndStep(
        1
    )


REQUESTED = ev.ApprovalRequested(
    at=NOW, step=1, question="Go?", plan_hash="p", people={"eve": ["eve"]}
)
REJECTED = ev.Rejected(at=NOW, step=1, by="eve", plan_hash="p", person="eve", reason="no")


def decided_at_approval(
    *events: Event, count: int = 1, deadline: int | None = 60, seconds: int = 59
) -> Decision | str:
    """Return what is decided so long after the request; of a refusal, the evidence."""
    step = PlannedApprove(
        number=1, title="x", deadline_seconds=deadline, question="Go?", count=count, by_others=False
    )
    plan = PLAN.model_copy(update={"steps": (step,)})
    decision = decide(plan, after(LEASE, BEGUN, *events), NOW + timedelta(seconds=seconds))
    return decision.failure.evidence if isinstance(decision, Refuse) else decision


def test_an_approval_is_waited_for_until_its_time_and_where_enough_people_may_give_it() -> None:
    nobody = REQUESTED.model_copy(update={"people": {}})
    late = "Go?: 0 of 1 approvals in"
    assert decided_at_approval(REQUESTED) == AwaitApproval()
    assert decided_at_approval(REQUESTED, seconds=60) == f"{late} 60 s"
    assert decided_at_approval(REQUESTED, deadline=None, seconds=0) == f"{late} None s"
    assert decided_at_approval(nobody) == "Go?: needs 1 approval; those who may: none"
    two = decided_at_approval(REQUESTED, count=2)
    assert two == "Go?: needs 2 approvals; those who may: eve"


def test_a_rejection_counts_for_the_request_that_is_open() -> None:
    assert decided_at_approval(REQUESTED, REJECTED) == "Go?: rejected by eve (eve): no"
    asked_anew = decided_at_approval(REQUESTED, RESUMED, REJECTED)
    assert asked_anew == RequestApproval(1, "Go?")


@pytest.mark.parametrize("alone", ["h1", "h2", ""])
def test_in_a_window_nothing_begins_beside_a_host_that_is_to_be_alone(alone: str) -> None:
    """Its preview restarts a conductor, of which one may be out."""
    policy = POLICY.model_copy(update={"survey": (), "order": ("dependencies_first",)})
    [roll] = PLAN.steps
    wide = {"window": True, "batch": 3, "canary": False, "policy": policy}
    plan = PLAN.model_copy(update={"steps": (roll.model_copy(update=wide),)})
    state = after(LEASE, BEGUN, batch("h1"), intent("h1"))
    state.facts |= {alone: {TURN: 0, ALONE: True}} if alone else {}

    decision = decide(plan, state, NOW)

    assert isinstance(decision, AwaitPlays if alone else Roll)
