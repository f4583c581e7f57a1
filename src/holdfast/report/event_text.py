"""Describes each event of a journal in one line, for ``log``, ``watch`` and progress.

Pure. Control characters are removed from every text here, so that any caller can print it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

from holdfast.engine.lease_keeper import OWN_SCOPE
from holdfast.evidence import TOLD
from holdfast.journal import events
from holdfast.model import Json, Outcome
from holdfast.plan.approval import OpenApproval
from holdfast.plan.decide import SURVEY_DEADLINE_SECONDS
from holdfast.text import count_of, format_duration, join_names, one_line

Tone = Literal["plain", "dim", "good", "act", "warn", "bad"]

MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.UNKNOWN: "?"}
TONES: dict[Outcome, Tone] = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.UNKNOWN: "warn"}


@dataclass(frozen=True, slots=True)
class EventText:
    """The description of an event, without control characters; ``tone`` selects a colour."""

    text: str
    tone: Tone = "plain"
    host: str = ""


def describe_event(event: events.Event) -> EventText:
    """Return the description of an event of any kind."""
    if type(event) in _SENTENCES:
        tone, sentence = _SENTENCES[type(event)]
        text = sentence.format(event=event)
    else:
        tone, text = _describe(event)
    return EventText(one_line(text), tone, one_line(getattr(event, "host", "")))


def waiting_text(asked: OpenApproval) -> str:
    """Return what a run waits for: the question, who may answer, until when, and what they type."""
    who = f"{asked.left} of {join_names(asked.may)}" if asked.may else "nobody may give it"
    return one_line(
        f"waits for approval of step {asked.step} ({asked.question}): {who}, "
        f"until {asked.until:%H:%M:%S} UTC; they type: holdfast approve {asked.run}"
    )


def deciding_verdict(verdicts: Sequence[Mapping[str, Json]]) -> Mapping[str, Json] | None:
    """Return the verdict that decided a gate: the first FAIL, else the first UNKNOWN, else None."""
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
        found = next((verdict for verdict in verdicts if verdict.get("outcome") == outcome), None)
        if found:
            return found
    return None


_SOAK_SECONDS = 300
"""A check that has lasted so long has watched; one that is asked once takes some seconds."""

_SENTENCES: dict[type[events.Event], tuple[Tone, str]] = {
    events.StepStarted: ("plain", "step {event.step}: {event.title}"),
    events.StepFinished: ("good", "step {event.step} finished"),
    events.ActIntended: ("act", "{event.act} of {event.unit} begins"),
    events.SilencePlaced: (
        "dim",
        "silenced in {event.service} until {event.until:%H:%M} UTC at the latest; to end it: {event.undo}",
    ),
    events.SilenceEnded: ("dim", "no longer silenced in {event.service}"),
    events.Rejected: (
        "bad",
        "step {event.step} rejected by {event.person} ({event.by}): {event.reason}",
    ),
    events.Resumed: ("warn", "resumed by {event.by}: {event.reason}"),
    events.RunRefused: ("bad", "REFUSED, nothing was touched: {event.evidence}"),
    events.Held: ("bad", "HELD: {event.evidence}"),
    events.Aborted: ("warn", "aborted on request of {event.by}"),
    events.Finished: ("good", "finished: every step ended well"),
}
"""The events whose description is one sentence with values of the event; the others have a function below."""


@singledispatch
def _describe(event: events.Event) -> tuple[Tone, str]:
    return "dim", event.kind


@_describe.register
def _(event: events.RunOpened) -> tuple[Tone, str]:
    what = event.runbook or event.playbook
    return "plain", f"{what} at {event.site}, started by {event.by}: {event.reason}"


@_describe.register
def _(event: events.ApprovalRequested) -> tuple[Tone, str]:
    may = [name for name in event.people if name != event.starter]
    people = f" ({join_names(may)} may give it)" if may else ""
    return "warn", f"step {event.step} waits for approval: {event.question}{people}"


@_describe.register
def _(event: events.Approved) -> tuple[Tone, str]:
    who = f"{event.person} ({event.by})" if event.person else event.by
    return "good", f"step {event.step} approved by {who}"


@_describe.register
def _(event: events.LeaseTaken) -> tuple[Tone, str]:
    # A run's own lease is always there.
    tokens = {name: token for name, token in event.tokens.items() if not name.startswith(OWN_SCOPE)}
    scopes = (f"{scope} (token {token})" for scope, token in (tokens or event.tokens).items())
    return "dim", f"lease taken: {', '.join(scopes)}"


@_describe.register
def _(event: events.BaselineTaken) -> tuple[Tone, str]:
    """What whoever watches has to read, as before an approval, is under ``told``."""
    told = event.values.get(TOLD)
    return "plain" if told else "dim", f"baseline {event.name} recorded" + (
        f": {told}" if told else ""
    )


@_describe.register
def _(event: events.BatchStarted) -> tuple[Tone, str]:
    why = f" ({event.why})" if event.why else ""
    return "plain", f"batch started: {join_names(event.hosts)}{why}"


@_describe.register
def _(event: events.BatchEnded) -> tuple[Tone, str]:
    bad = [f"{host} {state}" for host, state in event.hosts.items() if state != "ok"]
    if event.status == "ok" and not bad:
        return "dim", f"batch finished: {join_names(event.hosts)}"
    return "bad", f"batch ended: {event.status} {join_names(bad)}"


@_describe.register
def _(event: events.InspectionStarted) -> tuple[Tone, str]:
    where = f" at {join_names(event.hosts)}" if event.hosts else ""
    patience = f", for up to {SURVEY_DEADLINE_SECONDS} s" if event.what == "survey" else ""
    return "dim", f"{event.what} started{where}{patience}"


@_describe.register
def _(event: events.InspectionEnded) -> tuple[Tone, str]:
    if event.status == "ok":
        return "dim", f"{event.what} passed"
    # Each failed gate is an event of its own; of other messages the first line is enough.
    first = {host: text.partition("\n")[0] for host, text in event.messages.items()}
    lines = [text if text.startswith(host) else f"{host}: {text}" for host, text in first.items()]
    because = f": {join_names(lines)}" if lines else ""
    return "bad", f"{event.what} ended: {event.status}{because}"


@_describe.register
def _(event: events.GateJudged) -> tuple[Tone, str]:
    if event.outcome is Outcome.PASS and event.phase == "check" and event.seconds >= _SOAK_SECONDS:
        held = f"still well after {format_duration(event.seconds)}"
        return TONES[event.outcome], f"{MARKS[event.outcome]} {held}: {event.gate}"
    decided = deciding_verdict(event.verdicts) if event.outcome is not Outcome.PASS else None
    told = "; ".join(_told(event)) if event.phase == "check" else ""
    because = f": {decided['message'] if decided else told}" if decided or told else ""
    times = f"{count_of(event.readings, 'reading')} in {format_duration(event.seconds)}"
    text = f"{MARKS[event.outcome]} {event.outcome} {event.phase} {event.gate} ({times}){because}"
    return TONES[event.outcome], text


def _told(event: events.GateJudged) -> Iterator[str]:
    """Yield what a check tells whoever watches the run, also where it passes."""
    for verdict in event.verdicts:
        if told := verdict.get("evidence", {}).get(TOLD):
            yield str(told)


@_describe.register
def _(event: events.ActDone) -> tuple[Tone, str]:
    took = f"took {format_duration(event.seconds)}" if event.seconds else "is done"
    return "act", f"{event.act} of {event.unit} {took if event.changed else 'was not needed'}"


@_describe.register
def _(event: events.HostDone) -> tuple[Tone, str]:
    # Without a start nothing was restarted that had to stay up: a freeze, a release, an agent that is left alone.
    done = f"{event.unit} is done and proved healthy"
    return "good", done if event.invocation_id else "its turn has ended"


@_describe.register
def _(event: events.Observed) -> tuple[Tone, str]:
    state = "active" if event.active else "not active"
    unit = f"{event.unit} is {state}, InvocationID {event.invocation_id or 'none'}"
    return "warn", f"observed on the host: {unit}"


@_describe.register
def _(event: events.AbortRequested) -> tuple[Tone, str]:
    how = "at once (hard stop)" if event.hard else "at the next boundary"
    return "warn", f"stop requested by {event.by}: {how}"
