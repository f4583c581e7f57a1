"""Journal an act before it happens, if the leases are still valid (modules/holdfast_intent.py, adr/0002)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, HoldfastAction, open_state
from holdfast.journal.events import ActIntended
from holdfast.model import Act, Json
from holdfast.play_context import PlayContext, Variables, require_lease


class ActionModule(HoldfastAction):
    """Calls ``Store.append_guarded``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "act": {"type": "str", "choices": [act.value for act in Act], "required": True},
        "unit": {"type": "str", "required": True},
        "invocation_id": {"type": "str", "default": ""},
        "undo": {"type": "str", "default": ""},
        "ends_with_restart": {"type": "bool", "default": False},
    }

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``run``; fail, with nothing journaled, when a lease is lost."""
        host, what = self.host, _act_on(arguments)
        if self.check_mode:
            message = f"{host}: would {what}"
            self.show(message)
            return {"msg": message}
        run, now = require_lease(PlayContext.of(variables)), datetime.now(UTC)
        open_state(run.run).append_guarded(run.grant, ActIntended(at=now, host=host, **arguments))
        return {"run": run.run, "msg": f"{host}: about to {what}"}

    def failed(self) -> str:
        """Return what may not happen."""
        return f"{self.host}: may not {_act_on(self.arguments)}, nothing was done"


def _act_on(arguments: dict[str, Json]) -> str:
    return f"{arguments['act']} {arguments['unit']}"
