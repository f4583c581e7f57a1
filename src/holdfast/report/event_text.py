"""One sentence for each event of a journal: what ``log``, ``watch`` and plain progress say.

Pure. Every text from outside is made harmless here, so that whoever prints need not think of it.
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
    """What to say of an event, without control characters; ``tone`` chooses a colour."""

    text: str
    tone: Tone = "plain"
    host: str = ""


def describe_event(event: events.Event) -> EventText:
    """Return the sentence for any event of the journal."""
    said = _say(event)
    return EventText(one_line(said.text), said.tone, one_line(said.host))


def worst(verdicts: Sequence[Mapping[str, Json]]) -> Mapping[str, Json] | None:
    """Return the verdict that decided a gate: the first FAIL, else the first UNKNOWN."""
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
        found = next((verdict for verdict in verdicts if verdict.get("outcome") == outcome), None)
        if found:
            return found
    return None


@singledispatch
def _say(event: events.Event) -> EventText:
    return EventText(event.kind, "dim")


@_say.register
def _(event: events.RunOpened) -> EventText:
    what = event.runbook or event.playbook
    return EventText(f"{what} at {event.site}, asked by {event.by}: {event.reason}")


@_say.register
def _(event: events.LeaseTaken) -> EventText:
    scopes = (f"{scope} (token {token})" for scope, token in event.tokens.items())
    return EventText(f"lease taken: {', '.join(scopes)}", "dim")


@_say.register
def _(event: events.StepStarted) -> EventText:
    return EventText(f"step {event.step}: {event.title}")


@_say.register
def _(event: events.StepFinished) -> EventText:
    return EventText(f"step {event.step} is done", "good")


@_say.register
def _(event: events.BatchStarted) -> EventText:
    why = f" ({event.why})" if event.why else ""
    return EventText(f"next: {join_names(event.hosts)}{why}")


@_say.register
def _(event: events.BatchEnded) -> EventText:
    bad = [f"{host} {state}" for host, state in event.hosts.items() if state != "ok"]
    if event.status == "ok" and not bad:
        return EventText("batch done", "dim")
    return EventText(f"batch ended: {event.status} {join_names(bad)}", "bad")


@_say.register
def _(event: events.InspectionStarted) -> EventText:
    where = f" at {join_names(event.hosts)}" if event.hosts else ""
    return EventText(f"looking ({event.what}){where}", "dim")


@_say.register
def _(event: events.InspectionEnded) -> EventText:
    if event.status == "ok":
        return EventText(f"looked ({event.what})", "dim")
    # Each failed gate has had its own sentence; what else a play says is in its first line.
    first = {host: text.partition("\n")[0] for host, text in event.messages.items()}
    words = [text if text.startswith(host) else f"{host}: {text}" for host, text in first.items()]
    because = f": {join_names(words)}" if words else ""
    return EventText(f"looking ({event.what}) ended: {event.status}{because}", "bad")


@_say.register
def _(event: events.GateJudged) -> EventText:
    decided = worst(event.verdicts) if event.outcome is not Outcome.PASS else None
    because = f": {decided['message']}" if decided else ""
    times = f"{count_of(event.readings, 'reading')} in {format_duration(event.seconds)}"
    text = f"{MARKS[event.outcome]} {event.outcome} {event.phase} {event.gate} ({times}){because}"
    return EventText(text, TONES[event.outcome], event.host)


@_say.register
def _(event: events.ActIntended) -> EventText:
    return EventText(f"{event.act} of {event.unit} begins", "act", event.host)


@_say.register
def _(event: events.ActDone) -> EventText:
    took = f"took {format_duration(event.seconds)}" if event.seconds else "is done"
    done = took if event.changed else "was not needed"
    return EventText(f"{event.act} of {event.unit} {done}", "act", event.host)


@_say.register
def _(event: events.HostDone) -> EventText:
    return EventText(f"{event.unit} is done and proved healthy", "good", event.host)


@_say.register
def _(event: events.Observed) -> EventText:
    state = "active" if event.active else "not active"
    text = f"asked the host itself: {event.unit} is {state} as {event.invocation_id}"
    return EventText(text, "warn", event.host)


@_say.register
def _(event: events.BaselineTaken) -> EventText:
    return EventText(f"baseline {event.name} noted", "dim")


@_say.register
def _(event: events.ApprovalRequested) -> EventText:
    return EventText(f"step {event.step} waits for approval: {event.question}", "warn")


@_say.register
def _(event: events.Approved) -> EventText:
    return EventText(f"step {event.step} approved by {event.by}", "good")


@_say.register
def _(event: events.AbortRequested) -> EventText:
    how = "at once (hard stop)" if event.hard else "at the next boundary"
    return EventText(f"{event.by} asks to stop {how}", "warn")


@_say.register
def _(event: events.Resumed) -> EventText:
    return EventText(f"resumed by {event.by}: {event.reason}", "warn")


@_say.register
def _(event: events.RunRefused) -> EventText:
    return EventText(f"REFUSED, nothing was touched: {event.evidence}", "bad")


@_say.register
def _(event: events.Held) -> EventText:
    return EventText(f"HELD: {event.evidence}", "bad", event.host)


@_say.register
def _(event: events.Aborted) -> EventText:
    return EventText(f"aborted, as asked by {event.by}", "warn")


@_say.register
def _(_: events.Finished) -> EventText:
    return EventText("finished: every step ended well", "good")
