"""Every test of the plugins has fake hosts of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.plugins.fake_hosts import FakeHosts


@pytest.fixture
def hosts(tmp_path: Path) -> FakeHosts:
    return FakeHosts(tmp_path)
