"""The database of a run under way is deleted or replaced: the run ends, and says what is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete

from holdfast.errors import StateLost
from holdfast.store.tables import EVENTS, LEASES
from tests.unit.engine.engine_harness import EngineHarness

ROLL = "roll: broker_restart.yml\nhosts: broker"


@pytest.mark.parametrize("acts", [0, 2])
def test_a_run_whose_database_was_made_anew_ends_with_an_unknown_outcome(
    tmp_path: Path, acts: int
) -> None:
    harness = EngineHarness.of(tmp_path, "h1", "h2")

    def empty() -> None:
        if len(harness.fleet.history) == acts:
            with harness.store._engine.begin() as connection:
                for table in (EVENTS, LEASES):
                    connection.execute(delete(table))

    harness.fleet.clock.on_tick.insert(0, empty)

    with pytest.raises(StateLost) as caught:
        harness.start(harness.engine(), ROLL)

    assert caught.value.exit_code == 6
    assert "is gone" in caught.value.message
    assert len(harness.fleet.history) == acts
    assert not harness.store.runs(), "nothing is written into the database in its place"
