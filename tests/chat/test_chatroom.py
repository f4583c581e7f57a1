"""The lab's chat, saved in a directory and used from a terminal, with a real homeserver and no bot."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.chat.config import load_config
from holdfast.chat.secrets import open_tokens
from holdfast.chat.transports import make_transport
from tests.chat.servers.matrix_environment import (
    MatrixEnvironment,
    ensure_environment,
    load_environment,
    load_server,
)
from tests.chat.servers.synapse import PYTHON, ServerUnavailable, SynapseServer
from tests.lab.chatroom.serving import CONFIGURATION, REPOSITORY, make


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PYTHON.exists():
        pytest.skip("no matrix-synapse here: make .venv-synapse/.locked")
    directory = tmp_path_factory.mktemp("lab") / "chat"
    make(directory, "lab")
    return directory


@pytest.fixture(scope="module")
def environment(directory: Path) -> Iterator[MatrixEnvironment]:
    """The environment, its server started a second time: the first was to create it."""
    server = load_server(directory)
    server.start()
    yield load_environment(directory)
    server.stop()


def chat(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / "tests/lab/chat"), "--in", str(directory), *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=os.environ
    )


def test_messages_are_read_also_after_the_server_came_back(
    directory: Path, environment: MatrixEnvironment
) -> None:
    assert chat(directory, "say", "ada", "holdfast help").returncode == 0
    server = load_server(directory)
    assert "holdfast help" in chat(directory, "read").stdout
    environment.holdfast.join(environment.room)
    root = environment.holdfast.say(environment.room, "the plan")
    in_thread = {"rel_type": "m.thread", "event_id": root}
    environment.holdfast.say(environment.room, "Approval needed", **{"m.relates_to": in_thread})
    assert chat(directory, "read", "--until", "Approval needed").returncode == 0
    assert chat(directory, "say", "--thread", "bob", "holdfast approve").returncode == 0
    told = json.loads(chat(directory, "dump").stdout)
    assert [(each["by"], each["text"]) for each in told["room"]][-1] == ("bob", "holdfast approve")
    assert told["room"][-1]["thread"] == root
    # Bob has written since, and nobody has answered.
    unanswered = chat(directory, "read", "--until", "Approval needed", "--seconds", "1")
    assert unanswered.returncode == 1
    assert "the bot did not answer 'Approval needed' within 1 s" in unanswered.stderr
    with pytest.raises(ServerUnavailable, match="answers at"):
        server.start()


def test_an_environment_is_saved(directory: Path, environment: MatrixEnvironment) -> None:
    ensure_environment(directory)
    assert load_environment(directory) == environment
    assert "the plan" in [each["content"]["body"] for each in environment.events()]


def test_the_written_configuration_is_valid_and_not_overwritten(directory: Path) -> None:
    path = directory / CONFIGURATION
    config = load_config(path)
    for name, section in config.transports.items():
        opened = open_tokens(section, {})
        assert make_transport(name, opened.settings).name == "matrix"
    assert [asked.runbooks for asked in config.approvals] == [("rabbitmq-restart", "nova-restart")]
    path.write_text(path.read_text() + "# mine\n")
    make(directory, "lab")
    assert path.read_text().endswith("# mine\n")


def test_secrets_are_private(directory: Path) -> None:
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for name in ("matrix.json", "bot-token", "passwords"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/precious").touch()
    with pytest.raises(OSError, match="not empty"):
        ensure_environment(tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_server_that_does_not_come_up_says_why(directory: Path, tmp_path: Path) -> None:
    server = SynapseServer(tmp_path)
    (tmp_path / "db").mkdir()
    with pytest.raises(ServerUnavailable, match="did not come up"):
        server.start()
