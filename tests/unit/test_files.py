"""What is there, what is not, and what nobody can tell. A link to itself stands for what may not be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import InvalidInput
from holdfast.files import entries, exists


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    return loop


def test_a_file_is_there_or_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    names = (".", "file", "gone", "file/in-a-file")
    assert [exists(tmp_path / name) for name in names] == [True, True, False, False]


@pytest.mark.parametrize("below", ["", "in/it"])
def test_what_cannot_be_looked_at_is_not_missing(closed: Path, below: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read") as caught:
        exists(closed / below)
    assert caught.value.remedy == f"see who may: namei -l {closed / below}"


def test_what_is_in_a_directory_is_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "c.yml"):
        (tmp_path / name).touch()
    assert [path.name for path in entries(tmp_path)] == ["a.md", "b.md", "c.yml"]
    assert [path.name for path in entries(tmp_path, "*.md")] == ["a.md", "b.md"]
    assert entries(tmp_path / "gone") == entries(tmp_path / "a.md") == []


def test_a_directory_that_cannot_be_read_is_not_empty(closed: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        entries(closed)
