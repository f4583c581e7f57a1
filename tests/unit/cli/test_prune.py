"""``holdfast prune``: what is old and has ended goes, and nothing else."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.journal.events import Event, Finished, Held, Resumed
from holdfast.model import Holder, LeaseMode
from holdfast.settings import load_settings
from holdfast.store.database import Store
from tests.fakes.journal import opened
from tests.unit.cli.cli_harness import InMemoryProject


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


@pytest.fixture
def store(project: InMemoryProject) -> Store:
    return project.open_store(load_settings(project.environ))


def held(project: InMemoryProject, days: int) -> Held:
    at = project.fleet.clock() - timedelta(days=days)
    return Held(
        at=at, code=4, step=1, host="ctl1", claim="x", evidence="y", left=[], next_commands=[]
    )


def finished(project: InMemoryProject, days: int) -> Finished:
    return Finished(at=project.fleet.clock() - timedelta(days=days))


def write(project: InMemoryProject, store: Store, run: str, *events: Event) -> Path:
    """Write a journal and the output of a play; return the latter's directory."""
    store.append(run, opened(events[0].at - timedelta(hours=1)))
    for event in events:
        store.append(run, event)
    directory = project.state / "runs" / run / "0001"
    directory.mkdir(parents=True)
    return directory.parent


def test_an_old_run_that_ended_is_deleted_with_its_output(
    project: InMemoryProject, store: Store
) -> None:
    old = write(project, store, "old", finished(project, 91))
    new = write(project, store, "new", finished(project, 89))
    waiting = write(project, store, "waiting", held(project, 91))

    listed = project.call("prune", "--dry-run")
    assert (listed.code, list(store.runs())) == (0, ["new", "waiting", "old"])
    assert "old  finished" in listed.out
    assert "1 run would be deleted" in listed.out

    assert project.call("prune").code == 2, "nobody can be asked"
    assert project.call("prune", typed="n\n").code == 5
    assert old.exists()
    done = project.call("prune", "--yes")
    assert "1 run deleted" in done.out
    assert list(store.runs()) == ["new", "waiting"]
    assert [path.exists() for path in (old, new, waiting)] == [False, True, True]
    assert "Nothing is older than 90 days" in project.call("prune", "--yes").out


def test_a_held_run_is_deleted_only_where_that_is_asked_for(
    project: InMemoryProject, store: Store
) -> None:
    write(project, store, "waiting", held(project, 91))
    assert project.call("prune", "--yes", "--unfinished").code == 0
    assert not store.runs()


def test_a_run_that_holds_a_lease_is_never_deleted(project: InMemoryProject, store: Store) -> None:
    write(project, store, "living", held(project, 91))
    holder = Holder("living", "ada", "x", "other-controller", "boot", 1, 1)
    store.take(holder, {"lab/broker": LeaseMode.EXCLUSIVE}, timedelta(hours=1))

    assert project.call("prune", "--yes", "--unfinished").code == 0
    assert store.runs() == ["living"]


def test_age_counts_from_the_last_event(project: InMemoryProject, store: Store) -> None:
    resumed = Resumed(
        at=project.fleet.clock(), by="ada", reason="x", controller="ctl", process=1, ended=[]
    )
    write(project, store, "resumed", held(project, 91), resumed)
    assert project.call("prune", "--yes", "--unfinished").code == 0
    assert store.runs() == ["resumed"]


def test_output_without_a_journal_is_deleted_when_it_is_old(project: InMemoryProject) -> None:
    """Its journal was pruned on another controller."""
    for name, days in (("old", 91), ("new", 89)):
        directory = project.state / "runs" / name
        directory.mkdir(parents=True)
        then = (project.fleet.clock() - timedelta(days=days)).timestamp()
        os.utime(directory, (then, then))
    assert project.call("prune", "--yes").code == 0
    assert [path.name for path in (project.state / "runs").iterdir()] == ["new"]


def test_a_journal_that_cannot_be_read_is_kept_and_named(
    project: InMemoryProject, store: Store
) -> None:
    write(project, store, "damaged", finished(project, 91))
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE holdfast_events SET body = 'x'")
    result = project.call("prune", "--yes")
    assert result.code == 0
    assert "kept, cannot be read: damaged" in result.err
    assert store.runs() == ["damaged"]


def test_a_week_is_kept_in_any_case(project: InMemoryProject) -> None:
    """Chat follows a run for seven days."""
    assert project.call("prune", "--keep-days", "7").code == 2
