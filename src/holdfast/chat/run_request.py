"""The request that a run's process reads from its standard input: start a run, or resume one.

Neither the reason nor any value that somebody typed is ever an argument or in the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from holdfast.chat.config import StrictModel
from holdfast.engine.driver import RunResult
from holdfast.engine.engine import Engine
from holdfast.engine.planner import Planner
from holdfast.errors import InvalidInput, Refused
from holdfast.people import Approvers
from holdfast.plan.model import Plan
from holdfast.runbook.model import ApprovalPolicy


class PlanRequest(StrictModel):
    """A runbook at a site, with its inputs as typed; ``approval`` is needed before the run begins."""

    runbook: str
    site: str
    limit: str = ""
    inputs: dict[str, str] = Field(default_factory=dict)
    approval: ApprovalPolicy | None = None

    def plan(self, planner: Planner, runbook: Path, inventory: Path) -> Plan:
        """Return the plan; touches nothing.

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


class StartRun(StrictModel):
    """Start exactly the plan that was shown, as the run of this id."""

    kind: Literal["start"] = "start"
    run: str
    plan_request: PlanRequest
    runbook_path: Path
    inventory: Path
    plan_hash: str
    by: str
    reason: str
    approvers: Approvers = Approvers()


class ResumeRun(StrictModel):
    """Resume a run."""

    kind: Literal["resume"] = "resume"
    run: str
    by: str
    reason: str
    approvers: Approvers = Approvers()


RunRequest = StartRun | ResumeRun
_REQUEST: TypeAdapter[RunRequest] = TypeAdapter(Annotated[RunRequest, Field(discriminator="kind")])


def read_request(text: str) -> RunRequest:
    """Parse a request.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return _REQUEST.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidInput(f"this is no request of chat: {first['msg']}") from None


def drive(request: RunRequest, engine: Engine) -> RunResult:
    """Execute the request; returns when the run has ended.

    Raises:
        Refused: the plan is not the one that was shown, or a lease is held; nothing was touched.
        HoldfastError: as ``Engine.start`` and ``Engine.resume``.
    """
    if isinstance(request, ResumeRun):
        return engine.resume(request.run, request.by, request.reason, approvers=request.approvers)
    plan = request.plan_request.plan(engine.planner, request.runbook_path, request.inventory)
    if plan.hash != request.plan_hash:
        raise Refused(
            f"The plan of {plan.runbook} at {plan.site} changed since it was shown "
            f"({request.plan_hash}, now {plan.hash}); nothing was touched. If this happens again, the bot is "
            "of another version than the project: restart it",
            remedy=f"holdfast plan {plan.runbook} --site {plan.site}",
        )
    return engine.start(plan, request.by, request.reason, request.run, request.approvers)
