"""Shared by all tests: each has state of its own, away from the user's, and Hypothesis has no deadline.

Fixtures that one suite alone needs are in that suite.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A deadline would assert speed, which depends on the machine. In CI the examples are the same in each run, so that a
# failure can be reproduced; elsewhere they are random, so that new ones are found.
settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# A mutant runs the properties, and a survivor all of them, so each takes few examples.
settings.register_profile("mutants", settings.get_profile("ci"), max_examples=20, database=None)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "local")
)


@pytest.fixture(autouse=True)
def isolated_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put settings and state into this test's directory, which may be in memory, whatever the user's environment."""
    for name in ("HOLDFAST_CONFIG", "HOLDFAST_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOLDFAST_STATE_MAY_VANISH", "yes")
    return tmp_path
