"""What a real salt looks like among processes when it runs agents, as on 2015-08-12."""

from __future__ import annotations

import subprocess
from pathlib import Path

from holdfast.model import Unanswered
from holdfast.observations.puppet import MassRun
from holdfast.probes.puppet import CONTROLLER, mass_runs, mass_runs_here
from tests.salt.conftest import Salt

INCIDENT = ("*", "cmd.run", "puppet agent -tv")


def seen_here() -> tuple[MassRun, ...]:
    found = mass_runs_here(Path("/proc"))
    assert not isinstance(found, Unanswered), found
    return tuple(found)


def seen_on_a_host() -> tuple[MassRun, ...]:
    """As a host of the group lists its processes."""
    listed = subprocess.run(
        ["ps", "-e", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    return tuple(mass_runs("cmp1", listed.stdout))


def test_a_salt_that_runs_no_agent_is_no_mass_run(salt: Salt) -> None:
    assert seen_here() == ()
    with salt.started("salt", "*", "cmd.run", "sleep 20"):
        assert "puppet" not in str(seen_on_a_host())
        assert seen_here() == ()


def test_the_command_of_the_incident_is_seen_where_it_was_typed_and_where_it_runs(
    salt: Salt,
) -> None:
    with salt.started("salt", *INCIDENT) as typed, salt.agent() as agent:
        here, there = seen_here(), seen_on_a_host()
    assert MassRun(CONTROLLER, typed.pid, "salt") in here
    assert MassRun("cmp1", agent, "salt") in there, "the agent that the minion has started"


def test_an_agent_that_outlives_the_command_is_still_seen_on_its_host(salt: Salt) -> None:
    """Ctrl-C ends the command on the master, and no agent."""
    with salt.started("salt", "--async", *INCIDENT) as typed, salt.agent() as agent:
        typed.wait()
        assert MassRun("cmp1", agent, "salt") in seen_on_a_host()
