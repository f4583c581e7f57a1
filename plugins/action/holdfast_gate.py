"""Read the fleet's state until a gate settles, or fail (modules/holdfast_gate.py, docs/adr/0001)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from holdfast.action_plugin import ArgumentSpec
from holdfast.claims import bind_claim, standing
from holdfast.claims.base import BoundClaim
from holdfast.errors import InvalidInput
from holdfast.gate_action import PROVES_START, Gate, GateAction, one_reading, site_seconds
from holdfast.gate_ahead import REHEARSED, noted, rehearsed
from holdfast.gate_loop import GateTiming, claims_of_host
from holdfast.model import Json, Outcome, Phase, Settle
from holdfast.play_context import Variables, proved_earlier
from holdfast.text import count_of
from holdfast.word import PARK, Word, is_ahead

STANDING = "standing"


class ActionModule(GateAction):
    """Calls ``holdfast.gate_loop``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "claims": {"type": "list", "elements": "raw", "required": True},
        "can_be_told": {"type": "list", "elements": "raw", "default": []},
        "phase": {"type": "str", "choices": [*Phase, "sweep", "check"], "required": True},
        "settle_seconds": {"type": "float", "default": 0.0},
        "settle_readings": {"type": "int", "default": 1},
        "deadline_seconds": {"type": "float"},
        "grace_seconds": {"type": "float", "default": 30.0},
        "poll_seconds": {"type": "float"},
        "since_restart": {"type": "bool", "default": False},
        "otherwise": {"type": "str", "default": ""},
        "spread": {"type": "bool", "default": False},
        "no_more": {"type": "list", "elements": "str", "default": []},
        "done": {"type": "str", "default": ""},
    }

    @property
    def acts(self) -> bool:
        """Whether it journals that its host is done."""
        return bool(self.arguments["done"])

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``msg`` and ``holdfast``: outcome, verdicts, readings, seconds."""
        claims, timing = self._claims(arguments, variables), _timing(arguments, variables)
        proved = [bound.claim.name for bound in claims if not bound.only_told]
        if arguments["done"] and PROVES_START not in proved:
            raise InvalidInput(f"`done` is for a gate that asks {PROVES_START}")
        if arguments["spread"]:
            hosts = variables["ansible_play_hosts_all"]
            claims = claims_of_host(self.host, claims, variables["groups"], hosts)
            if not claims:
                return {"skipped": True, "msg": f"{self.host}: other hosts check these claims"}
        if self.check_mode and arguments["since_restart"]:
            message = _would_wait(claims, timing)
            self.show(f"gate {self.host} {message}")
            return {"skipped": True, "msg": message}
        otherwise, done = arguments["otherwise"], arguments["done"]
        gate = Gate(self._task.name, arguments["phase"], claims, timing, otherwise, done)
        if self.check_mode:
            gate = replace(gate, timing=one_reading(timing))
        if is_ahead(variables) and (result := self._rehearse(gate, variables)):
            return result
        [judged] = self.ask([gate], self.context(claims, variables), variables)
        return self.result(gate, judged, variables)

    def _claims(self, arguments: dict[str, Any], variables: Variables) -> list[BoundClaim]:
        told = [replace(bind_claim(entry), only_told=True) for entry in arguments["can_be_told"]]
        if arguments["claims"] != [STANDING]:
            return [*map(bind_claim, arguments["claims"]), *told]
        claims = standing(
            variables["groups"],
            lambda host, name: bool(self.variables_of(host, variables).get(name)),
        )
        if not claims:
            raise InvalidInput(
                "there is nothing to check: no claim is about any group of this inventory",
                remedy="compare its groups and variables with inventories/example",
            )
        return [*claims, *told]

    def _rehearse(self, gate: Gate, variables: Variables) -> dict[str, Json] | None:
        """Ask before the word, until the gate passes; None where the word comes first.

        Nothing is journaled: at the word the gate is asked again (modules/holdfast_park.py).
        """
        context = self.context(gate.claims, variables)
        with Word(variables[PARK]) as word:
            while not word.has_come(0):
                found = self.read(gate.claims, context, one_reading(gate.timing))
                if found.outcome is Outcome.PASS:
                    note = noted(gate, self.arguments, found)
                    facts = {REHEARSED: {variables[PARK]: [*rehearsed(variables), note]}}
                    result = self.result(gate, found, variables)
                    return result | {"ansible_facts": facts}
                word.has_come(gate.timing.poll.total_seconds())
        return None


def _timing(arguments: dict[str, Any], variables: Variables) -> GateTiming:
    deadline, poll = site_seconds(variables)
    if arguments["deadline_seconds"] is not None:
        deadline = arguments["deadline_seconds"]
    if arguments["poll_seconds"] is not None:
        poll = arguments["poll_seconds"]
    settle = Settle(arguments["settle_readings"], timedelta(seconds=arguments["settle_seconds"]))
    grace = timedelta(seconds=arguments["grace_seconds"])
    vouched = frozenset(proved_earlier(variables, arguments["phase"]))
    return GateTiming(settle, timedelta(seconds=deadline), timedelta(seconds=poll), grace, vouched)


def _would_wait(claims: Sequence[BoundClaim], timing: GateTiming) -> str:
    names = ", ".join(bound.claim.name for bound in claims)
    readings = count_of(timing.settle.readings, "reading")
    settle = f"{readings} over {timing.settle.span.total_seconds():.0f} s"
    deadline = f"{timing.deadline.total_seconds():.0f} s"
    return f"would wait up to {deadline} for {names} to hold for {settle}"
