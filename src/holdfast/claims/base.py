"""What a claim is: a name, a probe, a judge, and what both need from the site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import signature

from pydantic import BaseModel, ConfigDict

from holdfast.model import Json, Observation, Outcome, Unanswered, Verdict
from holdfast.probes.base import ProbeContext

Question = tuple[Callable[..., Json], str]


class Parameters(BaseModel):
    """Base of the claims' parameters and, used as it is, "none": an unknown name is an error.

    Ansible does not convert arguments (``count=7`` stays text), so numbers are read from text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A named statement about the fleet that a gate can prove (docs/vocabulary.md, "claim").

    ``probe`` takes a ``ProbeContext``, asks once and returns an observation. It raises CannotTell
    where it gets no answer, and bounds every wait by a timeout. ``judge`` is pure: from the claim's
    name and the newest observation to a verdict, or with ``judges_history`` from all observations of
    this gate so far, oldest first. After that, both take parameters of the claim by their names.
    Within one reading, claims with the same probe and equal arguments share one call.

    ``group`` is the inventory group the claim is about, "" where it is about the task's own host; a
    gate on an empty group is refused. ``needs`` are the site variables to resolve for its hosts, and
    for those of the groups in ``also``, which the probe asks or compares with (nova's services are
    listed by an API that runs on other hosts); the groups in ``also`` may be empty.

    ``final`` are the reason codes of a FAIL that waiting cannot change; it ends the gate at once.
    ``in_time`` are the reason codes of an UNKNOWN that more readings, or the act before the gate, change by themselves.
    ``remedy`` is what a person types or reads when it does not hold: a command, or a runbook's section with the command
    that shows it. ``standing`` claims are true of a healthy fleet at any time: checks and surveys ask them.
    ``standing_with`` is a group and a site variable without which it cannot be told: it is standing only where a host
    of that group has the variable. Sites have groups of that name that were never meant for Holdfast.
    """

    name: str
    probe: Callable[..., Json]
    judge: Callable[..., Verdict]
    remedy: str
    judges_history: bool = False
    group: str = ""
    also: tuple[str, ...] = ()
    parameters: type[Parameters] = Parameters
    needs: tuple[str, ...] = ()
    final: tuple[str, ...] = ()
    in_time: tuple[str, ...] = ()
    standing: bool = False
    standing_with: tuple[str, str] = ("", "")

    @property
    def summary(self) -> str:
        """What the claim states in one line: what the docstring of its judge has after "PASS where"."""
        sentence = (self.judge.__doc__ or "").partition("\n")[0]
        return sentence.removeprefix("PASS where ").removesuffix(".")

    @property
    def probe_parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the probe takes, after the context."""
        return tuple(signature(self.probe).parameters)[1:]

    @property
    def judge_parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the judge takes, after the claim's name and what was observed."""
        return tuple(signature(self.judge).parameters)[2:]


@dataclass(frozen=True, slots=True)
class BoundClaim:
    """A claim with checked parameters, as one gate asks it.

    ``only_told``: the gate asks beforehand whether the claim can be told, so PASS unless it is UNKNOWN.
    """

    claim: Claim
    parameters: Parameters
    only_told: bool = False

    @property
    def question(self) -> Question:
        """What tells one call of a probe from another: the probe and its arguments."""
        return self.claim.probe, repr(self._values(self.claim.probe_parameters))

    def probe(self, context: ProbeContext) -> Json:
        """Ask once and return the observation.

        Raises:
            CannotTell: there is no answer.
            InvalidInput: site variables or parameters do not fit the inventory.
        """
        return self.claim.probe(context, **self._values(self.claim.probe_parameters))

    def judge(self, history: Sequence[Observation]) -> Verdict:
        """Return the verdict on all observations of a gate so far, oldest first.

        A newest reading without an answer is UNKNOWN. Earlier ones without an answer are left out.
        """
        verdict = self._judge(history)
        return self._told(verdict) if self.only_told else verdict

    def _told(self, verdict: Verdict) -> Verdict:
        """Return whether the claim can be told; without evidence, which a later gate is about."""
        name, now = self.claim.name, f"now {verdict.outcome}: {verdict.message}"
        if verdict.outcome is Outcome.UNKNOWN and verdict.reason not in self.claim.in_time:
            message = f"cannot be told, and is asked for after the act: {verdict.message}"
            return Verdict(name, Outcome.UNKNOWN, "cannot_be_told", message)
        return Verdict(name, Outcome.PASS, "can_be_told", now)

    def _judge(self, history: Sequence[Observation]) -> Verdict:
        name, newest = self.claim.name, history[-1]
        if isinstance(newest, Unanswered):
            return Verdict(name, Outcome.UNKNOWN, "unanswered", newest.cause)
        answered = [each for each in history if not isinstance(each, Unanswered)]
        observed = answered if self.claim.judges_history else newest
        return self.claim.judge(name, observed, **self._values(self.claim.judge_parameters))

    def _values(self, names: Iterable[str]) -> dict[str, Json]:
        return {name: getattr(self.parameters, name) for name in names}
