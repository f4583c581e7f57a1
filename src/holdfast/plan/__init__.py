"""Plans: a runbook applied to a site, and the next decision of a run from its state. Pure.

``builder`` makes plans, ``model`` has their types, ``decide`` makes every decision of a run,
``host_order`` says which hosts come next. Does no I/O and reads no clock.
"""

from holdfast.plan.builder import Lookups, build_plan
from holdfast.plan.decide import decide
from holdfast.plan.decision import (
    Abort,
    AwaitApproval,
    BeginStep,
    Decision,
    EndStep,
    Finish,
    Hold,
    Inspect,
    Refuse,
    RequestApproval,
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
    "RequestApproval",
    "Roll",
    "SiteInventory",
    "TakeLease",
    "build_plan",
    "decide",
    "next_batch",
    "next_batches",
    "plan_of",
]
