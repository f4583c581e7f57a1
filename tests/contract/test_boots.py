"""A boot test with real Ansible against a fake nova: what is deleted after its end, a Ctrl-C and a death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast.boots.records import Records
from holdfast.model import Json
from holdfast.settings import Settings
from holdfast.store.database import open_store
from holdfast.store.processes import processes_of
from tests.unit.probes.fake_nova import PASSWORD, FakeNova, running_nova
from tests.unit.probes.fake_servers import IMAGE, FakeServers

PROJECT = Path(__file__).parents[2]
COMPUTES = ("cmp1", "cmp2", "cmp3")
DEADLOCK = {"message": "(1213, 'Deadlock found when trying to get lock')"}


@dataclass
class Site:
    """A site whose nova is a fake, and the state of whoever tests it."""

    path: Path
    nova: FakeNova
    servers: FakeServers
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def records(self) -> Records:
        return Records(self.path / "state/boots")

    @property
    def environ(self) -> Mapping[str, str]:
        state = {"HOLDFAST_STATE_DIR": str(self.path / "state"), "ANSIBLE_NOCOLOR": "1"}
        return os.environ | state | {"HOLDFAST_STATE_MAY_VANISH": "yes"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        started = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "holdfast.cli",
                "boots",
                "--site",
                f"{self.path}/site",
                *arguments,
            ],
            cwd=PROJECT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(started)
        return started

    def boot(self, *arguments: str) -> subprocess.Popen[str]:
        return self.start("--flavor", "m1.tiny", "--image", IMAGE, *arguments)

    def leases(self) -> list[str]:
        state = self.path / "state"
        store = open_store(Settings(f"sqlite:///{state / 'state.db'}", state))
        return [scope for scope, _ in store.held()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_nova() as nova:
        hosts: dict[str, Json] = {
            "nova_api": {"hosts": {"ctl1": {}}},
            "nova_compute": {"hosts": {host: {} for host in COMPUTES}},
        }
        variables = {**nova.login(), "nova_api_url": nova.url, "holdfast_site": "fake"}
        variables["ansible_connection"] = "local"
        inventory = {"all": {"vars": variables, "children": hosts}}
        (tmp_path / "site").mkdir()
        (tmp_path / "site/hosts.yml").write_text(json.dumps(inventory))
        site = Site(tmp_path, nova, FakeServers(nova))
        yield site
        for started in site.started:
            started.kill()
        for test in site.records.ids():
            for process in processes_of(test):
                os.kill(process, signal.SIGKILL)


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline, f"not within two minutes: {what}"
        time.sleep(0.05)  # noqa: TID251 - a process of its own is waited for


def test_what_was_booted_is_deleted_and_a_failure_is_named(site: Site) -> None:
    site.servers.fate = lambda name: (
        ("ERROR", DEADLOCK) if name.endswith("-cmp2-2") else ("ACTIVE", None)
    )
    somebodys = site.servers.add("web1", {})
    started = site.boot("--per-host", "2")
    out, err = started.communicate(timeout=240)
    assert started.returncode == 4, err
    assert "1 of 6 servers failed (1 deadlock)" in " ".join(out.split())
    assert "Deadlock found" in " ".join(out.split())
    assert len(site.servers.asked) == 6
    assert list(site.servers.servers) == [somebodys]
    assert len(site.servers.deletions) == 6
    assert site.leases() == []
    [test] = site.records.ids()
    record = site.records.read(test)
    assert record is not None
    assert record.left == ()
    assert PASSWORD not in out + err + record.model_dump_json()


def test_after_a_ctrl_c_what_was_booted_is_deleted(site: Site) -> None:
    site.servers.fate = lambda _: ("BUILD", None)
    started = site.boot()
    wait_until(lambda: len(site.servers.servers) == 9, "nine servers")
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=240)
    assert started.returncode == 5, out + err
    assert "what was booted is deleted first" in " ".join(err.split())
    assert site.servers.servers == {}
    assert site.leases() == []


def test_what_a_test_that_died_has_left_is_deleted_later(site: Site) -> None:
    site.servers.fate = lambda _: ("BUILD", None)
    started = site.boot("--per-host", "1")
    wait_until(lambda: len(site.servers.servers) == 3, "three servers")
    [test] = site.records.ids()
    started.kill()
    for process in processes_of(test):
        os.kill(process, signal.SIGKILL)
    started.communicate(timeout=60)
    wait_until(lambda: not any(processes_of(test)), "the end of its processes")
    assert len(site.servers.servers) == 3
    somebodys = site.servers.add(f"{test}-web", {})
    again = site.start("--clean-up", test[-4:])
    out, err = again.communicate(timeout=240)
    assert again.returncode == 0, out + err
    assert "nothing of it is left" in out
    assert list(site.servers.servers) == [somebodys]
    record = site.records.read(test)
    assert record is not None
    assert record.stopped == "its process died"


def test_a_test_that_still_runs_is_not_cleaned_up(site: Site) -> None:
    site.servers.fate = lambda _: ("BUILD", None)
    started = site.boot("--per-host", "1")
    wait_until(lambda: len(site.servers.servers) == 3, "three servers")
    [test] = site.records.ids()
    again = site.start("--clean-up", test)
    _, err = again.communicate(timeout=240)
    assert again.returncode == 3
    assert "still runs" in err
    assert len(site.servers.servers) == 3
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=240)
    assert site.servers.servers == {}


def test_an_id_that_nobody_knows_is_refused(site: Site) -> None:
    started = site.start("--clean-up", "20261127-1305-boots-zzzz")
    _, err = started.communicate(timeout=240)
    assert started.returncode == 3
    assert "no server at this site carries the id" in " ".join(err.split())
