"""A record is read as it was written; another version's is refused; the last test is the right one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.boots.records import Records
from holdfast.errors import InvalidInput, StateUnusable
from tests.unit.boots.boots_harness import BEGAN, TEST, boot, made


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    records = Records(tmp_path / "boots")
    assert records.read(TEST) is None
    test = made(boot("cmp1", 1), boot("cmp1", 2, "failed"))
    records.write(test)
    assert records.read(TEST) == test
    assert [path.name for path in (tmp_path / "boots").iterdir()] == [f"{TEST}.json"]


def test_the_last_test_is_the_newest_of_the_site_that_ended_by_itself(tmp_path: Path) -> None:
    records = Records(tmp_path)
    now = made(boot("cmp1", 1), id="now")
    hours = {"older": -3, "last": -2, "later": 1}
    for name, hour in hours.items():
        records.write(made(id=name, began=BEGAN + timedelta(hours=hour)))
    begun = BEGAN - timedelta(hours=1)
    records.write(made(id="elsewhere", site="west", began=begun))
    records.write(made(id="stopped", stopped="by an operator", began=begun))
    records.write(made(id="died", ended=None, began=begun))
    records.write(now)
    found = records.last(now)
    assert found is not None
    assert found.id == "last"


@pytest.mark.parametrize("text", ["", "{", '{"schema": 2}', "[]"])
def test_a_damaged_record_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / f"{TEST}.json").write_text(text)
    with pytest.raises(StateUnusable, match=f"{TEST}.json is damaged"):
        Records(tmp_path).read(TEST)


@pytest.mark.parametrize("name", ["", "../state", ".hidden", "a/b"])
def test_what_is_no_id_leads_to_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="is no id"):
        Records(tmp_path).read(name)


def test_the_end_of_an_id_finds_the_only_record(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write(made())
    assert records.find("k3f9") == TEST
    assert records.find("zzzz") == "zzzz"
    records.write(made(id="20261128-0900-boots-k3f9"))
    with pytest.raises(InvalidInput, match="the end of several"):
        records.find("k3f9")
