"""One contract for both runners: what the fake says about plays, real plays do too."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import watch_play
from holdfast.ansible.play_runner import AnsibleRunner
from holdfast.errors import InvalidInput, Refused
from holdfast.journal.events import ActDone, ActIntended, BatchEnded, GateJudged, HostDone, Observed
from holdfast.model import Act, Holder, Outcome
from holdfast.store.processes import processes_of
from tests.contract.local_site import UNIT
from tests.contract.runner_harness import HARNESSES, AnsibleRunnerHarness, PlayStarter


@pytest.fixture(params=["fake", "real"])
def plays(request: pytest.FixtureRequest, tmp_path: Path) -> PlayStarter:
    return PlayStarter(HARNESSES[request.param](tmp_path))


@pytest.fixture
def real(tmp_path: Path) -> PlayStarter:
    return PlayStarter(AnsibleRunnerHarness(tmp_path))


def test_a_turn_restarts_once_and_journals_it(plays: PlayStarter) -> None:
    before = plays.harness.invocation_id("a")
    given = plays.harness.let_marks_expire("a", UNIT)

    result = plays.roll("a", **given)

    assert (result.status, result.hosts, result.messages) == ("ok", {"a": "ok"}, {})
    assert plays.harness.marks() == ["a", "b", "c"], "they stay between the batches of a run"
    assert [plays.harness.restarts(host) for host in ("a", "b")] == [1, 0]
    after = plays.harness.invocation_id("a")
    intents = [event for event in plays.events(ActIntended) if event.act is Act.RESTART]
    assert [(i.host, i.unit, i.invocation_id) for i in intents] == [("a", UNIT, before)]
    acts = [event for event in plays.events(ActDone) if event.act is Act.RESTART]
    assert [(a.host, a.invocation_id, a.changed) for a in acts] == [("a", after, True)]
    done = [(d.host, d.unit, d.invocation_id) for d in plays.events(HostDone)]
    assert done == [("a", UNIT, after)]
    assert {gate.outcome for gate in plays.events(GateJudged)} == {Outcome.PASS}
    assert "a" in {progress.host for progress in plays.progress}
    if isinstance(plays.harness, AnsibleRunnerHarness):
        assert plays.journaled() == [
            *("gate_judged preflight", "gate_judged preflight"),
            *("act_intended restart", "act_done restart", "gate_judged verify", "host_done"),
        ]


def test_a_restart_that_does_not_come_back_fails_its_host(plays: PlayStarter) -> None:
    plays.harness.break_restart("a")

    result = plays.roll("a")

    assert (result.status, result.hosts) == ("failed", {"a": "failed"})
    assert "start" in result.messages["a"]
    assert plays.harness.restarts("a") == 1
    assert not plays.events(HostDone)
    assert [e for e in plays.events(ActIntended) if e.act is Act.RESTART]
    assert not [e for e in plays.events(ActDone) if e.act is Act.RESTART]


def test_an_unreachable_host_is_a_failure(plays: PlayStarter) -> None:
    plays.harness.make_unreachable("c")

    result = plays.roll("c")

    # It cannot be marked: the first task that asks it refuses the batch.
    assert result.status == "refused"
    assert result.hosts["c"] in {"failed", "unreachable"}
    assert "unreachable" in result.messages["c"]
    assert not plays.events(ActIntended)


def test_a_host_that_the_inventory_does_not_know_is_absent(plays: PlayStarter) -> None:
    result = plays.roll("nobody")

    assert (result.status, result.hosts) == ("failed", {"nobody": "absent"})
    assert result.messages


def test_nothing_is_touched_when_the_sweep_finds_another_invocation_id(plays: PlayStarter) -> None:
    result = plays.roll("b", done={"a": "an earlier invocation id"})

    assert (result.status, result.hosts) == ("failed", {"b": "failed"})
    [gate] = plays.events(GateJudged)
    assert (gate.phase, gate.verdicts[0]["hosts"]) == ("sweep", {"a": {"healthy": False}})
    assert not plays.events(ActIntended)
    assert plays.harness.restarts("b") == 0


def test_a_batch_of_two_is_not_touched_when_the_sweep_finds_a_host_silent(
    plays: PlayStarter,
) -> None:
    done = {"c": plays.harness.invocation_id("c")}
    plays.harness.make_unreachable("c")

    result = plays.roll("a", "b", done=done)

    assert (result.status, result.hosts["a"]) == ("failed", "failed")
    [gate] = plays.events(GateJudged)
    assert (gate.phase, gate.outcome) == ("sweep", Outcome.UNKNOWN)
    assert gate.verdicts[0]["hosts"] == {"c": {"healthy": None}}
    assert [plays.harness.restarts(host) for host in ("a", "b")] == [0, 0]


def test_a_good_sweep_lets_the_batch_go_on(plays: PlayStarter) -> None:
    """One gate asks all hosts done earlier, which are in neither the play nor its limit, and says how many."""
    done = {host: plays.harness.invocation_id(host) for host in ("a", "c")}

    result = plays.roll("b", done=done)

    assert (result.status, result.hosts) == ("ok", {"b": "ok"})
    [swept] = [gate for gate in plays.events(GateJudged) if gate.phase == "sweep"]
    assert (swept.host, swept.verdicts[0]["evidence"]) == ("b", {"hosts": 2})
    assert [plays.harness.restarts(host) for host in ("a", "b", "c")] == [0, 1, 0]


@pytest.mark.parametrize("fault", ["stop_unit", "make_unreachable"])
def test_nothing_is_touched_while_a_host_that_is_not_in_hand_is_out(
    plays: PlayStarter, fault: str
) -> None:
    """Whether it was done earlier or not touched at all: it would be the first of two that are out."""
    getattr(plays.harness, fault)("c")

    result = plays.roll("a")

    assert (result.status, result.hosts) == ("failed", {"a": "failed"})
    assert "c" in result.messages["a"]
    assert not plays.events(ActIntended)
    assert plays.harness.restarts("a") == 0


def test_a_batch_of_all_hosts_is_not_restarted(plays: PlayStarter) -> None:
    result = plays.roll("a", "b", "c")

    assert result.status == "failed"
    assert not plays.events(ActIntended)
    assert [plays.harness.restarts(host) for host in "abc"] == [0, 0, 0]


def test_a_batch_above_the_policys_is_not_restarted(real: PlayStarter) -> None:
    """The engine made its plan by the same policy; a play started otherwise is refused too."""
    one = {"service": UNIT, "group": "toys", "batch_max": 1, "batch_max_reason": "two would be out"}

    result = real.roll("a", "b", holdfast_policy=one)

    assert result.status == "failed"
    assert "A batch of 2 hosts is larger than allowed (1): two would be out" in result.messages["a"]
    assert [real.harness.restarts(host) for host in "ab"] == [0, 0]


def test_without_the_lease_nothing_is_restarted(plays: PlayStarter) -> None:
    plays.lose_lease()

    result = plays.roll("a")

    assert (result.status, result.hosts) == ("failed", {"a": "failed"})
    assert "lease" in result.messages["a"]
    assert not plays.events(ActIntended)
    assert plays.harness.restarts("a") == 0


def test_a_batch_is_refused_while_another_run_has_marked_a_host(plays: PlayStarter) -> None:
    """That run has another state database: its leases are not known here."""
    plays.harness.mark("c", Holder("R2", "bob", "an upgrade", "ctl8", "boot", 8, 8))

    result = plays.roll("a")

    assert (result.status, result.hosts) == ("refused", {"a": "failed"})
    said = "no mark was made: toy is being changed by run R2: bob on ctl8"
    assert said in result.messages["a"]
    assert not plays.events(ActIntended)
    assert (plays.harness.restarts("a"), plays.harness.marks()) == (0, ["c"])


def test_a_run_removes_its_own_marks(plays: PlayStarter) -> None:
    for host, run in (("a", plays.run), ("b", "R2"), ("c", plays.run)):
        plays.harness.mark(host, Holder(run, "bob", "an upgrade", "ctl8", "boot", 8, 8))
    unmark = {"groups": ["toys"], "hosts": ["a"]}

    removed = plays.play("marks.yml", [], holdfast_unmark=unmark)

    assert (removed.status, plays.harness.marks()) == ("ok", ["b"])


def test_a_play_that_is_frozen_past_its_lease_restarts_nothing(real: PlayStarter) -> None:
    """Stopped between intent and restart, as with its controller, it goes on after its lease has expired."""
    harness = real.harness
    assert isinstance(harness, AnsibleRunnerHarness)
    with ThreadPoolExecutor(1) as pool, harness.site.lock("a") as lock:
        ending = pool.submit(real.roll, "a")
        # The act waits for the lock, so the play is frozen after the intent and before the restart.
        real.renew_until(lambda: real.events(ActIntended) or ending.done(), timedelta(seconds=3))
        with all_frozen(real.run):
            while not real.lease_has_expired():
                threading.Event().wait(0.05)
            lock.close()
        result = ending.result(timeout=60)

    assert result.status == "failed"
    assert "too late" in result.messages["a"]
    assert harness.restarts("a") == 0
    assert not real.events(ActDone)


@contextmanager
def all_frozen(run: str) -> Iterator[None]:
    """Stop every process of a run, with those that they start meanwhile; let all go on at the end."""
    frozen: set[int] = set()
    try:
        while new := set(processes_of(run)) - frozen:
            frozen |= new
            send(signal.SIGSTOP, new)
        yield
    finally:
        send(signal.SIGCONT, frozen)


def send(number: int, processes: Iterable[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def test_a_play_of_verify_and_undrain_ends_the_turn_without_a_restart(plays: PlayStarter) -> None:
    result = plays.roll("a", holdfast_phases=["verify", "undrain"])

    assert result.status == "ok"
    assert plays.harness.restarts("a") == 0
    assert [done.host for done in plays.events(HostDone)] == ["a"]
    if isinstance(plays.harness, AnsibleRunnerHarness):
        assert plays.journaled() == ["gate_judged verify", "host_done"]


def test_a_play_of_undrain_alone_does_not_end_the_turn(plays: PlayStarter) -> None:
    result = plays.roll("a", holdfast_phases=["undrain"])

    assert result.status == "ok"
    assert plays.harness.restarts("a") == 0
    assert not plays.events(HostDone)
    if isinstance(plays.harness, AnsibleRunnerHarness):
        assert plays.journaled() == []


def test_an_interrupted_play_leaves_no_process(plays: PlayStarter) -> None:
    plays.harness.make_slow("a")

    result = plays.roll("a", interrupted=lambda: bool(plays.events(ActIntended)))

    assert result.status == "interrupted"
    assert not plays.events(HostDone)
    assert not list(processes_of(plays.run))


def test_observing_journals_what_runs(plays: PlayStarter) -> None:
    plays.harness.stop_unit("b")

    result = plays.play("observe.yml", ["a", "b"], holdfast_observe={"a": [UNIT], "b": [UNIT]})

    assert result.status == "ok"
    seen = {(o.host, o.unit, o.invocation_id, o.active) for o in plays.events(Observed)}
    a, b = plays.harness.invocation_id("a"), plays.harness.invocation_id("b")
    assert seen == {("a", UNIT, a, True), ("b", UNIT, b, False)}


def test_observing_an_unreachable_host_journals_nothing(plays: PlayStarter) -> None:
    plays.harness.make_unreachable("c")

    result = plays.play("observe.yml", ["c"], holdfast_observe={"c": [UNIT]})

    assert (result.status, result.hosts) == ("failed", {"c": "unreachable"})
    assert not plays.events(Observed)


@pytest.mark.parametrize(("down", "status"), [((), "ok"), (("a",), "failed")])
def test_a_check_judges_every_claim(plays: PlayStarter, down: tuple[str, ...], status: str) -> None:
    for host in down:
        plays.harness.stop_unit(host)
    claim = {"claim": "systemd.active", "unit": UNIT}

    result = plays.play("check.yml", [], holdfast_check_claims=[claim], holdfast_check_hosts=["a"])

    assert result.status == status
    verdicts = [verdict for gate in plays.events(GateJudged) for verdict in gate.verdicts]
    wanted = Outcome.FAIL if down else Outcome.PASS
    assert [(v["claim"], v["outcome"]) for v in verdicts] == [("systemd.active", wanted)]


def test_a_sweep_fails_on_a_host_whose_unit_stopped(plays: PlayStarter) -> None:
    done = {host: {UNIT: plays.harness.invocation_id(host)} for host in ("a", "b")}
    plays.harness.stop_unit("b")

    result = plays.play("sweep.yml", ["a"], holdfast_done=["b", "a"], holdfast_sweep=done)

    assert (result.status, result.hosts) == ("failed", {"a": "failed"})
    [gate] = plays.events(GateJudged)
    assert gate.verdicts[0]["hosts"] == {"b": {"healthy": False}}


def test_a_parked_play_does_nothing_before_its_word(plays: PlayStarter) -> None:
    parked = plays.park("b")
    plays.roll("a")
    assert plays.harness.restarts("b") == 0
    sweep = {"a": {UNIT: plays.harness.invocation_id("a")}}

    assert parked.go({"holdfast_done": ["a"], "holdfast_sweep": sweep})
    result = watch_play(plays.harness.runner, parked, lambda: False)

    assert (result.status, result.hosts, result.messages) == ("ok", {"b": "ok"}, {})
    assert plays.harness.restarts("b") == 1
    swept = [gate for gate in plays.events(GateJudged) if gate.phase == "sweep"]
    assert [(gate.host, gate.verdicts[0]["evidence"]) for gate in swept] == [("b", {"hosts": 1})]


def test_a_parked_play_that_is_ended_has_touched_nothing(plays: PlayStarter) -> None:
    plays.park("b").end()

    assert plays.harness.restarts("b") == 0
    assert not plays.events(GateJudged)
    assert not list(processes_of(plays.run))


def test_a_parked_play_that_is_ended_after_its_word_is_interrupted(plays: PlayStarter) -> None:
    parked = plays.park("b")

    assert parked.go({"holdfast_done": [], "holdfast_sweep": {}})
    result = watch_play(plays.harness.runner, parked, lambda: True)

    assert result.status == "interrupted"
    assert not list(processes_of(plays.run))


def test_a_host_in_hand_is_asked_by_no_gate_of_another(plays: PlayStarter) -> None:
    plays.harness.stop_unit("c")
    pace = [{"claim": "systemd.active", "unit": UNIT}]

    result = plays.roll("a", holdfast_begun=1, holdfast_in_hand=["c"], holdfast_pace=pace)

    assert (result.status, result.messages) == ("ok", {})
    assert [plays.harness.restarts(host) for host in ("a", "c")] == [1, 0]


def test_nothing_begins_while_the_site_cannot_take_the_next_hosts(real: PlayStarter) -> None:
    pace = [{"claim": "systemd.has_run_for", "unit": UNIT, "seconds": 1e9}]

    result = real.roll("a", holdfast_pace=pace)

    assert (result.status, real.harness.restarts("a")) == ("failed", 0)
    assert not real.events(ActIntended)
    assert [gate.gate for gate in real.events(GateJudged)] == ["The site can take the next hosts"]
    assert "systemd.has_run_for" in result.messages["a"]


def test_nothing_begins_after_another_host_of_the_window_has_failed(plays: PlayStarter) -> None:
    ended = BatchEnded(at=plays.harness.now(), step=1, status="failed", hosts={"c": "failed"})
    plays.harness.store.append(plays.run, ended)

    result = plays.roll("a", holdfast_begun=1, holdfast_in_hand=["c"])

    assert (result.status, plays.harness.restarts("a")) == ("failed", 0)
    assert not plays.events(ActIntended)
    assert "the turn of c has failed meanwhile" in result.messages["a"]


# --- faults that only a real process can have


def waits(play: str, run: str) -> list[int]:
    """Return the processes of a parked play once its worker waits for the word."""
    for _ in range(600):
        found = [p for p in processes_of(run) if f"HOLDFAST_PLAY={play}" in environment_of(p)]
        if any(waits_at(process) for process in found):
            return found
        threading.Event().wait(0.1)
    raise AssertionError("the play did not get as far as its word")


def environment_of(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/environ").read_text("utf-8", "replace").split("\0")
    except OSError:
        return []


def waits_at(process: int) -> bool:
    try:
        links = [each.readlink() for each in Path(f"/proc/{process}/fd").iterdir()]
    except OSError:
        return False
    return any(link.name == "park" for link in links)


def test_a_killed_play_gets_no_word_and_its_orphan_ends_untouched(real: PlayStarter) -> None:
    """SIGKILL of ansible-playbook alone leaves the worker that waits for the word."""
    parked = real.park("b")
    play = play_of(waits("0001-next", real.run))
    os.kill(play, signal.SIGKILL)
    for _ in range(100):
        if play not in set(processes_of(real.run)):
            break
        threading.Event().wait(0.1)
    threading.Event().wait(0.5)  # until its runner has seen it

    assert not parked.go({})

    assert not list(processes_of(real.run))
    assert real.harness.restarts("b") == 0


def test_the_worker_of_a_killed_play_does_not_act_on_a_word(real: PlayStarter) -> None:
    """The word comes at once, before the engine can have seen that ansible-playbook was killed."""
    assert isinstance(real.harness, AnsibleRunnerHarness)
    parked = real.park("b", holdfast_sweep_expected={})
    worker = has_read("0001-next", real.run, real.harness.site.place("b") / "asked")
    os.kill(play_of(processes_of(real.run)), signal.SIGKILL)
    assert parked.go({"holdfast_last_act": 0})
    for _ in range(100):
        if worker not in set(processes_of(real.run)):
            break
        threading.Event().wait(0.1)
    parked.end()

    assert real.harness.restarts("b") == 0
    assert not real.events(GateJudged)
    assert not list(processes_of(real.run))


def has_read(play: str, run: str, asked: Path) -> int:
    """Return the worker that waits for the word once it has taken a reading and begun no other for half a second."""

    def worker() -> int:
        return next((p for p in waits(play, run) if waits_at(p)), 0)

    def length() -> int:
        return asked.stat().st_size if asked.exists() else 0

    waiting = (worker(), length())
    last, since = length(), time.monotonic()
    for _ in range(1200):
        threading.Event().wait(0.05)
        if waiting[0] != (now := worker()):  # the one before has asked a gate, and ended
            waiting = (now, length())
        if last != length():
            last, since = length(), time.monotonic()
        if last != waiting[1] and time.monotonic() - since >= 0.5:
            return waiting[0]
    raise AssertionError("the play has taken no reading before its word")


def play_of(processes: Iterable[int]) -> int:
    """Return the process that has forked the others of a play; some of them may have ended."""
    parents = {}
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            stat = Path(f"/proc/{process}/stat").read_text("utf-8")
            parents[process] = int(stat.rpartition(")")[2].split()[1])
    return next(each for each in parents if parents[each] not in parents)


def test_a_parked_play_whose_engine_is_killed_ends_by_itself_untouched(
    tmp_path: Path, real: PlayStarter
) -> None:
    park = tmp_path / "park"
    park.touch()
    engine = subprocess.Popen(["flock", park, "sleep", "600"], start_new_session=True)
    with ThreadPoolExecutor(1) as threads:
        play = threads.submit(real.roll, "b", holdfast_park=str(park))
        waits("0001", real.run)
        os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()
        result = play.result()
    assert result.status == "failed"
    assert "nothing was touched" in result.messages["b"]
    assert real.harness.restarts("b") == 0


def test_text_never_becomes_a_template(real: PlayStarter, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = f"{{{{ lookup('pipe', 'touch {trap}') }}}}"

    result = real.roll("a", systemd_unit_name=text, holdfast_reason=text)

    assert result.status == "failed"
    assert not trap.exists()


def test_a_play_leaves_neither_variables_nor_the_shells_secrets(real: PlayStarter) -> None:
    assert isinstance(real.harness, AnsibleRunnerHarness)
    real.roll("a", holdfast_phases=["verify"], holdfast_reason="hunter2-reason")

    runs = real.harness.state_dir / "runs"
    kept = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    assert kept
    assert not [path for path, content in kept.items() if b"hunter2" in content]
    assert [path.stat().st_mode & 0o077 for path in (runs, *runs.glob("*/*"))] == [0, 0]
    assert "command" not in {path.name for path in kept}, (
        "ansible-runner writes the environment into it"
    )


# ansible-runner leaves its files open when it breaks; they are collected here, not in a test that follows.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_play_whose_output_cannot_be_written_has_failed_and_leaves_no_process(
    real: PlayStarter,
) -> None:
    """As on a full disk: the play has failed, and the journal and the host have what happened."""
    assert isinstance(real.harness, AnsibleRunnerHarness)
    runs = real.harness.state_dir / "runs"

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up() -> bool:
        if any(runs.glob("*/*/artifacts/play/job_events/*.json")):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # this process's files alone
        return False

    try:
        result = real.roll("a", interrupted=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        gc.collect()

    assert (result.status, result.hosts) == ("failed", {"a": "absent"})
    assert "cannot be written: File too large" in result.messages[""]
    assert not list(processes_of(real.run))


def test_a_play_whose_files_cannot_be_written_is_not_started(real: PlayStarter) -> None:
    assert isinstance(real.harness, AnsibleRunnerHarness)
    place = real.harness.state_dir / "runs" / real.run / "0001"
    place.mkdir(parents=True)

    with pytest.raises(InvalidInput, match="cannot be made"):
        real.roll("a")
    assert not real.events(ActIntended)


def test_a_state_directory_with_a_space_starts_plays(tmp_path: Path) -> None:
    plays = PlayStarter(AnsibleRunnerHarness(tmp_path, "my state: 1"))

    result = plays.play("observe.yml", ["a"], holdfast_observe={"a": [UNIT]})

    assert result.status == "ok", result.messages
    assert [event.host for event in plays.events(Observed)] == ["a"]


def test_a_play_of_another_user_is_named_and_not_ended(real: PlayStarter) -> None:
    assert isinstance(real.harness.runner, AnsibleRunner)
    with subprocess.Popen(["sleep", "60"]) as stray:
        runner = replace(real.harness.runner, processes_of=lambda _: [stray.pid])
        os.setresuid(65534, 65534, 0)
        try:
            with pytest.raises(Refused, match=f"process {stray.pid}"):
                runner.end_strays(real.run)
        finally:
            os.setresuid(0, 0, 0)
            assert stray.poll() is None
            stray.kill()


def test_live_readings_are_progress(real: PlayStarter) -> None:
    """Of a unit that systemd had restarted not long before: the new start must last longer than that one had."""
    assert isinstance(real.harness, AnsibleRunnerHarness)
    real.harness.site.flap("a", 300)

    def shown() -> bool:
        texts = [progress.text for progress in real.progress if progress.host == "a"]
        return any("systemd.stays_up FAIL" in text and "must last longer" in text for text in texts)

    result = real.roll("a", interrupted=shown, systemd_unit_calm_seconds=200)

    assert shown()
    assert result.status == "interrupted"
