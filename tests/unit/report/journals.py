"""Builds journals for tests of what is reported from them; times are seconds from START."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.journal import events
from holdfast.journal.events import Recorded
from holdfast.model import Act, Outcome, Phase

START = datetime(2026, 11, 21, 23, 4, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class JournalBuilder:
    """Builds the journal of one run, event by event; ``now`` is the time of the next one."""

    def __init__(self, run: str = "20261121-2304-rabbitmq-restart-k3f9", **opened: Any) -> None:
        self.run = run
        self.recorded: list[Recorded] = []
        words = {
            "runbook": "rabbitmq-restart",
            "site": "lab",
            "by": "ada",
            "reason": "openssl update",
        }
        words |= {"runbook_hash": "0", "controller": "c1"} | opened
        self.now = float(words.pop("start", 0.0))
        self.add(events.RunOpened(at=at(self.now), process=1, **words))

    def add(self, event: events.Event) -> JournalBuilder:
        self.recorded.append(Recorded(run=self.run, seq=len(self.recorded) + 1, event=event))
        return self

    def later(self, seconds: float) -> JournalBuilder:
        self.now += seconds
        return self

    def gate(
        self,
        host: str,
        phase: Any,
        seconds: float = 0.5,
        outcome: Outcome = Outcome.PASS,
        gate: str = "rabbitmq.members_agree",
    ) -> JournalBuilder:
        self.now += seconds
        return self.add(
            events.GateJudged(
                at=at(self.now),
                host=host,
                gate=gate,
                phase=phase,
                outcome=outcome,
                verdicts=[],
                readings=3,
                seconds=seconds,
            )
        )

    def act(self, host: str, act: Act, unit: str, seconds: float) -> JournalBuilder:
        self.intend(host, act, unit)
        self.now += seconds
        return self.add(
            events.ActDone(
                at=at(self.now), host=host, act=act, unit=unit, invocation_id="new", seconds=seconds
            )
        )

    def intend(self, host: str, act: Act, unit: str) -> JournalBuilder:
        return self.add(
            events.ActIntended(at=at(self.now), host=host, act=act, unit=unit, invocation_id="old")
        )

    def done(self, host: str, unit: str) -> JournalBuilder:
        return self.add(events.HostDone(at=at(self.now), host=host, unit=unit, invocation_id="new"))

    def turn(
        self, host: str, unit: str, restart: float, verify: float, *, drain: float = 0.0
    ) -> JournalBuilder:
        """A whole turn that ends well."""
        self.gate(host, Phase.PREFLIGHT)
        if drain:
            self.act(host, Act.DRAIN, unit, drain).gate(host, Phase.DRAIN)
        self.act(host, Act.RESTART, unit, restart).gate(host, Phase.VERIFY, verify)
        return self.done(host, unit)

    def finished(self) -> JournalBuilder:
        return self.add(events.Finished(at=at(self.now)))


def rabbitmq_journal() -> JournalBuilder:
    """Three brokers, one after another; every turn takes 2 s of our own time before it."""
    journal = JournalBuilder()
    journal.gate("ctl1", "check", 1.0)
    for host in ("ctl2", "ctl3", "ctl1"):
        journal.later(2.0).turn(host, "rabbitmq-server", restart=12.0, verify=10.0, drain=3.0)
        journal.gate(host, "sweep", 0.5)
    return journal.finished()


def nova_journal(start: float = 110.0) -> JournalBuilder:
    """Every layer of a small nova."""
    journal = JournalBuilder("20261121-2306-nova-restart-q2x7", runbook="nova-restart", start=start)
    for layer in ("conductor", "scheduler", "api", "metadata"):
        for host in ("ctl1", "ctl2", "ctl3"):
            journal.later(1.8).turn(host, f"nova-{layer}", restart=4.0, verify=8.5)
    for host in _computes():
        journal.later(1.8).turn(host, "nova-compute", restart=3.0, verify=9.0, drain=1.0)
    return journal.finished()


def _computes() -> Iterator[str]:
    return (f"cmp{number}" for number in (1, 2, 3))
