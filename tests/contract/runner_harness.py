"""The two runners behind one interface: faults of hosts, and what really happened to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from holdfast.ansible.interfaces import (
    Play,
    PlayResult,
    PlayRunner,
    Progress,
    StartedPlay,
    run_play,
)
from holdfast.ansible.play_runner import AnsibleRunner
from holdfast.errors import LeaseLost
from holdfast.journal.events import Event
from holdfast.marks import HostMarks
from holdfast.model import Holder, Json, LeaseMode
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store
from holdfast.store.processes import strays_of
from tests.contract.local_site import UNIT, LocalSite
from tests.fakes.fleet import FakeFleet
from tests.fakes.journal import opened
from tests.fakes.play_runner import FakeRunner

PROJECT = Path(__file__).parents[2]


class RunnerHarness(Protocol):
    """A runner, a journal, and three hosts a, b and c."""

    store: Store
    runner: PlayRunner
    inventory: str

    def now(self) -> datetime: ...
    def restarts(self, host: str) -> int: ...
    def invocation_id(self, host: str) -> str: ...
    def break_restart(self, host: str) -> None: ...
    def stop_unit(self, host: str) -> None: ...
    def make_slow(self, host: str) -> None: ...
    def make_unreachable(self, host: str) -> None: ...
    def mark(self, host: str, holder: Holder) -> None: ...
    def marks(self) -> list[str]: ...
    def let_marks_expire(self, host: str, service: str) -> dict[str, Json]: ...


class FakeRunnerHarness:
    def __init__(self, path: Path) -> None:
        self.store = open_store(Settings("sqlite://", path))
        self.fleet = FakeFleet.of(["a", "b", "c"])
        self.runner: PlayRunner = FakeRunner(self.fleet, self.store)
        self.inventory = str(path)

    def now(self) -> datetime:
        return self.fleet.clock()

    def restarts(self, host: str) -> int:
        return sum(times for (name, _), times in self.fleet.restarts().items() if name == host)

    def invocation_id(self, host: str) -> str:
        return self.fleet.hosts[host].invocation_id(UNIT)

    def break_restart(self, host: str) -> None:
        self.fleet.restart_fails.add(host)

    def stop_unit(self, host: str) -> None:
        self.fleet.hosts[host].unit(UNIT).active = False

    def make_slow(self, host: str) -> None:
        """Do nothing: every task takes a second of the fake clock, which is slow enough."""

    def make_unreachable(self, host: str) -> None:
        self.fleet.hosts[host].reachable = False

    def mark(self, host: str, holder: Holder) -> None:
        found = HostMarks("boot", self.now().timestamp())
        self.fleet.hosts[host].marks[UNIT] = found.new_mark(holder, self.now()).as_text()

    def marks(self) -> list[str]:
        return self.fleet.marks().get(UNIT, [])

    def let_marks_expire(self, host: str, service: str) -> dict[str, Json]:
        """Do nothing: its acts need no mark."""
        return {}


class AnsibleRunnerHarness:
    def __init__(self, path: Path, state: str = "state") -> None:
        settings = Settings(f"sqlite:///{path / state / 'state.db'}", path / state)
        self.store = open_store(settings)
        self.site = LocalSite.make(path / "site", "a", "b", "c")
        self.state_dir = settings.state_dir
        self.inventory = str(self.site.path)
        self.runner: PlayRunner = AnsibleRunner(
            PROJECT,
            os.environ | {"PLANTED": "hunter2-environment"},
            settings.state_url,
            self.state_dir,
            strays_of,
        )

    def now(self) -> datetime:
        return datetime.now(UTC)

    def restarts(self, host: str) -> int:
        return self.site.restarts(host)

    def invocation_id(self, host: str) -> str:
        return f"{host}-{1 + self.site.restarts(host)}"

    def break_restart(self, host: str) -> None:
        self.site.break_restart(host)

    def stop_unit(self, host: str) -> None:
        self.site.stop_unit(host)

    def make_slow(self, host: str) -> None:
        self.site.make_slow(host)

    def make_unreachable(self, host: str) -> None:
        self.site.make_unreachable(host)

    def mark(self, host: str, holder: Holder) -> None:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        found = HostMarks(boot_id, float(Path("/proc/uptime").read_text("ascii").split()[0]))
        path = self._mark(host)
        path.parent.mkdir(exist_ok=True)
        path.write_text(found.new_mark(holder, self.now()).as_text())

    def marks(self) -> list[str]:
        return [host for host in self.site.hosts if self._mark(host).exists()]

    def let_marks_expire(self, host: str, service: str) -> dict[str, Json]:
        """Let the host's marks expire during its preflight; return what makes it time to renew them by then."""
        self.site.expire_marks(host)
        return {"holdfast_marked": {"service": service, "renew_at": 0}}

    def _mark(self, host: str) -> Path:
        return self.site.place(host) / "run" / f"{UNIT}.mark"


class PlayStarter:
    """Starts plays as the engine does, and reads what they journaled."""

    def __init__(self, harness: RunnerHarness, service: str = UNIT) -> None:
        self.harness = harness
        # Unique, since a runner ends every process that carries its run's name.
        self.run = f"contract-{uuid4().hex}"
        self.started = 0
        harness.store.append(self.run, opened(harness.now()))
        holder = Holder(self.run, "ada", "a test", "ctl", "boot", 1, 1)
        scopes = {f"contract/{service}": LeaseMode.EXCLUSIVE}
        self.grant = harness.store.take(holder, scopes, timedelta(hours=1))
        self.progress: list[Progress] = []

    def play(
        self,
        playbook: str,
        limit: Sequence[str],
        interrupted: Callable[[], bool] = lambda: False,
        **variables: Json,
    ) -> PlayResult:
        self.started += 1
        play = Play(
            run=self.run,
            ident=f"{self.started:04d}",
            playbook=playbook,
            inventory=self.harness.inventory,
            limit=tuple(limit),
            variables=self.common() | variables,
        )
        return run_play(self.harness.runner, play, self.progress.append, interrupted)

    def park(self, *batch: str, **variables: Json) -> StartedPlay:
        """Start the play of a batch, which waits for its word."""
        self.started += 1
        play = Play(
            run=self.run,
            ident=f"{self.started:04d}-next",
            playbook="unit_restart.yml",
            inventory=self.harness.inventory,
            limit=batch,
            variables=self.common() | self._batch(batch) | variables,
        )
        return self.harness.runner.start(play, self.progress.append, parked=True)

    def _batch(self, batch: Sequence[str]) -> dict[str, Json]:
        return {
            "systemd_unit_name": UNIT,
            "systemd_unit_group": "toys",
            "holdfast_batch": list(batch),
            "holdfast_phases": ["preflight", "drain", "restart", "verify", "undrain"],
        }

    def roll(self, *batch: str, done: Mapping[str, str] | None = None, **given: Json) -> PlayResult:
        """Run the unit's playbook for a batch; ``done`` has the hosts to sweep and their InvocationIDs."""
        swept = {host: {UNIT: invocation_id} for host, invocation_id in (done or {}).items()}
        known = {"holdfast_done": list(swept), "holdfast_sweep": swept}
        variables = self._batch(batch) | known
        limit = list(batch)
        interrupted = given.pop("interrupted", lambda: False)
        return self.play("unit_restart.yml", limit, interrupted, **(variables | given))

    def common(self) -> dict[str, Json]:
        return {
            "holdfast_run": self.run,
            "holdfast_grant": dict(self.grant.tokens),
            "holdfast_site": "contract",
            "holdfast_by": "ada",
            "holdfast_reason": "a test",
            "holdfast_settle_readings": 1,
            "holdfast_settle_seconds": 0,
            "holdfast_gate_deadline_seconds": 1,
        }

    def renew_until(self, condition: Callable[[], Json], ttl: timedelta) -> None:
        """Renew the lease for a short time until the condition holds, and let it expire then."""
        while not condition():
            self.harness.store.renew(self.grant, ttl)
            threading.Event().wait(0.05)

    def lease_has_expired(self) -> bool:
        try:
            self.harness.store.check(self.grant)
        except LeaseLost:
            return True
        return False

    def lose_lease(self) -> None:
        """Release the lease: the run's tokens are not valid any more."""
        self.harness.store.release(self.grant)

    def events(self, kind: type[Event]) -> list[Json]:
        """Return the events of a kind, in order."""
        events = (recorded.event for recorded in self.harness.store.read(self.run))
        return [event for event in events if isinstance(event, kind)]

    def journaled(self) -> list[str]:
        """Return what was journaled since the run was opened: kinds, with the phase of a gate or the act."""
        events = [recorded.event for recorded in self.harness.store.read(self.run, after=1)]
        found = [getattr(each, "phase", getattr(each, "act", "")) for each in events]
        return [f"{event.kind} {what}".strip() for event, what in zip(events, found, strict=True)]


HARNESSES: dict[str, Callable[[Path], RunnerHarness]] = {
    "fake": FakeRunnerHarness,
    "real": AnsibleRunnerHarness,
}
