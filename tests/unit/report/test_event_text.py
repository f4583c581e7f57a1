"""Every kind of event has a description, which can have no effect on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from holdfast.journal import events
from holdfast.model import Act, Outcome
from holdfast.report.event_text import describe_event
from tests.unit.report.journals import at

KINDS = get_args(get_args(events.Event)[0])
HOSTILE = "\x1b[2J[bold]{{ 1 + 1 }}\nsecond line"
VALUES: dict[str, Any] = {
    "at": at(0),
    "outcome": Outcome.FAIL,
    "act": Act.RESTART,
    "phase": "verify",
    "status": "failed",
    "hosts": ["ctl1"],
    "phases": [],
    "verdicts": [{"claim": "c", "outcome": "FAIL", "message": HOSTILE}],
    "tokens": {"lab/rabbitmq": 7},
    "values": {},
    "next_commands": [],
    "left": [],
    "inputs": {},
    "plan": {},
    "messages": {},
    "people": {HOSTILE: ["x:y"]},
    "sweep": [],
    "survey": [],
    "claims": [],
    "ended": [],
    "what": "survey",
    "log": {},
    "names": [HOSTILE],
    "until": datetime(2026, 11, 27, 8, 30, tzinfo=UTC),
}


def hostile_event(kind: type[events.Event]) -> events.Event:
    """An event of this kind in which every text is hostile."""
    values: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if name in {"kind", "schema_number"}:
            continue
        if kind is events.BatchEnded and name == "hosts":
            values[name] = {"ctl1": "unreachable"}
        elif name in VALUES:
            values[name] = VALUES[name]
        else:
            values[name] = {str: HOSTILE, int: 3, float: 1.5, bool: True}[field.annotation]  # type: ignore[index]  # only these are left
    return kind(**values)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_event_has_a_description(kind: type[events.Event]) -> None:
    event = hostile_event(kind)
    described = describe_event(event)
    assert described.text != event.kind, "this kind of event has no sentence of its own"
    assert "\x1b" not in described.text + described.host
    assert "\n" not in described.text + described.host


def test_failed_gate_shows_the_decisive_message() -> None:
    event = events.GateJudged(
        at=at(0),
        host="ctl2",
        gate="rabbitmq.members_agree",
        phase="verify",
        outcome=Outcome.FAIL,
        verdicts=[
            {"claim": "a", "outcome": "PASS", "message": "fine"},
            {"claim": "b", "outcome": "UNKNOWN", "message": "no answer"},
            {"claim": "c", "outcome": "FAIL", "message": "ctl2 is not running"},
        ],
        readings=5,
        seconds=61,
    )
    assert describe_event(event).text == (
        "✗ FAIL verify rabbitmq.members_agree (5 readings in 1 min 01 s): ctl2 is not running"
    )
    assert (describe_event(event).tone, describe_event(event).host) == ("bad", "ctl2")


def test_a_batch_that_went_well_says_which_it_was() -> None:
    """In a window several are under way."""
    ended = events.BatchEnded(at=at(0), step=1, status="ok", hosts={"h1": "ok", "h2": "ok"})

    assert describe_event(ended).text == "batch finished: h1, h2"


def test_a_soak_says_for_how_long_all_was_well() -> None:
    """On 2015-08-12 the outage began 25 minutes after the restart."""

    def judged(outcome: Outcome, seconds: float) -> str:
        event = events.GateJudged(
            at=at(0), host="ctl1", gate="Every claim holds", phase="check", outcome=outcome,
            verdicts=[{"claim": "c", "outcome": outcome, "message": "ctl2 is down"}], readings=9, seconds=seconds,
        )  # fmt: skip
        return describe_event(event).text

    assert judged(Outcome.PASS, 1800) == "✓ still well after 30 min 00 s: Every claim holds"
    assert judged(Outcome.PASS, 3).startswith("✓ PASS check Every claim holds")
    assert judged(Outcome.FAIL, 1800).endswith("ctl2 is down")


def test_only_a_host_on_which_a_start_was_proved_is_said_to_be_healthy() -> None:
    """A freeze, a release and an agent that is left alone end a turn too."""
    done = events.HostDone(at=at(0), host="cmp1", unit="holdfast-puppet", invocation_id="start1")
    assert "proved healthy" in describe_event(done).text
    ended = describe_event(done.model_copy(update={"invocation_id": ""}))
    assert (ended.text, ended.host) == ("its turn has ended", "cmp1")
