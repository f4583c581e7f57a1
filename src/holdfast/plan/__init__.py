"""Plans: a runbook applied to a site, and what to do next given a run's state. All of it pure.

Owns order, batches and every decision of a run; does no I/O and reads no clock.
"""

from holdfast.plan.builder import Lookups, build_plan
from holdfast.plan.decide import decide
from holdfast.plan.decision import (
    Abort,
    AskApproval,
    AwaitApproval,
    BeginStep,
    Decision,
    EndStep,
    Finish,
    Hold,
    Inspect,
    Refuse,
    Roll,
    TakeLease,
)
from holdfast.plan.host_order import next_batch, next_batches
from holdfast.plan.model import (
    Plan,
    PlannedApprove,
    PlannedCheck,
    PlannedRoll,
    PlannedStep,
    PlannedWait,
    Playbook,
    SiteInventory,
    plan_of,
)

__all__ = [
    "Abort",
    "AskApproval",
    "AwaitApproval",
    "BeginStep",
    "Decision",
    "EndStep",
    "Finish",
    "Hold",
    "Inspect",
    "Lookups",
    "Plan",
    "PlannedApprove",
    "PlannedCheck",
    "PlannedRoll",
    "PlannedStep",
    "PlannedWait",
    "Playbook",
    "Refuse",
    "Roll",
    "SiteInventory",
    "TakeLease",
    "build_plan",
    "decide",
    "next_batch",
    "next_batches",
    "plan_of",
]
