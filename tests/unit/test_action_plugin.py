"""The shell of a host, as probes are given it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from holdfast.action_plugin import ConnectionShell, HoldfastAction
from holdfast.observations.systemd import UnitState
from holdfast.probes.base import ProbeContext
from holdfast.probes.systemd import units_of

UNIT = """Id={unit}.service
LoadState=loaded
ActiveState=active
SubState=running
Type=notify
Result=success
InvocationID=0123456789abcdef0123456789abcdef
NRestarts=0
ActiveEnterTimestamp=Thu 2026-11-26 20:00:00 UTC
"""
ANSWER = "Now=Thu 2026-11-26 20:01:00 UTC\n" + "\n".join(
    UNIT.format(unit=unit) for unit in ("nova-api", "nova-conductor")
)


class TerminalAction:
    """An action on a host that is reached through a terminal, as ssh gives one to a task that becomes root."""

    def execute(self, argv: Sequence[str]) -> dict[str, Any]:
        return {"rc": 0, "stdout": ANSWER.replace("\n", "\r\n"), "stderr": ""}


def test_two_units_of_a_host_are_told_apart_over_a_terminal_too() -> None:
    shell = ConnectionShell(cast(HoldfastAction, TerminalAction()), "ctl1")
    assert shell.run(["systemctl"]).stdout == ANSWER
    context = ProbeContext("ctl1", {}, {}, shell, lambda _: shell)
    wanted = {"api": ("ctl1", "nova-api"), "conductor": ("ctl1", "nova-conductor")}
    states = units_of(context, wanted)
    assert [type(state) for state in states.values()] == [UnitState, UnitState]
