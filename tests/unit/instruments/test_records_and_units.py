"""The instruments' records, systemd's properties, and answers of a host."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from tests.lab.instruments.records import Recorder, read_records
from tests.lab.instruments.site import Secret
from tests.lab.instruments.units import (
    HostUnresponsive,
    UnitReader,
    parse_units,
    unit_and_group,
    unit_result,
)

SHOWN = "Id=a.service\nActiveState=active\nInvocationID=1f\nNRestarts=2\n\nId=b.service\nActiveState=failed\n"


def test_units_are_separated_by_empty_lines() -> None:
    assert [unit["Id"] for unit in parse_units(SHOWN)] == ["a.service", "b.service"]


@pytest.mark.parametrize("state", ["activating", "deactivating", "failed", "inactive", ""])
def test_only_an_active_unit_is_up(state: str) -> None:
    assert unit_result({"ActiveState": "active", "InvocationID": "1f"}).ok is True
    assert unit_result({"ActiveState": state, "InvocationID": "1f"}).ok is False


def test_a_record_cut_short_by_a_kill_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.write_text('{"n":0}\n{"n":1}\n{"n":', encoding="utf-8")
    assert [line["n"] for line in read_records(record)] == [0, 1]


def test_lines_are_numbered_in_the_order_they_are_written() -> None:
    stream = io.StringIO()
    recorder = Recorder(stream, "traffic", {})
    recorder.event(what="call")
    recorder.event(what="call")
    assert [json.loads(line)["n"] for line in stream.getvalue().splitlines()] == [0, 1, 2]


def test_a_secret_is_not_in_its_text_or_repr() -> None:
    secret = Secret("rabbit://nova:pw@host")
    assert "pw" not in f"{secret} {secret!r}"


def test_a_unit_and_its_group_are_split_at_the_last_at_sign() -> None:
    assert unit_and_group("getty@tty1@nova_compute") == ("getty@tty1", "nova_compute")


@pytest.fixture
def fake_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fake podman, sudo and systemctl on PATH; the reader's own loop runs, on this machine."""
    for name, body in {
        "podman": 'shift 3\nexec "$@"',  # drops `exec -i CONTAINER`
        "sudo": 'shift\nexec "$@"',
        "systemctl": 'if [ -e "$0.frozen" ]; then exec /bin/sleep 5; fi\necho ActiveState=active',
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(shutil.which('sh') or '/bin/sh').parent}")
    return tmp_path


def test_an_answer_belongs_to_its_request(fake_podman: Path) -> None:
    reader = UnitReader("ctl1", ("cron",), fake_podman)
    try:
        assert [reader.read(number, timeout=5) for number in (1, 2)] == [
            [{"ActiveState": "active"}]
        ] * 2
    finally:
        reader.close()


def test_a_host_that_does_not_answer_in_time_is_unresponsive(fake_podman: Path) -> None:
    (fake_podman / "systemctl.frozen").touch()
    reader = UnitReader("ctl1", ("cron",), fake_podman)
    try:
        with pytest.raises(HostUnresponsive, match="no answer within"):
            reader.read(1, timeout=0.3)
    finally:
        reader.close()
