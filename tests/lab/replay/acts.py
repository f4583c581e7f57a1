"""One act of the replay: a change, a way to put it into effect, what it did, and how it is taken back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.lab.instruments.fleet_summary import FleetFigures, HostRestart, figures
from tests.lab.instruments.records import Record, read_records
from tests.lab.replay.fleet_lab import FleetLab

HERE = Path(__file__).parent
BROKERS = ("ctl1", "ctl2", "ctl3")

HARMLESS = "change"
CHANGES: Mapping[str, str] = {
    HARMLESS: "[light_compute]\n# An option that is harmless, as the one of 2015 was.\nstop_seconds = 1",
    "unusable": "[light_compute]\nunusable = true",
    "deaf": "[light_compute]\ndeaf_after = 120",
}
"""What is changed: nothing that matters; the service does not start; it answers no call two minutes after its start."""

WELL_SECONDS = 30.0  # so long must all have answered before an act begins
REPAIR_SECONDS = 900.0
STABLE_SECONDS = 60.0  # so long without trouble, and an act is over
AT_MOST_SECONDS = (
    200.0  # an act is watched after it was put into effect: a fault that was planted lasts
)
HELD, HAS_HELD = 4, "held"  # the exit code of a run that has held, and how that is said
ENABLE = "UPDATE nova.services SET disabled = 0, disabled_reason = NULL WHERE `binary` = 'nova-compute' AND disabled"


@dataclass(frozen=True, slots=True)
class Act:
    """What is replayed. `record` is the instrument's file; `percent` of a core each broker may use; `tell` prints.

    Holdfast rolls over `most` computes, 0 for all.
    """

    lab: FleetLab
    record: Path
    change: str
    way: str
    percent: float
    most: int
    tell: Callable[[str], object]

    def records(self) -> tuple[Record, list[Record]]:
        """Return the head of the instrument's record, and the rest."""
        head, *rest = read_records(self.record)
        return head, rest

    def now(self) -> float:
        """Return the present moment by the instrument's clock."""
        return time.monotonic() - float(self.records()[0]["detail"]["monotonic"])


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of an act. `series` has, per period, seconds since the beginning, hosts silent, heartbeats old.

    `stops`: when each host's unit began to stop, in seconds since the beginning. `said`: how the way ended.
    """

    change: str
    way: str
    figures: FleetFigures
    connections: int
    seconds: float
    said: str
    series: Sequence[tuple[float, int, int]]
    stops: Sequence[float]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def replay(act: Act) -> Replayed:
    """Put the change into effect, watch until it is stable, take it back, and return what it did."""
    hosts: list[str] = act.records()[0]["detail"]["hosts"]
    _wait_until_well(act)
    act.tell(f"{act.change}, {act.way}: begins")
    act.lab.change(CHANGES[act.change])
    accepted, began_at = act.lab.accepted(BROKERS), datetime.now(UTC)
    try:
        with act.lab.brokers_limited(BROKERS, act.percent):
            began, said = WAYS[act.way](act, hosts)
            took = act.now() - began
            _watch(act, STABLE_SECONDS if said == HAS_HELD else AT_MOST_SECONDS)
    finally:
        act.lab.change("")
    ended = act.now()
    connections = act.lab.accepted(BROKERS) - accepted
    restarts = list(_restarts(act, hosts, began_at))
    _take_back(act, {restart.host for restart in restarts})
    _, records = act.records()
    return Replayed(
        act.change,
        act.way,
        figures(records, restarts, began, ended),
        connections,
        round(took, 1),
        said,
        list(_series(records, began, ended)),
        sorted(round(restart.stopped - began, 1) for restart in restarts),
    )


def at_once(act: Act, hosts: Sequence[str]) -> tuple[float, str]:
    """Restart the unit on all hosts in the same second, as a forced agent on all of them did; return that moment."""
    armed = datetime.now(UTC) + timedelta(seconds=30 + len(hosts) / 3)
    act.lab.on_each(
        hosts, "systemd-run", "--quiet", "--timer-property=AccuracySec=100ms",
        f"--on-calendar={armed:%Y-%m-%d %H:%M:%S} UTC", "systemctl", "restart", "nova-compute",
    )  # fmt: skip
    left = (armed - datetime.now(UTC)).total_seconds()
    if left < 0:
        raise RuntimeError("arming took longer than planned: the hosts were not restarted at once")
    threading.Event().wait(left)
    return act.now(), "restarted"


def by_holdfast(act: Act, hosts: Sequence[str]) -> tuple[float, str]:
    """Run the runbook beside this file; return when it began and how it ended."""
    began = act.now()
    chosen = hosts[: act.most] if act.most else hosts
    argv = [
        str(Path(sys.executable).with_name("holdfast")), "run", str(HERE / "replay.md"), "--yes",
        "--site", "inventories/lab", "--input", "hosts=nova_compute", "--limit", ":".join(chosen),
        "--reason", f"replay: {act.change}",
    ]  # fmt: skip
    state = act.record.parent / "state"
    done = subprocess.run(
        argv, env={**os.environ, "HOLDFAST_STATE_DIR": str(state)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    (act.record.parent / f"holdfast-{act.change}.txt").write_text(done.stdout, encoding="utf-8")
    if done.returncode not in {0, HELD}:
        raise RuntimeError(f"holdfast ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return began, HAS_HELD if done.returncode else "finished"


WAYS: Mapping[str, Callable[[Act, Sequence[str]], tuple[float, str]]] = {
    "all at once": at_once,
    "holdfast": by_holdfast,
}


def _watch(act: Act, at_most: float) -> None:
    """Wait until there was no trouble for a while, or long enough: a host that a run has held for stays as it is."""
    began, tick = act.now(), threading.Event()
    while (now := act.now()) - began < at_most:
        trouble = [each["t"] for each in act.records()[1] if each["ok"] is False]
        if now - max([began, *trouble]) >= STABLE_SECONDS:
            return
        tick.wait(2)


def _wait_until_well(act: Act) -> None:
    """Wait until every compute has answered for a while.

    Raises:
        RuntimeError: that takes too long.
    """
    began, tick = act.now(), threading.Event()
    while (now := act.now()) - began < REPAIR_SECONDS:
        if now >= WELL_SECONDS and not _troubled(act, now - WELL_SECONDS):
            return
        tick.wait(2)
    raise RuntimeError(f"the fleet is not well after {REPAIR_SECONDS:.0f} s")


def _troubled(act: Act, since: float) -> bool:
    return any(each["ok"] is not True for each in act.records()[1] if each["t"] >= since)


def _take_back(act: Act, hosts: set[str]) -> None:
    """Restart, without the change, the hosts on which it is in effect, and enable what a held run left disabled."""
    if act.change != HARMLESS:
        act.tell(f"{act.change}, {act.way}: taking the change back on {len(hosts)} hosts")
        again = "systemctl reset-failed nova-compute; systemctl restart --no-block nova-compute"
        act.lab.on_each(sorted(hosts), "sh", "-c", again)
    act.lab.run(BROKERS[0], "mysql", "-e", ENABLE)


def _restarts(act: Act, hosts: Sequence[str], since: datetime) -> Iterator[HostRestart]:
    """Yield the restarts of the hosts by the instrument's clock; of a unit that systemd starts again, the first."""
    started_at = datetime.fromisoformat(act.records()[0]["detail"]["started_at"])
    for host, events in act.lab.restarts(hosts, since).items():
        stopped = next((at for at, what in events if what == "stopped"), None)
        if stopped is None:
            continue
        started = next((at for at, what in events if what == "started" and at > stopped), None)
        seconds = [
            None if at is None else (at - started_at).total_seconds() for at in (stopped, started)
        ]
        yield HostRestart(host, seconds[0] or 0.0, seconds[1])


def _series(
    records: Sequence[Record], began: float, ended: float
) -> Iterator[tuple[float, int, int]]:
    old = 0
    for each in records:
        if not began <= each["t"] <= ended:
            continue
        if each["what"] == "heartbeats" and isinstance(each["detail"], dict):
            old = int(each["detail"]["old"])
        if each["what"] == "calls":
            silent = {host for host, sent in each["detail"]["silent"] if sent >= began}
            yield round(each["t"] - began, 1), len(silent), old
