"""A plan is made of hosts whose variables can be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.engine.planner import Planner
from holdfast.errors import InvalidInput
from holdfast.plan.model import SiteInventory
from tests.unit.engine.engine_harness import FakePlaybooks, make_policy, write_runbook


@dataclass
class ClosedInventory:
    """Three brokers and a host of another team, whose variables cannot be read."""

    closed: str

    def read(self, site: Path, limit: str) -> SiteInventory:
        hosts = ("ctl1", "ctl2", "ctl3")
        groups = {"broker": hosts, "billing": ("bill1",), "all": (*hosts, "bill1")}
        closed = {self.closed: ("the vault cannot be opened", "name its password")}
        return SiteInventory(f"lab{limit}", str(site), groups, closed=closed)


def planner(closed: str) -> Planner:
    playbooks = FakePlaybooks({"broker_restart.yml": make_policy()})
    return Planner(ClosedInventory(closed), playbooks, lambda _: "broker")


def test_a_host_whose_variables_cannot_be_read_is_in_no_plan(tmp_path: Path) -> None:
    runbook = write_runbook(tmp_path, "roll: broker_restart.yml\nhosts: broker")

    assert planner("bill1").plan(runbook, tmp_path, {}).steps
    with pytest.raises(InvalidInput, match=r"cannot be opened \(step 1 has ctl2\)") as caught:
        planner("ctl2").plan(runbook, tmp_path, {})
    assert caught.value.remedy == "name its password"
