"""How haproxy's own words about its servers are read: recorded from 2.6 with one writer and two backups."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import InvalidInput
from holdfast.observations.haproxy import HaproxyState, WriterViews
from holdfast.probes.base import CommandResult, ProbeContext, Shell
from holdfast.probes.haproxy import probe_writer
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.shells import NoShell, ScriptedShell, UnreachableShell

RECORDED = (Path(__file__).parent / "recorded/haproxy_2_6.txt").read_text()
CTL1 = "2 galera 1 ctl1 10.97.173.11 2 0 1 1 "


def asked(shell: Shell, **variables: object) -> WriterViews:
    of_host = {
        "galera_user": "holdfast",
        "galera_address": "127.0.0.1",
        "galera_port": closed_port(),
        **variables,
    }
    groups = {"galera": ["ctl1"], "haproxy": ["lb1"]}
    variables_of = dict.fromkeys(("ctl1", "lb1"), of_host)
    return probe_writer(
        ProbeContext("ctl1", groups, variables_of, NoShell(), reach=lambda _: shell)
    )


def state(text: str) -> HaproxyState:
    return asked(ScriptedShell(CommandResult(0, text, ""))).answered["lb1"]


def test_servers_are_read_in_their_order() -> None:
    found = state(RECORDED)
    assert [each.name for each in found.servers] == ["ctl1", "ctl2", "ctl3"]
    assert [each.backup for each in found.servers] == [False, True, True]
    assert found.elected == ("ctl1",)


@pytest.mark.parametrize(
    ("old", "new", "elected"),
    [
        (CTL1, CTL1.replace(" 2 0 1 1", " 2 1 1 1"), ("ctl2",)),  # maintenance by a command
        (CTL1, CTL1.replace(" 2 0 1 1", " 2 4 1 1"), ("ctl2",)),  # by the configuration
        (CTL1, CTL1.replace(" 2 0 1 1", " 2 8 1 1"), ("ctl2",)),  # draining
        (CTL1, CTL1.replace(" 2 0 1 1", " 0 0 1 1"), ("ctl2",)),  # its checks fail
        (CTL1, CTL1.replace(" 2 0 1 1", " 2 0 0 1"), ("ctl2",)),  # no weight
        ("UP,1,0,1", "UP,1,1,0", ("ctl1", "ctl2", "ctl3")),  # no backups
    ],
)
def test_new_sessions_go_to_servers_that_may_take_them(
    old: str, new: str, elected: tuple[str, ...]
) -> None:
    assert old in RECORDED
    assert state(RECORDED.replace(old, new)).elected == elected


def test_sessions_are_those_that_are_open_now() -> None:
    found = state(RECORDED.replace("galera,ctl2,0,0,0,", "galera,ctl2,0,0,7,"))
    assert [each.sessions for each in found.servers] == [0, 7, 0]


UNANSWERED: dict[str, tuple[Shell, str]] = {
    "the socket is not there": (
        ScriptedShell(CommandResult(2, "", "there is no socket /run/haproxy/admin.sock\n")),
        "lb1's haproxy cannot be asked: there is no socket /run/haproxy/admin.sock (haproxy_socket)",
    ),
    "the socket is not there, told over a terminal": (
        ScriptedShell(
            CommandResult(2, "there is no socket /run/x.sock\n", "Shared connection to lb1 closed.")
        ),
        "lb1's haproxy cannot be asked: there is no socket /run/x.sock (haproxy_socket)",
    ),
    "another backend": (
        ScriptedShell(
            CommandResult(0, RECORDED.partition("\n# pxname")[0] + "\nCan't find backend.\n", "")
        ),
        "lb1's haproxy does not tell how its backend 'galera' stands (haproxy_galera_backend): Can't find backend.",
    ),
    "the socket may look and change nothing": (
        ScriptedShell(CommandResult(0, RECORDED.replace("admin", "operator", 1), "")),
        "/run/haproxy/admin.sock look and change nothing (level operator); its configuration needs `level admin`",
    ),
    "nothing": (ScriptedShell(CommandResult(0, "", "")), "(haproxy_galera_backend): no answer"),
    "the host is away": (UnreachableShell(), "the host is unreachable"),
    "another number of columns": (
        ScriptedShell(
            CommandResult(0, RECORDED.replace("ctl3 10.97.173.13 2 0", "ctl3 10.97.173.13 x 0"), "")
        ),
        "lb1's haproxy describes server ctl3 in another shape than expected",
    ),
    "a server less": (
        ScriptedShell(CommandResult(0, RECORDED.replace("galera,ctl3,", "galera,ctl4,"), "")),
        "lb1's haproxy lists other servers of 'galera' in `show stat` than in `show servers state`",
    ),
}


@pytest.mark.parametrize(("shell", "cause"), UNANSWERED.values(), ids=UNANSWERED.keys())
def test_what_cannot_be_read_is_no_answer(shell: Shell, cause: str) -> None:
    assert cause in asked(shell).silent["lb1"]


def test_a_haproxy_in_a_container_is_asked_there() -> None:
    shell = ScriptedShell(CommandResult(0, RECORDED, ""))
    asked(shell, haproxy_command_prefix=["docker", "exec", "haproxy"])
    [command] = shell.commands
    assert command[:5] == ["docker", "exec", "haproxy", "sh", "-c"]
    assert command[-1] == "show cli level;show stat galera 4 -1;show servers state galera"


def test_without_a_haproxy_nobody_tells_who_is_the_writer() -> None:
    with pytest.raises(InvalidInput, match="group haproxy has no hosts"):
        probe_writer(ProbeContext("ctl1", {"galera": ["ctl1"]}, {}, NoShell()))
