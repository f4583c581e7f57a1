"""Measures planning for N hosts, then a whole run over them on the fleet in memory: seconds, megabytes, journal rows.

Called as `python -m tests.bench.planning N`; prints JSON. A process of its own: peak memory belongs to a process.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from holdfast.engine.dependencies import Dependencies
from holdfast.engine.engine import Engine
from holdfast.engine.planner import Planner
from holdfast.model import Json
from holdfast.plan.model import Playbook, SiteInventory
from holdfast.policy import PlaybookPolicy
from holdfast.settings import Settings
from holdfast.store.database import open_store
from tests.fakes.fleet import SteadyFleet, deliver_at_once
from tests.fakes.play_runner import FakeRunner

GROUP = "nova_compute"
BATCH = 5
RUNBOOK = f"""---
name: computes
summary: for the benchmark
---

# For the benchmark

## 1. Computes

There are many computes.

```step
roll: computes.yml
hosts: {GROUP}
batch: {BATCH}
```

## If it holds

It does not hold.
"""


class Sites:
    """Reads every site as one group with the given hosts."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._hosts = hosts

    def read(self, site: Path, limit: str) -> SiteInventory:
        """Return the inventory with the whole group; `limit` is ignored."""
        return SiteInventory("bench", str(site), {GROUP: self._hosts})


class Playbooks:
    """Reads every playbook as one with the same policy."""

    def read(self, name: str, variables: Mapping[str, Json]) -> Playbook:
        """Return a playbook with a policy like that of the computes."""
        policy = PlaybookPolicy(
            service="nova",
            group=GROUP,
            batch_max=BATCH,
            batch_max_reason="the size of the benchmark's batches",
            survey=("fake.all_serve",),
        )
        return Playbook(name, policy, {})


def measure(count: int, scratch: Path) -> dict[str, float]:
    """Plan for `count` hosts, run it with fakes, and return seconds, megabytes and journal rows."""
    hosts = tuple(f"cmp{number:05}" for number in range(count))
    fleet = SteadyFleet.of(list(hosts))
    # The leases go by the fleet's clock, and the journal is in memory: no disk is measured.
    store = open_store(Settings("sqlite://", scratch), clock=lambda _: fleet.clock())
    runner = FakeRunner(fleet, store)
    runner.keeps_plays = False
    engine = Engine(
        Dependencies(
            store=store,
            runner=runner,
            planner=Planner(
                inventories=Sites(hosts), playbooks=Playbooks(), claim_group=lambda _: GROUP
            ),
            wait=fleet.clock.wait,
            clock=fleet.clock,
            delivery=deliver_at_once,
            background=fleet.clock.background,
        )
    )
    runbook = scratch / "computes.md"
    runbook.write_text(RUNBOOK)
    began = time.monotonic()
    plan = engine.planner.plan(runbook, Path("bench"), {})
    planned = time.monotonic()
    used = time.process_time()
    ended = engine.start(plan, "bench", "benchmark")
    return {
        "planning_seconds": planned - began,
        "run_seconds": time.monotonic() - planned,
        "run_cpu_seconds": time.process_time() - used,
        "run_code": float(ended.code),
        "journal_rows": float(ended.state.seq),
        "memory_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(measure(int(sys.argv[1]), Path(directory))))
