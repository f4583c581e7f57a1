"""The role nova, run: what its plays do to computes and units, for the fake and for real plays alike.

What happened is read from nova's own list and record, and from the units, never from our journal alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.journal.events import (
    ActDone,
    ActIntended,
    BaselineTaken,
    BatchEnded,
    GateJudged,
    HostDone,
)
from holdfast.model import Act, Json
from tests.contract.nova_harness import COMPLAINT, NovaHarness, RealNova, nova, roll
from tests.contract.runner_harness import PlayStarter
from tests.unit.probes.fake_nova import running_nova

ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="modules keep their locks in /run/holdfast, which is root's"
)
OURS, SOMEBODY = "holdfast:", "disk is failing"


@pytest.fixture(params=["fake", pytest.param("real", marks=ROOT)])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NovaHarness]:
    with nova(request.param, tmp_path) as harness:
        yield harness


@pytest.fixture
def plays(fleet: NovaHarness) -> PlayStarter:
    return fleet.play_starter()


def acts(plays: PlayStarter) -> list[tuple[str, Act, bool]]:
    return [(done.host, done.act, done.changed) for done in plays.events(ActDone)]


def test_a_compute_is_disabled_restarted_and_enabled_again(
    fleet: NovaHarness, plays: PlayStarter
) -> None:
    result = roll(plays, "compute", "b")

    assert (result.status, result.messages) == ("ok", {})
    assert fleet.changes() == [("b", "disabled", 0), ("b", "enabled", 1)]
    assert [fleet.disabled(host) for host in "abc"] == ["", "", ""]
    assert [plays.harness.restarts(host) for host in "abc"] == [0, 1, 0]
    every = [("b", Act.DRAIN, True), ("b", Act.RESTART, True), ("b", Act.UNDRAIN, True)]
    assert acts(plays) == every
    assert [intent.act for intent in plays.events(ActIntended)] == [act for _, act, _ in every]
    assert [done.host for done in plays.events(HostDone)] == ["b"]
    if isinstance(fleet, RealNova):
        assert not fleet.printed(
            "so it stays disabled. To enable it: openstack compute service set --enable b"
        )
        assert plays.journaled() == [
            *("gate_judged preflight", "baseline_taken", "gate_judged preflight"),
            *("act_intended drain", "act_done drain", *["gate_judged drain"] * 3),
            *("act_intended restart", "act_done restart", "gate_judged verify"),
            *("act_intended undrain", "act_done undrain", "host_done"),
        ]
        # Its log is read from where it ended before the restart; the journal says where.
        (noted,) = [each.log["size"] for each in plays.events(ActIntended) if each.log]
        assert noted == len(COMPLAINT)
        quiet = next(
            verdict
            for gate in plays.events(GateJudged)
            if gate.phase == "verify"
            for verdict in gate.verdicts
            if verdict["claim"] == "nova.no_messaging_timeouts"
        )
        assert (quiet["evidence"]["span"], quiet["evidence"]["lines"]) == ("act", 1)


def test_a_compute_that_somebody_disabled_is_restarted_and_stays_disabled(
    fleet: NovaHarness, plays: PlayStarter
) -> None:
    fleet.disable("b", SOMEBODY)

    result = roll(plays, "compute", "b", nova_graceful_shutdown_seconds=120)

    assert (result.status, result.messages) == ("ok", {})
    assert fleet.changes() == []
    assert fleet.disabled("b") == SOMEBODY
    assert plays.harness.restarts("b") == 1
    assert acts(plays) == [
        ("b", Act.DRAIN, False),
        ("b", Act.RESTART, True),
        ("b", Act.UNDRAIN, False),
    ]
    if isinstance(fleet, RealNova):
        assert fleet.printed('"msg": "systemd waits 90 s for nova-compute on b to stop, then')
        assert fleet.printed(
            "so it stays disabled. To enable it: openstack compute service set --enable b"
        )


def test_a_compute_at_work_is_not_restarted_and_given_back_with_its_batch(
    fleet: NovaHarness, plays: PlayStarter
) -> None:
    """What somebody disabled stays disabled."""
    fleet.disable("c", SOMEBODY)
    fleet.make_busy("b")

    result = roll(plays, "compute", "b", "c")

    assert (result.status, result.hosts) == ("failed", {"b": "failed", "c": "failed"})
    assert "b has 1 in flight" in result.messages["b"]
    assert [plays.harness.restarts(host) for host in "abc"] == [0, 0, 0]
    assert fleet.changes() == [("b", "disabled", 0), ("b", "enabled", 0)]
    assert [fleet.disabled(host) for host in "abc"] == ["", "", SOMEBODY]
    assert sorted(acts(plays)) == [
        (host, act, host == "b") for host in "bc" for act in (Act.DRAIN, Act.UNDRAIN)
    ]
    assert len(plays.events(ActIntended)) == 4
    if isinstance(fleet, RealNova):
        assert (
            "b was not restarted. As nova lists it now, nova-compute on b is enabled."
            in (result.messages["b"])
        )
        assert "Another compute of the batch may not be restarted: b" in result.messages["c"]


def test_another_host_that_dies_during_the_drain_gives_the_whole_batch_back(
    fleet: NovaHarness, plays: PlayStarter
) -> None:
    """One host asks all of the layer, for the batch."""
    fleet.stop_compute("a")

    result = roll(plays, "compute", "b", "c", holdfast_phases=["drain", "restart"])

    assert (result.status, result.hosts) == ("failed", {"b": "failed", "c": "failed"})
    assert [plays.harness.restarts(host) for host in "abc"] == [0, 0, 0]
    assert [fleet.disabled(host) for host in "abc"] == ["", "", ""]
    assert sorted(fleet.changes()) == [
        (host, state, 0) for host in "bc" for state in ("disabled", "enabled")
    ]


@pytest.mark.parametrize("layer", ["compute", "scheduler"])
def test_two_hosts_at_each_other_s_address_are_refused_before_any_act(
    fleet: NovaHarness, plays: PlayStarter, layer: str
) -> None:
    fleet.exchange_addresses("b", "c")

    result = roll(plays, layer, "b")

    assert (result.status, result.hosts) == ("failed", {"b": "failed"})
    assert "b goes by c" in result.messages["b"]
    assert fleet.changes() == []
    assert [plays.harness.restarts(host) for host in "abc"] == [0, 0, 0]
    assert (acts(plays), plays.events(ActIntended)) == ([], [])
    if isinstance(fleet, RealNova):
        assert (
            "set nova_service_host: c for b; else correct its ansible_host" in result.messages["b"]
        )


@ROOT
def test_a_compute_that_people_took_out_before_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """Its host is off. It is left out of what is asked of all hosts of the layer too."""
    with running_nova() as stub:
        fleet = RealNova(tmp_path, stub)
        fleet.take_out("c")
        plays = fleet.play_starter()

        result = roll(plays, "compute", "b")

        assert (result.status, result.messages) == ("ok", {})
        assert [plays.harness.restarts(host) for host in "abc"] == [0, 1, 0]
        assert fleet.disabled("c") == "fenced"


@ROOT
def test_what_went_out_since_the_run_began_stops_it_unless_it_recovers(tmp_path: Path) -> None:
    with running_nova() as stub:
        fleet = RealNova(tmp_path, stub)
        plays = fleet.play_starter()
        noted = BaselineTaken(at=plays.harness.now(), name="nova", values={"absent": {}})
        plays.harness.store.append(plays.run, noted)
        fleet.take_out("c")
        phases: Json = ["preflight"]

        refused = roll(plays, "compute", "b", holdfast_phases=phases)
        recovering = roll(
            plays,
            "compute",
            "b",
            holdfast_phases=phases,
            nova_recovering=True,
            _nova_recovery_claims=[],
        )

        said = "b was not touched: out of service since this run began: nova-compute on c"
        assert said in refused.messages["b"]
        assert (recovering.status, recovering.messages) == ("ok", {})


@pytest.mark.parametrize("reason", ["", "holdfast:another-run"])
def test_an_undrain_alone_enables_only_what_this_run_disabled(
    fleet: NovaHarness, plays: PlayStarter, reason: str
) -> None:
    ours = not reason
    if reason:
        fleet.disable("b", reason)
    else:
        roll(plays, "compute", "b", holdfast_phases=["drain"])
        assert fleet.disabled("b") == f"{OURS}{plays.run}"

    result = roll(plays, "compute", "b", holdfast_phases=["undrain"])

    assert result.status == "ok"
    assert fleet.disabled("b") == reason
    assert acts(plays)[-1] == ("b", Act.UNDRAIN, ours)
    assert plays.harness.restarts("b") == 0
    if isinstance(fleet, RealNova) and reason:
        assert plays.journaled() == ["act_intended undrain", "act_done undrain"]


@ROOT
def test_a_compute_is_given_back_where_another_of_its_window_fails_meanwhile(
    tmp_path: Path,
) -> None:
    with nova("real", tmp_path) as fleet:
        _drain_beside_a_failure(fleet, fleet.play_starter())


def _drain_beside_a_failure(fleet: NovaHarness, plays: PlayStarter) -> None:
    store, now = plays.harness.store, plays.harness.now()
    failed = BatchEnded(at=now, step=1, status="failed", hosts={"c": "failed"})

    def fail_once_drained() -> bool:
        if len(plays.events(ActDone)) == 1 and not plays.events(BatchEnded):
            store.append(plays.run, failed)
        return False

    result = roll(
        plays,
        "compute",
        "b",
        interrupted=fail_once_drained,
        holdfast_begun=1,
        holdfast_in_hand=["c"],
    )

    assert (result.status, plays.harness.restarts("b")) == ("failed", 0)
    assert "the turn of c has failed meanwhile" in result.messages["b"]
    assert acts(plays) == [("b", Act.DRAIN, True), ("b", Act.UNDRAIN, True)]
    assert fleet.disabled("b") == ""


@pytest.mark.parametrize("layer", ["conductor", "api", "metadata"])
def test_another_layer_is_restarted_without_a_drain(
    fleet: NovaHarness, plays: PlayStarter, layer: str
) -> None:
    result = roll(plays, layer, "b")

    assert (result.status, result.messages) == ("ok", {})
    assert fleet.changes() == []
    assert acts(plays) == [("b", Act.RESTART, True)]
    assert [plays.harness.restarts(host) for host in "abc"] == [0, 1, 0]
    assert [done.unit for done in plays.events(HostDone)] == [
        "nova-api-metadata" if layer == "metadata" else f"nova-{layer}"
    ]


def test_a_deaf_service_with_a_live_heartbeat_stops_a_batch_before_it_is_touched(
    fleet: NovaHarness, plays: PlayStarter
) -> None:
    """Nova lists it as up: only a call tells."""
    fleet.make_deaf("compute", "c")

    result = roll(plays, "compute", "b", rpc=True)

    assert (result.status, result.hosts) == ("failed", {"b": "failed"})
    assert (fleet.changes(), acts(plays), plays.events(ActIntended)) == ([], [], [])
    assert [plays.harness.restarts(host) for host in "abc"] == [0, 0, 0]
    if isinstance(fleet, RealNova):
        assert "nova-compute on c has no queue on the broker" in result.messages["b"]


def test_a_service_that_is_deaf_after_its_restart_is_not_done_and_takes_no_work(
    fleet: NovaHarness, plays: PlayStarter
) -> None:
    """Nothing is given back after a restart: a resume verifies first."""
    fleet.make_deaf_after_restart("compute", "b")
    if isinstance(fleet, RealNova):
        fleet.flap("compute", "b")

    result = roll(plays, "compute", "b", rpc=True, nova_calm_seconds=200, _nova_deadline=2)

    assert (result.status, result.hosts) == ("failed", {"b": "failed"})
    assert acts(plays) == [("b", Act.DRAIN, True), ("b", Act.RESTART, True)]
    assert plays.harness.restarts("b") == 1
    assert fleet.disabled("b") == f"{OURS}{plays.run}"
    assert plays.events(HostDone) == []
    if isinstance(fleet, RealNova):
        assert "nova-compute on b has no queue on the broker" in result.messages["b"]
        assert "s before this run took the host, so it must last longer" in result.messages["b"]


def test_the_last_that_serves_is_not_restarted(fleet: NovaHarness, plays: PlayStarter) -> None:
    """While recovering, others that hang do not stand in its way; that none would serve does."""
    fleet.make_deaf("conductor", "a", "c")

    result = roll(plays, "conductor", "b", rpc=True, nova_recovering=True)

    assert (result.status, result.hosts) == ("failed", {"b": "failed"})
    assert (acts(plays), plays.events(ActIntended)) == ([], [])
    assert [plays.harness.restarts(host) for host in "abc"] == [0, 0, 0]
    if isinstance(fleet, RealNova):
        said = "without b, 0 of 2 other conductor hosts serve, at least 1 must"
        assert said in result.messages["b"]
