"""Describes each event of a journal in one line, for ``log``, ``watch`` and progress.

Pure. Control characters are removed from every text here, so that any caller can print it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

from holdfast.journal import events
from holdfast.model import Json, Outcome
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
    text = _describe(event)
    return EventText(one_line(text.text), text.tone, one_line(text.host))


def deciding_verdict(verdicts: Sequence[Mapping[str, Json]]) -> Mapping[str, Json] | None:
    """Return the verdict that decided a gate: the first FAIL, else the first UNKNOWN, else None."""
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
        found = next((verdict for verdict in verdicts if verdict.get("outcome") == outcome), None)
        if found:
            return found
    return None


@singledispatch
def _describe(event: events.Event) -> EventText:
    return EventText(event.kind, "dim")


@_describe.register
def _(event: events.RunOpened) -> EventText:
    what = event.runbook or event.playbook
    return EventText(f"{what} at {event.site}, started by {event.by}: {event.reason}")


@_describe.register
def _(event: events.LeaseTaken) -> EventText:
    scopes = (f"{scope} (token {token})" for scope, token in event.tokens.items())
    return EventText(f"lease taken: {', '.join(scopes)}", "dim")


@_describe.register
def _(event: events.StepStarted) -> EventText:
    return EventText(f"step {event.step}: {event.title}")


@_describe.register
def _(event: events.StepFinished) -> EventText:
    return EventText(f"step {event.step} finished", "good")


@_describe.register
def _(event: events.BatchStarted) -> EventText:
    why = f" ({event.why})" if event.why else ""
    return EventText(f"batch started: {join_names(event.hosts)}{why}")


@_describe.register
def _(event: events.BatchEnded) -> EventText:
    bad = [f"{host} {state}" for host, state in event.hosts.items() if state != "ok"]
    if event.status == "ok" and not bad:
        return EventText("batch finished", "dim")
    return EventText(f"batch ended: {event.status} {join_names(bad)}", "bad")


@_describe.register
def _(event: events.InspectionStarted) -> EventText:
    where = f" at {join_names(event.hosts)}" if event.hosts else ""
    return EventText(f"{event.what} started{where}", "dim")


@_describe.register
def _(event: events.InspectionEnded) -> EventText:
    if event.status == "ok":
        return EventText(f"{event.what} passed", "dim")
    # Each failed gate is an event of its own; of other messages the first line is enough.
    first = {host: text.partition("\n")[0] for host, text in event.messages.items()}
    lines = [text if text.startswith(host) else f"{host}: {text}" for host, text in first.items()]
    because = f": {join_names(lines)}" if lines else ""
    return EventText(f"{event.what} ended: {event.status}{because}", "bad")


@_describe.register
def _(event: events.GateJudged) -> EventText:
    decided = deciding_verdict(event.verdicts) if event.outcome is not Outcome.PASS else None
    because = f": {decided['message']}" if decided else ""
    times = f"{count_of(event.readings, 'reading')} in {format_duration(event.seconds)}"
    text = f"{MARKS[event.outcome]} {event.outcome} {event.phase} {event.gate} ({times}){because}"
    return EventText(text, TONES[event.outcome], event.host)


@_describe.register
def _(event: events.ActIntended) -> EventText:
    return EventText(f"{event.act} of {event.unit} begins", "act", event.host)


@_describe.register
def _(event: events.ActDone) -> EventText:
    took = f"took {format_duration(event.seconds)}" if event.seconds else "is done"
    done = took if event.changed else "was not needed"
    return EventText(f"{event.act} of {event.unit} {done}", "act", event.host)


@_describe.register
def _(event: events.HostDone) -> EventText:
    return EventText(f"{event.unit} is done and proved healthy", "good", event.host)


@_describe.register
def _(event: events.Observed) -> EventText:
    state = "active" if event.active else "not active"
    unit = f"{event.unit} is {state}, InvocationID {event.invocation_id or 'none'}"
    text = f"observed on the host: {unit}"
    return EventText(text, "warn", event.host)


@_describe.register
def _(event: events.BaselineTaken) -> EventText:
    return EventText(f"baseline {event.name} recorded", "dim")


@_describe.register
def _(event: events.ApprovalRequested) -> EventText:
    return EventText(f"step {event.step} waits for approval: {event.question}", "warn")


@_describe.register
def _(event: events.Approved) -> EventText:
    return EventText(f"step {event.step} approved by {event.by}", "good")


@_describe.register
def _(event: events.AbortRequested) -> EventText:
    how = "at once (hard stop)" if event.hard else "at the next boundary"
    return EventText(f"stop requested by {event.by}: {how}", "warn")


@_describe.register
def _(event: events.Resumed) -> EventText:
    return EventText(f"resumed by {event.by}: {event.reason}", "warn")


@_describe.register
def _(event: events.RunRefused) -> EventText:
    return EventText(f"REFUSED, nothing was touched: {event.evidence}", "bad")


@_describe.register
def _(event: events.Held) -> EventText:
    return EventText(f"HELD: {event.evidence}", "bad", event.host)


@_describe.register
def _(event: events.Aborted) -> EventText:
    return EventText(f"aborted on request of {event.by}", "warn")


@_describe.register
def _(_: events.Finished) -> EventText:
    return EventText("finished: every step ended well", "good")
