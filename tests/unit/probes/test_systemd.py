"""What systemctl prints, and what the probe makes of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from holdfast.errors import CannotTell
from holdfast.model import Unit
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.systemd import look_at_unit

SHOWN = """Type=simple
NRestarts=2
Result=success
Id=cron.service
LoadState=loaded
ActiveState=active
SubState=running
InvocationID=1f0cf2fa4ca6439cbbbd4d5d4bf0a9ba
"""


class Says:
    """A host's shell that gives one answer and remembers what it was asked."""

    def __init__(self, answer: CommandResult) -> None:
        self.answer, self.asked = answer, [""]

    def run(self, argv: Sequence[str]) -> CommandResult:
        self.asked = list(argv)
        return self.answer


def look(shell: Says) -> ProbeContext:
    return ProbeContext(host="ctl1", groups={}, variables={}, shell=shell)


def test_a_unit_is_what_systemd_says_of_it() -> None:
    shell = Says(CommandResult(0, SHOWN, ""))
    assert look_at_unit(look(shell), "cron") == Unit(
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
    assert shell.asked[-2:] == ["--", "cron"]


def test_a_unit_of_another_kind_has_no_restart_counter() -> None:
    timer = "Id=a.timer\nLoadState=loaded\nActiveState=active\nSubState=waiting\nResult=success\n"
    unit = look_at_unit(look(Says(CommandResult(0, timer, ""))), "a.timer")
    assert (unit.kind, unit.invocation_id, unit.restarts) == ("", "", 0)


@pytest.mark.parametrize(
    "answer",
    [
        CommandResult(1, "", "Failed to connect to bus: No such file or directory"),
        CommandResult(0, "", ""),
        CommandResult(127, "", "systemctl: not found"),
    ],
)
def test_no_answer_is_not_an_answer(answer: CommandResult) -> None:
    with pytest.raises(CannotTell, match="ctl1: systemd says nothing about cron") as cause:
        look_at_unit(look(Says(answer)), "cron")
    assert answer.stderr in str(cause.value)
