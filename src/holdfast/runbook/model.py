"""The types of a runbook: strict and frozen; an unknown key is an error."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from holdfast.model import SWEEP_SECONDS, ClaimEntry, Json, LeaseMode

REFERENCE = re.compile(r"\$([a-z][a-z0-9_]*)")
"""A value that matches this completely is replaced by the input of that name."""

Reference = Annotated[StrictStr, Field(pattern=rf"^{REFERENCE.pattern}$")]
Text = Annotated[StrictStr, Field(min_length=1)]
Count = Annotated[StrictInt, Field(ge=1)]
Seconds = Annotated[StrictInt, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(_Strict):
    """A value that the runbook needs. ``pattern`` must match the whole text."""

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
    """How many people must approve at every ``approve`` step, who, and how long the run waits."""

    count: Count = 1
    by_others: StrictBool = True
    deadline_seconds: Count = 3600


class SettleSpec(_Strict):
    """``readings`` consecutive passes over at least ``seconds``."""

    seconds: Seconds | Reference = 0
    readings: Count | Reference = 1


class WaitSpec(_Strict):
    """Claims that must hold for ``seconds`` while the run touches nothing; None: as long as the site says."""

    gates: Annotated[list[ClaimEntry], Field(min_length=1)]
    seconds: Count | Reference | None = None
    readings: Count | Reference = 3


class CheckStep(_Strict):
    """Claims to prove before going on; ``hosts`` for claims about one host each.

    ``lag_tolerant``: how many seconds asynchronous replicas of the database may be behind.
    """

    check: Annotated[list[ClaimEntry], Field(min_length=1)]
    hosts: Text | None = None
    settle: SettleSpec = SettleSpec()
    lag_tolerant: Count | Reference | None = None
    deadline_seconds: Count | Reference | None = None


class WaitStep(_Strict):
    """Claims to prove for a while (a soak), never a plain sleep; ``hosts`` and ``lag_tolerant`` as in a check."""

    wait: WaitSpec
    hosts: Text | None = None
    lag_tolerant: Count | Reference | None = None
    deadline_seconds: Count | Reference | None = None


class ApproveStep(_Strict):
    """An approval that is needed before going on."""

    approve: Text


class RollStep(_Strict):
    """A playbook that restarts a group of hosts, batch by batch.

    With ``window`` in place of ``batch`` the next host begins as soon as one has settled, never more than so many at a
    time. ``growth`` has the first sizes; the last of them is that of all others. ``canary_settle``: how long the canary
    settles, alone, where that is longer than the others do. ``lag_tolerant``: no further hosts are taken while an
    asynchronous replica of the database is more seconds behind.
    """

    roll: Text
    hosts: Text
    vars: dict[Text, Json] = Field(default_factory=dict)
    batch: Count | Reference = 1
    window: Count | Reference | None = None
    canary: StrictBool = False
    growth: Annotated[list[Count], Field(min_length=1)] | None = None
    canary_settle: SettleSpec | None = None
    settle: SettleSpec | None = None
    lag_tolerant: Count | Reference | None = None
    deadline_seconds: Count | Reference | None = None

    @field_validator("canary_settle")
    @classmethod
    def _is_about_a_canary(
        cls, settle: SettleSpec | None, info: ValidationInfo
    ) -> SettleSpec | None:
        if settle is not None and not info.data.get("canary"):
            raise ValueError("it is about the canary: add canary: true")
        return settle

    @field_validator("window")
    @classmethod
    def _replaces_the_batch(
        cls, window: int | str | None, info: ValidationInfo
    ) -> int | str | None:
        if window is not None and info.data.get("batch", 1) != 1:
            raise ValueError("it says how many hosts at a time: leave out batch")
        return window

    @field_validator("growth")
    @classmethod
    def _says_the_size_alone(
        cls, growth: list[int] | None, info: ValidationInfo
    ) -> list[int] | None:
        if growth is None:
            return None
        if info.data.get("batch", 1) != 1 or info.data.get("canary"):
            raise ValueError("it says how many hosts at a time: leave out batch and canary")
        if info.data.get("window") not in {None, growth[-1]}:
            raise ValueError("its last size is the window's: make them the same")
        if growth != sorted(growth):
            raise ValueError(
                "must not shrink: after a hold the roll begins with its first size again"
            )
        return growth


WorkStep = CheckStep | WaitStep | ApproveStep | RollStep

KINDS: dict[str, type[WorkStep]] = {
    "check": CheckStep,
    "wait": WaitStep,
    "approve": ApproveStep,
    "roll": RollStep,
}


class Step(_Strict):
    """A numbered step of a runbook; ``line`` is the first line of its block in the Markdown file."""

    number: int
    title: str
    prose: str
    line: int
    work: WorkStep


class FrontMatter(_Strict):
    """The YAML between the ``---`` lines."""

    name: Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)]
    summary: Text
    inputs: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Input] = Field(
        default_factory=dict
    )
    leases: dict[Text, LeaseMode] = Field(default_factory=dict)
    approvals: ApprovalPolicy = ApprovalPolicy()
    sweep_seconds: Annotated[StrictInt, Field(ge=10, le=3600)] = SWEEP_SECONDS


class Runbook(FrontMatter):
    """A parsed runbook; ``hash`` is the SHA-256 of its text."""

    path: str
    hash: str
    steps: tuple[Step, ...]
    if_it_holds: str
