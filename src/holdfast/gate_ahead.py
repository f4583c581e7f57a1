"""Gates that a play asked before its word: what of them is kept, to ask them again at the word (docs/adr/0055)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from holdfast.claims import bind_claim
from holdfast.evidence import OUTLIVE
from holdfast.gate_action import Gate
from holdfast.gate_loop import GateResult, GateTiming
from holdfast.model import Json, Outcome, Settle, Verdict
from holdfast.play_context import Variables, proved_earlier
from holdfast.text import join_names
from holdfast.word import PARK

REHEARSED = "holdfast_rehearsed"
"""The fact that has, by the file of the word, the gates which a host has asked before it, in their order."""


FRESH_SECONDS = 3.0
"""How old a reading may be that stands for the one at the word."""


@dataclass(frozen=True, slots=True)
class ReadingAhead:
    """A reading that was taken before the word: gates, how each was judged, and what was read of the next act's unit.

    ``events`` is how many the run's journal had when it began, ``begun`` the controller's steady clock then.
    """

    events: int
    begun: float
    seconds: float
    gates: Sequence[Gate]
    results: Sequence[GateResult]
    unit: Mapping[str, Json]

    def standing(self, last_act: int, now: float) -> ReadingAhead | None:
        """Return the reading with its age where it stands for the one at the word, else None (docs/adr/0077).

        ``last_act`` is the number of the newest event of an act in the journal. The reading stands if it began after
        that, is fresh, and is all that its gates need, and each has passed.
        """
        settled = all(gate.timing.settle.span == timedelta(0) for gate in self.gates)
        settled = settled and all(gate.timing.settle.readings <= 1 for gate in self.gates)
        passed = all(result.outcome is Outcome.PASS for result in self.results)
        fresh = last_act <= self.events and 0 <= now - self.begun <= FRESH_SECONDS
        if not (settled and passed and fresh):
            return None
        age = now - self.begun - self.seconds
        return replace(self, results=[replace(result, age=age) for result in self.results])


def rehearsed(variables: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Return the gates that the host has asked before its word, as ``noted`` returned them."""
    facts: Mapping[str, Json] = variables.get("ansible_facts") or {}
    return list(facts.get(REHEARSED, {}).get(variables.get(PARK), ()))


def noted(gate: Gate, arguments: Mapping[str, Json], passed: GateResult) -> dict[str, Json]:
    """Return what is kept of a gate that has passed, as JSON.

    What can be told is not asked again: it is about how the site is set up. ``evidence`` are the values that
    the play goes on with, of which there may be no more at the word.
    """
    timing = gate.timing
    keys: Sequence[str] = arguments["no_more"]
    return {
        "gate": gate.name,
        "phase": gate.phase,
        "claims": list(arguments["claims"]),
        "otherwise": gate.otherwise,
        "settle_readings": timing.settle.readings,
        "settle_seconds": timing.settle.span.total_seconds(),
        "deadline_seconds": timing.deadline.total_seconds(),
        "poll_seconds": timing.poll.total_seconds(),
        "grace_seconds": timing.grace.total_seconds(),
        "evidence": {
            verdict.claim: {key: list(verdict.evidence[key])}
            for verdict in passed.verdicts
            for key in keys
            if key in verdict.evidence
        },
    }


def gate_of(note: Mapping[str, Json], variables: Variables) -> Gate:
    """Return the gate of a note."""
    timing = GateTiming(
        Settle(note["settle_readings"], timedelta(seconds=note["settle_seconds"])),
        timedelta(seconds=note["deadline_seconds"]),
        timedelta(seconds=note["poll_seconds"]),
        timedelta(seconds=note["grace_seconds"]),
        frozenset(proved_earlier(variables, note["phase"])),
    )
    claims = [bind_claim(entry) for entry in note["claims"]]
    return Gate(note["gate"], note["phase"], claims, timing, note["otherwise"])


def none_more(note: Mapping[str, Json], result: GateResult) -> GateResult:
    """Return the result; a claim that passed fails where its evidence has more than the play goes on with."""
    kept: Mapping[str, Mapping[str, Sequence[str]]] = note.get("evidence", {})
    verdicts = [_compared(verdict, kept.get(verdict.claim, {})) for verdict in result.verdicts]
    return replace(result, verdicts=verdicts)


def found_at_word(judged: Sequence[GateResult]) -> dict[str, Json]:
    """Return ``holdfast_outlive``: systemd may have started the host's unit again since the rehearsal."""
    verdicts = (verdict for result in judged for verdict in result.verdicts)
    found = [v.evidence.get(OUTLIVE, 0) for v in verdicts if v.claim == "systemd.active"]
    return {f"holdfast_{OUTLIVE}": max(found)} if found else {}


def _compared(verdict: Verdict, kept: Mapping[str, Sequence[str]]) -> Verdict:
    for key, before in kept.items():
        if more := [each for each in verdict.evidence.get(key, ()) if each not in before]:
            message = f"{key} since the play was prepared: {join_names(more)}"
            if verdict.passed:
                return replace(verdict, outcome=Outcome.FAIL, reason="more", message=message)
    return verdict
