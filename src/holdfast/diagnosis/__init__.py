"""From verdicts to causes: which of the known kinds of fault explains what was found out, the cause first. Pure.

Data flows one way: probes observe, judges give verdicts, rules find causes in these, and what follows from a cause is
folded under it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from holdfast.diagnosis.kinds import KINDS, UNREACHABLE
from holdfast.diagnosis.model import Diagnosis, Findings, VerdictJson, names_host
from holdfast.diagnosis.rules import RULES, unreachable_host


@dataclass(frozen=True, slots=True)
class Diagnoses:
    """The causes, the one that explains most first, and the verdicts that none of them explains.

    ``left_out`` are services that people took out of service before; what their hosts say of them is no cause.
    ``unsaid`` are messages of the check that no cause is made from: what was to be judged there was not judged.
    """

    causes: Sequence[Diagnosis]
    unexplained: Sequence[VerdictJson]
    left_out: Sequence[str] = ()
    unsaid: Sequence[str] = ()

    def all_is_well(self, judged: int) -> bool:
        """Return whether nothing is wrong: something was judged, all of it passed, and nothing was left unjudged."""
        return judged > 0 and not (self.causes or self.unexplained or self.unsaid)


def diagnose(found: Findings) -> Diagnoses:
    """Return the causes of what was found, in order; nothing that is known matches where there is none.

    A consequence is no cause: where a broker is ill, a service that has no connection to it is folded under it. So is a
    cause on a host that a dead run has in hand, if the run itself left it so.
    """
    every = sorted(
        (each for rule in RULES for each in rule(found)), key=lambda each: KINDS.index(each.kind)
    )
    wide = next((each for each in every if each.kind.wide), None)
    causes = [each for each in every if not _follows(each, wide, every)]
    folded = [each for each in every if each not in causes]
    explained: dict[int, list[str]] = {number: [] for number in range(len(causes))}
    unexplained = []
    for verdict in found.bad:
        if found.is_left_out(verdict):
            continue
        number = _explainer(causes, verdict, found)
        if number is None:
            unexplained.append(verdict)
        else:
            explained[number].append(str(verdict["claim"]))
    for each in folded:
        explained[_owner(causes, each)].append(each.line)
    told = [replace(each, explains=tuple(explained[number])) for number, each in enumerate(causes)]
    out = [name for name, _ in found.causes() if name in found.absent]
    silent = {host for each in causes if each.kind is UNREACHABLE for host in each.hosts}
    unsaid = [text for text in found.messages if unreachable_host(found, text) not in silent]
    return Diagnoses(told, unexplained, out, unsaid)


def _follows(each: Diagnosis, wide: Diagnosis | None, every: Sequence[Diagnosis]) -> bool:
    """Return whether a diagnosis is a consequence of another."""
    if wide is not None and each.kind.follows and each.kind is not wide.kind:
        return True
    return any(each in _left_by(run, every) for run in every if run.kind.name == "dead run")


def _left_by(run: Diagnosis, every: Sequence[Diagnosis]) -> Iterator[Diagnosis]:
    """Yield what a dead run left: a node drained, a compute disabled."""
    for each in every:
        if each.kind.name in {"drained node", "compute left disabled"} and {*each.hosts} <= {
            *run.hosts
        }:
            yield each


def _owner(causes: Sequence[Diagnosis], folded: Diagnosis) -> int:
    """Return the cause that a consequence is folded under."""
    by_host = (
        n
        for n, each in enumerate(causes)
        if {*folded.hosts} & {*each.hosts} and not folded.kind.follows
    )
    wide = (n for n, each in enumerate(causes) if each.kind.wide)
    return next(by_host, next(wide, 0))


def _explainer(causes: Sequence[Diagnosis], verdict: VerdictJson, found: Findings) -> int | None:
    """Return the first cause that explains a verdict: by its hosts or message, or because it makes all else ill.

    A verdict that a cause shows as its evidence belongs to it. Else only the systems that a cause is about count.
    """
    ill, message = found.ill(verdict), str(verdict["message"])
    shown = (number for number, each in enumerate(causes) if message in each.evidence)
    if (number := next(shown, None)) is not None:
        return number
    able = [
        (n, each) for n, each in enumerate(causes) if each.kind.may_explain(str(verdict["claim"]))
    ]
    for number, each in able:
        if each.pattern and re.search(each.pattern, message):
            return number
        if each.hosts and ill and ill <= {*each.hosts}:
            return number
    for number, each in able:
        if each.kind.wide:
            return number
    hosts = {host for _, each in able for host in each.hosts}
    if ill and ill <= hosts:
        return next(n for n, each in able if ill & {*each.hosts})
    named = [n for n, each in able if any(names_host(message, h) for h in each.hosts)]
    return named[0] if named and not ill - hosts else None
