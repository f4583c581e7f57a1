"""The state of a unit from systemctl's output, and its stop timeout from D-Bus."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.systemd import StopTimeout, UnitState
from holdfast.probes.base import CommandResult, ProbeContext, Shell
from holdfast.probes.systemd import bus_label, probe_group, probe_stop_timeout, probe_unit, units_of
from tests.unit.probes.shells import NoShell, ScriptedShell, UnreachableShell

SHOWN = """Now=Thu 2026-11-26 12:14:28 UTC
Hostname=ctl1
MachineId=3d1219c7
BootId=77aa
Booted=12
Namespace=pid:[4026531836]
ActiveEnterTimestamp=Thu 2026-11-26 12:14:08 UTC
Type=simple
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
        age=20.0,
    )
    assert shell.commands[0][-1] == "cron"


@pytest.mark.parametrize(
    ("since", "age"),
    [
        ("Thu 2026-11-26 12:14:28 UTC", 0.0),
        ("Thu 2026-11-26 12:14:30 UTC", 0.0),  # the clock was set back: as young as can be
        ("Tue 2026-11-24 12:14:28 UTC", 172800.0),
        ("", None),
        ("n/a", None),
        ("Thu 2026-11-26 13:14:08 CET", None),
    ],
)
def test_the_age_of_a_start_is_by_the_hosts_own_clock(since: str, age: float | None) -> None:
    shown = SHOWN.replace("Thu 2026-11-26 12:14:08 UTC", since)
    assert probe_unit(context(ScriptedShell(CommandResult(0, shown, ""))), "cron").age == age


def test_a_real_host_says_when_a_unit_started_and_what_it_is(tmp_path: Path) -> None:
    """Run by a real shell, with a systemctl that prints a time in the zone that it is given."""
    program = tmp_path / "systemctl"
    program.write_text(
        "#!/bin/sh\n[ $1.$2.$4.$5 = show.--property.--.cron ] || exit 9\n"
        "date --date '-90 seconds' '+ActiveEnterTimestamp=%a %Y-%m-%d %H:%M:%S %Z'\n"
        "echo ActiveState=active; echo NRestarts=3\n"
    )
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"

    class RealShell:
        def run(self, argv: Sequence[str]) -> CommandResult:
            done = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                check=False,
                env={"PATH": path, "TZ": "America/New_York", "LC_ALL": "de_DE.UTF-8"},
            )
            return CommandResult(done.returncode, done.stdout, done.stderr)

    both = probe_group(
        ProbeContext("ctl1", {"all": ["ctl1", "ctl2"]}, {}, NoShell(), reach=lambda _: RealShell()),
        "cron",
        ["ctl1", "ctl2"],
    )
    answers = [each for each in both.hosts.values() if not isinstance(each, Unanswered)]
    assert [(unit.host, unit.restarts) for unit, _ in answers] == [("ctl1", 3), ("ctl2", 3)]
    assert all(unit.age is not None and 89 <= unit.age <= 95 for unit, _ in answers)
    assert answers[0][1] == answers[1][1]
    assert (answers[0][1].hostname, answers[0][1].boot_id) == (
        os.uname().nodename,
        Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    )
    assert both.names == ["ctl1", "ctl2"]


def test_a_host_that_does_not_answer_is_not_left_out() -> None:
    shells: dict[str, Shell] = {
        "ctl1": ScriptedShell(CommandResult(0, SHOWN, "")),
        "ctl2": UnreachableShell(),
    }
    asked = ProbeContext("ctl1", {}, {}, NoShell(), reach=lambda host: shells[host])
    found = probe_group(asked, "cron", ["ctl1", "ctl2"])
    assert found.hosts["ctl2"] == Unanswered("the host is unreachable")
    assert list(found.hosts) == ["ctl1", "ctl2"]


def test_a_unit_of_another_kind_has_no_restart_counter() -> None:
    timer = "Id=a.timer\nLoadState=loaded\nActiveState=active\nSubState=waiting\nResult=success\n"
    unit = probe_unit(context(ScriptedShell(CommandResult(0, timer, ""))), "a.timer")
    assert (unit.kind, unit.invocation_id, unit.restarts) == ("", "", 0)


@pytest.mark.parametrize("missing", ["InvocationID", "NRestarts"])
def test_a_systemd_that_does_not_tell_restarts_is_found_out(missing: str) -> None:
    """Nothing in their place would be read as "never restarted"."""
    shown = "".join(line for line in SHOWN.splitlines(keepends=True) if missing not in line)
    with pytest.raises(CannotTell, match=f"systemd does not report {missing} of cron.service"):
        probe_unit(context(ScriptedShell(CommandResult(0, shown, ""))), "cron")


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


LOADED = CommandResult(0, "Id=nova-compute.service\nLoadState=loaded\nActiveState=active\n", "")


def stop_timeout(*results: CommandResult) -> StopTimeout:
    return probe_stop_timeout(context(ScriptedShell(*results)), "nova-compute")


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        ("t 15000000", 15.0),
        ("t 90000000", 90.0),
        ("t 1500", 0.0015),
        ("t 0", 0.0),
        ("t 18446744073709551615", float("inf")),
    ],
)
def test_a_stop_timeout_is_read_in_microseconds(printed: str, seconds: float) -> None:
    found = stop_timeout(LOADED, CommandResult(0, f"{printed}\n", ""))
    assert found == StopTimeout("ctl1", "nova-compute", seconds)


def test_the_property_is_that_of_the_unit_and_not_of_its_alias() -> None:
    shell = ScriptedShell(LOADED, CommandResult(0, "t 1", ""))
    probe_stop_timeout(context(shell), "compute-alias")
    assert shell.commands[0][-1] == "compute-alias"
    assert shell.commands[1] == [
        "busctl",
        "get-property",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1/unit/nova_2dcompute_2eservice",
        "org.freedesktop.systemd1.Service",
        "TimeoutStopUSec",
    ]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cron.service", "cron_2eservice"),
        ("getty@tty1.service", "getty_40tty1_2eservice"),
        ("3proxy.service", "_33proxy_2eservice"),
        ("a\\x2db_c.service", "a_5cx2db_5fc_2eservice"),
        ("é.service", "_c3_a9_2eservice"),
    ],
)
def test_a_units_name_is_encoded_for_an_object_path(name: str, label: str) -> None:
    assert bus_label(name) == label


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            CommandResult(1, "", "Failed to connect to bus: No such file or directory"),
            "No such file",
        ),
        (CommandResult(1, "t 90000000", ""), "exit status 1"),
        (CommandResult(127, "", "busctl: not found"), "not found"),
        (CommandResult(0, "", ""), "output ''"),
        (CommandResult(0, 's "1min 30s"', ""), "1min 30s"),
        (CommandResult(0, "b true", ""), "true"),
        (CommandResult(0, "t -1", ""), "-1"),
        (CommandResult(0, "t", ""), "output"),
        (CommandResult(0, "90000000", ""), "output"),
    ],
)
def test_without_a_stop_timeout_it_cannot_tell(result: CommandResult, message: str) -> None:
    with pytest.raises(CannotTell, match="did not report the stop timeout") as cause:
        stop_timeout(LOADED, result)
    assert message in str(cause.value)


@pytest.mark.parametrize("state", ["not-found", "masked", "bad-setting", ""])
def test_a_unit_that_is_not_loaded_has_no_stop_timeout(state: str) -> None:
    """systemd would answer with its default for any unit."""
    shown = f"Id=nova-compute.service\nLoadState={state}\nActiveState=inactive\n"
    with pytest.raises(CannotTell, match="ctl1: systemd has not loaded nova-compute"):
        stop_timeout(CommandResult(0, shown, ""), CommandResult(0, "t 1", ""))


def test_several_units_of_a_host_are_asked_in_one_call() -> None:
    header, _, first = SHOWN.partition("ActiveEnterTimestamp")
    second = f"ActiveEnterTimestamp{first}".replace("cron", "atd").replace(
        "NRestarts=2", "NRestarts=5"
    )
    shell = ScriptedShell(CommandResult(0, f"{header}ActiveEnterTimestamp{first}\n{second}", ""))
    shells: dict[str, Shell] = {"ctl1": shell, "ctl2": UnreachableShell()}
    asked = ProbeContext("ctl1", {}, {}, NoShell(), reach=lambda host: shells[host])
    wanted = {
        "a": ("ctl1", "cron"),
        "b": ("ctl1", "atd"),
        "c": ("ctl1", "cron"),
        "d": ("ctl2", "cron"),
    }
    found = units_of(asked, wanted)
    known = {name: each for name, each in found.items() if isinstance(each, UnitState)}
    assert {name: (each.name, each.restarts, each.age) for name, each in known.items()} == {
        "a": ("cron.service", 2, 20.0),
        "b": ("atd.service", 5, 20.0),
        "c": ("cron.service", 2, 20.0),
    }
    assert found["d"] == Unanswered("the host is unreachable")
    assert [command[-2:] for command in shell.commands] == [["cron", "atd"]]


def test_fewer_units_than_asked_for_are_no_answer() -> None:
    asked = ProbeContext(
        "ctl1", {}, {}, NoShell(), reach=lambda _: ScriptedShell(CommandResult(0, SHOWN, ""))
    )
    found = units_of(asked, {"a": ("ctl1", "cron"), "b": ("ctl1", "atd")})
    assert found["a"] == Unanswered("ctl1: systemd reported 1 of 2 units")
