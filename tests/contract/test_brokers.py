"""One contract for the acts on a broker: what the fake says about them, the real role does too."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from holdfast.ansible.interfaces import PlayResult
from holdfast.journal.events import ActDone, ActIntended, GateJudged, HostDone
from holdfast.model import Act, Json, Outcome
from tests.contract.local_brokers import UNIT, LocalBrokers
from tests.contract.runner_harness import (
    AnsibleRunnerHarness,
    FakeRunnerHarness,
    PlayStarter,
    RunnerHarness,
)
from tests.contract.test_by_hand import journaled, marks, roll
from tests.fakes.fleet import FakeFleet
from tests.fakes.play_runner import FakeRunner

ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="modules keep their locks in /run/holdfast, which is root's"
)
HOSTS = ("a", "b", "c")
DRAIN_AND_RESTART = ("drain", "restart")
VERIFY_AND_UNDRAIN = ("verify", "undrain")
EVERY_PHASE = ("preflight", *DRAIN_AND_RESTART, *VERIFY_AND_UNDRAIN)


class Brokers(RunnerHarness, Protocol):
    """A runner, a journal and three brokers; ``record`` is the brokers' own, not the journal's."""

    def record(self, host: str) -> list[str]: ...
    def start_of(self, host: str) -> str: ...
    def drained(self, host: str) -> bool: ...
    def drain(self, host: str) -> None: ...
    def break_act(self, host: str, act: Act, how: str) -> None: ...
    def make_ill(self, host: str, how: str) -> None: ...
    def repair(self) -> None: ...


class FakeBrokers(FakeRunnerHarness):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.fleet = FakeFleet.of([*HOSTS])
        self.fleet.brokers = True
        self.runner = FakeRunner(self.fleet, self.store)

    def record(self, host: str) -> list[str]:
        names = {"undrain": "revive"}
        acts = [event.action for event in self.fleet.history if event.host == host]
        return [names.get(act, act) for act in acts]

    def start_of(self, host: str) -> str:
        return self.fleet.hosts[host].invocation_id(UNIT)

    def drained(self, host: str) -> bool:
        return bool(self.fleet.hosts[host].drained_by)

    def drain(self, host: str) -> None:
        self.fleet.hosts[host].drained_by = "somebody"

    def break_act(self, host: str, act: Act, how: str) -> None:
        if how == "fails":
            self.fleet.act_fails.add((host, act))

    def make_ill(self, host: str, how: str) -> None:
        self.fleet.hosts[host].healthy = how == "silent"
        self.fleet.answer_unknown |= {host} if how == "silent" else set()

    def repair(self) -> None:
        self.fleet.repair()


class RealBrokers(AnsibleRunnerHarness):
    def __init__(self, path: Path, brokers: LocalBrokers) -> None:
        super().__init__(path)
        self.brokers = brokers
        self.inventory = str(brokers.path)

    def record(self, host: str) -> list[str]:
        return self.brokers.record(host)

    def start_of(self, host: str) -> str:
        return f"{host}-1"

    def drained(self, host: str) -> bool:
        return self.brokers.drained(host)

    def drain(self, host: str) -> None:
        self.brokers.drain(host)

    def break_act(self, host: str, act: Act, how: str) -> None:
        self.brokers.break_act(host, {Act.UNDRAIN: "revive"}.get(act, act), how)

    def let_marks_expire(self, host: str, service: str) -> dict[str, Json]:
        self.brokers.expire_marks(host)
        return {"holdfast_marked": {"service": service, "renew_at": 0}}

    def make_ill(self, host: str, how: str) -> None:
        self.brokers.make_ill(host, how)

    def repair(self) -> None:
        for host in HOSTS:
            self.brokers.repair(host)


class BrokerPlays(PlayStarter):
    """Starts plays of rabbitmq_restart.yml."""

    harness: Brokers

    def __init__(self, harness: Brokers) -> None:
        super().__init__(harness, "rabbitmq")

    def turn(
        self, host: str, phases: Sequence[str], done: Sequence[str] = (), **given: Json
    ) -> PlayResult:
        """Run the phases for a host; ``done`` are hosts done earlier."""
        return self.play(
            "rabbitmq_restart.yml",
            [host],
            holdfast_batch=[host],
            holdfast_gate_deadline_seconds=3,
            holdfast_phases=list(phases),
            holdfast_done=list(done),
            holdfast_sweep={each: {UNIT: self.harness.start_of(each)} for each in done},
            **given,
        )

    def acts(self) -> list[tuple[Act, bool]]:
        """Return the journaled results of acts: which, and whether it changed anything."""
        return [(done.act, done.changed) for done in self.events(ActDone)]


@contextmanager
def real_brokers(path: Path, *, contained: bool = False) -> Iterator[BrokerPlays]:
    with LocalBrokers.running(path / "brokers", *HOSTS, contained=contained) as brokers:
        yield BrokerPlays(RealBrokers(path, brokers))


@pytest.fixture(params=["fake", pytest.param("real", marks=ROOT)])
def plays(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerPlays]:
    if request.param == "fake":
        yield BrokerPlays(FakeBrokers(tmp_path))
    else:
        with real_brokers(tmp_path) as real:
            yield real


@pytest.fixture(params=["fake", pytest.param("contained", marks=ROOT)])
def turned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerPlays]:
    """The brokers of the test with a whole turn: each in a container, which the other tests have not."""
    if request.param == "fake":
        yield BrokerPlays(FakeBrokers(tmp_path))
    else:
        with real_brokers(tmp_path, contained=True) as real:
            yield real


def test_a_whole_turn_in_which_the_drain_s_command_fails_after_its_work(
    turned: BrokerPlays,
) -> None:
    """Its exit status decides nothing."""
    turned.harness.break_act("a", Act.DRAIN, "late")
    given = turned.harness.let_marks_expire("a", "rabbitmq")

    result = turned.turn("a", EVERY_PHASE, **given)

    assert result.messages == {}
    assert result.status == "ok"
    assert turned.harness.record("a") == ["drain", "restart"]
    assert turned.acts() == [(Act.DRAIN, True), (Act.RESTART, True)]
    assert {gate.outcome for gate in turned.events(GateJudged)} == {Outcome.PASS}
    drains = [intent for intent in turned.events(ActIntended) if intent.act is Act.DRAIN]
    assert [intent.ends_with_restart for intent in drains] == [True]
    assert [done.host for done in turned.events(HostDone)] == ["a"]
    if isinstance(turned.harness, RealBrokers):
        assert turned.journaled() == [
            "gate_judged preflight",
            "baseline_taken",
            *("act_intended drain", "act_done drain", "gate_judged drain"),
            *("gate_judged restart", "act_intended restart", "act_done restart"),
            *("gate_judged verify", "gate_judged verify", "host_done"),
        ]
        asked = turned.harness.brokers.commands_before("drain", "a")
        assert asked >= {"status", "check_port_connectivity", "await_online_quorum_plus_one"}
        drain = "timeout --kill-after=5 5 rabbitmq-upgrade -n rabbit@a drain"
        assert drain in turned.harness.brokers.entered("a"), "bounded in the container too"


def test_a_drain_without_an_effect_is_journaled_as_such_and_nothing_is_restarted(
    plays: BrokerPlays,
) -> None:
    plays.harness.break_act("a", Act.DRAIN, "fails")

    result = plays.turn("a", DRAIN_AND_RESTART)

    assert result.status == "failed"
    assert "drain" in result.messages["a"]
    assert "ended with" in result.messages["a"]
    assert "not drained" in result.messages["a"]
    assert plays.harness.record("a") == []
    assert plays.acts() == [(Act.DRAIN, False), (Act.UNDRAIN, False)]


@pytest.mark.parametrize(("how", "outcome"), [("silent", Outcome.UNKNOWN), ("alarm", Outcome.FAIL)])
def test_a_doubt_about_another_broker_before_the_restart_gives_the_node_back(
    plays: BrokerPlays, how: str, outcome: Outcome
) -> None:
    plays.harness.make_ill("b", how)

    result = plays.turn("a", DRAIN_AND_RESTART)

    assert (result.status, result.hosts) == ("failed", {"a": "failed"})
    assert plays.harness.record("a") == ["drain", "revive"]
    assert not plays.harness.drained("a")
    assert plays.acts() == [(Act.DRAIN, True), (Act.UNDRAIN, True)]
    bad = [gate for gate in plays.events(GateJudged) if gate.outcome is not Outcome.PASS]
    assert [gate.outcome for gate in bad] == [outcome]


def test_giving_back_what_is_not_taken_is_done(plays: BrokerPlays) -> None:
    result = plays.turn("a", ["undrain"])

    assert result.messages == {}
    assert result.status == "ok"
    assert plays.harness.record("a") == []
    assert plays.acts() == [(Act.UNDRAIN, False)]
    assert not plays.events(HostDone)
    if isinstance(plays.harness, RealBrokers):
        gate = "gate_judged undrain"
        assert plays.journaled() == [gate, "act_done undrain", gate], (
            "where it is, and that it serves"
        )


def test_a_node_that_cannot_be_given_back_is_not_journaled_as_given_back(
    plays: BrokerPlays,
) -> None:
    plays.harness.drain("a")
    plays.harness.break_act("a", Act.UNDRAIN, "fails")

    result = plays.turn("a", ["undrain"])

    assert result.status == "failed"
    assert "still drained" in result.messages["a"]
    assert plays.acts() == []


def test_the_leaders_are_spread_after_the_last_broker_and_again_where_that_failed(
    plays: BrokerPlays,
) -> None:
    plays.harness.break_act("c", Act.REBALANCE, "fails")

    # Where nothing is counted, and where members of queues may be behind, there are no such gates.
    nothing: dict[str, Json] = {"_rabbitmq_load_claims": [], "rabbitmq_members_caught_up": False}

    failed = plays.turn("c", VERIFY_AND_UNDRAIN, done=["a", "b"], **nothing)
    assert failed.status == "failed"
    assert "ended with" in failed.messages["c"]
    assert (plays.harness.record("c"), plays.acts(), plays.events(HostDone)) == ([], [], [])

    plays.harness.repair()
    assert plays.turn("c", VERIFY_AND_UNDRAIN, done=["a", "b"]).status == "ok"
    assert plays.harness.record("c") == ["rebalance"]
    assert plays.acts() == [(Act.REBALANCE, True)]
    assert [done.host for done in plays.events(HostDone)] == ["c"]
    if isinstance(plays.harness, RealBrokers):
        spread = ["act_intended rebalance", "act_done rebalance", "gate_judged verify", "host_done"]
        assert plays.journaled()[-5:] == ["gate_judged verify", *spread]


@ROOT
def test_a_host_is_not_done_while_its_members_of_queues_are_behind(tmp_path: Path) -> None:
    with real_brokers(tmp_path) as plays:
        plays.harness.make_ill("a", "behind")

        result = plays.turn("a", VERIFY_AND_UNDRAIN)

        assert result.status == "failed"
        assert "rabbitmq.members_caught_up FAIL" in result.messages["a"]
        assert not plays.events(HostDone)
        counted, verified, _ = plays.events(GateJudged)
        assert {each["claim"] for each in counted.verdicts} == {
            "rabbitmq.load_known",
            "rabbitmq.backlog_known",
        }
        kinds = ("connections", "churn", "backlog")
        compared = {f"rabbitmq.{kind}_at_baseline" for kind in kinds}
        assert compared <= {each["claim"] for each in verified.verdicts}, (
            "also in a play that only verifies, as after a crash"
        )


@ROOT
def test_a_node_whose_listeners_are_closed_is_given_back_without_being_marked(
    tmp_path: Path,
) -> None:
    """Seen on 3.10.8: drained while another node was frozen, a node reported no maintenance and refused its clients."""
    with real_brokers(tmp_path) as plays:
        plays.harness.break_act("a", Act.DRAIN, "unmarked")

        result = plays.turn("a", DRAIN_AND_RESTART)

        assert result.status == "failed"
        assert plays.harness.record("a") == ["drain", "revive"]
        assert not plays.harness.drained("a")
        assert plays.acts() == [(Act.DRAIN, True), (Act.UNDRAIN, True)]


@ROOT
def test_with_two_addresses_exchanged_nothing_is_touched(tmp_path: Path) -> None:
    """Seen: one node was drained and another one restarted, two of three out."""
    with real_brokers(tmp_path) as plays:
        assert isinstance(plays.harness, RealBrokers)
        plays.harness.brokers.write(a="b", b="a")

        result = plays.turn("a", EVERY_PHASE)

        assert result.status == "failed"
        assert [plays.harness.record(host) for host in HOSTS] == [[], [], []]
        assert not plays.events(ActIntended)
        judged = {
            (each["claim"], each["reason"])
            for gate in plays.events(GateJudged)
            for each in gate.verdicts
        }
        assert ("rabbitmq.members_agree", "another_node") in judged
        assert ("rabbitmq.node_is_local", "elsewhere") in judged


@ROOT
def test_a_host_without_one_of_the_tools_is_not_touched(tmp_path: Path) -> None:
    """It would be needed after the drain, or after the last restart."""
    with real_brokers(tmp_path) as plays:
        assert isinstance(plays.harness, RealBrokers)
        plays.harness.brokers.remove_tool("a", "rabbitmq-queues")

        result = plays.turn("a", ["preflight"])

        assert result.status == "failed"
        assert "rabbitmq-queues is not in the PATH of root" in result.messages["a"]


@ROOT
def test_with_check_a_broker_is_asked_and_left_as_it_was(tmp_path: Path) -> None:
    """By hand. What somebody accepts to lose, the broker's own check would count as missing."""
    with LocalBrokers.running(tmp_path / "brokers", *HOSTS) as brokers:
        given = {"rabbitmq_accepted_loss": "one queue, as agreed"}

        answer = roll(
            brokers,
            tmp_path / "state",
            1,
            "a",
            given=given,
            playbook="rabbitmq_restart.yml",
            options=["--check"],
        )

        assert answer.returncode == 0, answer.stdout
        assert [brokers.record(host) for host in HOSTS] == [[], [], []]
        assert "await_online_quorum_plus_one" not in brokers.commands("a")
        assert (marks(brokers), journaled(tmp_path / "state")) == ({}, [])
