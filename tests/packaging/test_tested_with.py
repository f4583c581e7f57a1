"""docs/tested-with.md is as new as the locks; `make tested-with` writes it."""

from __future__ import annotations

import re

import pytest

from tests.content.repository import ROOT


@pytest.mark.parametrize("name", ["ansible-core", "ansible-runner"])
def test_it_has_the_versions_that_are_locked(name: str) -> None:
    pinned = re.findall(
        rf"^{name}==([\d.]+)", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE
    )
    row = re.search(
        rf"^\| {name} \| (.+) \| (.+) \|$", (ROOT / "docs/tested-with.md").read_text(), re.MULTILINE
    )
    assert row
    assert [row[1], row[2]] == (pinned if len(pinned) == 2 else pinned * 2)
