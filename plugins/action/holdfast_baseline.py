"""Keep figures that were true before the first restart (modules/holdfast_baseline.py)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from holdfast.errors import HoldfastError
from holdfast.journal.events import BaselineTaken
from holdfast.play_context import PlayContext, Variables, baseline, require_lease
from holdfast.settings import load_settings
from holdfast.store import open_store

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "values": {"type": "dict", "required": True},
}


class ActionModule(ActionBase):
    """The skin over ``holdfast.play_context.baseline``."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer with the run's ``values``: the given ones the first time, those ever after."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(ARGUMENTS)
        name, values = args["name"], args["values"]
        if self._task.check_mode:
            return result | {"changed": False, "values": values, "msg": f"would note {name}"}
        variables = Variables(task_vars or {}, self._templar.template)
        try:
            run = require_lease(PlayContext.of(variables))
            taken = BaselineTaken(at=datetime.now(UTC), name=name, values=values)
            kept = baseline(open_store(load_settings(os.environ)), run.run, taken)
        except HoldfastError as error:
            raise AnsibleActionFail(f"the baseline {name} could not be noted: {error}") from None
        words = "noted" if kept == taken else f"as noted at {kept.at:%H:%M:%S} UTC"
        return result | {"changed": False, "values": kept.values, "msg": f"baseline {name} {words}"}
