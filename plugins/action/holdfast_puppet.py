"""Disable a host's Puppet agent with the run's id; enable it only where the run has disabled it; install its units.

The task's documentation is modules/holdfast_puppet.py. The act itself is a program on the host (``agent_lock.sh``), run
once under the lock of the agent's unit, in time and with the run's mark, as every act there (docs/adr/0022).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from holdfast import unit_program
from holdfast.action_plugin import ArgumentSpec, open_state
from holdfast.errors import CannotTell
from holdfast.journal.events import ActDone, ActIntended
from holdfast.mark_action import MarkAction, marked_service
from holdfast.model import Act, Json
from holdfast.observations.puppet import run_of
from holdfast.play_context import (
    PlayContext,
    Variables,
    require_grant,
    require_no_failure_beside,
)
from holdfast.probes.puppet import parse_agent
from holdfast.puppet_programs import (
    RUN_UNIT,
    disable_command,
    enable_command,
    install_command,
    state_command,
    unsaid,
)
from holdfast.unit_program import NOT_BEGUN, Limits

SECONDS = 60.0
"""How long the lock of the unit, and then the program, may take."""

STATES = ["shown", "installed", "disabled", "enabled"]
_ENDS = {
    "disabled": "run",
    "ours": "run",
    "others": "others",
    "enabled": "nobody",
    "none": "nobody",
}
_SAYS = {"run": "disabled by run {run}", "others": "disabled by somebody else", "nobody": "enabled"}


class ActionModule(MarkAction):
    """Calls ``Store.append_guarded`` and, on the host, the programs of ``holdfast.puppet_programs``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "state": {"type": "str", "choices": STATES, "required": True},
        "run": {"type": "str", "required": True},
        "reason": {"type": "str", "default": ""},
        "undo": {"type": "str", "default": ""},
    }

    _requires_connection = True
    _begun = False

    @property
    def acts(self) -> bool:
        """Whether it changes the host: not where it only reads."""
        return bool(self.arguments["state"] != "shown")

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``changed``, ``whose`` and ``message``; journal intent and outcome."""
        if not self.acts or self.check_mode:
            return self._shown()
        run = require_grant(PlayContext.of(variables))
        store = open_state(run.run)
        self.renew_marks(store, run, variables)
        freeze = arguments["state"] == "disabled"
        if arguments["state"] != "enabled":
            require_no_failure_beside(store, run.run, variables)
        # Before each of these: the units are gone with the host's boot, and the lock of the agent is not.
        changed = self._install()
        if arguments["state"] == "installed":
            return {**self._shown(), "changed": changed}
        found = unit_program.parse(self._said(unit_program.read(RUN_UNIT)))
        left = store.check(run.grant)  # before the transaction that proves the leases
        what = {"host": self.host, "unit": RUN_UNIT, "invocation_id": ""}
        limits = unit_program.limits_of(found, left, marked_service(variables), run.run)
        act = Act.FREEZE if freeze else Act.UNFREEZE
        intended = ActIntended(at=datetime.now(UTC), act=act, undo=arguments["undo"], **what)
        store.append_guarded(run.grant, intended)
        self._begun = True
        end, seconds = self._send(limits)
        whose = _ENDS[end]
        # What this run has disabled before, and finds disabled, is its own to give back.
        given = whose == "run" if freeze else end == "enabled"
        done = ActDone(at=datetime.now(UTC), act=act, seconds=seconds, changed=given, **what)
        store.append_guarded(run.grant, done)
        return self._result(whose, "", changed=end in {"disabled", "enabled"})

    def failed(self) -> str:
        """Return what is not known to be true; before the intent, what was not done."""
        state = self.arguments["state"]
        if self._begun:
            return f"{self.host}: its Puppet agent is not known to be {state}"
        if state == "installed":
            return f"{self.host}: the units that run its Puppet agent may not be there, {NOT_BEGUN}"
        return f"{self.host}: its Puppet agent may not be {state}, {NOT_BEGUN}"

    def _shown(self) -> dict[str, Json]:
        agent = parse_agent(self.host, self._said(state_command()))
        if agent.disabled is None:
            return self._result("nobody", "", changed=False)
        ours = run_of(agent.disabled) == self.arguments["run"]
        return self._result("run" if ours else "others", agent.disabled, changed=False)

    def _install(self) -> bool:
        """Put the units on the host, files that start nothing; return whether they were not there."""
        answer = self.execute(install_command())
        if answer["rc"] != 0 or "changed=" not in answer["stdout"]:
            raise CannotTell(f"the units of a run cannot be put there: {answer['stderr'].strip()}")
        return "changed=yes" in answer["stdout"]

    def _said(self, command: Sequence[str]) -> str:
        printed: str = self.execute(command)["stdout"]
        return printed

    def _send(self, limits: Limits) -> tuple[str, float]:
        """Run the program once; return what it did or found, and for how long it ran.

        Raises:
            CannotTell: it was not begun, or did not come to its end.
        """
        given = self.arguments
        argv = (
            disable_command(given["run"], given["reason"])
            if given["state"] == "disabled"
            else enable_command(given["run"])
        )
        self.send_once()
        command = unit_program.command(SECONDS, limits, argv)
        answer = unit_program.parse(self._said(command))
        if answer.end == "not_begun":
            raise CannotTell(f"{answer.message}; {NOT_BEGUN}")
        said = dict(line.split("=", 1) for line in answer.output if "=" in line)
        if said.get("state") not in _ENDS:
            raise CannotTell(unsaid(answer.output, answer.rc, answer.seconds))
        return said["state"], answer.seconds

    def _result(self, whose: str, message: str, *, changed: bool) -> dict[str, Json]:
        says = _SAYS[whose].format(run=self.arguments["run"])
        text = f"{self.host}: its Puppet agent is {says}" + (f": {message}" if message else "")
        return {"changed": changed, "whose": whose, "message": message, "msg": text}
