"""Wait for the engine's word, then ask again what was asked before it (modules/holdfast_park.py, docs/adr/0055)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, HostShells
from holdfast.claims import bind_claim
from holdfast.gate_action import Gate, GateAction, one_reading, site_seconds
from holdfast.gate_ahead import REHEARSED, found_at_word, gate_of, none_more, rehearsed
from holdfast.gate_loop import GateTiming
from holdfast.model import Json, Outcome, Settle
from holdfast.play_context import Variables, proved_earlier
from holdfast.prepared_read import PREPARED, PreparedRead
from holdfast.probes.base import ProbeContext
from holdfast.word import WORD, Word, known

TICK_SECONDS = 20.0
"""How often everything is asked while the word is waited for, so that connections stay open (`ControlPersist`)."""

PARTS = 3
"""In how many parts the hosts done earlier are asked meanwhile, one at each tick: each host once in a minute."""

SWEEP = "Units restarted earlier are active and were not restarted since"


class ActionModule(GateAction):
    """Waits at a file that the engine holds locked."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "file": {"type": "path", "required": True},
        "first_act": {"type": "dict", "default": {}},
    }
    ACTS = False

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return the word's variables as a fact, once every gate that was asked before it has passed again."""
        notes = rehearsed(variables)
        gates = [gate_of(note, variables) for note in notes]
        context = self.context([bound for gate in gates for bound in gate.claims], variables)
        self.renewal(variables)  # the journal is opened before the word
        unit = PreparedRead(arguments["first_act"], HostShells(self, variables)(self.host))
        with Word(arguments["file"]) as word:
            if late := self._wait(word, gates, context, variables):
                return late
            said = word.said()
        facts = {**(variables.get("ansible_facts") or {}), WORD: said}
        informed = Variables({**variables.raw, "ansible_facts": facts}, variables.template)
        with unit:
            result, found = self._ask_again(notes, context, informed)
        word_of_host = {**said, **found, PREPARED: unit.found()}
        return result | {"ansible_facts": {WORD: word_of_host, REHEARSED: {}}}

    def _ask_again(
        self, notes: Sequence[Mapping[str, Json]], context: ProbeContext, variables: Variables
    ) -> tuple[dict[str, Json], dict[str, Json]]:
        """Ask the gates of the notes, and sweep, in the same readings; return the result, and ``found_at_word``."""
        swept = self._sweep(variables)
        kept: list[Mapping[str, Json]] = [*({} for _ in swept), *notes]
        gates = [*swept, *(gate_of(note, variables) for note in notes)]
        if not gates:
            return {"msg": "nothing was asked before the word"}, {}
        judged = self.ask(gates, context, variables, lambda n, found: none_more(kept[n], found))
        results = [self.result(*each, variables) for each in zip(gates, judged, strict=True)]
        result = next((result for result in results if result["failed"]), results[-1])
        return result, found_at_word(judged)

    def _sweep(self, variables: Variables) -> list[Gate]:
        """Return the gate over hosts done earlier, at the batch's first host, as playbooks/tasks/sweep.yml."""
        starts: Mapping[str, Json] = known(variables, "holdfast_sweep", {})
        return [self._sweep_of(starts, variables)] if starts and self._is_first(variables) else []

    def _is_first(self, variables: Variables) -> bool:
        return bool(self.host == variables["ansible_play_batch"][0])

    @staticmethod
    def _sweep_of(starts: Mapping[str, Json], variables: Variables) -> Gate:
        claim = bind_claim({"claim": "systemd.unchanged_since", "starts": starts})
        deadline, poll = (timedelta(seconds=seconds) for seconds in site_seconds(variables))
        vouched = frozenset(proved_earlier(variables, "sweep"))
        timing = GateTiming(Settle(), deadline, poll)
        return Gate(SWEEP, "sweep", [claim], replace(timing, vouched=vouched))

    def _wait(
        self, word: Word, gates: Sequence[Gate], context: ProbeContext, variables: Variables
    ) -> dict[str, Json] | None:
        """Return None when the word has come, or the task's result where a host done earlier is ill meanwhile.

        What the gates are asked meanwhile decides nothing.
        """
        claims = [bound for gate in gates for bound in gate.claims]
        parts = cycle(self._parts(variables))
        while not word.has_come(0):
            if claims:
                self.read(claims, context, one_reading(gates[0].timing))
            if ill := self._sweep_meanwhile(next(parts), context, variables):
                return ill
            if word.has_come(TICK_SECONDS):
                break
        return None

    def _parts(self, variables: Variables) -> Iterator[Mapping[str, Json]]:
        """Yield the hosts done before the play was parked, in parts; no host for all but the first of the batch."""
        starts = list(variables.get("holdfast_sweep_meanwhile", {}).items())
        for part in range(PARTS):
            yield dict(starts[part::PARTS]) if self._is_first(variables) else {}

    def _sweep_meanwhile(
        self, starts: Mapping[str, Json], context: ProbeContext, variables: Variables
    ) -> dict[str, Json] | None:
        """Journal, and return as the task's result, that one of these hosts was found ill; None otherwise.

        A host that gives no answer is the sweep's at the word, which asks again until its deadline.
        """
        if not starts:
            return None
        gate = self._sweep_of(starts, variables)
        found = self.read(gate.claims, context, one_reading(gate.timing))
        if found.outcome is not Outcome.FAIL:
            return None
        self.journal([gate], [found], variables)
        return self.result(gate, found, variables)
