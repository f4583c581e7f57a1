"""``WaitingAction``: the base class of the action plugins that wait for the engine's word (docs/adr/0055, 0077)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import cycle

from holdfast.action_plugin import HostShells
from holdfast.claims import bind_claim
from holdfast.gate_action import Gate, GateAction, beside, one_reading, shares, site_seconds
from holdfast.gate_ahead import (
    REHEARSED,
    ReadingAhead,
    found_at_word,
    gate_of,
    none_more,
    rehearsed,
)
from holdfast.gate_loop import GateResult, GateTiming
from holdfast.model import Json, Outcome, Settle
from holdfast.play_context import Variables, proved_earlier
from holdfast.prepared_read import PREPARED, PreparedRead
from holdfast.word import WORD, Word, known

TICK_SECONDS = 20.0
"""How often everything is asked while the word is waited for, so that connections stay open (`ControlPersist`)."""

PARTS = 3
"""In how many parts the hosts done earlier are asked meanwhile, one at each tick: each host once in a minute."""

REST = 4
"""For how many times as long as such a reading took nothing is asked after it, and for a second at least."""

EXPECTED = "holdfast_sweep_expected"
"""The variable with the starts that the word will most likely sweep; without it no reading before the word stands."""

LAST_ACT = "holdfast_last_act"
"""In the word: the number of the newest event of an act in the journal."""

SWEEP = "Units restarted earlier are active and were not restarted since"


@dataclass(frozen=True, slots=True)
class AtWord:
    """How a wait ended: the task's result, and the play's variables from then on."""

    result: dict[str, Json]
    variables: Variables

    @property
    def failed(self) -> bool:
        """Whether a gate has not passed, so that nothing may follow."""
        return bool(self.result.get("failed"))


class WaitingAction(GateAction):
    """Waits at a file that the engine holds locked, and asks at the word what was asked before it."""

    def wait_for_word(
        self, file: str, first_act: Mapping[str, Json], variables: Variables
    ) -> AtWord:
        """Return when the word has come and the gates that were asked before it were judged once more.

        ``first_act`` has ``act``, ``unit`` and ``log`` of the act that comes next, or nothing.

        Raises:
            Refused: the engine is gone, or needs the play no more.
        """
        wait = _Wait(self, first_act, variables)
        with Word(file) as word:
            if ill := wait.until_it_comes(word):
                return AtWord(ill, variables)
            said = word.said()
        result, found = wait.at_word(said, _with_facts(variables, {WORD: said}))
        facts: dict[str, Json] = {WORD: {**said, **found}, REHEARSED: {}}
        return AtWord(result | {"ansible_facts": facts}, _with_facts(variables, facts))


class _Wait:
    """One host's wait for the word of its batch."""

    def __init__(
        self, action: WaitingAction, first_act: Mapping[str, Json], variables: Variables
    ) -> None:
        self._action, self._first_act, self._variables = action, first_act, variables
        self._notes = rehearsed(variables)
        self._gates = [gate_of(note, variables) for note in self._notes]
        claims = [bound for gate in self._gates for bound in gate.claims]
        self._context = action.context(claims, variables)
        self._shell = HostShells(action, variables)(action.host)
        self._renewal = action.renewal(variables)  # the journal is opened before the word
        # The batch's first host asks those done earlier.
        self._first = bool(action.host == variables["ansible_play_batch"][0])
        self._meanwhile = self._starts("holdfast_sweep_meanwhile")
        self._ahead: ReadingAhead | None = None

    def until_it_comes(self, word: Word) -> dict[str, Json] | None:
        """Return None when the word has come, or the task's result where a host done earlier is ill meanwhile."""
        starts = list(self._meanwhile.items())
        parts = cycle([dict(starts[part::PARTS]) for part in range(PARTS)])
        swept = float("-inf")
        while not word.has_come(0):
            self._ahead = self._read_ahead()
            suspects = self._ill_ahead()
            due = time.monotonic() - swept >= TICK_SECONDS
            if ill := self._sweep_meanwhile(suspects or (next(parts) if due else {})):
                return ill
            swept = time.monotonic() if due and not suspects else swept
            if word.has_come(self._pause()):
                break
        return None

    def at_word(
        self, said: Mapping[str, Json], variables: Variables
    ) -> tuple[dict[str, Json], dict[str, Json]]:
        """Judge and journal the gates; return the task's result, and what the word has beside what was said."""
        starts: Mapping[str, Json] = known(variables, "holdfast_sweep", {}) if self._first else {}
        ahead = self._standing(said.get(LAST_ACT), starts, variables)
        if ahead is None:
            return self._ask_again(starts, variables)
        self._action.journal(ahead.gates, ahead.results, variables)
        result = self._result(ahead.gates, ahead.results, variables)
        return result, {**found_at_word(ahead.results), PREPARED: ahead.unit}

    def _starts(self, name: str) -> Mapping[str, Json]:
        starts: Mapping[str, Json] = self._variables.get(name, {}) if self._first else {}
        return starts

    def _read_ahead(self) -> ReadingAhead | None:
        """Take one reading of everything; return what may stand for that at the word, None where none can."""
        if EXPECTED not in self._variables or self._renewal is None:
            claims = [bound for gate in self._gates for bound in gate.claims]
            if claims:
                self._action.read(claims, self._context, one_reading(self._gates[0].timing))
            return None
        gates = [*self._sweep(self._starts(EXPECTED), self._variables), *self._gates]
        if not gates:
            return None
        events, begun = self._renewal.store.length(self._renewal.run.run), time.monotonic()
        with PreparedRead(self._first_act, self._shell) as unit:
            claims = [bound for gate in gates for bound in gate.claims]
            whole = self._action.read(claims, self._context, one_reading(gates[0].timing))
        seconds = time.monotonic() - begun
        return ReadingAhead(events, begun, seconds, gates, shares(gates, whole), unit.found())

    def _pause(self) -> float:
        """Return for how long the word is waited for before the next reading."""
        seconds = self._ahead.seconds if self._ahead else TICK_SECONDS
        return min(TICK_SECONDS, max(1.0, REST * seconds))

    def _standing(
        self, last_act: int | None, starts: Mapping[str, Json], variables: Variables
    ) -> ReadingAhead | None:
        """Return the last reading before the word where it stands for the one at it, else None.

        Since it began nothing was acted on, it is fresh, it has asked all that is to be asked, and it found no doubt.
        """
        ahead = self._ahead
        if ahead is None or last_act is None:
            return None
        same = starts == self._starts(EXPECTED) and (
            beside(self._context, variables).in_hand == self._context.in_hand
        )
        if not same:
            return None
        notes = self._notes_of(ahead.gates)
        judged = [none_more(*each) for each in zip(notes, ahead.results, strict=True)]
        return replace(ahead, results=judged).standing(last_act, time.monotonic())

    def _ask_again(
        self, starts: Mapping[str, Json], variables: Variables
    ) -> tuple[dict[str, Json], dict[str, Json]]:
        """Ask everything in a reading after the word, as ``at_word``."""
        gates = [
            *self._sweep(starts, variables),
            *(gate_of(note, variables) for note in self._notes),
        ]
        notes = self._notes_of(gates)
        with PreparedRead(self._first_act, self._shell) as unit:
            if gates:
                judged = self._action.ask(
                    gates, self._context, variables, lambda n, found: none_more(notes[n], found)
                )
                result = self._result(gates, judged, variables)
            else:
                judged, result = [], {"msg": "nothing was asked before the word"}
        return result, {**found_at_word(judged), PREPARED: unit.found()}

    def _notes_of(self, gates: Sequence[Gate]) -> list[Mapping[str, Json]]:
        """Return the note of each gate; a sweep, which comes first, has none."""
        return [*({} for _ in gates[len(self._notes) :]), *self._notes]

    def _result(
        self, gates: Sequence[Gate], judged: Sequence[GateResult], variables: Variables
    ) -> dict[str, Json]:
        pairs = zip(gates, judged, strict=True)
        results = [self._action.result(*pair, variables) for pair in pairs]
        return next((result for result in results if result["failed"]), results[-1])

    def _sweep(self, starts: Mapping[str, Json], variables: Variables) -> list[Gate]:
        """Return the gate over hosts done earlier, as playbooks/tasks/sweep.yml; none where there are no starts."""
        if not starts:
            return []
        claim = bind_claim({"claim": "systemd.unchanged_since", "starts": starts})
        deadline, poll = (timedelta(seconds=seconds) for seconds in site_seconds(variables))
        vouched = frozenset(proved_earlier(variables, "sweep"))
        timing = GateTiming(Settle(), deadline, poll)
        return [Gate(SWEEP, "sweep", [claim], replace(timing, vouched=vouched))]

    def _ill_ahead(self) -> dict[str, Json]:
        """Return the hosts done earlier whose sweep has failed in the last reading; the host in hand proves itself."""
        if self._ahead is None or self._ahead.gates[0].phase != "sweep":
            return {}
        if self._ahead.results[0].outcome is not Outcome.FAIL:
            return {}
        return {
            host: start for host, start in self._starts(EXPECTED).items() if host in self._meanwhile
        }

    def _sweep_meanwhile(self, starts: Mapping[str, Json]) -> dict[str, Json] | None:
        """Journal, and return as the task's result, that one of these hosts was found ill; None otherwise.

        A host that gives no answer is the sweep's at the word, which asks again until its deadline.
        """
        for gate in self._sweep(starts, self._variables):
            found = self._action.read(gate.claims, self._context, one_reading(gate.timing))
            if found.outcome is Outcome.FAIL:
                self._action.journal([gate], [found], self._variables)
                return self._action.result(gate, found, self._variables)
        return None


def _with_facts(variables: Variables, facts: Mapping[str, Json]) -> Variables:
    known_facts = {**(variables.get("ansible_facts") or {}), **facts}
    return Variables({**variables.raw, "ansible_facts": known_facts}, variables.template)
