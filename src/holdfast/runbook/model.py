"""What a runbook is made of, as strict frozen values: an unknown key is an error."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from holdfast.model import ClaimEntry, Json, LeaseMode

REFERENCE = re.compile(r"\$([a-z][a-z0-9_]*)")
"""A value that is exactly this stands for the input of that name."""

Reference = Annotated[StrictStr, Field(pattern=rf"^{REFERENCE.pattern}$")]
Text = Annotated[StrictStr, Field(min_length=1)]
Count = Annotated[StrictInt, Field(ge=1)]
Seconds = Annotated[StrictInt, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(_Strict):
    """A value the runbook asks for. Text must match the whole ``pattern``."""

    type: Literal["str", "int", "bool"] = "str"
    summary: Text
    pattern: StrictStr = ""
    minimum: StrictInt | None = None
    maximum: StrictInt | None = None
    default: StrictStr | StrictInt | StrictBool | None = None

    @model_validator(mode="after")
    def _text_is_bounded(self) -> Input:
        if self.type == "str" and not self.pattern:
            raise ValueError(
                "an input of type str needs a pattern: text from outside is allow-listed"
            )
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern is not a regular expression: {error}") from error
        return self


class ApprovalPolicy(_Strict):
    """Who must agree at every ``approve`` step, and how long the run waits for them."""

    count: Count = 1
    by_others: StrictBool = True
    deadline_seconds: Count = 3600


class SettleSpec(_Strict):
    """``readings`` consecutive passes over at least ``seconds``."""

    seconds: Seconds | Reference = 0
    readings: Count | Reference = 1


class WaitSpec(_Strict):
    """Gates that must hold for ``seconds`` with nobody touching anything."""

    gates: Annotated[list[ClaimEntry], Field(min_length=1)]
    seconds: Count | Reference
    readings: Count | Reference = 3


class CheckStep(_Strict):
    """Gates asked once before going on; ``hosts`` for claims that speak about one host each."""

    check: Annotated[list[ClaimEntry], Field(min_length=1)]
    hosts: Text | None = None
    settle: SettleSpec = SettleSpec()
    deadline_seconds: Count | Reference | None = None


class WaitStep(_Strict):
    """A soak: never a plain sleep; ``hosts`` as in a check."""

    wait: WaitSpec
    hosts: Text | None = None
    deadline_seconds: Count | Reference | None = None


class ApproveStep(_Strict):
    """Somebody's word is needed before going on."""

    approve: Text


class RollStep(_Strict):
    """A playbook taken through a group of hosts, batch by batch."""

    roll: Text
    hosts: Text
    vars: dict[Text, Json] = Field(default_factory=dict)
    batch: Count | Reference = 1
    canary: StrictBool = False
    settle: SettleSpec | None = None
    deadline_seconds: Count | Reference | None = None


WorkStep = CheckStep | WaitStep | ApproveStep | RollStep

KINDS: dict[str, type[WorkStep]] = {
    "check": CheckStep,
    "wait": WaitStep,
    "approve": ApproveStep,
    "roll": RollStep,
}


class Step(_Strict):
    """A numbered part of a runbook; ``line`` is where its block starts in the Markdown file."""

    number: int
    title: str
    prose: str
    line: int
    work: WorkStep


class FrontMatter(_Strict):
    """What stands between the ``---`` lines."""

    name: Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)]
    summary: Text
    inputs: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Input] = Field(
        default_factory=dict
    )
    leases: dict[Text, LeaseMode] = Field(default_factory=dict)
    approvals: ApprovalPolicy = ApprovalPolicy()


class Runbook(FrontMatter):
    """A parsed runbook; ``hash`` is the SHA-256 of its text."""

    path: str
    hash: str
    steps: tuple[Step, ...]
    if_it_holds: str
