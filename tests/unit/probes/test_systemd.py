"""The state of a unit from systemctl's output, and its stop timeout from D-Bus."""

from __future__ import annotations

import pytest

from holdfast.errors import CannotTell
from holdfast.observations.systemd import StopTimeout, UnitState
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.systemd import probe_stop_timeout, probe_unit
from tests.unit.probes.shells import ScriptedShell

SHOWN = """Type=simple
NRestarts=2
Result=success
Id=cron.service
LoadState=loaded
ActiveState=active
SubState=running
InvocationID=1f0cf2fa4ca6439cbbbd4d5d4bf0a9ba
"""


def context(shell: ScriptedShell) -> ProbeContext:
    return ProbeContext(host="ctl1", groups={}, variables={}, shell=shell)


def test_the_state_of_a_unit_is_what_systemctl_prints() -> None:
    shell = ScriptedShell(CommandResult(0, SHOWN, ""))
    assert probe_unit(context(shell), "cron") == UnitState(
        host="ctl1",
        name="cron.service",
        load_state="loaded",
        active_state="active",
        sub_state="running",
        kind="simple",
        result="success",
        invocation_id="1f0cf2fa4ca6439cbbbd4d5d4bf0a9ba",
        restarts=2,
    )
    assert shell.commands[0][-2:] == ["--", "cron"]


def test_a_unit_of_another_kind_has_no_restart_counter() -> None:
    timer = "Id=a.timer\nLoadState=loaded\nActiveState=active\nSubState=waiting\nResult=success\n"
    unit = probe_unit(context(ScriptedShell(CommandResult(0, timer, ""))), "a.timer")
    assert (unit.kind, unit.invocation_id, unit.restarts) == ("", "", 0)


@pytest.mark.parametrize(
    "answer",
    [
        CommandResult(1, "", "Failed to connect to bus: No such file or directory"),
        CommandResult(0, "", ""),
        CommandResult(127, "", "systemctl: not found"),
    ],
)
def test_without_an_answer_it_cannot_tell(answer: CommandResult) -> None:
    with pytest.raises(CannotTell, match="ctl1: systemd did not report the state of cron") as cause:
        probe_unit(context(ScriptedShell(answer)), "cron")
    assert answer.stderr in str(cause.value)


@pytest.mark.parametrize(
    ("shown", "seconds"),
    [
        ("15s", 15.0),
        ("1min 30s", 90.0),
        ("1h 5min", 3900.0),
        ("200ms", 0.2),
        ("1.500000s", 1.5),
        ("0", 0.0),
        ("infinity", float("inf")),
    ],
)
def test_a_stop_timeout_is_read_as_systemctl_prints_it(shown: str, seconds: float) -> None:
    output = f"LoadState=loaded\nActiveState=active\nTimeoutStopUSec={shown}\n"
    shell = ScriptedShell(CommandResult(0, output, ""))
    assert probe_stop_timeout(context(shell), "u") == StopTimeout("ctl1", "u", seconds)


def test_a_unit_that_is_not_loaded_has_no_stop_timeout() -> None:
    shell = ScriptedShell(CommandResult(0, "LoadState=not-found\nActiveState=inactive\n", ""))
    with pytest.raises(CannotTell, match="ctl1: systemd has not loaded u: not-found"):
        probe_stop_timeout(context(shell), "u")
