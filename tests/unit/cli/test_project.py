"""Runbooks and sites beside those of the project: the user's own, and the machine's."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import __version__
from holdfast.ansible.environment import CARRIED
from holdfast.cli.project import (
    find_runbook,
    find_site,
    new_sites,
    people,
    runbook_files,
    runbooks,
    sites,
)
from holdfast.cli.version import version_line
from holdfast.errors import InvalidInput
from tests.unit.cli.cli_harness import InMemoryProject


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """Return three places; the first has two runbooks and a skeleton, each of the others one of each of its own."""
    found = [tmp_path / name for name in ("project", "user", "machine")]
    for number, place in enumerate(found):
        (place / "runbooks").mkdir(parents=True)
        (place / "runbooks" / f"book-{number}.md").touch()
        (place / "runbooks" / ".#book.md").touch()
        (place / "inventories" / (f"site-{number}" if number else "example")).mkdir(parents=True)
    return found


def test_what_any_place_has_is_found_by_its_name(places: list[Path]) -> None:
    assert find_runbook(places, "book-2") == places[2] / "runbooks/book-2.md"
    assert find_site(places, "site-1") == places[1] / "inventories/site-1"
    assert list(runbooks(places)) == ["book-0", "book-1", "book-2"]
    assert list(sites(places)) == ["site-1", "site-2"]


def test_a_name_that_two_places_have_is_refused_where_it_is_used(places: list[Path]) -> None:
    again = places[1] / "runbooks" / "book-0.md"
    again.touch()
    (places[1] / "inventories" / "site-2").mkdir()
    for find, name in ((find_runbook, "book-0"), (find_site, "site-2")):
        with pytest.raises(InvalidInput, match=f"several called {name}: .*project|user.*machine"):
            find(places, name)
    for known in (runbooks, sites):
        with pytest.raises(InvalidInput, match="There are several called"):
            known(places)
    assert find_runbook(places, "book-1") == places[1] / "runbooks/book-1.md"
    assert find_runbook(places, str(again)) == again
    assert [path.stem for path in runbook_files(places)] == ["book-0", "book-0", "book-1", "book-2"]


def test_two_lists_of_people_are_refused(places: list[Path]) -> None:
    assert people(places) == {}
    for place in places[1:]:
        (place / "people.yml").write_text("people: {}\n")
    with pytest.raises(InvalidInput, match=r"several lists of people: .*user.*machine"):
        people(places)


@pytest.mark.parametrize("kind", ["runbooks", "inventories"])
def test_a_directory_that_may_not_be_read_is_not_an_empty_one(
    places: list[Path], kind: str
) -> None:
    last = places[2] / kind
    shutil.rmtree(last)
    last.symlink_to(last)
    for known in (runbook_files, runbooks) if kind == "runbooks" else (sites,):
        with pytest.raises(InvalidInput, match=f"machine/{kind} cannot be read") as caught:
            known(places)
        assert f"namei -l {last}" in caught.value.remedy


def test_a_site_that_only_others_may_read_hides_no_site(
    places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = (place / "inventories" for place in places[1:])
    (mine / "site-1/hosts.yml").write_text("all: {vars: {holdfast_site: lisbon}}\n")
    iterdir = Path.iterdir

    def of_a_user(path: Path) -> Iterator[Path]:
        if path == theirs / "site-2":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", of_a_user)
    assert find_site(places, "lisbon") == mine / "site-1"


def test_a_question_which_site_names_the_directories_that_have_some(places: list[Path]) -> None:
    with pytest.raises(
        InvalidInput,
        match=r"There is site-1, site-2 in .*user/inventories, .*machine/inventories\n",
    ):
        find_site(places, "")


def test_where_there_is_no_site_every_directory_that_was_searched_is_named(
    places: list[Path],
) -> None:
    with pytest.raises(InvalidInput, match=r"There is none in .*project/inventories, .*empty/inv"):
        find_site([places[0], places[1] / "empty"], "")


def test_a_new_site_is_never_written_into_the_package(places: list[Path]) -> None:
    assert new_sites(places) == places[0] / "inventories"
    assert new_sites([CARRIED, *places[1:]]) == places[1] / "inventories"


def test_the_users_own_runbooks_are_listed_with_where_they_are(tmp_path: Path) -> None:
    project = InMemoryProject(tmp_path / "project", environ={"XDG_CONFIG_HOME": str(tmp_path)})
    own = tmp_path / "holdfast" / "runbooks"
    own.mkdir(parents=True)
    text = (tmp_path / "project/runbooks/broker-restart.md").read_text()
    own.joinpath("our-restart.md").write_text(text.replace("broker-restart", "our-restart"))
    shown = project.call("runbooks").out.splitlines()
    assert f"{own}: our-restart" in shown
    assert f"{tmp_path}/project/runbooks: broker-restart" in shown


def git(place: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", "-C", place, *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_version_says_the_commit_of_a_checkout_and_whether_it_was_changed(
    tmp_path: Path,
) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("a")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "-m", "a: b")
    commit = git(tmp_path, "rev-parse", "HEAD")[:12]
    nothing = tmp_path / "none"
    assert version_line(nothing, tmp_path) == f"holdfast {__version__} ({commit})"
    (tmp_path / "file").write_text("b")
    assert version_line(nothing, tmp_path) == f"holdfast {__version__} ({commit}-changed)"


def test_the_version_says_the_commit_that_a_wheel_was_built_of_and_else_none(
    tmp_path: Path,
) -> None:
    (tmp_path / "commit").write_text("0123456789ab\n")
    assert version_line(tmp_path / "commit", tmp_path) == f"holdfast {__version__} (0123456789ab)"
    assert version_line(tmp_path / "none", tmp_path) == f"holdfast {__version__}"


def test_the_program_says_its_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    InMemoryProject(tmp_path).call("--version")
    shown = capsys.readouterr().out
    assert re.fullmatch(
        rf"holdfast {re.escape(__version__)}( \([0-9a-f]{{12}}(-changed)?\))?\n", shown
    )
