"""A roll by hand, with Ansible alone: it refuses what the engine's plan would refuse, and it stops at a lost host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.journal.events import Event, Finished, GateJudged
from holdfast.settings import Settings
from holdfast.store.database import open_store
from tests.contract.local_site import UNIT, LocalSite

PROJECT = Path(__file__).parents[2]


def roll(
    site: LocalSite,
    state: Path,
    batch: int | str,
    limit: str = "all",
    *,
    given: Mapping[str, object] = {},
    playbook: str = "unit_restart.yml",
    options: Sequence[str] = (),
    directory: Path = PROJECT,
) -> subprocess.CompletedProcess[str]:
    """Restart the unit on every host, ``batch`` hosts at a time; a variable that is given as None is left out."""
    variables = {
        "systemd_unit_name": UNIT,
        "systemd_unit_group": "toys",
        "systemd_unit_batch": batch,
        "systemd_unit_settle_seconds": 0,
        "systemd_unit_settle_readings": 1,
        "holdfast_gate_deadline_seconds": 10,
        **given,
    }
    variables = {name: value for name, value in variables.items() if value is not None}
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return subprocess.run(
        [
            program,
            "-i",
            str(site.path),
            "-e",
            json.dumps(variables),
            "-l",
            limit,
            *options,
            str(PROJECT / "playbooks" / playbook),
        ],
        cwd=directory,
        env=os.environ | {"HOLDFAST_STATE_DIR": str(state), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def marks(site: LocalSite) -> dict[str, list[str]]:
    """Return the marks that hosts have, by service."""
    found: dict[str, list[str]] = {}
    for path in sorted(site.path.glob(".hosts/*/run/*.mark")):
        found.setdefault(path.stem, []).append(path.parts[-3])
    return found


def words(answer: subprocess.CompletedProcess[str]) -> str:
    """Return what a play printed, without its line breaks."""
    return " ".join((answer.stdout + answer.stderr).split())


def runs(state: Path) -> list[str]:
    """Return the ids of all runs."""
    return list(open_store(Settings(f"sqlite:///{state / 'state.db'}", state)).runs())


def journaled(state: Path) -> list[Event]:
    """Return the events of all runs."""
    store = open_store(Settings(f"sqlite:///{state / 'state.db'}", state))
    return [recorded.event for run in store.runs() for recorded in store.read(run)]


@pytest.mark.parametrize("asked", [50, 0, "many"])
def test_a_batch_above_the_policys_is_refused_before_the_lease(
    tmp_path: Path, asked: int | str
) -> None:
    """What was asked for counts, not the hosts that the play has: with three, 50 at a time would be all of them."""
    site = LocalSite.make(tmp_path / "site", "a", "b", "c")

    answer = roll(site, tmp_path / "state", asked)

    assert answer.returncode == 2
    assert f"{asked} hosts at a time were asked for; from 1 to 10 are allowed" in words(answer)
    assert [site.restarts(host) for host in site.hosts] == [0, 0, 0]
    assert journaled(tmp_path / "state") == []


def test_the_first_host_is_restarted_alone(tmp_path: Path) -> None:
    site = LocalSite.make(tmp_path / "site", "a", "b", "c")
    site.break_restart("a")

    answer = roll(site, tmp_path / "state", 2)

    assert answer.returncode == 2
    assert [site.restarts(host) for host in site.hosts] == [1, 0, 0]


def test_with_check_nothing_is_touched(tmp_path: Path) -> None:
    site = LocalSite.make(tmp_path / "site", "a")

    answer = roll(site, tmp_path / "state", 1, options=["--check"])

    assert answer.returncode == 0, answer.stdout
    assert "a: would restart" in words(answer)
    assert (site.restarts("a"), marks(site), journaled(tmp_path / "state")) == (0, {}, [])


@pytest.mark.parametrize(
    ("playbook", "options"),
    [
        ("unit_restart.yml", ["--tags", "typo"]),
        ("unit_restart.yml", ["--skip-tags", "all,always"]),
    ],
)
def test_tags_are_refused(tmp_path: Path, playbook: str, options: list[str]) -> None:
    """They leave out parts of a turn, or all of it, and Ansible succeeds."""
    site = LocalSite.make(tmp_path / "site", "a")

    answer = roll(site, tmp_path / "state", 1, playbook=playbook, options=options)

    assert answer.returncode != 0
    assert "They would leave out parts of the play; nothing was touched" in words(answer)
    assert site.restarts("a") == 0


def test_a_group_that_only_the_inventory_names_is_refused(tmp_path: Path) -> None:
    """Ansible says that no host matched, and succeeds: it chooses a play's hosts without the variables of hosts."""
    site = LocalSite.make(tmp_path / "site", "a")
    (site.path / "group_vars" / "toys.yml").write_text("systemd_unit_group: toys\n")

    answer = roll(site, tmp_path / "state", 1, given={"systemd_unit_group": None})

    assert answer.returncode != 0
    assert "No group was named for this call" in words(answer)
    assert site.restarts("a") == 0


@pytest.mark.parametrize(
    ("playbook", "options", "why"),
    [
        ("check.yml", ["--limit", "b"], "none of a is selected (--limit b)"),
        ("observe.yml", [], "no host was named"),
    ],
)
def test_a_play_that_would_look_at_no_host_fails(
    tmp_path: Path, playbook: str, options: list[str], why: str
) -> None:
    """Ansible says that no host matched, and succeeds: nothing looked at is nothing proved."""
    site = LocalSite.make(tmp_path / "site", "a", "b")

    answer = roll(site, tmp_path / "state", 1, playbook=playbook, options=options)

    assert answer.returncode == 2
    assert f"No host is asked, so nothing would be proved: {why}" in words(answer)


@pytest.mark.parametrize("playbook", ["unit_restart.yml", "check.yml"])
def test_from_another_directory_it_says_where_to_run_it(tmp_path: Path, playbook: str) -> None:
    site = LocalSite.make(tmp_path / "site", "a")

    answer = roll(site, tmp_path / "state", 1, playbook=playbook, directory=tmp_path)

    assert answer.returncode != 0
    assert f"nothing was touched. Run it from the repository: cd {PROJECT}" in words(answer)
    assert site.restarts("a") == 0


def test_a_layer_of_nova_has_the_policy_and_the_batch_of_its_own_playbook(tmp_path: Path) -> None:
    """The plays are those of a file that all layers import; each layer passes its own values."""
    site = LocalSite.make(tmp_path / "site", "a")
    groups: dict[str, object] = {"nova_compute": {"children": {"toys": {}}}}
    (site.path / "nova.yml").write_text(json.dumps(groups))

    answer = roll(
        site,
        tmp_path / "state",
        1,
        given={"nova_compute_batch": 6},
        playbook="nova_compute_restart.yml",
    )

    assert answer.returncode == 2
    assert "PLAY [Restart nova's computes]" in answer.stdout
    assert "6 hosts at a time were asked for; from 1 to 5 are allowed" in words(answer)
    assert "each start opens many connections" in words(answer)
    assert journaled(tmp_path / "state") == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("stop_unit", "toy.service on c is failed"),
        ("flap", "systemd has restarted it 5 times since somebody last started it"),
        ("make_unreachable", "c is unreachable"),
    ],
)
def test_hosts_outside_of_the_limit_are_looked_at(tmp_path: Path, fault: str, said: str) -> None:
    site = LocalSite.make(tmp_path / "site", "a", "b", "c")
    getattr(site, fault)("c")

    answer = roll(site, tmp_path / "state", 1, "a", given={"holdfast_gate_deadline_seconds": 0})

    assert answer.returncode == 2
    assert said in words(answer)
    assert [site.restarts(host) for host in site.hosts] == [0, 0, 0]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"b": "a"}, "a and b are one machine"),
        ({"a": "b", "b": "a"}, "the machine at the address of a says that it is b"),
    ],
)
def test_a_host_that_is_another_is_not_touched(
    tmp_path: Path, names: Mapping[str, str], said: str
) -> None:
    """Two names of one machine, or two addresses exchanged: the acts would reach another host than the one proved."""
    site = LocalSite.make(tmp_path / "site", "a", "b", "c")
    for host, name in names.items():
        site.call_itself(host, name)

    answer = roll(site, tmp_path / "state", 1)

    assert answer.returncode == 2
    assert said in words(answer)
    assert [site.restarts(host) for host in site.hosts] == [0, 0, 0]


def test_another_name_of_a_unit_that_has_a_runbook_is_refused(tmp_path: Path) -> None:
    """The policy knows the name that was given; the host knows whose it is."""
    site = LocalSite.make(tmp_path / "site", "a")
    site.rename_unit("a", "rabbitmq-server")

    answer = roll(site, tmp_path / "state", 1)

    assert answer.returncode == 2
    assert "toy is another name of rabbitmq-server.service, which has a runbook" in words(answer)
    assert site.restarts("a") == 0


def test_a_run_in_which_a_host_became_unreachable_is_not_finished(tmp_path: Path) -> None:
    """Ansible continues with the other hosts of a batch when one is unreachable."""
    site = LocalSite.make(tmp_path / "site", "first", "a", "b")
    site.make_unreachable_in_mid_turn("a")

    answer = roll(site, tmp_path / "state", 2)

    assert answer.returncode == 4
    events = journaled(tmp_path / "state")
    assert events
    assert [event for event in events if isinstance(event, Finished)] == []
    assert [site.restarts(host) for host in site.hosts] == [1, 0, 1]
    asked_all = [
        event.host
        for event in events
        if isinstance(event, GateJudged)
        if "systemd.active_everywhere" in {verdict["claim"] for verdict in event.verdicts}
    ]
    assert asked_all == ["first", "a"], "one host of a batch asks all of the group"


@pytest.mark.parametrize(
    "given", [{"holdfast_phases": ["restart"]}, {"holdfast_batch": ["a"]}, {"holdfast_done": []}]
)
def test_variables_of_the_engine_are_refused_in_a_run_by_hand(
    tmp_path: Path, given: dict[str, object]
) -> None:
    """Left out phases are left out checks, which nobody would notice."""
    site = LocalSite.make(tmp_path / "site", "a", "b")

    answer = roll(site, tmp_path / "state", 1, given=given)

    assert answer.returncode == 2
    assert f"{next(iter(given))} can be set only by the engine" in answer.stdout
    assert [site.restarts(host) for host in site.hosts] == [0, 0]
    assert journaled(tmp_path / "state") == []


@pytest.mark.parametrize("limit", ["a:tpyo", "all:!tpyo", "tpyo"])
def test_a_limit_with_a_mistyped_part_is_refused(tmp_path: Path, limit: str) -> None:
    """Otherwise Ansible only warns, and restarts the host that was to be left out."""
    site = LocalSite.make(tmp_path / "site", "a", "b", "typo")

    answer = roll(site, tmp_path / "state", 1, limit)

    assert answer.returncode == 1
    assert "Could not match supplied host pattern" in answer.stderr
    assert [site.restarts(host) for host in site.hosts] == [0, 0, 0]
    assert journaled(tmp_path / "state") == []


def test_two_runs_with_different_state_meet_at_the_fleet(tmp_path: Path) -> None:
    """Neither knows the other's leases; the marks are on the first hosts of the group, whatever the limit."""
    site = LocalSite.make(tmp_path / "site", "a", "b", "c", "d", "e")
    site.make_slow("e")
    why = {"holdfast_by": "ada", "holdfast_reason": "a new library"}

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(roll, site, tmp_path / "one", 1, "b:e", given=why)
        while not (site.restarts("e") or first.done()):
            threading.Event().wait(0.05)
        under_way = marks(site)
        second = roll(site, tmp_path / "two", 1, "d")
        site.repair("e")

    assert first.result().returncode == 0, first.result().stdout
    assert under_way == {UNIT: ["a", "b", "c", "e"]}
    (run,) = runs(tmp_path / "one")  # of both batches
    assert isinstance(journaled(tmp_path / "one")[-1], Finished)
    assert second.returncode == 2
    said = words(second)
    assert f"no mark was made: toy is being changed by run {run}: ada on" in said
    assert "because: a new library. a has its mark" in said
    assert f"holdfast lease release contract/toy --site {site.path}" in said
    assert [site.restarts(host) for host in site.hosts] == [0, 1, 0, 0, 1]
    assert marks(site) == {}, (
        "a run that is finished leaves no mark, and one that was refused wrote none"
    )
