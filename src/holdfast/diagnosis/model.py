"""What a diagnosis is made from, and what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.evidence import ABSENT, CAUSES, HEALTHY, LEFT, UNREACHED
from holdfast.model import Json, Outcome

VerdictJson = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class DeadRun:
    """A run without a driver: what it was, the hosts that it has in hand, in which state it left each."""

    run: str
    what: str
    in_hand: tuple[str, ...]
    left: tuple[str, ...]
    plays: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found out: verdicts as JSON, messages of hosts that judged nothing, runs without a driver.

    ``hosts`` are those of the inventory, ``site`` is what ``--site`` takes.
    """

    verdicts: Sequence[VerdictJson]
    now: datetime
    hosts: Sequence[str] = ()
    messages: Sequence[str] = ()
    dead_runs: Sequence[DeadRun] = ()
    site: str = "SITE"

    @property
    def bad(self) -> list[VerdictJson]:
        """The verdicts that are no PASS."""
        return [each for each in self.verdicts if each["outcome"] != Outcome.PASS]

    def of(self, claim: str) -> VerdictJson | None:
        """Return the verdict on a claim, None where it was not judged."""
        return next((each for each in self.verdicts if each["claim"] == claim), None)

    def failed(self, claim: str) -> VerdictJson | None:
        """Return the verdict on a claim that does not hold, None where it holds, is not known or was not judged."""
        verdict = self.of(claim)
        return verdict if verdict and verdict["outcome"] == Outcome.FAIL else None

    def evidence(self, claim: str) -> Mapping[str, Json]:
        """Return the evidence of the verdict on a claim."""
        verdict = self.of(claim)
        return verdict.get("evidence") or {} if verdict else {}

    def causes(self) -> Iterator[tuple[str, Mapping[str, Json]]]:
        """Yield what hosts say is wrong with their own services."""
        for claim in ("rabbitmq.processes_run", "nova.processes_connected"):
            yield from (self.evidence(claim).get(CAUSES) or {}).items()

    @property
    def absent(self) -> Mapping[str, Json]:
        """The services that people took out of service before, with the reason that nova has."""
        return self.evidence("nova.services_up").get(ABSENT) or {}

    def is_left_out(self, verdict: VerdictJson) -> bool:
        """Return whether a verdict is about nothing but services that people took out."""
        evidence = verdict.get("evidence") or {}
        causes: Mapping[str, Json] = evidence.get(CAUSES) or {}
        return bool(causes) and not evidence[UNREACHED] and set(causes) <= set(self.absent)

    def ill(self, verdict: VerdictJson) -> set[str]:
        """Return the hosts that a verdict which is no PASS is about: by its facts, its evidence, else its message."""
        evidence = verdict.get("evidence") or {}
        facts = {
            h for h, each in (verdict.get("hosts") or {}).items() if each.get(HEALTHY) is False
        }
        causes = {str(each["host"]) for each in (evidence.get(CAUSES) or {}).values()}
        known = facts | causes | {*(evidence.get(LEFT) or ()), *(evidence.get(UNREACHED) or ())}
        known = known or {*(evidence.get("unanswered") or ())}
        return known or {host for host in self.hosts if names_host(verdict["message"], host)}


def names_host(text: str, host: str) -> bool:
    """Return whether a text names a host, not another one whose name contains it."""
    return re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", text) is not None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of diagnosis, by the field's standard term; ``runbook`` has its section under “If it holds”.

    ``wide``: what is wrong with a broker or the database makes everything else ill as well, of the ``systems`` that
    use it. Other systems' verdicts are not explained by it; without any, it may explain each one.
    """

    name: str
    runbook: str
    wide: bool = False
    follows: bool = False
    """It may be a consequence of a wide one of another kind, and is folded under it."""
    systems: tuple[str, ...] = ("rabbitmq", "nova")

    def may_explain(self, claim: str) -> bool:
        """Return whether a verdict on the claim may follow from this."""
        return not self.systems or claim.partition(".")[0] in self.systems

    @property
    def section(self) -> str:
        """What ``holdfast show`` takes."""
        return f"{self.runbook}#{self.name.lower().replace(' ', '-')}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One cause: ``line`` names host and cause; ``next`` are commands, the first one first.

    ``explains`` are claims and further findings that follow from it. ``pattern``: it explains verdicts whose message
    matches.
    """

    kind: Kind
    line: str
    hosts: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    rules_out: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    pattern: str = ""

    def as_json(self) -> dict[str, Json]:
        """Return it for programs."""
        return {
            "name": self.kind.name,
            "line": self.line,
            "hosts": list(self.hosts),
            "evidence": list(self.evidence),
            "explains": list(self.explains),
            "rules_out": list(self.rules_out),
            "next": list(self.next),
            "section": self.kind.section,
        }
