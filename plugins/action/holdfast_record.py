"""Journal what came of an act, or what a host says of itself (modules/holdfast_record.py)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from holdfast.errors import HoldfastError
from holdfast.journal.events import ActDone, HostDone, Observed
from holdfast.model import Act
from holdfast.play_context import PlayContext, Variables, require_lease
from holdfast.settings import load_settings
from holdfast.store import open_store

EVENTS: dict[str, type[ActDone | HostDone | Observed]] = {
    "act_done": ActDone,
    "host_done": HostDone,
    "observed": Observed,
}
ARGUMENTS = {
    "event": {"type": "str", "choices": list(EVENTS), "required": True},
    "unit": {"type": "str", "required": True},
    "invocation_id": {"type": "str", "required": True},
    "act": {"type": "str", "choices": [act.value for act in Act]},
    "seconds": {"type": "float"},
    "changed": {"type": "bool"},
    "detail": {"type": "dict"},
    "active": {"type": "bool"},
    "drained": {"type": "bool"},
}
REQUIRED = [("event", "act_done", ["act"]), ("event", "observed", ["active"])]


class ActionModule(ActionBase):
    """The skin over ``Store.append`` for the events of one host."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer with a message; a record needs a run, not a lease: it is never too late for one."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(ARGUMENTS, required_if=REQUIRED)
        variables = Variables(task_vars or {}, self._templar.template)
        host, kind = str(variables["inventory_hostname"]), EVENTS[args.pop("event")]
        given = {name: value for name, value in args.items() if value is not None}
        unfit = set(given) - set(kind.model_fields)
        if unfit:
            raise AnsibleActionFail(f"{kind.__name__} has no {', '.join(sorted(unfit))}")
        words = f"{host}: {kind.__name__} {given['unit']}"
        if self._task.check_mode:
            return result | {"changed": False, "msg": f"{words}: would be journaled"}
        try:
            run = require_lease(PlayContext.of(variables))
            event = kind(at=datetime.now(UTC), host=host, **given)
            open_store(load_settings(os.environ)).append(run.run, event)
        except HoldfastError as error:
            raise AnsibleActionFail(f"{words} could not be journaled: {error}") from None
        return result | {"changed": False, "msg": f"{words}: journaled"}
