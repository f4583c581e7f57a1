"""The engine, real playbooks and real processes, on local hosts: faults that only processes can have.

What happened to a host is read from its systemctl's record, never from the journal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from holdfast.journal import RunState, Status, fold
from holdfast.journal.events import AbortRequested, ActDone, ActIntended, Observed
from holdfast.settings import Settings
from holdfast.store import open_store, processes_of
from tests.contract.site import LocalSite

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="modules keep their locks in /run/holdfast, which is root's"
)

HOSTS = ("a", "b", "c")
E = TypeVar("E")
DRIVER = Path(__file__).with_name("driver.py")
RUNBOOK = """\
---
name: toy-restart
summary: for tests
---

# Toys

## 1. All toys
Because.

```step
roll: unit_restart.yml
hosts: toys
vars: {systemd_unit_name: toy, systemd_unit_group: toys}
settle: {seconds: 0, readings: 1}
deadline_seconds: 5
```

## If it holds
Look.
"""


@dataclass
class Scene:
    """A site, its state, and the drivers started so far."""

    path: Path
    site: LocalSite
    drivers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state_dir = self.path / "state"
        self.words = self.path / "words-of-the-last-driver"
        self.store = open_store(Settings(f"sqlite:///{self.state_dir / 'state.db'}", self.path))
        self.runbook = self.path / "toy-restart.md"
        self.runbook.write_text(RUNBOOK)

    @property
    def run(self) -> str:
        return self.store.runs()[0]

    @property
    def state(self) -> RunState:
        return fold(self.store.read(self.run))

    def restarts(self) -> list[int]:
        return [self.site.restarts(host) for host in HOSTS]

    def events(self, kind: type[E]) -> list[E]:
        journal = self.store.read(self.run) if self.store.runs() else []
        return [entry.event for entry in journal if isinstance(entry.event, kind)]

    def start(self) -> subprocess.Popen[bytes]:
        return self._driver("run", str(self.runbook), str(self.site.path))

    def resume(self) -> subprocess.Popen[bytes]:
        return self._driver("resume", self.run)

    def until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.store.read(self.run)
            assert self.drivers[-1].poll() is None, self.words.read_text()
            time.sleep(0.05)  # noqa: TID251  # waits for another process, in a test

    def intended(self, host: str) -> bool:
        return any(event.host == host for event in self.events(ActIntended))

    def acted(self, host: str) -> bool:
        return any(event.host == host for event in self.events(ActDone))

    def _driver(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.words.open("w") as words:
            driver = subprocess.Popen(
                [sys.executable, str(DRIVER), str(self.state_dir), *arguments],
                stdout=subprocess.DEVNULL,
                stderr=words,
            )
        self.drivers.append(driver)
        return driver


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path, LocalSite.make(tmp_path / "site", *HOSTS))
    yield scene
    for driver in scene.drivers:
        driver.kill()
        driver.wait()
    for run in scene.store.runs():
        for process in processes_of(run):
            os.kill(process, signal.SIGKILL)


def code_of(driver: subprocess.Popen[bytes]) -> int:
    return driver.wait(timeout=180)


def test_every_host_is_restarted_once(scene: Scene) -> None:
    assert code_of(scene.start()) == 0

    assert scene.restarts() == [1, 1, 1]
    assert scene.state.status is Status.FINISHED


def test_a_host_that_does_not_come_back_holds_and_a_resume_repeats_nothing(scene: Scene) -> None:
    scene.site.break_restart("b")
    assert code_of(scene.start()) == 4
    assert scene.restarts() == [1, 1, 0]
    held = scene.state.held
    assert held is not None
    assert held.host == "b"
    assert any("not touched in step 1: c" in sentence for sentence in held.left)
    assert held.next_commands[0].startswith(f"holdfast resume {scene.run} ")

    scene.site.repair("b")
    assert code_of(scene.resume()) == 0

    assert scene.restarts() == [1, 1, 1]


def test_a_driver_killed_during_a_restart_repeats_nothing(scene: Scene) -> None:
    scene.site.make_slow("b")
    driver = scene.start()
    scene.until(lambda: scene.site.restarts("b") == 1)
    driver.kill()
    driver.wait()
    assert list(processes_of(scene.run)), "the play outlives its driver"

    assert code_of(scene.resume()) == 0

    assert scene.restarts() == [1, 1, 1]
    assert scene.state.resumed[0].ended
    assert not list(processes_of(scene.run))


def test_a_driver_killed_during_the_gates_repeats_nothing(scene: Scene) -> None:
    driver = scene.start()
    scene.until(lambda: scene.site.restarts("b") == 1 and scene.acted("b"))
    driver.kill()
    driver.wait()

    assert code_of(scene.resume()) == 0

    assert scene.restarts() == [1, 1, 1]


def test_a_hard_stop_leaves_no_process_and_asks_the_host(scene: Scene) -> None:
    scene.site.make_slow("b")
    driver = scene.start()
    scene.until(lambda: scene.site.restarts("b") == 1)
    driver.send_signal(signal.SIGINT)
    scene.until(lambda: bool(scene.events(AbortRequested)))
    driver.send_signal(signal.SIGINT)

    assert code_of(driver) == 5
    assert not list(processes_of(scene.run))
    observed = scene.events(Observed)
    assert [event.host for event in observed] == ["b"]
    assert scene.restarts() == [1, 1, 0]
    assert scene.state.aborted is not None
    assert any(left.startswith("b: toy was restarted") for left in scene.state.aborted.left)


def test_one_interrupt_finishes_the_host_in_hand(scene: Scene) -> None:
    driver = scene.start()
    scene.until(lambda: scene.intended("a"))
    driver.send_signal(signal.SIGINT)

    assert code_of(driver) == 5
    assert scene.restarts() == [1, 0, 0]
    assert scene.state.done() == ["a"]


def test_a_host_that_becomes_unreachable_stops_the_roll(scene: Scene) -> None:
    driver = scene.start()
    scene.until(lambda: scene.intended("a"))
    scene.site.lose("b")

    assert code_of(driver) == 4
    assert scene.restarts() == [1, 0, 0]
    held = scene.state.held
    assert held is not None
    assert held.host == "b"


def test_a_host_done_earlier_that_dies_holds_before_the_next(scene: Scene) -> None:
    driver = scene.start()
    scene.until(lambda: scene.intended("b"))
    scene.site.stop_unit("a")

    assert code_of(driver) == 4
    assert scene.restarts() == [1, 1, 0]
    held = scene.state.held
    assert held is not None
    assert (held.host, held.claim) == ("a", "systemd.unchanged_since")

    scene.site.repair("a")
    assert code_of(scene.resume()) == 0
    assert scene.restarts() == [1, 1, 1]


def test_a_second_operator_is_told_who_runs(scene: Scene) -> None:
    scene.site.make_slow("a")
    first = scene.start()
    scene.until(lambda: scene.intended("a"))

    second = scene.start()
    assert code_of(second) == 3
    assert scene.run in scene.words.read_text()
    assert "a {{ 'test' }}" in scene.words.read_text()

    # While the dead driver's play still restarts a host, the lease stays with it.
    first.kill()
    first.wait()
    third = scene.start()
    assert code_of(third) == 3
    assert len(scene.store.runs()) == 1
