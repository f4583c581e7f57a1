"""Boot tests made by hand, and a loop over a fake nova whose clock a test moves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from holdfast.boots.boot_loop import BootLoop, LoopTimer
from holdfast.boots.model import Boot, BootTest, FailureKind, Options, WantedServer, wanted
from holdfast.boots.nova import BootServers
from holdfast.probes.nova.site import ApiSite
from tests.unit.probes.fake_nova import FakeNova
from tests.unit.probes.fake_servers import FLAVOR, IMAGE

TEST = "20261127-1305-boots-k3f9"
BEGAN = datetime(2026, 11, 27, 13, 5, tzinfo=UTC)
OPTIONS = Options(flavor="m1.tiny", image="cirros", per_host=3)


def boot(host: str, number: int, outcome: str = "active", **more: object) -> Boot:
    values: dict[str, object] = {"asked": 0.0, "ended": 2.0, "name": f"{host}-{number}", **more}
    if outcome == "failed":
        values = {"kind": FailureKind.DEADLOCK, "fault": "(1213, 'Deadlock')", **values}
    return Boot.model_validate({"host": host, "number": number, "outcome": outcome, **values})


def made(*boots: Boot, **more: object) -> BootTest:
    """Return a test that ended by itself, with these boots."""
    values: dict[str, object] = {
        "id": TEST,
        "site": "east",
        "by": "ada",
        "began": BEGAN,
        "options": OPTIONS,
        "hosts": list(dict.fromkeys(each.host for each in boots)),
        "boots": boots,
        "ended": BEGAN + timedelta(minutes=1),
        "seconds": 60.0,
        **more,
    }
    return BootTest.model_validate(values)


@dataclass
class MovedClock:
    """A clock that moves by what is waited for; ``each`` is called at each wait."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    each: Callable[[], object] = lambda: None

    def wait(self, seconds: float) -> None:
        # The requests of other threads take real time, which this clock does not know.
        with suppress(StopIteration):
            self.each()
        self.waits.append(seconds)
        self.now += seconds


def site(nova: FakeNova) -> ApiSite:
    return ApiSite.model_validate({**nova.login(), "nova_api_url": nova.url})


def loop(
    nova: FakeNova,
    clock: MovedClock,
    *,
    within: float = 60,
    stopped: Callable[[], bool] = lambda: False,
) -> BootLoop:
    servers = BootServers({"ctl1": site(nova)}, TEST, str(FLAVOR["id"]), IMAGE)
    return BootLoop(servers, LoopTimer(lambda: clock.now, clock.wait), 4, within, stopped)


def three_each(*hosts: str) -> list[WantedServer]:
    return wanted(TEST, {host: host for host in hosts}, 3)
