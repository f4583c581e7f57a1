"""Keep figures from before the first restart (modules/holdfast_baseline.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, HoldfastAction, open_state
from holdfast.journal.events import BaselineTaken
from holdfast.model import Json
from holdfast.play_context import PlayContext, Variables, baseline, require_lease


class ActionModule(HoldfastAction):
    """Calls ``holdfast.play_context.baseline``."""

    ACTS = False
    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "name": {"type": "str", "required": True},
        "values": {"type": "dict", "required": True},
    }

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return the run's ``values``: the given ones the first time, the same ones from then on."""
        name, values = arguments["name"], arguments["values"]
        if self.check_mode:
            return {"values": values, "msg": f"would keep the baseline {name}"}
        run = require_lease(PlayContext.of(variables))
        taken = BaselineTaken(at=datetime.now(UTC), name=name, values=values)
        kept = baseline(open_state(run.run), run.run, taken)
        when = "taken now" if kept == taken else f"as taken at {kept.at:%H:%M:%S} UTC"
        return {"values": kept.values, "msg": f"baseline {name} {when}"}

    def failed(self) -> str:
        """Return which baseline is missing."""
        return f"the baseline {self.arguments['name']} could not be kept"
