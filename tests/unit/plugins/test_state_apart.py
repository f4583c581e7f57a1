"""The cluster that keeps Holdfast's own state is restarted only where a person has said why."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import Refused
from holdfast.settings import Settings
from holdfast.store.database import open_store
from plugins.action.holdfast_state_apart import apart


def test_a_state_in_the_cluster_is_refused_with_what_to_do() -> None:
    with pytest.raises(Refused, match="keeps its journal and leases in this cluster") as refused:
        apart("c1", "c1", "")
    assert "galera_accepted_state" in refused.value.remedy


def test_a_state_elsewhere_or_taken_on_purpose_is_not() -> None:
    assert "inside" not in apart("c2", "c1", "")
    assert "inside" not in apart("", "c1", "")
    assert apart("c1", "c1", "night of the move")["inside"]


def test_a_file_is_in_no_cluster(tmp_path: Path) -> None:
    assert open_store(Settings(f"sqlite:///{tmp_path}/state.db", tmp_path)).galera_cluster() == ""
