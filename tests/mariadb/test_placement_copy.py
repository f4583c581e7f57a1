"""The copy of placement's tables, between real databases: what makes it whole, and every way in which it is not."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import pytest

from holdfast.errors import CannotTell
from holdfast.judges import placement as judge
from holdfast.model import Outcome, Verdict
from holdfast.observations.placement import TABLES, TableSet, TwoSets
from holdfast.probes.placement import probe_both, probe_source, probe_target
from tests.mariadb.conftest import (
    NASTY,
    SOURCE,
    TARGET,
    Database,
    Site,
    database,
    site,
    write_account,
)

COPIED, REFUSED, FAILED = 0, 3, 1


def both(found: Site) -> TwoSets:
    return probe_both(found.context, str(found.directory), SOURCE, TARGET, TABLES)


def target(found: Site) -> TableSet:
    return probe_target(found.context, str(found.directory), TARGET, TABLES)


def agrees(found: Site) -> Verdict:
    return judge.copy_agrees("placement.copy_agrees", both(found))


def is_empty(found: Site) -> Verdict:
    return judge.target_empty("placement.target_empty", target(found))


def test_a_copy_has_every_row_of_the_eleven_tables_and_of_no_other(two: Site) -> None:
    copied = two.copy()
    assert copied.rc == COPIED, copied.stderr
    verdict = agrees(two)
    assert verdict.passed, verdict.message
    assert sorted(target(two).names) == sorted([*TABLES, "holdfast_copy"])
    assert verdict.evidence["tables"]["allocations"]["rows"] == 2000
    assert two.source.sql("SELECT * FROM instance_mappings", SOURCE) == ["1\tstays"]


def test_ids_go_on_where_they_were(two: Site) -> None:
    two.source.sql("DELETE FROM consumers WHERE id = 2000", SOURCE)
    assert two.copy().rc == COPIED
    two.target.sql("INSERT INTO consumers (uuid, project_id, user_id) VALUES ('new', 1, 1)", TARGET)
    assert two.target.sql("SELECT MAX(id) > 2000 FROM consumers", TARGET) == ["1"]


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE inventories SET total = total + 1 WHERE id = 7",  # neither the count nor the largest id changes
        "DELETE FROM allocations WHERE id = 3",
        "INSERT INTO users (external_id) VALUES ('late')",
        "DELETE FROM resource_provider_traits WHERE resource_provider_id = 4",
    ],
)
def test_a_write_that_slips_in_is_seen(two: Site, write: str) -> None:
    assert two.copy().rc == COPIED
    before = both(two).source
    two.source.sql(write, SOURCE)
    table = next(name for name in TABLES if f" {name} " in write)
    verdict = agrees(two)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, judge.DIFFERS)
    assert verdict.message.startswith(f"{table}: ")
    now = probe_source(two.context, str(two.directory), SOURCE, TABLES)
    unchanged = judge.source_unchanged("placement.source_unchanged", now, before.figures)
    assert (unchanged.outcome, unchanged.reason) == (Outcome.FAIL, judge.CHANGED)
    assert judge.source_unchanged("c", before, before.figures).passed


def test_a_database_with_rows_is_refused_and_not_touched(two: Site) -> None:
    two.target.sql("CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users VALUES (42)", TARGET)
    verdict = is_empty(two)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, judge.NOT_EMPTY)
    assert "users (1 rows)" in verdict.message
    for refused in (two.copy(), two.program("drop", TARGET)):
        assert refused.rc == REFUSED
        assert "nothing was touched" in refused.stderr
    assert (target(two).names, two.target.sql("SELECT * FROM users", TARGET)) == (
        ("users",),
        ["42"],
    )


def test_a_schema_without_rows_is_refused_too(two: Site) -> None:
    """What a deployment tool has made there is not ours to drop."""
    two.target.sql("CREATE TABLE alembic_version (version_num VARCHAR(32))", TARGET)
    assert is_empty(two).outcome is Outcome.FAIL
    assert two.copy().rc == REFUSED
    assert target(two).names == ("alembic_version",)


def wrap_dump(two: Site, script: str) -> None:
    """Put a program before ``mariadb-dump`` that gets the real one as $real."""
    program = two.directory / "bin/mariadb-dump"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nreal={two.target.programs}/mariadb-dump\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    "script",
    [
        '"$real" "$@" | head -c 60000; kill -9 $$',  # in the middle of a statement
        '"$real" "$@" | sed -n "1,/Table structure for table .consumers/p; /^CREATE TABLE .consumers/q"; exit 2',
        '"$real" "$@" | sed "/^INSERT INTO .users/d"; exit 3',  # good SQL, and not all of it
    ],
    ids=["killed", "between", "quietly"],
)
def test_a_copy_that_dies_half_way_is_no_copy(two: Site, script: str) -> None:
    wrap_dump(two, script)
    died = two.copy("r1")
    assert died.rc == FAILED
    assert "the copy is not whole" in died.stderr
    assert not agrees(two).passed
    assert is_empty(two).reason == "unused_copy"
    (two.directory / "bin/mariadb-dump").unlink()
    again = two.copy("r2")
    assert again.rc == COPIED, again.stderr
    assert agrees(two).passed
    assert target(two).run == "r2"


def test_a_table_that_may_not_be_read_is_no_whole_copy(two: Site) -> None:
    """The last table in the dump: all others are there already when it fails."""
    two.source.sql("RENAME TABLE users TO users_of_nova", SOURCE)
    died = two.copy()
    assert died.rc == FAILED, died.stdout
    assert "the copy is not whole" in died.stderr
    verdict = judge.source_whole("c", both(two).source)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, "tables_missing")


def test_a_copy_that_was_never_used_can_be_dropped(two: Site) -> None:
    assert two.copy().rc == COPIED
    assert two.program("drop", TARGET).rc == 0
    assert target(two).names == ()
    assert two.program("drop", TARGET).rc == 0  # a second time there is nothing to do


def test_a_copy_that_placement_uses_is_never_dropped(two: Site) -> None:
    assert two.copy().rc == COPIED
    assert two.program("use", TARGET).rc == 0
    for refused in (two.program("drop", TARGET), two.copy()):
        assert refused.rc == REFUSED
    assert agrees(two).passed
    assert is_empty(two).reason == judge.NOT_EMPTY
    assert two.program("use", TARGET).rc == FAILED  # it is not ours any more


@pytest.mark.parametrize("name", ["source", "target"])
def test_a_wrong_password_is_told_and_never_shown(two: Site, name: str) -> None:
    user = {"source": "nova", "target": "placement"}[name]
    write_account(two.directory / f"{name}.cnf", user, "wr0ng", two.target)
    with pytest.raises(CannotTell, match=f"Access denied for user '{user}'") as caught:
        both(two)
    copied = two.copy()
    assert copied.rc in {REFUSED, FAILED}
    for said in (str(caught.value), copied.stdout, copied.stderr):
        assert "wr0ng" not in said
    write_account(two.directory / "target.cnf", "placement", NASTY, two.target)
    assert "users" not in target(two).names


@pytest.fixture(scope="module")
def small() -> Iterator[Database]:
    """A server whose tablespace is full at 16 MiB: what a full disk is to it, error 1114."""
    with database(
        "--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:16M"
    ) as found:
        yield found


def test_a_full_disk_leaves_no_copy_that_passes(server: Database, small: Database) -> None:
    with site(server, small) as two:
        two.source.sql(
            "INSERT INTO projects (external_id) SELECT CONCAT(seq, REPEAT('x', 200)) FROM seq_1_to_30000",
            SOURCE,
        )
        full = two.copy()
        assert full.rc == FAILED
        assert "is full" in full.stderr
        assert "the copy is not whole" in full.stderr
        assert "xxxx" not in full.stderr  # no row is shown
        assert not agrees(two).passed
        assert two.program("drop", TARGET).rc == 0
        assert target(two).names == ()


def test_nothing_secret_is_in_a_command_and_no_file_is_left(two: Site) -> None:
    program = two.directory / "bin/mariadb-dump"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nps -eo args > {two.directory}/ps\nexec {two.target.programs}/mariadb-dump "$@"\n'
    )
    program.chmod(stat.S_IRWXU)
    assert two.copy().rc == COPIED
    assert "50%" not in (two.directory / "ps").read_text()
    assert sorted(each.name for each in two.directory.iterdir()) == [
        "bin",
        "ps",
        "source.cnf",
        "target.cnf",
    ]
