"""How long it takes from the last good reading of a host to the beginning of the next host's restart.

When the reading had ended is in the run's journal; when systemd began the restart, each host's own journal says.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from holdfast.journal.events import BatchStarted, GateJudged
from holdfast.model import Phase
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store
from tests.bench.lab import BENCH, UNIT, Lab, program, timed
from tests.lab.instruments.unit_messages import STOPPING

WITHIN, ACROSS = "within a step", "across steps"
UNPREPARED = "with a play that was not prepared"


def boundaries(lab: Lab, scratch: Path) -> dict[str, list[float]]:
    """Return the seconds of each boundary of a run: those within a step, and across steps.

    ``UNPREPARED`` is from the decision on the first batch to its restart. A run that has guessed the next hosts wrongly
    needs as long, since it starts another play.
    """
    state = scratch / "boundary"
    began = datetime.now(UTC)
    argv = [program("holdfast"), "run", str(BENCH / "bench-boundary.md"), "--yes"]
    inputs = ["--input", f"unit={UNIT}", "--input", "group=lab_hosts", "--reason", "benchmark"]
    timed([*argv, "--site", "inventories/lab", *inputs], {"HOLDFAST_STATE_DIR": str(state)})
    store = open_store(Settings(f"sqlite:///{state}/state.db", state))
    [run] = store.runs()
    stops = {host: _stops(lab, host, began) for host in lab.addresses}
    events = (recorded.event for recorded in store.read(run))
    begun = next(event for event in events if isinstance(event, BatchStarted))
    found: dict[str, list[float]] = {
        WITHIN: [],
        ACROSS: [],
        UNPREPARED: [(stops[begun.hosts[0]][0] - begun.at).total_seconds()],
    }
    for (step, _, passed), (next_step, host, _) in pairwise(_turns(store, run)):
        # Each host has one turn in each step.
        stopped = stops[host][next_step - 1]
        found[WITHIN if step == next_step else ACROSS].append((stopped - passed).total_seconds())
    return found


def _turns(store: Store, run: str) -> Iterator[tuple[int, str, datetime]]:
    """Yield step, host and the end of the last good reading of each turn, in their order."""
    step = 0
    for recorded in store.read(run):
        event = recorded.event
        if isinstance(event, BatchStarted):
            step = event.step
        if isinstance(event, GateJudged) and event.phase == Phase.VERIFY:
            yield step, event.host, event.at


def _stops(lab: Lab, host: str, since: datetime) -> list[datetime]:
    """Return when systemd began to stop the unit on a host, in their order."""
    read = f"sudo journalctl --unit {UNIT} --since=@{since.timestamp():.0f} --output=json MESSAGE_ID={STOPPING}"
    argv = ["ssh", "-i", str(lab.key), "-o", f"UserKnownHostsFile={lab.known_hosts}"]
    done = subprocess.run(
        [*argv, f"ops@{lab.addresses[host]}", read], check=True, capture_output=True, text=True
    )
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        datetime.fromtimestamp(int(each["__REALTIME_TIMESTAMP"]) / 1e6, UTC) for each in entries
    ]
