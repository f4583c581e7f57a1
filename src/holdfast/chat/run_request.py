"""What chat asks a process of its own to do: start a run, or resume one. It travels by standard input.

Neither the reason nor any value that somebody typed is ever an argument or in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from holdfast.engine import Engine, Planner, RunResult
from holdfast.errors import InvalidInput, Refused
from holdfast.plan import Plan
from holdfast.runbook import ApprovalPolicy


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunRequest(_Strict):
    """A runbook at a site, with its inputs as typed; ``approval`` begins the run, where there is one."""

    runbook: str
    site: str
    limit: str = ""
    inputs: dict[str, str] = Field(default_factory=dict)
    approval: ApprovalPolicy | None = None

    def plan(self, planner: Planner, runbook: Path, inventory: Path) -> Plan:
        """Apply the runbook to the site; touches nothing.

        Raises:
            InvalidInput: something in them is wrong, or the inventory is another site's.
        """
        plan = planner.plan(runbook, inventory, self.inputs, self.limit)
        if plan.site != self.site:
            raise InvalidInput(
                f"{inventory} calls itself {plan.site}, not {self.site}",
                remedy="correct the site's name in the configuration of chat",
            )
        if self.approval is None:
            return plan
        return plan.begun_by_approval("May this run begin?", self.approval)


class Start(_Strict):
    """Start exactly the plan that was shown, as the run of this id."""

    kind: Literal["start"] = "start"
    run: str
    wanted: RunRequest
    runbook_path: Path
    inventory: Path
    plan_hash: str
    by: str
    reason: str


class Resume(_Strict):
    """Go on with a run."""

    kind: Literal["resume"] = "resume"
    run: str
    by: str
    reason: str


Request = Start | Resume
_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])


def read_request(text: str) -> Request:
    """Read a request.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return _REQUEST.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidInput(f"this is no request of chat's: {first['msg']}") from None


def drive(request: Request, engine: Engine) -> RunResult:
    """Do what was asked; returns when the run has ended.

    Raises:
        Refused: the plan is not the one that was shown, or a lease is held; nothing was touched.
        HoldfastError: as ``Engine.start`` and ``Engine.resume``.
    """
    if isinstance(request, Resume):
        return engine.resume(request.run, request.by, request.reason)
    plan = request.wanted.plan(engine.planner, request.runbook_path, request.inventory)
    if plan.hash != request.plan_hash:
        raise Refused(
            f"The plan of {plan.runbook} at {plan.site} changed since it was shown "
            f"({request.plan_hash}, now {plan.hash}); nothing was touched",
            remedy=f"holdfast plan {plan.runbook} {plan.site}",
        )
    return engine.start(plan, request.by, request.reason, request.run)


def child_environment(environ: Mapping[str, str], without: frozenset[str]) -> dict[str, str]:
    """The environment of a run: the bot's, without the variables that hold its tokens."""
    return {name: value for name, value in environ.items() if name not in without}
