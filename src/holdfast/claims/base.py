"""What a claim is: a name, how to look, how to judge, and what both need from the site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from holdfast.judges.base import Observation
from holdfast.model import Json, Verdict
from holdfast.probes.base import ProbeContext


class Parameters(BaseModel):
    """Base of the claims' parameters and, used as it is, "none": an unknown name is an error.

    Ansible does not convert arguments (``count=7`` stays text), so numbers are read from text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A named statement about the fleet that a gate can prove (docs/vocabulary.md, "gate").

    ``probe`` looks once and returns what it saw in a type of its own; it raises CannotTell where
    no answer can be got and bounds every wait of its own by a timeout. ``judge`` is pure: all
    observations of this gate so far, oldest first, and the parameters to a verdict. A reading
    whose probe raised CannotTell is in that history as ``Unanswered``.

    ``group`` is the inventory group the claim speaks about, "" where it is the task's own host; a
    gate on an empty group is refused. ``needs`` are the site variables to resolve for its hosts,
    and for those of the groups in ``also``, which the probe asks or compares with (nova's services
    are listed by an API that runs on other hosts; those groups may be empty).

    Within one reading claims with the same probe and equal probe parameters share one look.
    ``probe_parameters`` names the part of the parameters that the probe reads, as a model of its
    own (``Parameters`` where it reads none); by default all of them.

    ``final`` are the reason codes of a FAIL that waiting cannot mend; it ends the gate at once.
    ``standing`` claims are true of a healthy fleet at any time: checks and surveys ask them.
    """

    name: str
    summary: str
    probe: Callable[[ProbeContext, Any], Json]
    judge: Callable[[Sequence[Observation], Any], Verdict]
    group: str = ""
    also: tuple[str, ...] = ()
    parameters: type[Parameters] = Parameters
    probe_parameters: type[Parameters] | None = None
    needs: tuple[str, ...] = ()
    final: tuple[str, ...] = ()
    standing: bool = False

    @property
    def system(self) -> str:
        """The part of the name before the dot: ``rabbitmq`` of ``rabbitmq.no_alarms``."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class BoundClaim:
    """A claim with checked parameters, as one gate asks it."""

    claim: Claim
    parameters: Parameters

    @property
    def of_probe(self) -> Parameters:
        """The part of the parameters that the probe is given."""
        model = self.claim.probe_parameters
        if model is None:
            return self.parameters
        return model(**{name: getattr(self.parameters, name) for name in model.model_fields})
