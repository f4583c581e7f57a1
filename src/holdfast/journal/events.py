"""The journal's events: what happened in a run, one frozen schema per kind.

Owns the shapes and their names only. Written by the engine (run, batch, abort) and, at the moment
things happen on a host, by the play itself (gate, act, host); ``fold.py`` says what they mean.
``upgrades.py`` turns the events of older schemas into these.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from holdfast.evidence import HEALTHY
from holdfast.journal.upgrades import SCHEMA, SchemaNumber
from holdfast.model import Act, Json, Outcome, Phase, Verdict

PlayEnd = Literal["ok", "failed", "refused", "interrupted", "no_hosts"]
"""How a play ended."""

HostEnd = Literal["ok", "failed", "unreachable", "absent"]
"""How a play ended on one of its hosts; ``absent``: the play never reached it."""

InspectionKind = Literal["survey", "check", "wait", "sweep", "observe"]
"""What an inspection is for.

``survey``: the standing claims before anything is touched (step 0: before the lease is taken);
``check`` and ``wait``: those steps; ``sweep``: everything done, after a roll's last batch;
``observe``: the units of ``hosts``, after a crash or a hard stop.
"""


class _Event(BaseModel):
    """``schema`` is the number of the schema that an event was written with."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    schema_number: SchemaNumber = Field(default=SCHEMA, alias="schema")
    at: AwareDatetime


class RunOpened(_Event):
    """First event of every run, also of a play run by hand (``runbook`` is then empty)."""

    kind: Literal["run_opened"] = "run_opened"
    runbook: str
    runbook_hash: str
    playbook: str = ""
    site: str
    by: str
    reason: str
    inputs: dict[str, Json] = Field(default_factory=dict)
    plan: dict[str, Json] = Field(default_factory=dict)
    controller: str
    process: int


class LeaseTaken(_Event):
    """The run holds these scopes with these fencing tokens from now on."""

    kind: Literal["lease_taken"] = "lease_taken"
    tokens: dict[str, int]


class StepStarted(_Event):
    """A runbook step began; steps are numbered from 1 as in the runbook's headings."""

    kind: Literal["step_started"] = "step_started"
    step: int
    title: str


class StepFinished(_Event):
    """A runbook step succeeded."""

    kind: Literal["step_finished"] = "step_finished"
    step: int


class BatchStarted(_Event):
    """The engine is about to start one play for these hosts; ``why`` explains their turn.

    ``sweep``: in journals of before adr/0025, the hosts done earlier. Whom a sweep asks follows from the journal.
    ``survey``: the claims that the play asks before its hosts, where no inspection has proved them.
    """

    kind: Literal["batch_started"] = "batch_started"
    step: int
    hosts: list[str]
    phases: list[Phase]
    why: str
    sweep: list[str] = Field(default_factory=list)
    survey: list[Json] = Field(default_factory=list)


class BatchEnded(_Event):
    """A play ended; ``messages`` has the output of the failed task of each host."""

    kind: Literal["batch_ended"] = "batch_ended"
    step: int
    status: PlayEnd
    hosts: dict[str, HostEnd]
    messages: dict[str, str] = Field(default_factory=dict)


class InspectionStarted(_Event):
    """The engine is about to start a play that touches nothing."""

    kind: Literal["inspection_started"] = "inspection_started"
    step: int
    what: InspectionKind
    hosts: list[str] = Field(default_factory=list)
    claims: list[Json] = Field(default_factory=list)


class InspectionEnded(_Event):
    """The inspection's play ended; it passed only if every claim was judged PASS as well."""

    kind: Literal["inspection_ended"] = "inspection_ended"
    step: int
    what: InspectionKind
    status: PlayEnd
    messages: dict[str, str] = Field(default_factory=dict)


class GateJudged(_Event):
    """A gate task ended: its final verdicts, how many readings it took and for how long."""

    kind: Literal["gate_judged"] = "gate_judged"
    host: str
    gate: str
    phase: Phase | Literal["sweep", "check"]
    outcome: Outcome
    verdicts: list[dict[str, Json]]
    readings: int
    seconds: float


def journaled(verdict: Verdict) -> dict[str, Json]:
    """Return a verdict as a ``gate_judged`` has it: of the facts about hosts without that one is healthy.

    So an event names who is ill, and does not grow with the fleet (docs/adr/0026).
    """
    known = {
        host: {name: value for name, value in facts.items() if (name, value) != (HEALTHY, True)}
        for host, facts in verdict.hosts.items()
    }
    return {**verdict.as_json(), "hosts": {host: facts for host, facts in known.items() if facts}}


class ActIntended(_Event):
    """Written before an act, in the transaction that proved the lease; ``undo`` is a command.

    ``ends_with_restart``: what the act did is not in effect any more once the unit was restarted. ``log``: where the
    unit's log ended before the act, as ``observations.nova.LogPosition`` has it; empty where it has no file, and in
    older journals.
    """

    kind: Literal["act_intended"] = "act_intended"
    host: str
    act: Act
    unit: str
    invocation_id: str
    undo: str = ""
    ends_with_restart: bool = False
    log: dict[str, Json] = Field(default_factory=dict)


class ActDone(_Event):
    """An act ended; for a restart ``invocation_id`` is the new one."""

    kind: Literal["act_done"] = "act_done"
    host: str
    act: Act
    unit: str
    invocation_id: str
    seconds: float = 0.0
    changed: bool = True


class HostDone(_Event):
    """Every phase of the host's turn succeeded; the unit runs with this InvocationID, "" if nothing was restarted."""

    kind: Literal["host_done"] = "host_done"
    host: str
    unit: str
    invocation_id: str


class Observed(_Event):
    """A unit as its host reports it after a crash or a hard stop, before anything is decided."""

    kind: Literal["observed"] = "observed"
    host: str
    unit: str
    invocation_id: str
    active: bool


class BaselineTaken(_Event):
    """Values recorded before the first restart, with which later gates compare."""

    kind: Literal["baseline_taken"] = "baseline_taken"
    name: str
    values: dict[str, Json]


class SilencePlaced(_Event):
    """Alerts about a host are silenced in a service before its turn; ``until`` at the latest; ``undo`` is a command.

    ``names``: what the service calls the silences. They are kept where the run holds.
    """

    kind: Literal["silence_placed"] = "silence_placed"
    host: str
    service: str
    names: list[str]
    until: AwareDatetime
    undo: str


class SilenceEnded(_Event):
    """The run's silences for a host that is done were ended in a service; ``names`` are those that there were."""

    kind: Literal["silence_ended"] = "silence_ended"
    host: str
    service: str
    names: list[str]


class ApprovalRequested(_Event):
    """The run waits at an ``approve`` step for an approval of this plan.

    ``people`` are those who may give it, with all their ids; ``starter`` is the name of the person who
    asked for the run, empty where that is not known. Older journals have neither.
    """

    kind: Literal["approval_requested"] = "approval_requested"
    step: int
    question: str
    plan_hash: str
    people: dict[str, list[str]] = Field(default_factory=dict)
    starter: str = ""


class Approved(_Event):
    """A person approved the step, for exactly this plan: ``person``, known by the id ``by``."""

    kind: Literal["approved"] = "approved"
    step: int
    by: str
    plan_hash: str
    person: str = ""


class Rejected(_Event):
    """A person who may approve the step said no to this plan."""

    kind: Literal["rejected"] = "rejected"
    step: int
    by: str
    plan_hash: str
    person: str
    reason: str


class AbortRequested(_Event):
    """A person requested that the run stops at the next boundary (``hard``: at once)."""

    kind: Literal["abort_requested"] = "abort_requested"
    by: str
    hard: bool = False


class Resumed(_Event):
    """A held, aborted or dead run goes on from its journal; a fresh ``lease_taken`` follows.

    ``ended`` are the processes of the dead driver's last play that had to be stopped first.
    """

    kind: Literal["resumed"] = "resumed"
    by: str
    reason: str
    controller: str
    process: int
    ended: list[int] = Field(default_factory=list)


class RunRefused(_Event):
    """The run ended before anything was touched: a lease, a survey, an early check or an approval."""

    kind: Literal["refused"] = "refused"
    step: int = 0
    claim: str = ""
    evidence: str
    next_commands: list[str] = Field(default_factory=list)


class Held(_Event):
    """The run stopped at a boundary; nothing more is touched. ``code`` is the exit code (4 or 6)."""

    kind: Literal["held"] = "held"
    host: str = ""
    step: int = 0
    claim: str = ""
    evidence: str
    left: list[str] = Field(default_factory=list)
    next_commands: list[str] = Field(default_factory=list)
    code: int = 4


class Aborted(_Event):
    """The run ended on request; ``left`` describes the hosts as they are.

    ``ended`` are the processes of a dead driver's play that had to be stopped first.
    """

    kind: Literal["aborted"] = "aborted"
    by: str
    ended: list[int] = Field(default_factory=list)
    left: list[str] = Field(default_factory=list)
    next_commands: list[str] = Field(default_factory=list)


class Finished(_Event):
    """Every step succeeded and the last sweep passed."""

    kind: Literal["finished"] = "finished"


Event = Annotated[
    RunOpened
    | LeaseTaken
    | StepStarted
    | StepFinished
    | BatchStarted
    | BatchEnded
    | InspectionStarted
    | InspectionEnded
    | GateJudged
    | ActIntended
    | ActDone
    | HostDone
    | Observed
    | BaselineTaken
    | SilencePlaced
    | SilenceEnded
    | ApprovalRequested
    | Approved
    | Rejected
    | AbortRequested
    | Resumed
    | RunRefused
    | Held
    | Aborted
    | Finished,
    Field(discriminator="kind"),
]

EVENTS: TypeAdapter[Event] = TypeAdapter(Event)
"""Validates events of the present schema; ``upgrades.upgrade_event`` comes first."""


class Recorded(BaseModel):
    """An event as the journal holds it: ``seq`` grows by one within its run."""

    model_config = ConfigDict(frozen=True)

    run: str
    seq: int
    event: Event
