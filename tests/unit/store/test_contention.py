"""Controllers that are processes fight for leases and write journals while servers of the database fail.

Never do two hold a lease, nothing is acted on without its intent, no entry is lost or doubled, and in the end every
server has the same journals without a gap. Judged by what the controllers noted in files (``controller.py``) and by the
tables of every server.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from holdfast.settings import Settings
from holdfast.store.connection import make_engine
from holdfast.store.database import open_store
from tests.fakes.journal import opened
from tests.unit.store.conftest import SERVERS, Servers
from tests.unit.store.controller import APART, SHARED
from tests.unit.store.galera import NODES, Node
from tests.unit.store.servers import Server

PROJECT = Path(__file__).parents[3]
CONTROLLERS = 6
ACTS = 8
"""So many acts must be seen before the next fault, and in each one's presence."""

SECONDS = 120


class Fight:
    """Controllers at work, and what they have noted. The last three are behind a proxy of all servers."""

    def __init__(self, directory: Path, ways: Sequence[Settings]) -> None:
        self._directory = directory
        urls = [way.state_url for way in ways]
        # As far apart as the store allows: the clock of each server, as its controller sees it.
        ahead = [0.0, APART.total_seconds() / 2, APART.total_seconds()]
        self._processes = [
            self._start(
                number, ahead[number % 3], urls if number >= 3 else [urls[number % len(urls)]]
            )
            for number in range(CONTROLLERS)
        ]

    def _start(self, number: int, ahead: float, urls: Sequence[str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.unit.store.controller"]
        with (self._directory / f"said-{number}").open("w") as said:
            return subprocess.Popen(
                [*command, str(number), self._directory, str(ahead), *urls],
                cwd=PROJECT,
                env={"PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"},
                stderr=said,
            )

    def await_acts(self, *controllers: int) -> None:
        """Return when each of these, or of all, has acted again and all together have often enough."""
        before, until = len(self.acts()), time.monotonic() + SECONDS
        while True:
            since = Counter(act["by"] for act in self.acts()[before:])
            if since.total() >= ACTS and all(since[each] for each in controllers):
                return
            self._require(None)
            if time.monotonic() > until:
                raise TimeoutError(f"acts in {SECONDS} s: {since}; {self._notes('errors')[-5:]}")
            threading.Event().wait(0.1)

    def _require(self, *codes: int | None) -> None:
        """Return if every controller ended with one of these; None is for one that has not."""
        found = [process.poll() for process in self._processes]
        said = [file.read_text() for file in sorted(self._directory.glob("said-*"))]
        assert set(found) <= set(codes), (found, said)

    def end(self) -> None:
        """Let all end by themselves."""
        (self._directory / "end").touch()
        for process in self._processes:
            process.wait(SECONDS)
        self._require(0)

    def said(self) -> str:
        """Return what controllers printed, as onto a terminal."""
        return "".join(file.read_text() for file in self._directory.glob("said-*"))

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def acts(self) -> list[dict[str, Any]]:
        return _lines(self._directory / "acts")

    def _notes(self, name: str) -> list[dict[str, Any]]:
        files = sorted(self._directory.glob(f"{name}-*"))
        return [line for file in files for line in _lines(file)]

    def entries(self) -> list[dict[str, Any]]:
        return self._notes("entries")

    def errors(self) -> list[dict[str, Any]]:
        return self._notes("errors")


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    # The last line may be under way.
    return [
        json.loads(line) for line in file.read_text().splitlines(keepends=True) if line[-1] == "\n"
    ]


@contextmanager
def fighting(directory: Path, ways: Sequence[Settings]) -> Iterator[Fight]:
    open_store(ways[0]).append(SHARED, opened())
    fight = Fight(directory, ways)
    try:
        yield fight
    finally:
        fight.kill()


def fail_nodes(fight: Fight, nodes: Sequence[Node]) -> None:
    """Kill one node, freeze another and cut off the third, each after the one before is back."""
    first, second, third = nodes
    third.kill()
    first.await_cluster(NODES - 1)
    fight.await_acts(0, 1)
    third.restart()
    third.await_cluster()
    fight.await_acts(2)

    second.freeze()
    first.await_cluster(NODES - 1)
    fight.await_acts(0, 2)
    second.thaw()
    second.await_cluster()
    fight.await_acts(1)

    first.cut_off()
    second.await_cluster(NODES - 1)
    fight.await_acts(1, 2)
    first.join_again()
    for node in nodes:
        node.await_cluster()
    fight.await_acts(0)


def fail_server(fight: Fight, servers: Sequence[Server]) -> None:
    [server] = servers
    for _ in range(2):
        server.quit()
        server.start()
        fight.await_acts()


def no_fault(_fight: Fight, _servers: object) -> None:
    """SQLite has no server."""


FAULTS: Mapping[str, Callable[[Fight, Any], None]] = {
    "galera": fail_nodes,
    "postgresql": fail_server,
    "sqlite": no_fault,
}


def test_leases_and_journals_hold_while_servers_fail(
    database: str,
    ways: Sequence[Settings],
    tmp_path: Path,
    servers_of: Callable[[str], Servers],
) -> None:
    if database not in FAULTS:
        return
    with fighting(tmp_path, ways) as fight:
        fight.await_acts(*range(CONTROLLERS))
        FAULTS[database](fight, servers_of(database) if database in SERVERS else None)
        fight.end()

    met = Counter(error["kind"] for error in fight.errors())
    assert met["StateUnusable"] or database == "sqlite", "no controller has noticed a fault"
    assert set(met) <= {"StateUnusable", "LeaseLost"}, fight.errors()
    assert not fight.said(), "a failure is told by StateUnusable alone"
    _require_one_holder_at_a_time(fight.acts())
    tables = [_tables(way) for way in ways]
    assert all(each == tables[0] for each in tables), "the servers differ"
    _require_whole(tables[0], fight)


def _require_one_holder_at_a_time(acts: Sequence[Mapping[str, Any]]) -> None:
    """In the order of acts, whose file is written under a lock, a token never comes after a larger one."""
    for scope in {act["scope"] for act in acts}:
        tokens = [act["token"] for act in acts if act["scope"] == scope]
        assert tokens == sorted(tokens), f"{scope}: {tokens}"
        holders = {(act["token"], act["by"]) for act in acts if act["scope"] == scope}
        assert len(holders) == len(set(tokens)), f"{scope}: two had one token: {holders}"


def _require_whole(events: Sequence[tuple[str, int, str]], fight: Fight) -> None:
    """Nothing is lost or doubled, no number is left out, and every act has its intent."""
    runs: dict[str, list[int]] = {}
    for run, seq, _ in events:
        runs.setdefault(run, []).append(seq)
    assert len(runs) == CONTROLLERS + 1
    for run, numbers in runs.items():
        assert numbers == list(range(1, len(numbers) + 1)), f"{run} has a gap"

    journaled = {(run, seq): json.loads(body).get("host") for run, seq, body in events}
    marks = Counter(mark for mark in journaled.values() if mark)
    assert set(marks.values()) == {1}, marks.most_common(3)
    tried = {entry["tried"] for entry in fight.entries() if "tried" in entry}
    assert set(marks) <= tried
    written = [entry for entry in fight.entries() if "written" in entry]
    lost = [
        each for each in written if journaled.get((each["run"], each["seq"])) != each["written"]
    ]
    assert not lost
    assert {act["mark"] for act in fight.acts()} <= set(marks)
    assert len(written) > len(fight.acts()) > CONTROLLERS


def _tables(way: Settings) -> list[tuple[str, int, str]]:
    """Return what the server itself has of the journals; ask it until it has all."""
    with make_engine(way.state_url).connect() as connection:
        query = text("SELECT run, seq, body FROM holdfast_events ORDER BY run, seq")
        return [(run, seq, body) for run, seq, body in connection.execute(query)]
