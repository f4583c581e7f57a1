"""The shell of a host, as probes are given it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from holdfast.action_plugin import ConnectionShell, HoldfastAction, HostShells, ReadingShell
from holdfast.errors import CannotTell
from holdfast.observations.systemd import UnitState
from holdfast.play_context import Variables
from holdfast.probes.base import CommandResult, ProbeContext
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


class TerminalAction(HoldfastAction):
    """An action on a host that is reached through a terminal, as ssh gives one to a task that becomes root."""

    def __init__(self, answer: str = ANSWER) -> None:
        self.answer = answer

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        raise NotImplementedError

    def _low_level_execute_command(self, cmd: str, **_: Any) -> dict[str, Any]:
        return {"rc": 0, "stdout": self.answer.replace("\n", "\r\n"), "stderr": "said\r\n"}


def test_what_a_terminal_prints_has_plain_ends_of_lines() -> None:
    """One place for all who send a command: the programs of units and marks too."""
    answer = TerminalAction("boot-1\n12.5\na half\rline\n").execute(["cat", "it"])
    assert (answer["rc"], answer["stderr"]) == (0, "said\n")
    assert answer["stdout"] == "boot-1\n12.5\na half\rline\n"


class SshConnection:
    """A connection whose commands the site has sent again where it breaks."""

    def __init__(self) -> None:
        self.options = {"reconnection_retries": 3}

    def has_option(self, name: str) -> bool:
        return name in self.options

    def set_option(self, name: str, value: int) -> None:
        self.options[name] = value


class ElsewhereAction(TerminalAction):
    """An action whose connections to other hosts are kept to be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.reached: list[SshConnection] = []

    def on_host(self, host: str, variables: Variables) -> Self:
        self._connection = SshConnection()
        self.reached.append(self._connection)
        return self


@pytest.mark.parametrize(("once", "retries"), [(True, 0), (False, 3)])
def test_what_changes_a_host_is_sent_once_also_to_hosts_outside_of_the_play(
    once: bool, retries: int
) -> None:
    """`shutdown sessions` sent a second time would end the sessions of the next writer's clients."""
    action = ElsewhereAction()
    HostShells(action, Variables({}, lambda value: value), once=once)("lb1")
    assert [each.options["reconnection_retries"] for each in action.reached] == [retries]


def test_two_units_of_a_host_are_told_apart_over_a_terminal_too() -> None:
    shell = ConnectionShell(TerminalAction(), "ctl1")
    assert shell.run(["systemctl"]).stdout == ANSWER
    context = ProbeContext("ctl1", {}, {}, shell, lambda _: shell)
    wanted = {"api": ("ctl1", "nova-api"), "conductor": ("ctl1", "nova-conductor")}
    states = units_of(context, wanted)
    assert [type(state) for state in states.values()] == [UnitState, UnitState]


@dataclass
class CountingShell:
    """Answers with the number of the command; ``meanwhile`` happens while it runs."""

    meanwhile: Callable[[], None] = lambda: None
    ran: list[Sequence[str]] = field(default_factory=list)

    def run(self, argv: Sequence[str]) -> CommandResult:
        self.ran.append(argv)
        self.meanwhile()
        if argv[0] == "silent":
            raise CannotTell("no answer")
        return CommandResult(0, str(len(self.ran)), "")


class Readings:
    number = 0


def test_a_command_is_run_once_in_each_reading() -> None:
    readings, inner = Readings(), CountingShell()
    shell = ReadingShell(inner, lambda: readings.number)

    assert [shell.run(["show", "a"]).stdout for _ in range(3)] == ["1"] * 3
    assert shell.run(["show", "b"]).stdout == "2"
    readings.number += 1
    assert shell.run(["show", "a"]).stdout == "3"


def test_a_host_that_is_silent_is_waited_for_once_in_each_reading() -> None:
    readings, inner = Readings(), CountingShell()
    shell = ReadingShell(inner, lambda: readings.number)

    for _ in range(3):
        with pytest.raises(CannotTell, match="no answer"):
            shell.run(["silent"])
    assert len(inner.ran) == 1
    readings.number += 1
    with pytest.raises(CannotTell):
        shell.run(["silent"])
    assert len(inner.ran) == 2


def test_an_answer_that_comes_after_its_reading_is_not_for_the_next() -> None:
    readings, inner = Readings(), CountingShell()
    shell = ReadingShell(inner, lambda: readings.number)

    def next_reading() -> None:
        readings.number += 1

    inner.meanwhile = next_reading
    assert shell.run(["show"]).stdout == "1"
    inner.meanwhile = lambda: None
    assert shell.run(["show"]).stdout == "2"
