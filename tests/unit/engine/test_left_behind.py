"""What a run left out of service: the journal says which run, and whether it is under way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.engine.lease_keeper import own_scope
from holdfast.engine.left_behind import explain
from holdfast.errors import StateUnusable
from holdfast.evidence import LEFT, UNSEEN
from holdfast.journal.events import ActIntended
from holdfast.model import Act, Holder, Json, LeaseMode
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store
from tests.fakes.journal import opened

NOW = datetime.now(UTC)
DRAIN = ActIntended(
    at=NOW, host="cmp1", act=Act.DRAIN, unit="nova-compute", invocation_id="", undo="enable it"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A journal with a run that has cmp1 in hand, and has no driver."""
    made = open_store(Settings("sqlite://", tmp_path))
    made.append("run-46ss", opened(NOW))
    made.append("run-46ss", DRAIN)
    return made


def drive(store: Store, run: str) -> None:
    holder = Holder(run, "ada", "a test", "elsewhere", "boot", 1, 1)
    scopes = dict.fromkeys(own_scope(run), LeaseMode.EXCLUSIVE)
    store.take(holder, scopes, timedelta(minutes=1))


def found(store: Store, left: dict[str, str], site: str = "") -> dict[str, Json]:
    verdict = {"outcome": "FAIL", "message": "left", "evidence": {LEFT: left}}
    return explain(verdict, site or opened(NOW).site, lambda: store)


@pytest.mark.parametrize("by", ["run-46ss", ""])
def test_a_dead_run_is_named_with_the_command_that_shows_it(store: Store, by: str) -> None:
    verdict = found(store, {"cmp1": by})
    assert verdict["message"] == "left; run run-46ss: its driver is gone"
    assert (verdict["outcome"], verdict["next"]) == ("FAIL", "holdfast status run-46ss")


@pytest.mark.parametrize("by", ["run-46ss", ""])
def test_what_a_run_under_way_has_in_hand_passes(store: Store, by: str) -> None:
    drive(store, "run-46ss")
    verdict = found(store, {"cmp1": by})
    assert verdict["outcome"] == "PASS"
    assert "run run-46ss is under way" in verdict["message"]


def test_beside_what_is_in_hand_others_of_which_nothing_is_known_are_a_doubt(store: Store) -> None:
    drive(store, "run-46ss")
    evidence = {LEFT: {"cmp1": "run-46ss"}, UNSEEN: ["nova does not list nova-compute on cmp2"]}
    verdict = {"outcome": "FAIL", "message": "left", "evidence": evidence}
    explained = explain(verdict, opened(NOW).site, lambda: store)
    assert (explained["outcome"], explained["reason"]) == ("UNKNOWN", "unanswered")
    assert explained["message"].endswith("is under way; nova does not list nova-compute on cmp2")


def test_one_that_is_left_fails_beside_one_in_hand(store: Store) -> None:
    drive(store, "run-46ss")
    verdict = found(store, {"cmp1": "run-46ss", "cmp2": "run-gone"})
    assert verdict["outcome"] == "FAIL"
    assert "run run-gone is not in the journal here" in verdict["message"]
    assert "next" not in verdict


@pytest.mark.parametrize(("host", "site"), [("cmp2", ""), ("cmp1", "another")])
def test_a_run_is_not_guessed(store: Store, host: str, site: str) -> None:
    """A host of the same name at another site is another host."""
    verdict = found(store, {host: ""}, site)
    assert verdict["outcome"] == "FAIL"
    assert "is not in the journal here" in verdict["message"]


def test_the_journal_is_opened_only_for_a_finding_and_may_be_unreadable() -> None:
    def broken() -> Store:
        raise StateUnusable("no permission")

    healthy = {"outcome": "PASS", "message": "none", "evidence": {}}
    assert explain(healthy, "lab", broken) == healthy
    verdict = explain(healthy | {"outcome": "FAIL", "evidence": {LEFT: {"a": "x"}}}, "lab", broken)
    assert verdict["outcome"] == "FAIL"
    assert "the journal cannot be read: no permission" in verdict["message"]
