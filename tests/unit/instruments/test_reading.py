"""What the instruments read: their own lines, systemd's properties, a host's answers."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from tests.lab.instruments.lines import Recorder, read_lines
from tests.lab.instruments.looks import unit_reading
from tests.lab.instruments.observer import unit_and_group
from tests.lab.instruments.site import Secret
from tests.lab.instruments.units import HostSilent, UnitStream, parse_units

SHOWN = "Id=a.service\nActiveState=active\nInvocationID=1f\nNRestarts=2\n\nId=b.service\nActiveState=failed\n"


def test_systemds_properties_are_parted_by_empty_lines() -> None:
    assert [unit["Id"] for unit in parse_units(SHOWN)] == ["a.service", "b.service"]


@pytest.mark.parametrize("state", ["activating", "deactivating", "failed", "inactive", ""])
def test_only_an_active_unit_is_there(state: str) -> None:
    assert unit_reading({"ActiveState": "active", "InvocationID": "1f"}).ok is True
    assert unit_reading({"ActiveState": state, "InvocationID": "1f"}).ok is False


def test_a_record_cut_short_by_a_kill_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.write_text('{"n":0}\n{"n":1}\n{"n":', encoding="utf-8")
    assert [line["n"] for line in read_lines(record)] == [0, 1]


def test_lines_are_numbered_in_the_order_they_are_written() -> None:
    stream = io.StringIO()
    recorder = Recorder(stream, "traffic", {})
    recorder.event(what="call")
    recorder.event(what="call")
    assert [json.loads(line)["n"] for line in stream.getvalue().splitlines()] == [0, 1, 2]


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("rabbit://nova:pw@host")
    assert "pw" not in f"{secret} {secret!r}"


def test_the_last_at_sign_parts_a_unit_from_its_group() -> None:
    assert unit_and_group("getty@tty1@nova_compute") == ("getty@tty1", "nova_compute")


@pytest.fixture
def answering_in_place_of_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs named podman and systemctl: the stream's own loop runs, on this machine."""
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


def test_a_host_answers_the_question_that_was_asked(answering_in_place_of_podman: Path) -> None:
    stream = UnitStream("ctl1", ("cron",), answering_in_place_of_podman)
    try:
        assert [stream.ask(number, timeout=5) for number in (1, 2)] == [
            [{"ActiveState": "active"}]
        ] * 2
    finally:
        stream.close()


def test_a_host_that_does_not_answer_in_time_is_silent(answering_in_place_of_podman: Path) -> None:
    (answering_in_place_of_podman / "systemctl.frozen").touch()
    stream = UnitStream("ctl1", ("cron",), answering_in_place_of_podman)
    try:
        with pytest.raises(HostSilent, match="no answer within"):
            stream.ask(1, timeout=0.3)
    finally:
        stream.close()
