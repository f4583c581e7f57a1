"""The environment of the program: closed streams, encodings, a deleted directory or database, Ctrl-C."""

from __future__ import annotations

import dataclasses
import io
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.action_plugin import open_state
from holdfast.cli.context import Adapters, CommandContext
from holdfast.cli.output_stream import OutputStream
from holdfast.engine.planner import Planner
from holdfast.errors import JournalGone
from holdfast.plan.model import SiteInventory
from tests.unit.cli.cli_harness import InMemoryProject, claim_group
from tests.unit.engine.engine_harness import FakePlaybooks

RUN = ("run", "broker-restart", "--yes", "--reason")
LOST_RUN = "20261121-2304-broker-restart-k3f9"
PROGRAM = f"{sys.executable} -c 'from holdfast.cli import main; main()'"


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


def shell(line: str, state: Path) -> subprocess.CompletedProcess[str]:
    """Let a shell start the program as people do; ``holdfast`` in ``line`` is this interpreter's."""
    environ = os.environ | {"HOLDFAST_STATE_DIR": str(state), "SUDO_USER": "ada"}
    return subprocess.run(
        ["sh", "-c", line.replace("holdfast", PROGRAM)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", ">/dev/full"])
def test_a_stream_that_is_closed_or_full_is_no_failure(tmp_path: Path, closed: str) -> None:
    ended = shell(f"holdfast status {closed}", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_question_with_standard_input_closed_is_invalid_input(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {vars: {holdfast_site: x}}\nrabbitmq: {hosts: a}")
    line = f"holdfast run rabbitmq-restart --reason x --site {tmp_path / 'hosts.yml'} <&-"
    ended = shell(line, tmp_path / "state")
    assert ended.returncode == 2, ended.stderr
    assert "repeat the command with --yes" in ended.stderr


def test_a_directory_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    ended = shell(f"mkdir {gone} && cd {gone} && rmdir {gone} && holdfast status", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_characters_outside_the_terminals_encoding_stop_no_run() -> None:
    bytes_ = io.BytesIO()
    stream = OutputStream(io.TextIOWrapper(bytes_, encoding="ascii"))
    stream.write("▸ PASS ü\n")
    stream.flush()
    assert bytes_.getvalue() == b"? PASS ?\n"
    assert not stream.closed


@pytest.mark.parametrize("command", ["run", "resume"])
def test_reason_that_is_not_utf8_is_invalid_input(project: InMemoryProject, command: str) -> None:
    """Bytes of another encoding arrive from the command line as surrogates, which no journal takes."""
    what = "broker-restart" if command == "run" else "x"
    result = project.call(command, what, "--reason", "caf\udce9", *["--yes"] * (command == "run"))
    assert result.code == 2, result.output
    assert "UTF-8" in result.err
    assert project.acts == []
    assert project.call("status").out.startswith("There are no runs yet")


def test_ctrl_c_before_a_run_has_begun_is_an_abort(project: InMemoryProject) -> None:
    class InterruptedInventory:
        def read(self, site: Path, limit: str) -> SiteInventory:
            raise KeyboardInterrupt

    class InterruptedProject(InMemoryProject):
        def adapters(self, context: CommandContext) -> Adapters:
            return dataclasses.replace(
                super().adapters(context),
                planner=Planner(InterruptedInventory(), FakePlaybooks({}), claim_group),
            )

    result = InterruptedProject(project.path / "other").call(*RUN, "x")
    assert result.code == 5, result.output
    assert "Nothing was touched" in result.err


def test_runbook_that_is_not_utf8_is_invalid_input(project: InMemoryProject) -> None:
    path = project.path / "runbooks" / "latin.md"
    path.write_bytes(b"caf\xe9")
    for command in (("show", "latin"), ("show", "latin", "--json"), ("runbooks",)):
        result = project.call(*command)
        assert result.code == 2, result.output
        assert "latin.md: is not UTF-8 text" in result.err


def test_svg_that_cannot_be_written_is_invalid_input(project: InMemoryProject) -> None:
    project.call(*RUN, "x")
    result = project.call("report", "--svg", str(project.path / "nowhere" / "run.svg"))
    assert result.code == 2, result.output
    assert "nowhere/run.svg cannot be written: No such file or directory" in result.err


@pytest.mark.parametrize(
    "line",
    [
        "status",
        f"status {LOST_RUN}",
        "run broker-restart --reason x --yes",
        f"resume {LOST_RUN} --reason x",
        f"abort {LOST_RUN}",
        f"approve {LOST_RUN}",
        f"log {LOST_RUN}",
        f"watch {LOST_RUN}",
        f"report {LOST_RUN}",
        "lease list",
        "prune --yes",
    ],
)
def test_no_command_makes_a_database_where_one_was_deleted(
    project: InMemoryProject, line: str
) -> None:
    """It would know no run, and its leases would exclude nobody whose play still acts."""
    (project.state / "runs" / LOST_RUN).mkdir(parents=True)

    result = project.call(*shlex.split(line))

    assert result.code == 6, result.output
    assert f"has the files of {LOST_RUN}" in result.err
    assert "restore" in result.err
    assert project.acts == []
    assert not (project.state / "state.db").exists()


def test_a_play_by_hand_makes_no_database_where_one_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / LOST_RUN).mkdir(parents=True)
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path))
    with pytest.raises(JournalGone):
        open_state()
    assert not (tmp_path / "state.db").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_leaves_no_draft(tmp_path: Path, number: signal.Signals) -> None:
    """As by Ctrl-C, `timeout`, a stopped unit, a closed terminal."""
    drafts, inventory = tmp_path / "tmp", tmp_path / "inventory"
    drafts.mkdir()
    os.mkfifo(tmp_path / "began")
    inventory.write_text(f"#!/bin/sh\necho > {tmp_path / 'began'}\nexec sleep 20 >&- 2>&-\n")
    inventory.chmod(0o755)
    environ = os.environ | {"TMPDIR": str(drafts), "HOLDFAST_STATE_DIR": str(tmp_path / "state")}
    heard = ["env", "--default-signal"]  # whatever started the tests may ignore some
    asked = ["init", "ended-too-early", str(inventory), "--from", "kolla"]
    argv = [*heard, *shlex.split(PROGRAM), *asked]
    with subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE, text=True) as program:
        (tmp_path / "began").read_text()
        assert any(drafts.iterdir())
        program.send_signal(number)
        told = program.communicate(timeout=30)[1]
    assert (program.returncode, "Nothing was touched" in told) == (5, True), told
    assert not any(drafts.iterdir())
