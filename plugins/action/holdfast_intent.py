"""Journal an act before it happens, if the leases are still valid (modules/holdfast_intent.py, adr/0002)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, HoldfastAction, open_state
from holdfast.errors import LeaseLost
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
        "clock": {"type": "dict", "default": {}},
        "log": {"type": "dict", "default": {}},
    }

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``run`` and ``not_after``; fail, with nothing journaled, when a lease is lost."""
        host, what = self.host, _act_on(arguments)
        clock = arguments.pop("clock")
        if self.check_mode:
            message = f"{host}: would {what}"
            self.show(message)
            return {"msg": message, "not_after": {}}
        run, now = require_lease(PlayContext.of(variables)), datetime.now(UTC)
        if not run.grant.tokens:
            raise LeaseLost(f"run {run.run} holds no lease", remedy=f"holdfast status {run.run}")
        store = open_state(run.run)
        # Asked before the transaction that proves the leases, so never later than these really expire.
        left = store.check(run.grant)
        store.append_guarded(run.grant, ActIntended(at=now, host=host, **arguments))
        return {
            "run": run.run,
            "not_after": not_after(clock, left) | _marked(run.run, variables) if clock else {},
            "msg": f"{host}: about to {what}",
        }

    def failed(self) -> str:
        """Return what may not happen."""
        return f"{self.host}: may not {_act_on(self.arguments)}, nothing was done"


def not_after(clock: Mapping[str, Json], left: timedelta) -> dict[str, Json]:
    """Return until when the act may begin, by the host's own clock.

    Args:
        clock: what M(holdfast_unit) read on the host before this task: ``boot_id`` and ``seconds``.
        left: how long the leases are still valid. It is known later than the clock was read, so the sum
            is never after their expiry, whatever time anybody's clock shows (docs/adr/0022).
    """
    read = float(clock["seconds"])
    return {
        "boot_id": clock["boot_id"],
        "read": read,
        "seconds": round(read + left.total_seconds(), 3),
    }


def _marked(run: str, variables: Variables) -> dict[str, Json]:
    """Return which mark the host must have for the act (docs/adr/0023)."""
    marked = variables.get("holdfast_marked") or {}
    return {"marked": {"service": marked["service"], "run": run}} if "service" in marked else {}


def _act_on(arguments: dict[str, Json]) -> str:
    return f"{arguments['act']} {arguments['unit']}"
