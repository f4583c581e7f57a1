"""``holdfast chat``: what is wrong is said before anything is connected; a request is driven as asked."""

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

from holdfast.chat.run_launcher import Processes
from holdfast.chat.run_request import Resume
from holdfast.errors import Refused
from holdfast.model import Json
from tests.unit.chat.rooms import CONFIG
from tests.unit.cli.desks import HOSTS, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "project")


def request(office: Office, **changed: Json) -> str:
    plan = json.loads(office.call("plan", "broker-restart", "--json").out)
    asked = {
        "kind": "start",
        "run": "20261121-2304-broker-restart-abcd",
        "wanted": {"runbook": "broker-restart", "site": "lab"},
        "runbook_path": str(office.path / "runbooks/broker-restart.md"),
        "inventory": str(office.path / "inventories/lab"),
        "plan_hash": plan["hash"],
        "by": "slack:T1/U2",
        "reason": "openssl {{ 7*7 }}",
    }
    return json.dumps(asked | changed)


def restarts(office: Office) -> list[str]:
    return [act for act in office.acts if act.startswith("restart")]


def test_a_request_is_driven_to_its_end(office: Office) -> None:
    said = office.call("chat", "drive", typed=request(office))
    assert (said.code, said.everything) == (0, "")
    assert restarts(office) == [f"restart {host}" for host in HOSTS]
    told = office.call("status", "abcd").out
    assert "slack:T1/U2: openssl {{ 7*7 }}" in told


def test_the_same_request_again_is_refused(office: Office) -> None:
    asked = request(office)
    office.call("chat", "drive", typed=asked)
    said = office.call("chat", "drive", typed=asked)
    assert said.code == 2
    assert "was started already" in said.err
    assert len(restarts(office)) == len(HOSTS)


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"plan_hash": "0123456789abcdef"}, 3, "changed since it was shown"),
        ({"wanted": {"runbook": "broker-restart", "site": "eqiad"}}, 2, "calls itself lab"),
        ({"argv": ["-e", "x"]}, 2, "no request"),
        ({"kind": "resume"}, 2, "no request"),
        ({"reason": "  "}, 2, "needs a reason"),
    ],
)
def test_anything_else_touches_nothing(
    office: Office, changed: dict[str, Json], code: int, words: str
) -> None:
    said = office.call("chat", "drive", typed=request(office, **changed))
    assert said.code == code
    assert words in said.err
    assert office.acts == []


def written(office: Office, **changed: Json) -> str:
    path = office.path / "chat.yml"
    path.write_text(yaml.safe_dump(CONFIG | changed))
    return str(path)


@pytest.mark.parametrize(
    ("transports", "words"),
    [
        ({"slakc": {}}, "did you mean slack?"),
        ({"slack": {"bot_token": {"file": "gone"}}}, "the token cannot be read"),
        ({"slack": {"bot_token": {"environment": "GONE"}}}, "empty or not set"),
    ],
)
def test_serve_says_what_is_wrong_with_a_transport(
    office: Office, transports: dict[str, Json], words: str
) -> None:
    named = {"transport": next(iter(transports)), "channel": "C1"}
    changed = {"transports": transports, "log": named, "sites": {"lab": {"channel": named}}}
    said = office.call("chat", "serve", "--config", written(office, **changed), "--check")
    assert said.code == 2
    assert words in said.err
    assert "planted" not in said.everything


@pytest.mark.parametrize("key", ["roles", "approvals"])
def test_a_rule_for_a_runbook_that_does_not_exist_is_refused(office: Office, key: str) -> None:
    rule = {"sites": ["lab"], "runbooks": ["broker-restrat"]}
    who = {"role": "viewer", "people": ["cat"]} if key == "roles" else {}
    said = office.call(
        "chat", "serve", "--config", written(office, **{key: [rule | who]}), "--check"
    )
    assert said.code == 2
    assert f"{key}: there is no runbook 'broker-restrat'; did you mean broker-restart?" in said.err


def test_serve_without_its_file_says_so(office: Office) -> None:
    said = office.call("chat", "serve", "--config", "gone.yml")
    assert said.code == 2
    assert "cannot be read" in said.err


def test_help_lists_serve_and_not_what_only_the_bot_needs(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.call("chat", "--help")
    said = capsys.readouterr().out
    assert "serve" in said
    assert "drive" not in said


def test_a_program_that_cannot_be_started_is_a_refusal(tmp_path: Path) -> None:
    launcher = Processes(tmp_path / "logs", tmp_path, {}, (str(tmp_path / "gone"),))
    with pytest.raises(Refused, match="could not be started"):
        launcher.launch(Resume(run="r1", by="x", reason="y"))
    assert not launcher.alive("r1")


def test_a_runs_words_outlive_it_and_its_bot(tmp_path: Path) -> None:
    script = "import sys; print(len(sys.stdin.read()) > 9, file=sys.stderr)"
    launcher = Processes(tmp_path / "logs", tmp_path, {}, ("python3", "-c", script))
    launcher.launch(Resume(run="r1", by="x", reason="y"))
    for process in launcher._running:
        process.wait(10)
    another = Processes(tmp_path / "logs", tmp_path, {}, ())
    assert not another.alive("r1")
    said = another.words("r1")
    assert said is not None
    assert said.text == "True"
    assert another.words("r2") is None


def test_a_run_that_lives_is_not_launched_again_and_what_it_started_is_no_driver(
    tmp_path: Path,
) -> None:
    script = (
        "import subprocess, sys; sys.stdin.read();"
        "stray = subprocess.Popen(['cat'], stdin=subprocess.PIPE, start_new_session=True);"
        "print(stray.pid, file=sys.stderr, flush=True); stray.wait()"
    )
    launcher = Processes(tmp_path / "logs", tmp_path, {}, (sys.executable, "-c", script))
    asked = Resume(run="r1", by="x", reason="y")
    launcher.launch(asked)
    (process,) = launcher._running
    another = Processes(tmp_path / "logs", tmp_path, {}, (sys.executable, "-c", "pass"))
    try:
        assert another.alive("r1")
        with pytest.raises(Refused, match="still lives"):
            another.launch(asked)
        while (said := another.words("r1")) is None:
            threading.Event().wait(0.02)
    finally:
        process.kill()
        process.wait()
    stray = int(said.text)
    assert not another.alive("r1")
    another.launch(asked)
    with suppress(ProcessLookupError):
        os.kill(stray, signal.SIGKILL)
    for each in another._running:
        each.wait(10)
