"""haproxy gets back what the run has changed, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.errors import CannotTell
from holdfast.journal.events import ActDone, ActIntended
from holdfast.model import Act
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store
from holdfast.writer_move import states_in
from plugins.action.holdfast_haproxy import is_drained_by, require_unchanged, would
from tests.fakes.journal import NOW, opened
from tests.unit.test_writer_move import FakeHaproxies


def journal(tmp_path: Path, *events: ActIntended | ActDone) -> Store:
    store = open_store(Settings(f"sqlite:///{tmp_path / 'state.db'}", tmp_path))
    for event in (opened(), *events):
        store.append("r1", event)
    return store


def intended(act: Act, host: str = "db1", unit: str = "mariadb") -> ActIntended:
    return ActIntended(at=NOW, host=host, act=act, unit=unit, invocation_id="")


def done(act: Act, host: str = "db1") -> ActDone:
    at = NOW + timedelta(seconds=1)
    return ActDone(
        at=at, host=host, act=act, unit="mariadb", invocation_id="", seconds=1.0, changed=True
    )


def test_a_drain_that_was_refused_leaves_nothing_to_give_back(tmp_path: Path) -> None:
    """What somebody else has changed in haproxy would be undone, and that is why the drain was refused."""
    store = journal(tmp_path, intended(Act.DRAIN, "db2"), done(Act.DRAIN, "db2"))
    assert not is_drained_by(store, "r1", "db1")


def test_a_drain_that_was_begun_is_given_back_once(tmp_path: Path) -> None:
    store = journal(tmp_path, intended(Act.DRAIN))
    assert is_drained_by(store, "r1", "db1")
    for event in (done(Act.DRAIN), intended(Act.RESTART), done(Act.RESTART), intended(Act.UNDRAIN)):
        store.append("r1", event)
    assert is_drained_by(store, "r1", "db1"), "it was begun to be given back"
    store.append("r1", done(Act.UNDRAIN))
    assert not is_drained_by(store, "r1", "db1")
    store.append("r1", intended(Act.DRAIN))
    assert is_drained_by(store, "r1", "db1")


def test_a_haproxy_that_was_not_there_before_is_a_change() -> None:
    seen = FakeHaproxies().look()
    noted = states_in(seen)
    require_unchanged(seen, noted)
    with pytest.raises(CannotTell, match="haproxy on lb2 was not there"):
        require_unchanged(seen, {"lb1": noted["lb1"]})


def test_check_mode_says_what_each_act_would_do() -> None:
    seen = FakeHaproxies().look()
    assert would(Act.DRAIN, "db1", seen)["msg"] == "db1: the writer would be db2"
    back = would(Act.UNDRAIN, "db1", seen)
    assert "the state from before the first act" in back["msg"]
    assert back["writer"] == ""
