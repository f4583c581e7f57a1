"""Read units once nothing is about to change them, and journal their state (modules/holdfast_observe.py)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import ClassVar

from holdfast import unit_program
from holdfast.action_plugin import ArgumentSpec, HoldfastAction, open_state
from holdfast.errors import CannotTell
from holdfast.journal.events import Observed
from holdfast.model import Json
from holdfast.play_context import PlayContext, Variables, require_lease
from holdfast.unit_program import ShownUnit

POLL_SECONDS = 1.0


class ActionModule(HoldfastAction):
    """Calls ``unit_program`` on the host, and ``Store.append_guarded`` for a play of a run."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "units": {"type": "list", "elements": "str", "required": True},
        "deadline_seconds": {"type": "float", "default": 300.0},
    }

    _requires_connection = True

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return the state of each unit in a message; a play by hand journals nothing and ends no intent."""
        run = PlayContext.of(variables)
        ends_intents = run is not None and not self.check_mode
        found = self._all(arguments["units"], arguments["deadline_seconds"], ends_intents)
        if run is not None and not self.check_mode:
            store, grant = open_state(run.run), require_lease(run).grant
            for name, unit in found.items():
                event = Observed(
                    at=datetime.now(UTC),
                    host=self.host,
                    unit=name,
                    invocation_id=unit.invocation_id,
                    active=unit.active_state == "active",
                )
                store.append_guarded(grant, event)
        message = f"{self.host}: {'; '.join(map(str, found.values()))}"
        self.show(message)
        return {"msg": message}

    def failed(self) -> str:
        """Return what is not known."""
        return f"{self.host} is not observed"

    def _all(
        self, units: Sequence[str], seconds: float, ends_intents: bool
    ) -> dict[str, ShownUnit]:
        ends = monotonic() + seconds
        return {unit: self._one(unit, ends, ends_intents) for unit in units}

    def _one(self, unit: str, ends: float, ends_intents: bool) -> ShownUnit:
        """Return the unit's state once systemd has no job for it; during a restart it still shows its old InvocationID.

        What outlived its play may be about to act: with ``ends_intents`` it is waited for, or is too late from now on.
        """
        while True:
            left = max(ends - monotonic(), 1.0)
            command = unit_program.observe(unit, left) if ends_intents else unit_program.read(unit)
            printed = self.execute(command)
            answer = unit_program.parse(printed["stdout"], printed["stderr"])
            if answer.before is None:
                raise CannotTell(answer.message)
            if not answer.before.job:
                return answer.before
            if monotonic() >= ends:
                raise CannotTell(f"systemd still has a job in progress for it: {answer.before}")
            threading.Event().wait(POLL_SECONDS)
