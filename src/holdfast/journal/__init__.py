"""The journal read back: from a run's events to its state, a pure fold.

Owns what events mean together; does no I/O and reads no clock. ``fold`` is all a reader needs;
``advance`` adds later events to a state one already has.
"""

from holdfast.journal.fold import advance, fold
from holdfast.journal.run_state import (
    ActRecord,
    Batch,
    Failure,
    Inspection,
    Restart,
    RunState,
    Status,
    StepState,
    Turn,
    canonical,
)

__all__ = [
    "ActRecord",
    "Batch",
    "Failure",
    "Inspection",
    "Restart",
    "RunState",
    "Status",
    "StepState",
    "Turn",
    "advance",
    "canonical",
    "fold",
]
