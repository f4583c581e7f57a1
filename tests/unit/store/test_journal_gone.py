"""A run whose journal is gone is told so, and nothing is written into what is in its place."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from holdfast.errors import JournalGone, StateLost, StateUnusable
from holdfast.journal.events import AbortRequested, Finished
from holdfast.model import Grant, Holder, LeaseMode
from holdfast.settings import Settings
from holdfast.store.connection import make_engine
from holdfast.store.database import Store, open_store, open_store_of, open_to_read
from holdfast.store.tables import METADATA
from tests.fakes.journal import opened

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
TTL = timedelta(seconds=60)
RABBITMQ = {"lab/rabbitmq": LeaseMode.EXCLUSIVE}
ONE = Holder("one", "ada", "because", "ctl9", "boot", 1, 1)


def delete_the_rows(settings: Settings) -> None:
    """Make the database one that was just made, as another Holdfast would make it."""
    with make_engine(settings.state_url).begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(delete(table))


def drop_the_tables(settings: Settings) -> None:
    METADATA.drop_all(make_engine(settings.state_url))


def rows_of(settings: Settings) -> int:
    """Return how many rows the database has now."""
    open_store(settings)
    with make_engine(settings.state_url).connect() as connection:
        tables = [connection.execute(table.select()).all() for table in METADATA.sorted_tables]
    return sum(map(len, tables))


CALLS: dict[str, Callable[[Store, Grant], object]] = {
    "append": lambda store, _: store.append("one", Finished(at=NOW)),
    "append_next": lambda store, _: store.append_next("one", Finished(at=NOW), 2),
    "append_guarded": lambda store, grant: store.append_guarded(grant, Finished(at=NOW)),
    "read": lambda store, _: store.read("one", 2),
    "require": lambda store, _: store.require("one"),
    "renew": lambda store, grant: store.renew(grant, TTL),
    "check": lambda store, grant: store.check(grant),
}


def under_way(settings: Settings) -> tuple[Store, Grant]:
    """Return a store with a run of two events, and its grant."""
    store = open_store(settings)
    store.append("one", opened())
    store.append("one", AbortRequested(at=NOW, by="ada"))
    return store, store.take(ONE, RABBITMQ, TTL)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("lose", [delete_the_rows, drop_the_tables])
def test_a_run_whose_database_was_made_anew_is_told(
    settings: Settings, call: str, lose: Callable[[Settings], None]
) -> None:
    store, grant = under_way(settings)
    lose(settings)

    with pytest.raises(JournalGone) as caught:
        CALLS[call](store, grant)

    assert caught.value.exit_code == 6
    assert "look at every host" in caught.value.remedy
    assert rows_of(settings) == 0


def sqlite(path: Path) -> Settings:
    return Settings(f"sqlite:///{path / 'state' / 'state.db'}", path / "state")


@pytest.mark.parametrize("call", CALLS)
def test_a_deleted_file_is_not_made_anew(tmp_path: Path, call: str) -> None:
    store, grant = under_way(sqlite(tmp_path))
    (tmp_path / "state" / "state.db").unlink()

    with pytest.raises(JournalGone, match="deleted"):
        CALLS[call](store, grant)

    assert not list((tmp_path / "state").iterdir())
    shutil.rmtree(tmp_path / "state")
    with pytest.raises(JournalGone, match="deleted"):
        CALLS[call](store, grant)


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_no_file_is_made_where_runs_have_left_theirs(tmp_path: Path, left: str) -> None:
    settings = sqlite(tmp_path)
    for run in ("20261121-2304-rabbitmq-restart-k3f9", "20261122-0001-nova-restart-aaaa"):
        (settings.runs_dir / run / "0001-check").mkdir(parents=True)
    database = settings.state_dir / "state.db"
    if left == "an empty file":
        database.touch()

    with pytest.raises(
        JournalGone, match=r"files of 2 runs, the newest .*nova-restart-aaaa"
    ) as caught:
        open_store(settings)

    assert caught.value.exit_code == 6
    assert not (database.exists() and database.stat().st_size)

    runs = settings.runs_dir.rename(tmp_path / "runs")
    open_store(settings)
    runs.rename(settings.runs_dir)
    assert open_store(settings).runs() == [], "a database that is there is no new one"
    database.unlink()

    put_away = caught.value.remedy.rpartition(": ")[2]
    subprocess.run(shlex.split(put_away), check=True)
    assert open_store(settings).runs() == []


def test_other_files_beside_it_are_no_runs(tmp_path: Path) -> None:
    settings = sqlite(tmp_path)
    (settings.runs_dir / "lost+found").mkdir(parents=True)
    assert open_store(settings).runs() == []


@pytest.mark.parametrize("call", ["append_next", "read"])
def test_a_journal_that_ends_before_what_was_read_of_it_is_gone(
    settings: Settings, call: str
) -> None:
    """The database was replaced by a backup."""
    store, grant = under_way(settings)
    with make_engine(settings.state_url).begin() as connection:
        events = METADATA.tables["holdfast_events"]
        connection.execute(delete(events).where(events.c.seq == 2))

    with pytest.raises(JournalGone, match=r"journal of run one is gone.*event 2"):
        CALLS[call](store, grant)
    assert len(store.read("one")) == 1


def test_for_a_run_under_way_no_database_is_made(tmp_path: Path) -> None:
    settings = sqlite(tmp_path)
    for _ in range(2):
        with pytest.raises(JournalGone, match="journal of run one is gone"):
            open_store_of(settings, "one")
        assert not list(settings.state_dir.glob("*"))
        settings.state_dir.mkdir(exist_ok=True)


def test_a_run_under_way_needs_its_own_journal(settings: Settings) -> None:
    store = open_store(settings)
    store.append("two", opened())

    with pytest.raises(JournalGone, match=r"journal of run one is gone.*no event of it"):
        open_store_of(settings, "one")

    assert open_store_of(settings, "two").append("two", Finished(at=NOW)).seq == 2


@pytest.mark.parametrize("acting", [True, False])
def test_a_run_that_lost_its_journal_ends_with_an_unknown_outcome(acting: bool) -> None:
    gone = JournalGone.of("one", "state.db", "has no event of it")
    lost = StateLost.of("one", gone, acting=acting)
    assert lost.exit_code == 6
    assert "journal of run one is gone" in lost.message
    assert "resume one" not in lost.remedy


@pytest.mark.parametrize("opens", [open_store, open_to_read])
def test_a_state_that_this_user_may_not_look_at_is_not_gone(
    opens: Callable[[Settings], Store],
) -> None:
    """A name that is too long stands for a directory that is closed."""
    closed = Path("/", "x" * 300)
    with pytest.raises(StateUnusable) as caught:
        opens(Settings(f"sqlite:///{closed}/state.db", closed))
    assert not isinstance(caught.value, JournalGone)
    assert caught.value.remedy
