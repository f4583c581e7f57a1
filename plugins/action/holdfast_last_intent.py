"""Return what the journal has of the run's last intent to do an act (modules/holdfast_last_intent.py)."""

from __future__ import annotations

from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, HoldfastAction, open_state
from holdfast.model import Act, Json
from holdfast.play_context import PlayContext, Variables, last_intent, require_lease


class ActionModule(HoldfastAction):
    """Calls ``holdfast.play_context.last_intent``."""

    ACTS = False
    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "act": {"type": "str", "choices": [act.value for act in Act], "required": True},
        "unit": {"type": "str", "required": True},
    }

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``log``: where the unit's log ended before the act, {} where that is not known."""
        if self.check_mode:
            return {"log": {}}
        run = require_lease(PlayContext.of(variables)).run
        intent = last_intent(open_state(run), run, self.host, arguments["act"], arguments["unit"])
        return {"log": intent.log if intent else {}}

    def failed(self) -> str:
        """Return what cannot be said."""
        return f"{self.host}: the last intent to {self.arguments['act']} {self.arguments['unit']} cannot be read"
