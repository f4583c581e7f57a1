"""Which ssh connections from another host go through: Ansible's own, started where none runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from holdfast.action_plugin import Forward, Forwards, HoldfastAction
from holdfast.errors import CannotTell, InvalidInput
from holdfast.play_context import Variables
from tests.unit.probes.http_server import running_server
from tests.unit.probes.ssh_master import ELSEWHERE, running_master


class Ssh:
    """The part of Ansible's connection that says where its ssh listens, as its plugin has it."""

    def __init__(self, control_path: str | None = "%(directory)s/control") -> None:
        self.control_path, self.control_path_dir = control_path, "/nowhere"


class ActionOnBastion(HoldfastAction):
    """An action whose connection is made by a task's first command; ``connect`` happens with each."""

    def __init__(self, ssh: Ssh, connect: Callable[[Ssh], None]) -> None:
        self._connection, self._connect = ssh, connect
        self.ran: list[tuple[str, bool]] = []

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        raise NotImplementedError

    def on_host(self, host: str, variables: Variables) -> Any:
        return self

    def _low_level_execute_command(self, cmd: str, sudoable: bool = True) -> dict[str, Any]:
        self.ran.append((cmd, sudoable))
        self._connect(self._connection)
        return {"rc": 1, "stdout": "", "stderr": "This account is not available."}


def forwards(action: HoldfastAction) -> Forwards:
    return Forwards(action, Variables({"hostvars": {"bas1": {}}}, lambda value: value))


@pytest.fixture
def port() -> Iterator[int]:
    with running_server(lambda _: (200, b"{}")) as port:
        yield port


def open_one(forward: Forward, port: int) -> None:
    forward(ELSEWHERE, port, 5).close()


def test_an_ssh_is_started_once_and_serves_all_without_becoming_root(port: int) -> None:
    """A jump host may permit no command, and nobody to become root there."""
    with ExitStack() as later:

        def connect(ssh: Ssh) -> None:
            threading.Event().wait(0.05)  # the others ask meanwhile
            ssh.control_path_dir = str(Path(later.enter_context(running_master()).path).parent)

        action = ActionOnBastion(Ssh(), connect)
        look_from = forwards(action)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: open_one(look_from("bas1"), port), range(16)))
    assert action.ran == [("true", False)]


def test_an_ssh_that_has_ended_is_started_again(port: int) -> None:
    with ExitStack() as first, ExitStack() as second:
        stacks = iter((first, second))

        def connect(ssh: Ssh) -> None:
            master = next(stacks).enter_context(running_master())
            ssh.control_path_dir = str(Path(master.path).parent)

        action = ActionOnBastion(Ssh(), connect)
        forward = forwards(action)("bas1")
        open_one(forward, port)
        first.close()
        open_one(forward, port)
    assert len(action.ran) == 2


def test_a_host_that_is_not_reached_is_named_and_tried_once_in_each_reading(port: int) -> None:
    def fail(_: Ssh) -> None:
        raise AnsibleConnectionFailure("Connection timed out")

    action = ActionOnBastion(Ssh(), fail)
    look_from = forwards(action)
    for reading in (1, 2):
        for _ in range(3):
            with pytest.raises(CannotTell, match=r"^bas1 is unreachable: Connection timed out"):
                open_one(look_from("bas1"), port)
        assert len(action.ran) == reading
        look_from.next_reading()


@pytest.mark.parametrize("control_path", [None, "%(directory)s/%%h-%%r"])
def test_without_a_lasting_ssh_it_is_said_what_is_missing(
    control_path: str | None, port: int
) -> None:
    action = ActionOnBastion(Ssh(control_path), lambda _: None)
    with pytest.raises(
        CannotTell, match=r"from bas1: Ansible keeps no ssh to it. It needs"
    ) as caught:
        open_one(forwards(action)("bas1"), port)
    assert caught.value.final


def test_an_ssh_that_is_gone_at_once_is_no_answer(port: int) -> None:
    action = ActionOnBastion(Ssh(), lambda _: None)
    with pytest.raises(CannotTell, match="nothing can be looked at from bas1: no ssh to bas1 at"):
        open_one(forwards(action)("bas1"), port)


def test_a_host_that_the_inventory_does_not_have() -> None:
    with pytest.raises(InvalidInput, match="holdfast_look_from: the inventory has no host bas9"):
        forwards(ActionOnBastion(Ssh(), lambda _: None))("bas9")
