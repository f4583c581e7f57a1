"""Runbooks: Markdown that a person can follow in a browser and Holdfast can run.

Owns the format, and nothing about hosts or plays: text in, frozen values or an error with file and
line out. The format (docs/writing-runbooks.md):

1. Front matter between ``---`` lines: ``name``, ``summary``, ``inputs``, ``leases``, ``approvals``.
2. Steps: ``## 1. Title``, prose that says why, and one fenced block tagged ``step`` that is a
   ``check``, a ``roll``, an ``approve`` or a ``wait``. Numbered from 1 without gaps.
3. Last, ``## If it holds``: what to look at, in prose.

Inside a block a value that is exactly ``$name`` stands for the input of that name; it is replaced as
a typed value and never becomes part of a text or a template.
"""

from holdfast.runbook.inputs import fill, read_inputs
from holdfast.runbook.model import (
    ApprovalPolicy,
    ApproveStep,
    CheckStep,
    Input,
    RollStep,
    Runbook,
    SettleSpec,
    Step,
    WaitStep,
    WorkStep,
)
from holdfast.runbook.parser import parse_runbook

__all__ = [
    "ApprovalPolicy",
    "ApproveStep",
    "CheckStep",
    "Input",
    "RollStep",
    "Runbook",
    "SettleSpec",
    "Step",
    "WaitStep",
    "WorkStep",
    "fill",
    "parse_runbook",
    "read_inputs",
]
