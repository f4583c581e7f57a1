"""Every test of the plugins plays on a stage of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.plugins.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)
