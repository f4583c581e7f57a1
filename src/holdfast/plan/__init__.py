"""Plans: a runbook applied to a site, and what to do next given a run's state. All of it pure.

Owns order, batches and every decision of a run; does no I/O and reads no clock.
"""

from holdfast.plan.deciding import decide
from holdfast.plan.decisions import (
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
from holdfast.plan.making import Ingredients, make_plan
from holdfast.plan.model import (
    Plan,
    PlannedApprove,
    PlannedCheck,
    PlannedRoll,
    PlannedStep,
    PlannedWait,
    Playbook,
    Policy,
    Site,
)
from holdfast.plan.order import next_batch, next_batches

__all__ = [
    "Abort",
    "AskApproval",
    "AwaitApproval",
    "BeginStep",
    "Decision",
    "EndStep",
    "Finish",
    "Hold",
    "Ingredients",
    "Inspect",
    "Plan",
    "PlannedApprove",
    "PlannedCheck",
    "PlannedRoll",
    "PlannedStep",
    "PlannedWait",
    "Playbook",
    "Policy",
    "Refuse",
    "Roll",
    "Site",
    "TakeLease",
    "decide",
    "make_plan",
    "next_batch",
    "next_batches",
]
