"""Journal an act before it happens, if the leases are still ours (modules/holdfast_intent.py, adr/0002)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from holdfast.errors import HoldfastError
from holdfast.journal.events import ActIntended
from holdfast.model import Act
from holdfast.play_context import PlayContext, Variables, require_lease
from holdfast.settings import load_settings
from holdfast.store import open_store

ARGUMENTS = {
    "act": {"type": "str", "choices": [act.value for act in Act], "required": True},
    "unit": {"type": "str", "required": True},
    "invocation_id": {"type": "str", "default": ""},
    "undo": {"type": "str", "default": ""},
    "detail": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """The skin over ``Store.append_guarded``."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer with ``run``; fail, with nothing journaled, when a lease is lost."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(ARGUMENTS)
        variables = Variables(task_vars or {}, self._templar.template)
        host, what = str(variables["inventory_hostname"]), f"{args['act']} {args['unit']}"
        if self._task.check_mode:
            words = f"{host}: would {what}"
            self._display.display(words)  # Ansible shows no message of a task that went well
            return result | {"changed": False, "msg": words}
        try:
            run = require_lease(PlayContext.of(variables))
            now = datetime.now(UTC)
            store = open_store(load_settings(os.environ))
            store.append_guarded(run.grant, ActIntended(at=now, host=host, **args), now)
        except HoldfastError as error:
            raise AnsibleActionFail(f"{host}: may not {what}, nothing was done: {error}") from None
        return result | {"changed": False, "run": run.run, "msg": f"{host}: about to {what}"}
