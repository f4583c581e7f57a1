"""A play that is stopped before any process of it has started, or beside another one."""

from __future__ import annotations

import errno
import gc
import subprocess
import threading
import weakref
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.ansible.interfaces import Play
from holdfast.ansible.play_runner import AnsibleRunner, _PlayDirectory, _Plays, _StartedPlay
from holdfast.errors import InvalidInput
from holdfast.model import PLAY_VARIABLE

ROLL = Play("r1", "0001-roll", "unit_restart.yml", "site", ("a",))


def test_a_hard_stop_before_the_first_process_is_not_lost(tmp_path: Path) -> None:
    """There is nothing to end yet: what starts then would go on with its hosts to the end of the play."""
    ended, asked = threading.Event(), count()
    ended_early: list[bool] = []

    def end_processes() -> None:
        if next(asked):  # the first time there is none
            ended.set()

    runner = SimpleNamespace(run=lambda: ended_early.append(ended.wait(1)), rc=254, status="failed")
    started = _StartedPlay(ROLL, _PlayDirectory(tmp_path), lambda _: None, end_processes, _Plays())
    started.begin(runner)

    while (result := started.result()) is None:
        started.interrupt()

    assert (result.status, ended_early) == ("interrupted", [True])


def test_nothing_of_a_play_that_has_ended_is_kept(tmp_path: Path) -> None:
    """ansible-runner's object has files open, also where it broke."""
    runner = SimpleNamespace(run=lambda: None, rc=0, status="successful")
    plays = _Plays()
    started = _StartedPlay(ROLL, _PlayDirectory(tmp_path), lambda _: None, lambda: None, plays)
    started.begin(runner)
    while started.result() is None:
        pass
    kept = weakref.ref(started)
    del started
    gc.collect()

    assert (kept(), plays.over, plays.messages.empty()) == (None, [], True)


def test_a_parked_play_in_which_a_task_has_failed_gets_no_word(tmp_path: Path) -> None:
    """Its process only ends: with the word given, what it asked before would hold the run."""
    ended = threading.Event()
    runner = SimpleNamespace(run=lambda: ended.wait(10), rc=2, status="failed")
    place = _PlayDirectory(tmp_path)
    place.open_word()
    parked = _StartedPlay(ROLL, place, lambda _: None, ended.set, _Plays())
    parked.begin(runner)
    parked.enqueue({"event": "runner_on_failed", "event_data": {"host": "a", "res": {"msg": "no"}}})

    assert not parked.go({})
    assert not list(tmp_path.glob("park*"))


def test_a_process_of_which_the_play_cannot_be_told_is_not_ended_with_another(
    tmp_path: Path,
) -> None:
    """While a process begins another program, its environment is empty: it may act for the play beside."""
    environments: list[dict[str, str]] = [{PLAY_VARIABLE: "0001"}, {PLAY_VARIABLE: "0002"}, {}]
    processes = [subprocess.Popen(["/bin/sleep", "10"], env=each) for each in environments]

    def living(_: str) -> list[int]:
        return [process.pid for process in processes if process.poll() is None]

    try:
        AnsibleRunner(tmp_path, {}, "sqlite://", tmp_path, living)._end("r1", "0001")
        assert [process.poll() is None for process in processes] == [False, True, True]
    finally:
        for process in processes:
            process.kill()
            process.wait()


class _FullDisk(AnsibleRunner):
    """A runner whose disk is full once ansible-runner writes its own files."""

    def _prepare(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_play_that_cannot_be_prepared_is_no_bug(tmp_path: Path) -> None:
    """A bug would end the plays of other hosts beside it."""
    runner = _FullDisk(tmp_path, {}, "sqlite://", tmp_path, lambda _: [])

    with pytest.raises(InvalidInput, match="No space left on device"):
        runner.start(ROLL, lambda _: None)

    assert not list(tmp_path.rglob("variables.json"))
