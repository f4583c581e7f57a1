"""``holdfast chat``: errors are reported before anything is connected; requests are driven."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from holdfast.chat.run_launcher import ProcessLauncher
from holdfast.chat.run_request import ResumeRun
from holdfast.errors import Refused
from holdfast.model import Json
from tests.unit.chat.chat_harness import CONFIG
from tests.unit.cli.cli_harness import HOSTS, InMemoryProject


@pytest.fixture
def cli(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


def request(cli: InMemoryProject, **changed: Json) -> str:
    plan = json.loads(cli.call("plan", "broker-restart", "--json").out)
    asked = {
        "kind": "start",
        "run": "20261121-2304-broker-restart-abcd",
        "plan_request": {"runbook": "broker-restart", "site": "lab"},
        "runbook_path": str(cli.path / "runbooks/broker-restart.md"),
        "inventory": str(cli.path / "inventories/lab"),
        "plan_hash": plan["hash"],
        "by": "slack:T1/U2",
        "reason": "openssl {{ 7*7 }}",
    }
    return json.dumps(asked | changed)


def restarts(cli: InMemoryProject) -> list[str]:
    return [act for act in cli.acts if act.startswith("restart")]


def test_a_request_is_driven_to_its_end(cli: InMemoryProject) -> None:
    result = cli.call("chat", "drive", typed=request(cli))
    assert (result.code, result.output) == (0, "")
    assert restarts(cli) == [f"restart {host}" for host in HOSTS]
    status = cli.call("status", "abcd").out
    assert "slack:T1/U2: openssl {{ 7*7 }}" in status


def test_the_same_request_again_is_refused(cli: InMemoryProject) -> None:
    asked = request(cli)
    cli.call("chat", "drive", typed=asked)
    result = cli.call("chat", "drive", typed=asked)
    assert result.code == 2
    assert "was started already" in result.err
    assert len(restarts(cli)) == len(HOSTS)


@pytest.mark.parametrize(
    ("changed", "code", "expected"),
    [
        ({"plan_hash": "0123456789abcdef"}, 3, "changed since it was shown"),
        ({"plan_request": {"runbook": "broker-restart", "site": "eqiad"}}, 2, "calls itself lab"),
        ({"argv": ["-e", "x"]}, 2, "no request"),
        ({"kind": "resume"}, 2, "no request"),
        ({"reason": "  "}, 2, "needs a reason"),
    ],
)
def test_an_invalid_request_touches_nothing(
    cli: InMemoryProject, changed: dict[str, Json], code: int, expected: str
) -> None:
    result = cli.call("chat", "drive", typed=request(cli, **changed))
    assert result.code == code
    assert expected in result.err
    assert cli.acts == []


def written(cli: InMemoryProject, **changed: Json) -> str:
    path = cli.path / "chat.yml"
    path.write_text(yaml.safe_dump(CONFIG | changed))
    return str(path)


@pytest.mark.parametrize(
    ("transports", "expected"),
    [
        ({"slakc": {}}, "did you mean slack?"),
        ({"slack": {"bot_token": {"file": "gone"}}}, "the token cannot be read"),
        ({"slack": {"bot_token": {"environment": "GONE"}}}, "empty or not set"),
    ],
)
def test_serve_says_what_is_wrong_with_a_transport(
    cli: InMemoryProject, transports: dict[str, Json], expected: str
) -> None:
    display_name = {"transport": next(iter(transports)), "channel": "C1"}
    changed = {
        "transports": transports,
        "log": display_name,
        "sites": {"lab": {"channel": display_name}},
    }
    result = cli.call("chat", "serve", "--config", written(cli, **changed), "--check")
    assert result.code == 2
    assert expected in result.err
    assert "planted" not in result.output


@pytest.mark.parametrize("key", ["roles", "approvals"])
def test_a_rule_for_a_runbook_that_does_not_exist_is_refused(
    cli: InMemoryProject, key: str
) -> None:
    rule = {"sites": ["lab"], "runbooks": ["broker-restrat"]}
    who = {"role": "viewer", "people": ["cat"]} if key == "roles" else {}
    result = cli.call("chat", "serve", "--config", written(cli, **{key: [rule | who]}), "--check")
    assert result.code == 2
    assert (
        f"{key}: there is no runbook 'broker-restrat'; did you mean broker-restart?" in result.err
    )


def test_serve_without_its_file_says_so(cli: InMemoryProject) -> None:
    result = cli.call("chat", "serve", "--config", "gone.yml")
    assert result.code == 2
    assert "cannot be read" in result.err


def test_help_lists_serve_and_not_what_only_the_bot_needs(
    cli: InMemoryProject, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.call("chat", "--help")
    result = capsys.readouterr().out
    assert "serve" in result
    assert "drive" not in result


def test_a_program_that_cannot_be_started_is_a_refusal(tmp_path: Path) -> None:
    launcher = ProcessLauncher(tmp_path / "logs", tmp_path, {}, (str(tmp_path / "gone"),))
    with pytest.raises(Refused, match="could not be started"):
        launcher.launch(ResumeRun(run="r1", by="x", reason="y"))
    assert not launcher.is_alive("r1")


def test_a_runs_output_outlives_its_process_and_the_bot(tmp_path: Path) -> None:
    script = "import sys; print(len(sys.stdin.read()) > 9, file=sys.stderr)"
    launcher = ProcessLauncher(tmp_path / "logs", tmp_path, {}, ("python3", "-c", script))
    launcher.launch(ResumeRun(run="r1", by="x", reason="y"))
    for process in launcher._running:
        process.wait(10)
    another = ProcessLauncher(tmp_path / "logs", tmp_path, {}, ())
    assert not another.is_alive("r1")
    result = another.output("r1")
    assert result is not None
    assert result.text == "True"
    assert another.output("r2") is None


def test_a_running_process_is_not_launched_again_and_its_strays_do_not_count(
    tmp_path: Path,
) -> None:
    script = (
        "import subprocess, sys; sys.stdin.read();"
        "stray = subprocess.Popen(['cat'], stdin=subprocess.PIPE, start_new_session=True);"
        "print(stray.pid, file=sys.stderr, flush=True); stray.wait()"
    )
    launcher = ProcessLauncher(tmp_path / "logs", tmp_path, {}, (sys.executable, "-c", script))
    asked = ResumeRun(run="r1", by="x", reason="y")
    launcher.launch(asked)
    (process,) = launcher._running
    another = ProcessLauncher(tmp_path / "logs", tmp_path, {}, (sys.executable, "-c", "pass"))
    try:
        assert another.is_alive("r1")
        with pytest.raises(Refused, match="still running"):
            another.launch(asked)
        while (result := another.output("r1")) is None:
            threading.Event().wait(0.02)
    finally:
        process.kill()
        process.wait()
    stray = int(result.text)
    assert not another.is_alive("r1")
    another.launch(asked)
    with suppress(ProcessLookupError):
        os.kill(stray, signal.SIGKILL)
    for each in another._running:
        each.wait(10)
