"""The agent's disabled lock as an act: intent, act and outcome in one."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta

import pytest

from holdfast.journal.events import ActDone, ActIntended
from holdfast.model import Act, Json, LeaseMode
from holdfast.puppet_programs import RUN_UNIT
from holdfast.store.processes import holder_for
from tests.fakes.puppet_host import DISABLED, PuppetHost
from tests.unit.plugins.fake_hosts import FakeHosts


@pytest.fixture
def agent(hosts: FakeHosts) -> PuppetHost:
    (hosts.directory / "puppet").mkdir()
    agent = PuppetHost.at(hosts.directory / "puppet")
    unit = f"Id={RUN_UNIT}\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nInvocationID=\n"
    hosts.set_output(puppet=agent.command, **{f"show_{RUN_UNIT}": unit})
    (hosts.directory / "bin/puppet").chmod(0o755)
    return agent


def run_of(hosts: FakeHosts) -> dict[str, Json]:
    hosts.open_run("r1")
    store = hosts.store()
    holder = holder_for("r1", "ada", "why", os.getpid())
    grant = store.take(holder, {"east/cron": LeaseMode.EXCLUSIVE}, timedelta(minutes=1))
    policy = {"service": "cron", "group": "web", "batch_max": 1, "batch_max_reason": "a test"}
    hosts.mark("r1")
    return {
        "holdfast_run": "r1",
        "holdfast_grant": dict(grant.tokens),
        "holdfast_marked": {"service": "cron", "renew_at": time.time() + 300},
        "holdfast_policy": policy,
    }


def task(given: Json, name: str, variables: Json) -> Json:
    arguments = {"run": "r1", "reason": "a change", "undo": "release", **given}
    return {
        "holdfast_puppet": arguments,
        "register": name,
        "ignore_errors": True,
        "vars": variables,
    }


def test_an_agent_is_disabled_and_enabled_by_its_run_and_journaled(
    hosts: FakeHosts, agent: PuppetHost
) -> None:
    run = run_of(hosts)
    played = hosts.run_tasks(
        task({"state": "disabled"}, "disabled", run),
        task({"state": "shown"}, "shown", run),
        task({"state": "installed"}, "installed", run),
        task({"state": "shown", "run": "r2"}, "of_another", run),
        task({"state": "enabled", "run": "r2"}, "not_theirs", run),
        task({"state": "enabled"}, "enabled", run),
    )
    found = {name: (each["changed"], each["whose"]) for name, each in played.results.items()}
    assert found == {
        "disabled": (True, "run"),
        "shown": (False, "run"),
        "installed": (False, "run"),  # the act before has put the units there
        "of_another": (False, "others"),
        "not_theirs": (False, "others"),
        "enabled": (True, "nobody"),
    }
    assert played.results["shown"]["message"] == "holdfast:r1: a change"
    assert not (agent.state / DISABLED).exists()
    events = [each for each in hosts.journal("r1") if isinstance(each, ActIntended | ActDone)]
    acts = [(each.kind, each.act) for each in events]
    wanted = (Act.FREEZE, Act.UNFREEZE, Act.UNFREEZE)
    assert acts == [(kind, act) for act in wanted for kind in ("act_intended", "act_done")]
    assert (hosts.locks / "units" / RUN_UNIT).exists()


def test_what_may_not_be_done_is_not_begun(hosts: FakeHosts, agent: PuppetHost) -> None:
    run = run_of(hosts)
    others = json.dumps({"disabled_message": "disk, ask Eve"})
    played = hosts.run_tasks(
        task({"state": "disabled"}, "no_lease", {}), task({"state": "installed"}, "no_units", {})
    )
    assert "units that run its Puppet agent may not be there" in played.results["no_units"]["msg"]
    assert "may not be disabled, nothing was touched" in played.results["no_lease"]["msg"]
    (agent.state / DISABLED).write_text(others)
    played = hosts.run_tasks(task({"state": "disabled"}, "others", run))
    assert (played.results["others"]["whose"], played.results["others"]["changed"]) == ("others", False)  # fmt: skip
    assert (agent.state / DISABLED).read_text() == others
    done = [each for each in hosts.journal("r1") if isinstance(each, ActDone)]
    assert [each.changed for each in done] == [False]
    (agent.state / DISABLED).unlink()
    hosts.mark("r2")
    played = hosts.run_tasks(task({"state": "disabled"}, "marked", run))
    assert "marked by another run, r2" in played.results["marked"]["msg"]
    assert not (agent.state / DISABLED).exists()
