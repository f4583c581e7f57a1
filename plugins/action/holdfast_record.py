"""Journal the outcome of an act, the end of a host's turn, or a host's observed state (modules/holdfast_record.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from ansible.errors import AnsibleActionFail

from holdfast.action_plugin import HOST_DONE, ArgumentSpec, HoldfastAction, open_state
from holdfast.journal.events import ActDone, HostDone, Observed
from holdfast.model import Act, Json
from holdfast.play_context import PlayContext, Variables, require_lease

EVENTS: dict[str, type[ActDone | HostDone | Observed]] = {
    "act_done": ActDone,
    "host_done": HostDone,
    "observed": Observed,
}


class ActionModule(HoldfastAction):
    """Calls ``Store.append`` for the events of one host."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "event": {"type": "str", "choices": list(EVENTS), "required": True},
        "unit": {"type": "str", "required": True},
        "invocation_id": {"type": "str", "required": True},
        "act": {"type": "str", "choices": [act.value for act in Act]},
        "seconds": {"type": "float"},
        "changed": {"type": "bool"},
        "active": {"type": "bool"},
    }
    REQUIRED_IF: ClassVar = (("event", "act_done", ["act"]), ("event", "observed", ["active"]))

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return a message; fail, with nothing journaled, when a lease is lost.

        Another run may have acted since. What was really done is observed when this run is resumed.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        kind = EVENTS[given.pop("event")]
        if unknown := given.keys() - kind.model_fields.keys():
            names = ", ".join(sorted(unknown))
            raise AnsibleActionFail(f"event {arguments['event']} takes no {names}")
        if self.check_mode:
            return {"msg": f"{self._subject} would be journaled"}
        run, now = require_lease(PlayContext.of(variables)), datetime.now(UTC)
        open_state(run.run).append_guarded(run.grant, kind(at=now, host=self.host, **given))
        done = {HOST_DONE: True} if kind is HostDone else {}
        return {"msg": f"{self._subject} journaled", **done}

    def failed(self) -> str:
        """Return what is not in the journal."""
        return f"{self._subject} could not be journaled"

    @property
    def _subject(self) -> str:
        return f"{self.host}: {self.arguments['event']} of {self.arguments['unit']}"
