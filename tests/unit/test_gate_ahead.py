"""What is kept of a gate that was asked before the word, and what must still be so at it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast.claims import bind_claim
from holdfast.gate_action import Gate
from holdfast.gate_ahead import gate_of, none_more, noted, rehearsed
from holdfast.gate_loop import GateResult, GateTiming
from holdfast.model import Json, Outcome, Settle, Verdict
from holdfast.play_context import Variables

CLAIM = {"claim": "systemd.active", "unit": "cron"}
TIMING = GateTiming(
    Settle(2, timedelta(seconds=3)),
    timedelta(seconds=4),
    timedelta(seconds=5),
    timedelta(seconds=6),
)


def gate(**more: Json) -> Gate:
    return Gate("Cron is well", "preflight", [bind_claim(CLAIM)], TIMING, **more)


def found(**evidence: Json) -> GateResult:
    return GateResult([Verdict("systemd.active", Outcome.PASS, "ok", "m", evidence)], 1, 0.1)


def note(*no_more: str, **evidence: Json) -> dict[str, Json]:
    arguments = {"claims": [CLAIM], "no_more": list(no_more)}
    return noted(gate(otherwise="given back"), arguments, found(**evidence))


def test_a_gate_comes_back_as_it_was_asked() -> None:
    variables = Variables(
        {"ansible_play_hosts_all": ["c"], "ansible_play_batch": ["c"]}, lambda it: it
    )

    assert gate_of(note(), variables) == gate(otherwise="given back")


def test_who_was_proved_healthy_is_what_the_word_says() -> None:
    word = {"holdfast_done": ["a", "c"], "holdfast_park": "/x"}
    said = {"ansible_facts": {"holdfast_word": word}, "holdfast_park": "/x"}
    play = {"ansible_play_hosts_all": ["c"], "ansible_play_batch": ["c"]}

    again = gate_of(note(), Variables({**play, **said}, lambda it: it))

    assert again.timing.vouched == {"a"}


def test_what_can_be_told_is_not_asked_again() -> None:
    kept = noted(
        gate(), {"claims": [CLAIM], "can_be_told": ["nova.api_answers"], "no_more": []}, found()
    )

    assert kept["claims"] == [CLAIM]


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        ({"x": "other words"}, Outcome.PASS),
        ({}, Outcome.PASS),
        ({"x": "down", "y": "down"}, Outcome.FAIL),
    ],
)
def test_there_may_be_no_more_of_the_evidence_that_a_play_goes_on_with(
    now: dict[str, str], outcome: Outcome
) -> None:
    again = none_more(note("absent", absent={"x": "down"}, age=1), found(absent=now, age=2))

    assert again.outcome is outcome
    if outcome is Outcome.FAIL:
        assert again.verdicts[0].message == "absent since the play was prepared: y"


def test_a_verdict_that_did_not_pass_stays_as_it_is() -> None:
    silent = GateResult(
        [Verdict("systemd.active", Outcome.UNKNOWN, "r", "m", {"absent": ["y"]})], 1, 0.1
    )

    assert none_more(note("absent", absent=[]), silent) == silent


def test_a_host_that_has_rehearsed_nothing_has_no_notes() -> None:
    assert rehearsed({}) == []
    facts = {"ansible_facts": {"holdfast_rehearsed": {"/x": [note()], "/old": [note(), note()]}}}
    assert rehearsed({"holdfast_park": "/x", **facts}) == [note()]
    assert rehearsed({"holdfast_park": "/new", **facts}) == []
