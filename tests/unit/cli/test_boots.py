"""`holdfast boots`: exit codes, what is printed, what is refused before anything is booted. The play is a fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from holdfast.ansible.interfaces import Play, PlayResult, Progress, StartedPlay
from holdfast.boots.model import BootTest
from holdfast.boots.records import Records
from holdfast.model import Holder, LeaseMode
from holdfast.settings import Settings
from tests.unit.boots.boots_harness import boot, made
from tests.unit.cli.cli_harness import InMemoryProject

FLAVOR_AND_IMAGE = ("--flavor", "m1.tiny", "--image", "cirros")
GROUPS = {
    "nova_api": ("ctl1",),
    "nova_compute": ("cmp1", "cmp2", "cmp3"),
    "rabbitmq": ("ctl1",),
}


@dataclass
class FakeBoots:
    """A runner whose play writes the record that ``test`` makes; None for a play that fails before."""

    test: Callable[[Mapping[str, object]], BootTest | None]
    status: str = "ok"
    messages: Mapping[str, str] = field(default_factory=dict)
    plays: list[Play] = field(default_factory=list)

    def start(
        self, play: Play, on_progress: Callable[[Progress], None], *, parked: bool = False
    ) -> StartedPlay:
        assert not parked
        self.plays.append(play)
        on_progress(Progress("ctl1", "Boot servers, and delete them", "boots ctl1 1 active"))
        directory = Path(str(play.variables["holdfast_boots_records"]))
        if (test := self.test(play.variables)) is not None:
            Records(directory).write(test)
        return FakePlay(PlayResult(self.status, {}, self.messages))  # type: ignore[arg-type]

    def wait(self, seconds: float) -> None:
        """Return at once."""

    def finish(self) -> list[str]:
        return []

    def end_strays(self, run: str) -> list[int]:
        return []


@dataclass
class FakePlay:
    ended: PlayResult

    def go(self, variables: Mapping[str, object]) -> bool:
        return False

    def result(self) -> PlayResult:
        return self.ended

    def interrupt(self) -> None:
        """Nothing runs."""

    def end(self) -> None:
        """Nothing runs."""


def project_with(tmp_path: Path, play: FakeBoots) -> InMemoryProject:
    return InMemoryProject(tmp_path, groups=dict(GROUPS), runner=lambda _: play)


def named(*boots: object, **more: object) -> Callable[[Mapping[str, object]], BootTest]:
    def make(variables: Mapping[str, object]) -> BootTest:
        return made(*boots, id=variables["holdfast_boots_id"], site="lab", **more)  # type: ignore[arg-type]

    return make


ACTIVE, FAILED = boot("cmp1", 1), boot("cmp2", 3, "failed")


@pytest.mark.parametrize(
    ("play", "code", "said"),
    [
        (FakeBoots(named(ACTIVE)), 0, "0 of 1 server failed; 0 may fail: within its limits"),
        (FakeBoots(named(ACTIVE, FAILED), "failed"), 4, "1 of 2 servers failed (1 deadlock)"),
        (FakeBoots(named(ACTIVE, stopped="by an operator"), "failed"), 5, "by an operator"),
        (FakeBoots(named(ACTIVE, boot("cmp1", 2, "unknown")), "failed"), 6, "is not known"),
        (FakeBoots(named(), "failed"), 6, "outcome not known"),
    ],
)
def test_the_exit_code_says_how_the_test_ended(
    tmp_path: Path, play: FakeBoots, code: int, said: str
) -> None:
    found = project_with(tmp_path, play).call("boots", *FLAVOR_AND_IMAGE)
    assert found.code == code, found.output
    assert said in " ".join(found.out.split())


def test_servers_that_are_left_are_named_with_the_command_that_deletes_them(tmp_path: Path) -> None:
    play = FakeBoots(named(ACTIVE, left=("holdfast-x-cmp1-1 (ERROR)",)), "failed")
    found = project_with(tmp_path, play).call("boots", *FLAVOR_AND_IMAGE)
    assert found.code == 6
    assert "left: holdfast-x-cmp1-1 (ERROR)" in found.out
    test = play.plays[0].run
    assert f"next: holdfast boots --clean-up {test}" in found.err


def test_a_play_that_died_leaves_servers_and_says_how_to_delete_them(tmp_path: Path) -> None:
    play = FakeBoots(named(ended=None), "interrupted")
    found = project_with(tmp_path, play).call("boots", *FLAVOR_AND_IMAGE)
    assert found.code == 6
    assert "before its servers were deleted" in found.err
    assert f"next: holdfast boots --clean-up {play.plays[0].run}" in found.err


def test_a_refusal_before_the_first_request_has_its_message_and_its_next_command(
    tmp_path: Path,
) -> None:
    said = "the quota is too small; nothing was booted\n  next: openstack quota set --cores 9 admin"
    play = FakeBoots(lambda _: None, "failed", {"ctl1": said})
    found = project_with(tmp_path, play).call("boots", *FLAVOR_AND_IMAGE)
    assert found.code == 3
    assert "the quota is too small; nothing was booted" in found.err
    assert "next: openstack quota set --cores 9 admin" in found.err


def test_what_was_typed_reaches_the_play_and_no_secret_is_read(tmp_path: Path) -> None:
    play = FakeBoots(named(ACTIVE))
    project = project_with(tmp_path, play)
    project.call(
        "boots",
        *FLAVOR_AND_IMAGE,
        "--per-host",
        "1",
        "--hosts",
        "2",
        "--within",
        "2m",
        "--failures",
        "1",
    )
    [started] = play.plays
    assert started.playbook == "boots.yml"
    assert started.variables["holdfast_boots_options"] == {
        "flavor": "m1.tiny",
        "image": "cirros",
        "network": "none",
        "per_host": 1,
        "sample": 2,
        "at_once": 20,
        "within": 120,
        "failures": 1,
    }
    assert started.variables["holdfast_boots_hosts"] == list(GROUPS["nova_compute"])
    assert started.run.endswith(started.variables["holdfast_boots_id"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "a flavor and an image are needed"),
        (("--flavor", "m1.tiny"), "a flavor and an image are needed"),
        ((*FLAVOR_AND_IMAGE, "--within", "soon"), "--within"),
        ((*FLAVOR_AND_IMAGE, "--within", "0"), "no server is ACTIVE at once"),
        (
            (*FLAVOR_AND_IMAGE, "--per-host", "0"),
            "",
        ),  # typer's own words, printed past this console
        ((*FLAVOR_AND_IMAGE, "--limit", ""), "--limit is empty"),
        ((*FLAVOR_AND_IMAGE, "--svg", "/nowhere/at/all.svg"), "cannot be written: No such file"),
    ],
)
def test_bad_input_starts_no_play(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    play = FakeBoots(named(ACTIVE))
    found = project_with(tmp_path, play).call("boots", *arguments)
    assert found.code == 2
    assert said in " ".join(found.err.split())
    assert play.plays == []


@pytest.mark.parametrize("scope", ["lab/nova", "lab/rabbitmq"])
def test_while_another_run_changes_what_boots_go_through_it_is_refused(
    tmp_path: Path, scope: str
) -> None:
    play = FakeBoots(named(ACTIVE))
    project = project_with(tmp_path, play)
    holder = Holder("20261127-1200-nova-restart-aaaa", "bob", "an update", "ctl9", "", 1, 1)
    settings = Settings(f"sqlite:///{project.state / 'state.db'}", project.state)
    store = project.open_store(settings)
    grant = store.take(holder, {scope: LeaseMode.EXCLUSIVE}, timedelta(minutes=5))
    found = project.call("boots", *FLAVOR_AND_IMAGE)
    assert found.code == 3
    assert f"{scope} is held (exclusive) by run {holder.run}" in " ".join(found.err.split())
    assert play.plays == []
    store.release(grant)
    store.take(holder, {scope: LeaseMode.SHARED}, timedelta(minutes=5))
    assert project.call("boots", *FLAVOR_AND_IMAGE).code == 0


def test_json_has_the_record_and_the_outcome(tmp_path: Path) -> None:
    play = FakeBoots(named(ACTIVE, FAILED), "failed")
    found = project_with(tmp_path, play).call("boots", *FLAVOR_AND_IMAGE, "--json")
    told = json.loads(found.out)
    assert found.code == 4
    assert told["outcome"] == "limits_exceeded"
    assert [each["kind"] for each in told["boots"]] == [None, "deadlock"]
    assert told["last"] is None


def test_the_last_test_of_the_site_stands_beside(tmp_path: Path) -> None:
    project = project_with(tmp_path, FakeBoots(named(ACTIVE)))
    before = made(ACTIVE, FAILED, id="before", site="lab", began=datetime(2026, 1, 1, tzinfo=UTC))
    Records(project.state / "boots").write(before)
    found = project.call("boots", *FLAVOR_AND_IMAGE)
    assert "the last, before: 1 of 2 failed, median 2.0 s" in found.out


def test_a_picture_is_written_and_names_failures(tmp_path: Path) -> None:
    picture = tmp_path / "boots.svg"
    project = project_with(tmp_path, FakeBoots(named(ACTIVE, FAILED), "failed"))
    project.call("boots", *FLAVOR_AND_IMAGE, "--svg", str(picture))
    ET.parse(picture)  # noqa: S314 - our own
    text = picture.read_text()
    assert "cmp2 deadlock" in text
    assert "(1213, &#39;Deadlock&#39;)" in text


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        ("ok", "", 0),
        ("failed", "it still runs; nothing was deleted", 3),
        ("failed", "nova does not answer", 6),
        ("interrupted", "", 6),
    ],
)
def test_a_clean_up_boots_nothing_and_is_no_success_while_anything_may_be_left(
    tmp_path: Path, status: str, said: str, code: int
) -> None:
    play = FakeBoots(lambda _: None, status, {"ctl1": said} if said else {})
    project = project_with(tmp_path, play)
    found = project.call("boots", "--clean-up", "20261127-1305-boots-k3f9")
    assert found.code == code, found.output
    [started] = play.plays
    assert started.variables["holdfast_boots_state"] == "deleted"
    assert started.variables["holdfast_boots_id"] == "20261127-1305-boots-k3f9"
    assert started.run != started.variables["holdfast_boots_id"]  # it ends its own processes
