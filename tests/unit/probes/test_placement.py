"""How hosts are asked about their placement-api, and the programs of the role that change its configuration and purge.

The databases are asked for real in tests/mariadb.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.placement import PlacementAnswer, WriterUnits
from holdfast.probes.base import CommandResult, ProbeContext, Shell
from holdfast.probes.placement import probe_answers, probe_source, probe_writers
from tests.unit.probes.http_server import Received, running_server
from tests.unit.probes.shells import NoShell, ScriptedShell, UnreachableShell

FILES = Path(__file__).parents[3] / "roles/placement_extraction/files"
OLD, NEW = (
    "mysql+pymysql://n:o&d\\1@db/nova_api?charset=utf8",
    "mysql+pymysql://p:n%40w&\\0@db/placement",
)
CONFIG = f"""\
[DEFAULT]
connection = {OLD}
[placement_database]
# connection = {OLD}
max_retries = -1
connection={OLD}
[api]
connection = {OLD}
"""


class LocalShell:
    """This machine."""

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run the command."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(argv, env={"PATH": path}, capture_output=True, text=True, check=False)
        return CommandResult(done.returncode, done.stdout, done.stderr)


def context(shell: Shell, **groups: list[str]) -> ProbeContext:
    return ProbeContext("ctl1", groups, {}, NoShell(), reach=lambda _: shell)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for name, text in {"source.url": OLD, "target.url": NEW, "placement.conf": CONFIG}.items():
        (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / name).chmod(0o640)
    return tmp_path / "placement.conf"


def connect(
    config: Path, come_from: str = "source", to: str = "target", *, first: str = ""
) -> CommandResult:
    program = first + (FILES / "connection.sh").read_text()
    urls = [str(config.parent / f"{name}.url") for name in (come_from, to)]
    return LocalShell().run(["sh", "-c", program, "holdfast", str(config), *urls])


def test_one_value_in_one_section_is_changed_and_changed_back(config: Path) -> None:
    before = config.read_text()
    assert connect(config).rc == 0
    pairs = zip(before.splitlines(), config.read_text().splitlines(), strict=True)
    changed = [(old, new) for old, new in pairs if old != new]
    assert changed == [(f"connection={OLD}", f"connection = {NEW}")]
    assert config.stat().st_mode & 0o777 == 0o640
    again = connect(config)
    assert (again.rc, again.stdout) == (0, "already so\n")
    assert connect(config, "target", "source").rc == 0
    assert config.read_text() == before.replace(f"connection={OLD}\n", f"connection = {OLD}\n")
    names = sorted(each.name for each in config.parent.iterdir())
    assert names == ["placement.conf", "source.url", "target.url"]


@pytest.mark.parametrize(
    "text",
    [
        CONFIG.replace(f"connection={OLD}", "connection = mysql://other@db/placement"),
        CONFIG.replace(f"connection={OLD}", f"connection={OLD}\nconnection={OLD}"),
        CONFIG.replace("[placement_database]", "[placement]"),
    ],
    ids=["another", "twice", "missing"],
)
def test_what_is_not_understood_is_not_changed(config: Path, text: str) -> None:
    config.write_text(text)
    refused = connect(config)
    assert refused.rc == 3
    assert "nothing was touched" in refused.stderr
    assert config.read_text() == text


def test_an_empty_url_changes_nothing(config: Path) -> None:
    (config.parent / "target.url").write_text("")
    assert connect(config).rc == 3
    assert config.read_text() == f"{CONFIG}\n"


@pytest.mark.parametrize(
    "full",
    [
        "trap '' XFSZ; ulimit -f 0\n",  # no byte more: neither the copy nor the new file
        "cp() { command cp \"$@\"; trap '' XFSZ; ulimit -f 0; }\n",  # the copy was the last that fitted
    ],
    ids=["at once", "after the copy"],
)
def test_a_full_disk_leaves_the_old_connection_and_no_file(config: Path, full: str) -> None:
    before = config.read_text()
    assert connect(config, first=full).rc == 1
    assert config.read_text() == before
    names = sorted(each.name for each in config.parent.iterdir())
    assert names == ["placement.conf", "source.url", "target.url"]


def test_units_are_asked_on_the_hosts_of_both_groups() -> None:
    found = probe_writers(
        context(ScriptedShell(CommandResult(3, "inactive\n", "")), placement=["ctl1"], nova_api=["ctl2"]),
        "placement-api",
        "nova-api",
    )  # fmt: skip
    assert found == WriterUnits({"placement-api on ctl1": "inactive", "nova-api on ctl2": "inactive"})  # fmt: skip


@pytest.mark.parametrize("shell", [ScriptedShell(CommandResult(0, "", "no systemd")), UnreachableShell()])  # fmt: skip
def test_a_host_that_does_not_say_has_its_cause(shell: Shell) -> None:
    found = probe_writers(context(shell, placement=["ctl1"]), "placement-api", "nova-api")
    assert isinstance(found.states["placement-api on ctl1"], Unanswered)


@pytest.mark.parametrize(
    "text", ["", "users\n", "users\t1\nusers\n", "users\tmany\n", "holdfast_copy\t0\tx\n"]
)
def test_a_database_that_says_something_else_is_not_told(text: str) -> None:
    shell = ScriptedShell(
        CommandResult(0, "nova_api\t0\nusers\t16384\n", ""), CommandResult(0, text, "")
    )
    with pytest.raises(CannotTell):
        probe_source(ProbeContext("ctl1", {}, {}, shell), "/run/x", "nova_api", ("users",))


@pytest.mark.parametrize("text", ["", "users\t16384\n", "nova_api\t0\nusers\n", "<html>\n"])
def test_a_list_of_tables_that_is_none_is_no_empty_database(text: str) -> None:
    shell = ScriptedShell(CommandResult(0, text, ""))
    with pytest.raises(CannotTell, match="another shape"):
        probe_source(ProbeContext("ctl1", {}, {}, shell), "/run/x", "nova_api", ("users",))


def nova_conf(directory: Path, port: int) -> str:
    """Write a nova.conf that asks a placement without keystone."""
    file = directory / "nova.conf"
    file.write_text(
        f"[DEFAULT]\nother = 1\n[placement]\nauth_type = none\nendpoint_override = http://127.0.0.1:{port}\n"
    )
    return str(file)


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (200, b'{"resource_providers": [{}, {}, {}]}', (200, 3)),
        (200, b'{"resource_providers": []}', (200, 0)),
        (503, b"{}", (503, 0)),
    ],
)
def test_placement_is_asked_as_nova_is_configured(
    tmp_path: Path, status: int, body: bytes, wanted: tuple[int, int]
) -> None:
    with running_server(lambda _: (status, body)) as port:
        found = probe_answers(context(LocalShell(), nova_api=["ctl1"]), nova_conf(tmp_path, port))
    assert found == PlacementAnswer("ctl1", *wanted)


def test_a_placement_that_is_silent_or_nobody_to_ask_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="asked from ctl1"):
        probe_answers(context(LocalShell(), nova_api=["ctl1"]), nova_conf(tmp_path, 1))
    with pytest.raises(CannotTell, match="no host to ask from"):
        probe_answers(context(NoShell(), nova_api=[]), "x")


def test_a_purge_deletes_whom_it_is_told_to_once(tmp_path: Path) -> None:
    received: list[str] = []

    def answer(request: Received) -> tuple[int, bytes]:
        received.append(f"{request.method} {request.path}")
        return {"a": 204, "b": 404, "c": 409}[request.path[-1]], b""

    program = (FILES / "purge.py").read_text()
    with running_server(answer) as port:
        command = ["python3", "-c", program, nova_conf(tmp_path, port)]
        went, refused = LocalShell().run([*command, "a", "b"]), LocalShell().run([*command, "c"])
    assert (went.rc, went.stdout) == (0, "a 204\nb 404\n")
    assert (refused.rc, refused.stdout) == (1, "c 409\n")
    assert received == [f"DELETE /allocations/{each}" for each in "abc"]
