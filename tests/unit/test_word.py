"""The word of a parked play: it comes from an engine that lives, or the play ends."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import Refused
from holdfast.word import Word, is_ahead, known, word_file


@pytest.fixture
def park(tmp_path: Path) -> Path:
    path = tmp_path / "park"
    path.touch()
    return path


@pytest.fixture
def engine(park: Path) -> Iterator[int]:
    """The engine's hold on the file, as a descriptor."""
    descriptor = os.open(park, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_the_word_comes_and_stays_for_every_host(park: Path, engine: int) -> None:
    with Word(str(park)) as first, Word(str(park)) as second:
        assert not first.has_come(0)
        word_file(park).write_text('{"holdfast_done": ["a"]}')
        assert first.has_come(0)
        assert second.has_come(0)
        said = {"holdfast_done": ["a"], "holdfast_park": str(park)}
        assert first.said() == second.said() == said


def test_it_is_noticed_soon(park: Path, engine: int) -> None:
    began = time.monotonic()
    with Word(str(park)) as word:
        threading.Timer(0.05, lambda: word_file(park).write_text("{}")).start()
        assert word.has_come(30)
    assert time.monotonic() - began < 10


def test_an_engine_that_died_before_the_play_waited_is_noticed(park: Path) -> None:
    with Word(str(park)) as word, pytest.raises(Refused, match="nothing was touched"):
        word.has_come(30)


def test_an_engine_that_dies_meanwhile_is_noticed(park: Path) -> None:
    descriptor = os.open(park, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with Word(str(park)) as word:
        assert not word.has_come(0)
        threading.Timer(0.05, os.close, [descriptor]).start()
        with pytest.raises(Refused):
            word.has_come(30)


def test_no_word_of_an_engine_that_is_gone_is_taken(park: Path) -> None:
    word_file(park).write_text("{}")
    with Word(str(park)) as word, pytest.raises(Refused):
        word.said()


def test_a_play_whose_engine_has_removed_the_file_ends(park: Path) -> None:
    park.unlink()
    with pytest.raises(Refused), Word(str(park)):
        pass


def test_a_host_is_ahead_until_it_has_its_word() -> None:
    word = {"ansible_facts": {"holdfast_word": {"holdfast_park": "/x"}}}
    assert not is_ahead({})
    assert is_ahead({"holdfast_park": "/x"})
    assert is_ahead({"holdfast_park": "/x", "ansible_facts": {}})
    assert not is_ahead({"holdfast_park": "/x", **word})


def test_what_the_word_brings_counts_more_than_what_the_play_began_with() -> None:
    given = {"holdfast_done": ["a"], "holdfast_park": "/x"}
    assert known(given, "holdfast_done", []) == ["a"]
    assert known({}, "holdfast_done", ["x"]) == ["x"]
    word = {"holdfast_done": ["a", "b"], "holdfast_park": "/x"}
    assert known({**given, "ansible_facts": {"holdfast_word": word}}, "holdfast_done", []) == [
        "a",
        "b",
    ]


def test_the_word_of_an_earlier_play_is_no_word() -> None:
    """Where a site keeps facts between plays, a host has those of its earlier ones."""
    old = {"holdfast_word": {"holdfast_done": ["z"], "holdfast_park": "/old"}}
    assert is_ahead({"holdfast_park": "/x", "ansible_facts": old})
    for play in ({"holdfast_park": "/x"}, {}):
        given = {**play, "holdfast_done": ["a"], "ansible_facts": old}
        assert known(given, "holdfast_done", []) == ["a"]
