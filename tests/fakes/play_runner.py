"""``FakeRunner``: runs plays on a fleet in memory; a double of ``AnsibleRunner``.

It does what the playbooks do, phase by phase, and writes the same events through the same guarded
journal; one contract suite (tests/contract) tests it and ``AnsibleRunner``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from holdfast.ansible.interfaces import Play, PlayResult, Progress, StartedPlay
from holdfast.errors import CannotTell, InvalidInput, LeaseHeld, LeaseLost, Refused, StateUnusable
from holdfast.evidence import ALONE, HEALTHY, HOSTS, LEADERS, LEFT, TURN
from holdfast.journal.events import (
    ActDone,
    ActIntended,
    BaselineTaken,
    Event,
    GateJudged,
    HostDone,
    HostEnd,
    Observed,
    PlayEnd,
    Recorded,
    journaled,
)
from holdfast.journal.fold import fold
from holdfast.marking import Marker, list_marks, remove_marks
from holdfast.marks import meeting_hosts
from holdfast.model import ALL_PHASES, Act, Grant, Json, Outcome, Phase, Verdict, overall
from holdfast.play_context import (
    PlayContext,
    holder_of,
    mark_counts,
    require_no_failure_beside,
)
from holdfast.store.leases import LeaseRow
from tests.fakes.fleet import FakeFleet


class Journal(Protocol):
    """The part of the store that plays write to."""

    def append_guarded(self, grant: Grant, event: Event) -> Recorded:
        """Append the event only with a valid lease."""
        ...

    def append(self, run: str, event: Event) -> Recorded:
        """Append the event."""
        ...

    def check(self, grant: Grant) -> object:
        """Return only with a valid lease."""
        ...

    def each(self, run: str, after: int = 0) -> Iterator[Recorded]:
        """Yield the events of a run."""
        ...

    def holders(self, scope: str) -> Sequence[LeaseRow]:
        """Return the valid leases of a scope."""
        ...

    def scopes(self) -> Sequence[str]:
        """Return every scope."""
        ...


T = TypeVar("T")
Tasks = Generator[None, None, T]
"""What is done in several tasks; it goes on with the next one when the clock has advanced."""


class _Failed(Exception):
    """A task failed on a host."""


class _Refused(_Failed):
    """Another run's mark excludes this one."""


class _Unreachable(Exception):
    """A host did not answer."""


class _Interrupted(Exception):
    """The play was ended from outside."""


class RunsAtOnce:
    """Base of a runner that does all of a play when it is asked how it ended, and parks none."""

    def run(
        self,
        play: Play,
        on_progress: Callable[[Progress], None],
        interrupted: Callable[[], bool],
    ) -> PlayResult:
        """Run the play."""
        raise NotImplementedError

    def start(
        self, play: Play, on_progress: Callable[[Progress], None], *, parked: bool = False
    ) -> StartedPlay:
        """Return the play, which has not begun."""
        if parked:
            raise InvalidInput(f"{play.ident} is not parked")
        return _RunAtOnce(lambda interrupted: self.run(play, on_progress, interrupted))

    def wait(self, seconds: float) -> None:
        """Return at once: each play has ended."""

    def finish(self) -> list[str]:
        """Return at once: each of its plays has ended when it returns."""
        return []

    def end_strays(self, run: str) -> list[int]:
        """Return none."""
        return []


@dataclass
class _RunAtOnce:
    """A play of ``RunsAtOnce``."""

    run: Callable[[Callable[[], bool]], PlayResult]
    interrupted: bool = False

    def go(self, variables: Mapping[str, Json]) -> bool:
        """Refuse: it was not parked."""
        return False

    def result(self) -> PlayResult | None:
        """Run the play."""
        return self.run(lambda: self.interrupted)

    def interrupt(self) -> None:
        """Let the play know that it is interrupted."""
        self.interrupted = True

    def end(self) -> None:
        """Do nothing: it has ended."""


class FakeRunner:
    """``PlayRunner`` over a ``FakeFleet``; every task takes a second of the fleet's clock."""

    def __init__(self, fleet: FakeFleet, journal: Journal) -> None:
        self._fleet, self._journal = fleet, journal
        self.plays: list[Play] = []
        self.parked: list[FakeStartedPlay] = []
        self.keeps_plays = True  # each has the hosts done before it
        self.of_engine = False  # then the beginning of a batch is journaled before its word

    def start(
        self, play: Play, on_progress: Callable[[Progress], None], *, parked: bool = False
    ) -> FakeStartedPlay:
        """Start a play; one that is parked does nothing before its word."""
        started = FakeStartedPlay(self, play, on_progress)
        if not parked:
            started.begin()
        elif self.keeps_plays:
            self.parked.append(started)
        return started

    def wait(self, seconds: float) -> None:
        """Let a second pass: the next task of each play that has started is done when its result is asked for."""
        self._fleet.clock.wait(1.0)
        for newest in self.parked[-1:]:  # there is one at a time
            newest.sweep_meanwhile()

    def finds_ill(self, started: FakeStartedPlay, starts: Mapping[str, Mapping[str, str]]) -> bool:
        """Ask hosts done earlier, as a play that waits for its word; return whether one is ill, which is journaled."""
        return _FakePlay(self._fleet, self._journal, started.play, started).finds_ill(starts)

    def tasks(self, play: Play, started: FakeStartedPlay) -> Tasks[PlayResult]:
        """Do what the playbook of the play does, task by task."""
        if self.keeps_plays:
            self.plays.append(play)
        return _FakePlay(self._fleet, self._journal, play, started).result()

    def under_way(self, run: str) -> set[str]:
        """Return the hosts whose batches are under way by the journal."""
        return set(fold(self._journal.each(run)).hosts_under_way())

    def now(self) -> datetime:
        """Return the fleet's time."""
        return self._fleet.clock()

    def finish(self) -> list[str]:
        """Return at once: its plays have no processes."""
        return []

    def end_strays(self, run: str) -> list[int]:  # the interface's signature
        """Return none: a play in memory ends with its driver."""
        return []


UNCHANGED = "systemd.unchanged_since"


@dataclass
class FakeStartedPlay:
    """A play that has started; if it is parked, ``dies`` before its word if that is set.

    ``ended`` without a word, or ``went``.
    """

    runner: FakeRunner
    play: Play
    on_progress: Callable[[Progress], None]
    at_word: Callable[[], None] = lambda: None
    dies: bool = False
    ended: bool = False
    went: bool = False
    interrupted: bool = False
    word: Mapping[str, Json] = field(default_factory=dict)
    _tasks: Tasks[PlayResult] | None = None
    _result: PlayResult | None = None
    _asked_at: datetime | None = None
    _swept_at: datetime | None = None
    _part: int = 0

    def sweep_meanwhile(self) -> None:
        """Ask a third of the hosts done earlier every 20 s, as a play does while it waits for its word."""
        now = self.runner.now()
        before, self._swept_at = self._swept_at or now, self._swept_at or now
        if self.went or self.ended or self.dies or now - before < timedelta(seconds=20):
            return
        starts = list(self.play.variables["holdfast_sweep_meanwhile"].items())
        part, self._part, self._swept_at = self._part, (self._part + 1) % 3, now
        self.dies = self.runner.finds_ill(self, dict(starts[part::3]))

    def begin(self) -> None:
        """Begin its first task."""
        play = replace(self.play, variables={**self.play.variables, **self.word})
        self._tasks = self.runner.tasks(play, self)
        self._advance()

    def go(self, variables: Mapping[str, Json]) -> bool:
        """Begin, with these variables too."""
        if self.dies:
            return False
        if self.runner.of_engine:
            under_way = self.runner.under_way(self.play.run)
            assert under_way.issuperset(self.play.limit), "the word came before it was journaled"
        self.went = True
        self.at_word()
        self.word = variables
        self.begin()
        return True

    def result(self) -> PlayResult | None:
        """Do the task that has begun, if its second is over."""
        if self._result is None and self._asked_at != self.runner.now():
            self._advance()
        return self._result

    def interrupt(self) -> None:
        """End it at its next task."""
        self.interrupted = True

    def end(self) -> None:
        """End it."""
        self.ended = not self.went
        if self._tasks is not None:
            self._tasks.close()

    def _advance(self) -> None:
        assert self._tasks is not None, "no word was given"
        self._asked_at = self.runner.now()
        try:
            next(self._tasks)
        except StopIteration as ended:
            self._result = ended.value


_WORK_MOVES = (Phase.DRAIN, Phase.UNDRAIN)
_UNITS = {
    "nova_conductor": "nova-conductor",
    "nova_scheduler": "nova-scheduler",
    "nova_api": "nova-api",
    "nova_metadata": "nova-api-metadata",
    "nova_compute": "nova-compute",
}


class _FakePlay:
    """One play while it runs."""

    def __init__(
        self,
        fleet: FakeFleet,
        journal: Journal,
        play: Play,
        started: FakeStartedPlay,
    ) -> None:
        self._fleet, self._journal, self._play, self._started = fleet, journal, play, started
        self._variables = play.variables
        self._ends: dict[str, HostEnd] = {}
        self._messages: dict[str, str] = {}
        self._failed: PlayEnd = "failed"

    def result(self) -> Tasks[PlayResult]:
        """Run the play and return how it ended for each host of the limit."""
        if unknown := set(self._play.limit) - set(self._fleet.hosts):
            messages = {"": f"no such host: {', '.join(sorted(unknown))}"}
            return PlayResult("failed", dict.fromkeys(self._play.limit, "absent"), messages)
        try:
            yield from self._run_playbook()
        except _Interrupted:
            return PlayResult("interrupted", self._hosts(), self._messages)
        hosts = self._hosts()
        succeeded = all(end == "ok" for end in hosts.values()) and not self._messages
        return PlayResult("ok" if succeeded else self._failed, hosts, self._messages)

    def _hosts(self) -> dict[str, HostEnd]:
        return {host: self._ends.get(host, "absent") for host in self._play.limit}

    def _run_playbook(self) -> Tasks[None]:
        playbook = self._play.playbook
        if playbook == "check.yml":
            yield from self._check()
        elif playbook == "observe.yml":
            yield from self._observe()
        elif playbook == "marks.yml":
            self._marks()
        elif (yield from self._sweep()) and playbook != "sweep.yml":
            yield from self._batch_play()

    def _batch_play(self) -> Tasks[None]:
        if (yield from self._survey()) and (yield from self._marks_batch()):
            yield from self._roll()

    # --- plays --------------------------------------------------------------------------------

    def _check(self) -> Tasks[None]:
        """Judge claims about the fleet at one host, and claims about one host at each that is named."""
        named = self._variables.get("holdfast_check_hosts", [])
        for host in named or list(self._fleet.hosts)[:1]:
            asked = [host] if named else None
            yield from self._on_host(
                host, partial(self._check_host, host, asked), "check the fleet"
            )

    def _check_host(self, host: str, hosts: Collection[str] | None) -> None:
        claims = self._variables["holdfast_check_claims"]
        self._judge(host, "check", [self._verdict(claim, hosts) for claim in claims])

    def _observe(self) -> Tasks[None]:
        for host, units in self._variables["holdfast_observe"].items():
            yield from self._on_host(
                host, partial(self._observe_units, host, units), "read the units"
            )

    def _observe_units(self, host: str, units: list[str]) -> None:
        for unit in units:
            self._observe_unit(host, unit)

    def _observe_unit(self, host: str, unit: str) -> None:
        found = self._fleet.hosts[host]
        self._write(
            Observed(
                at=self._now,
                host=host,
                unit=unit,
                invocation_id=found.invocation_id(unit),
                active=found.unit(unit).active,
            )
        )

    def _sweep(self) -> Tasks[bool]:
        """Ask the hosts done earlier, in one gate at the first host of the play."""
        starts, asker = self._variables.get("holdfast_sweep", {}), self._play.limit[0]
        if starts:
            yield from self._on_host(asker, partial(self._sweep_hosts, asker, starts), "sweep")
        return all(end == "ok" for end in self._ends.values())

    def finds_ill(self, starts: Mapping[str, Mapping[str, str]]) -> bool:
        """Return whether one of the hosts is ill, which is journaled; what gives no answer is the sweep's."""
        verdict = self._unchanged(starts)
        if verdict.outcome is not Outcome.FAIL:
            return False
        with suppress(_Failed, LeaseLost, StateUnusable):
            self._judge(self._play.limit[0], "sweep", [verdict])
        return True

    def _survey(self) -> Tasks[bool]:
        """Ask the claims that no inspection has proved, in one gate at the first host of the batch."""
        claims, asker = self._variables.get("holdfast_survey", []), self._batch[0]
        if claims:
            verdicts = [self._verdict(claim, self._fleet.hosts) for claim in claims]
            yield from self._on_host(asker, partial(self._judge, asker, "check", verdicts))
        return all(end == "ok" for end in self._ends.values())

    def _sweep_hosts(self, asker: str, starts: Mapping[str, Mapping[str, str]]) -> None:
        self._judge(asker, "sweep", [self._unchanged(starts)])

    def _marks(self) -> None:
        """Remove the marks of a run, of this one while it holds its leases; else list all."""
        unmark = self._variables.get("holdfast_unmark")
        if unmark is None:
            found = list_marks(self._fleet.shell, self._fleet.hosts)
            event = BaselineTaken(at=self._now, name="marks", values=found)
            self._journal.append(self._play.run, event)
            return
        if "run" not in unmark:
            self._journal.check(self._context.grant)
        hosts = {*unmark["hosts"], *self._meeting()} if unmark.get("groups") else unmark["hosts"]
        remove_marks(self._fleet.shell, hosts, unmark.get("run", self._play.run))

    def _meeting(self) -> list[str]:
        return meeting_hosts({"all": list(self._fleet.hosts)}, ["all"])

    def _mark(self) -> None:
        """Mark the batch and the first hosts; a mark counts more often than with real plays, never less."""
        store: Json = self._journal
        holder = holder_of(store, self._context)
        marker = Marker(
            self._fleet.shell,
            self._service,
            holder,
            lambda mark: mark_counts(store, mark, gone=lambda _: False),
            "holdfast lease release lab/broker --site lab",
        )
        try:
            marker.place(self._meeting(), self._batch, self._now)
        except (LeaseHeld, CannotTell) as error:
            raise _Refused(f"no mark was made: {error}") from None

    def _marks_batch(self) -> Tasks[bool]:
        """Mark from the first host of the batch, as a task that is run once; return whether that succeeded."""
        yield from self._on_host(self._batch[0], self._mark)
        return self._ends[self._batch[0]] == "ok"

    def _roll(self) -> Tasks[None]:
        phases = self._variables.get("holdfast_phases", [phase.value for phase in ALL_PHASES])
        for phase in ALL_PHASES:
            if phase.value not in phases:
                continue
            for host in self._batch:
                if self._ends.get(host, "ok") == "ok":
                    self._fleet.begin_phase(host, phase)
                yield from self._on_host(host, partial(self._phase, host, phase), phase.value)
            yield from self._give_back_batch(phase)
            # max_fail_percentage 0: the failure of one host ends the play for all, after the task.
            if any(self._ends[host] != "ok" for host in self._batch):
                return
        if Phase.VERIFY.value in phases:
            yield from self._end_of_turns()

    def _end_of_turns(self) -> Tasks[None]:
        yield from self._on_host(self._batch[-1], self._rebalance)
        if self._ends[self._batch[-1]] == "ok":
            for host in self._batch:
                yield from self._on_host(host, partial(self._host_done, host))

    def _host_done(self, host: str) -> None:
        found = self._fleet.hosts[host].invocation_id(self._unit)
        self._write(HostDone(at=self._now, host=host, unit=self._unit, invocation_id=found))

    # --- phases -------------------------------------------------------------------------------

    def _phase(self, host: str, phase: Phase) -> None:
        if phase is Phase.PREFLIGHT:
            self._preflight(host)
        elif phase in _WORK_MOVES and not self._drains:
            return
        elif phase is Phase.DRAIN:
            self._drain(host)
        elif phase is Phase.RESTART:
            self._prove_again(host)
            self._restart(host)
        elif phase is Phase.VERIFY:
            self._judge(host, phase, [self._verdict("fake.serves_again", [host], drained=True)])
        elif not (self._fleet.brokers and Phase.VERIFY.value in self._variables["holdfast_phases"]):
            self._undrain(host)

    def _preflight(self, host: str) -> None:
        if 1 < len(self._fleet.hosts) <= len(self._batch):
            raise _Failed("the batch is the whole group")
        if self._fleet.hosts[host].answers_as not in {"", host}:
            raise _Failed(f"{host} goes by {self._fleet.hosts[host].answers_as}")
        if silent := self._in_order(self._fleet.silent() - {*self._batch, *self._in_hand}):
            raise _Failed(f"no answer from {', '.join(silent)}")
        self._judge_others(host, Phase.PREFLIGHT)

    def _drain(self, host: str) -> None:
        self._intend(host, Act.DRAIN, undo=f"fake undrain {host}")
        failed = (host, Act.DRAIN) in self._fleet.act_fails
        if not self._fleet.hosts[host].drained_by and not failed:
            self._fleet.hosts[host].drained_by = self._play.run
            self._fleet.record(host, "drain", self._play.run, self._unit)
        self._finish(host, Act.DRAIN, changed=self._fleet.hosts[host].drained_by == self._play.run)
        try:
            self._prove_drained(host, failed=failed)
        except _Failed:
            self._undrain(host)
            raise

    def _prove_drained(self, host: str, *, failed: bool) -> None:
        if host in self._fleet.never_idle:
            raise _Failed(f"{host} has 1 in flight")
        if failed:
            raise _Failed(f"`fake drain {host}` ended with status 1; {host} is not drained")
        if not self._fleet.brokers:
            self._judge_others(host, Phase.DRAIN)
            self._require_no_failure_beside()

    def _give_back_batch(self, phase: Phase) -> Tasks[None]:
        """As roles/nova does: none of a batch is restarted where one may not be, and none stays drained."""
        doubtful = [host for host in self._batch if self._ends[host] != "ok"]
        if doubtful and phase is Phase.DRAIN and self._drains and not self._fleet.brokers:
            for host in self._batch:
                yield from self._on_host(host, partial(self._give_back, host, doubtful))

    def _give_back(self, host: str, doubtful: list[str]) -> None:
        self._undrain(host)
        raise _Failed(f"another of the batch may not be restarted: {', '.join(doubtful)}")

    def _prove_again(self, host: str) -> None:
        """As roles/rabbitmq does before a restart: a doubt gives the host back."""
        if not self._fleet.brokers:
            return
        try:
            self._judge_others(host, Phase.RESTART)
        except _Failed:
            self._undrain(host)
            raise

    def _restart(self, host: str) -> None:
        """Compare and swap: restart the unit only if its InvocationID is the one of the intent (adr/0003)."""
        found = self._fleet.hosts[host]
        expected = found.invocation_id(self._unit)
        self._intend(host, Act.RESTART)
        if found.invocation_id(self._unit) == expected:
            unit = found.unit(self._unit)
            unit.active, unit.started = host not in self._fleet.restart_fails, unit.started + 1
            if self._fleet.brokers:
                found.drained_by = ""  # a boot ends the drain
            self._fleet.record(host, "restart", self._play.run, self._unit)
        if not found.unit(self._unit).active:
            raise _Failed(f"{self._unit} did not start")
        self._finish(host, Act.RESTART)

    def _undrain(self, host: str) -> None:
        """Give back what this run has taken; where nothing is to be given back, that is journaled too."""
        by = self._fleet.hosts[host].drained_by
        # A broker does not know who has drained it.
        drained = bool(by) if self._fleet.brokers else by == self._play.run
        if drained or not self._fleet.brokers:
            self._intend(host, Act.UNDRAIN)
        if (host, Act.UNDRAIN) in self._fleet.act_fails:
            raise _Failed(f"`fake undrain {host}` ended with status 1; {host} is still drained")
        if drained:
            self._fleet.hosts[host].drained_by = ""
            self._fleet.record(host, "undrain", self._play.run, self._unit)
        self._finish(host, Act.UNDRAIN, changed=drained)

    def _rebalance(self) -> None:
        """After the last broker, spread the leaders again."""
        if not self._fleet.brokers:
            return
        host, done = self._batch[-1], {*self._variables["holdfast_done"], *self._batch}
        if done != set(self._fleet.hosts):
            return
        self._intend(host, Act.REBALANCE)
        if (host, Act.REBALANCE) in self._fleet.act_fails:
            raise _Failed(f"`fake rebalance {host}` ended with status 1")
        self._fleet.record(host, "rebalance", self._play.run, self._unit)
        self._finish(host, Act.REBALANCE)

    # --- gates --------------------------------------------------------------------------------

    def _judge_others(self, host: str, phase: Phase) -> None:
        """Judge whether all hosts serve that are not of the batch, nor in hand in another one."""
        but = {*self._batch, *self._in_hand}
        self._judge(host, phase, [self._verdict("fake.others_serve", but=but)])

    def _verdict(
        self,
        claim: Json,
        hosts: Collection[str] | None = None,
        *,
        but: Collection[str] = (),
        drained: bool = False,
    ) -> Verdict:
        """Judge these hosts, or all, without those of ``but``. Facts are of all hosts, of the healthy ones left out."""
        name = claim if isinstance(claim, str) else claim["claim"]
        if name == "fake.none_left":
            return self._none_left(name)
        fleet, ill = self._fleet, self._fleet.ill()

        def asked(found: Iterable[str]) -> list[str]:
            return self._in_order(
                h for h in found if h not in but and (hosts is None or h in hosts)
            )

        facts: dict[str, dict[str, Json]] = {
            host: {LEADERS: number} for host, number in fleet.leaders().items()
        }
        for host, turn in fleet.depended_on.items():
            facts.setdefault(host, {}).update({TURN: turn, ALONE: True})
        for host in self._in_order(ill):
            facts.setdefault(host, {})[HEALTHY] = False
        if bad := asked(ill if drained else fleet.not_serving()):
            message = f"{', '.join(bad)} does not serve"
            return Verdict(name, Outcome.FAIL, "not_serving", message, hosts=facts)
        if unanswered := asked(fleet.answer_unknown):
            message = f"{fleet.doubt} {', '.join(sorted(unanswered))}"
            return Verdict(name, Outcome.UNKNOWN, "no_answer", message, hosts=facts)
        return Verdict(name, Outcome.PASS, "ok", "all serve", hosts=facts)

    def _in_order(self, hosts: Iterable[str]) -> list[str]:
        """Return the hosts as the fleet has them."""
        some = set(hosts)
        return [host for host in self._fleet.hosts if host in some] if some else []

    def _none_left(self, name: str) -> Verdict:
        """As nova's and the broker's claim: a broker does not say who has drained it."""
        drained = {host.name: host.drained_by for host in self._fleet.hosts.values()}
        left = {host: "" if self._fleet.brokers else by for host, by in drained.items() if by}
        outcome = Outcome.FAIL if left else Outcome.PASS
        return Verdict(name, outcome, "left", f"{', '.join(left)} left", {LEFT: left})

    def _unchanged(self, starts: Mapping[str, Mapping[str, str]]) -> Verdict:
        facts: dict[str, dict[str, Json]] = {}
        for host, units in starts.items():
            found = self._fleet.hosts[host]
            if not found.reachable:
                facts[host] = {HEALTHY: None}
            elif not found.runs_as(units):
                facts[host] = {HEALTHY: False}
        ill = [host for host, fact in facts.items() if fact[HEALTHY] is False]
        outcome = Outcome.FAIL if ill else Outcome.UNKNOWN if facts else Outcome.PASS
        message = f"not as this run left it: {', '.join(facts)}" if facts else "all run on"
        return Verdict(UNCHANGED, outcome, "swept", message, {HOSTS: len(starts)}, facts)

    def _judge(self, host: str, phase: str, verdicts: list[Verdict]) -> None:
        outcome = overall(verdicts)
        self._write(
            GateJudged.model_validate(
                {
                    "at": self._now,
                    "host": host,
                    "gate": f"{phase} of {host}",
                    "phase": phase,
                    "outcome": outcome,
                    "verdicts": [journaled(verdict) for verdict in verdicts],
                    "readings": 1,
                    "seconds": 0.0,
                }
            )
        )
        if outcome is not Outcome.PASS:
            raise _Failed("; ".join(v.message for v in verdicts if not v.passed))

    # --- tasks --------------------------------------------------------------------------------

    def _on_host(self, host: str, work: Callable[[], None], task: str = "") -> Tasks[None]:
        """Do something on a host, a named task after a second.

        A failure ends the host's turn, and not by itself the play.
        """
        if self._ends.get(host, "ok") != "ok":
            return
        try:
            if task:
                self._started.on_progress(Progress(host, task, ""))
                lasts = {"verify": self._fleet.verify_seconds, "restart": self._fleet.idle_seconds}
                for _ in range(lasts.get(task, 1)):
                    yield
                    self._look(host)
            work()
            self._ends[host] = "ok"
        except (_Failed, LeaseLost, StateUnusable) as error:
            self._ends[host], self._messages[host] = "failed", str(error)
            self._failed = "refused" if isinstance(error, _Refused) else "failed"
        except _Unreachable as error:
            self._ends[host], self._messages[host] = "unreachable", str(error)

    def _look(self, host: str) -> None:
        if self._started.interrupted:
            raise _Interrupted
        if not self._fleet.hosts[host].reachable:
            raise _Unreachable(f"{host} is unreachable")

    def _intend(self, host: str, act: Act, undo: str = "") -> None:
        if act in {Act.DRAIN, Act.RESTART}:
            self._require_no_failure_beside()
        found = self._fleet.hosts[host].invocation_id(self._unit)
        intent = ActIntended(
            at=self._now,
            host=host,
            act=act,
            unit=self._unit,
            invocation_id=found,
            undo=undo,
            ends_with_restart=act is Act.DRAIN and self._fleet.brokers,
        )
        self._write(intent)

    def _require_no_failure_beside(self) -> None:
        store: Json = self._journal
        try:
            require_no_failure_beside(store, self._play.run, self._variables)
        except Refused as error:
            raise _Failed(error.message) from None

    def _finish(self, host: str, act: Act, *, changed: bool = True) -> None:
        found = self._fleet.hosts[host].invocation_id(self._unit)
        done = ActDone(
            at=self._now, host=host, act=act, unit=self._unit, invocation_id=found, changed=changed
        )
        self._write(done)

    def _write(self, event: Event) -> None:
        """Append the event as plays do: only while the run's leases are valid."""
        self._journal.append_guarded(self._context.grant, event)

    @property
    def _context(self) -> PlayContext:
        grant = Grant(self._play.run, self._variables["holdfast_grant"])
        return PlayContext(grant, by_hand=False)

    @property
    def _service(self) -> str:
        """The service that is exclusively leased: plays know it by their policy, here it is in the playbook's name."""
        named = str(self._variables.get("systemd_unit_name", "")).removesuffix(".service")
        return named or self._play.playbook.partition("_")[0]

    @property
    def _unit(self) -> str:
        """The unit that is named; otherwise each playbook restarts a unit of its own name."""
        named = self._variables.get("systemd_unit_name", "")
        of_playbook = self._play.playbook.removesuffix("_restart.yml")
        return str(named) or _UNITS.get(of_playbook, of_playbook)

    @property
    def _drains(self) -> bool:
        """Whether the playbook has the phases drain and undrain; of nova's only that of the computes has."""
        playbook = self._play.playbook
        return playbook == "nova_compute_restart.yml" or not playbook.startswith(("nova_", "unit_"))

    @property
    def _batch(self) -> list[str]:
        return list(self._variables["holdfast_batch"])

    @property
    def _in_hand(self) -> Sequence[str]:
        """The hosts of the run's other batches that are under way."""
        in_hand: Sequence[str] = self._variables.get("holdfast_in_hand", ())
        return in_hand

    @property
    def _now(self) -> datetime:
        return self._fleet.clock()
