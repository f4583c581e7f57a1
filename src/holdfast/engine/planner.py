"""``Planner``: makes a plan from a runbook's path, a site, inputs and a limit. Touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.ansible.interfaces import InventoryReader, PlaybookReader
from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.plan.builder import Lookups, build_plan
from holdfast.plan.model import Plan, SiteInventory
from holdfast.runbook.inputs import read_inputs
from holdfast.runbook.parser import parse_runbook


@dataclass(frozen=True, slots=True)
class Planner:
    """Reads runbooks, sites and playbooks, and checks them against each other.

    ``claim_group`` checks a claim with its parameters and returns the group that it is about.
    """

    inventories: InventoryReader
    playbooks: PlaybookReader
    claim_group: Callable[[Json], str]

    def plan(self, runbook: Path, site: Path, inputs: Mapping[str, str], limit: str = "") -> Plan:
        """Apply a runbook to a site.

        Raises:
            InvalidInput: the runbook, the inventory, an input or a name in them is wrong.
        """
        parsed = parse_runbook(str(runbook), read_text(runbook))
        typed = read_inputs(parsed.inputs, inputs)
        hosts = self.inventories.read(site, limit)
        names = Lookups(self.playbooks.read, self.claim_group)
        plan = build_plan(parsed, hosts, typed, limit, names)
        _refuse_closed(plan, hosts)
        return plan


def _refuse_closed(plan: Plan, site: SiteInventory) -> None:
    """Refuse a plan with a host that can be in no run: its play would fail in the middle of one."""
    for step in plan.steps:
        for host in getattr(step, "hosts", ()):
            if host in site.closed:
                message, remedy = site.closed[host]
                raise InvalidInput(f"{message} (step {step.number} has {host})", remedy=remedy)


def read_text(runbook: Path) -> str:
    """Return the text of a runbook's file.

    Raises:
        InvalidInput: it cannot be read, or is not UTF-8.
    """
    try:
        return runbook.read_text("utf-8")
    except OSError as error:
        raise InvalidInput(f"{runbook}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{runbook}: is not UTF-8 text: {error.reason}") from error
