"""How far a node's members are behind, as 3.10.8 and 4.0.5 print it."""

from __future__ import annotations

import json

import pytest

from holdfast.errors import CannotTell
from holdfast.observations.rabbitmq import MemberLag
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.rabbitmq.members import probe_members
from tests.unit.probes.shells import ScriptedShell

BEHIND = '{"behind":1,"members":3,"queues":[["/","q0",502],["/shop","q1",null]],"tick":5000}'


def asked(value: str, rc: int = 0, stderr: str = "") -> tuple[MemberLag, ScriptedShell]:
    printed = json.dumps({"node": "r3@localhost", "result": "ok", "value": value})
    shell = ScriptedShell(CommandResult(rc, printed, stderr))
    context = ProbeContext("ctl3", {"rabbitmq": ["ctl1", "ctl3"]}, {}, shell)
    return probe_members(context, host="", entries=7), shell


def test_one_command_asks_for_all_queues() -> None:
    found, shell = asked(BEHIND)
    assert (found.host, found.members, found.behind, found.tick_seconds) == ("ctl3", 3, 1, 5.0)
    assert found.examples == {"q0": 502, "q1 (virtual host /shop)": None}
    (command,) = shell.commands
    assert command[:4] == ["rabbitmqctl", "--quiet", "-n", "rabbit@ctl3"]
    assert "L > 7]" in command[-1]


@pytest.mark.parametrize(
    "value", ["", "[]", "{}", BEHIND.replace("502", '"many"'), BEHIND.replace("3", "-1")]
)
def test_another_answer_is_none(value: str) -> None:
    with pytest.raises(CannotTell, match="its members of quorum queues were listed"):
        asked(value)


def test_a_node_that_does_not_run_yet_is_no_answer() -> None:
    with pytest.raises(CannotTell, match="node_not_running"):
        asked("", rc=70, stderr="{:aborted, {:node_not_running, :r3@localhost}}")
