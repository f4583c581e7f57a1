"""Run one command on each of several hosts, as one act of the task's host (modules/holdfast_commands.py)."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import ClassVar

from ansible.errors import AnsibleConnectionFailure

from holdfast import unit_program
from holdfast.action_plugin import ArgumentSpec, HoldfastAction, open_state
from holdfast.errors import CannotTell, InvalidInput, OutcomeUnknown
from holdfast.journal.events import ActDone, ActIntended
from holdfast.mark_action import MarkAction
from holdfast.model import Act, Json
from holdfast.play_context import (
    PlayContext,
    Variables,
    require_grant,
    require_no_failure_beside,
)
from holdfast.policy import PlaybookPolicy
from holdfast.probes.base import ask_all
from holdfast.unit_program import NOT_BEGUN, ProgramAnswer, command_result

Run = Callable[[Sequence[str]], ProgramAnswer | str]


class ActionModule(MarkAction):
    """Calls ``Store.append_guarded`` and, on each host, ``unit_program``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "act": {"type": "str", "choices": [act.value for act in Act], "required": True},
        "hosts": {"type": "list", "elements": "str", "required": True},
        "unit": {"type": "str", "required": True},
        "turn_unit": {"type": "str", "required": True},
        "argv": {"type": "list", "elements": "str", "required": True},
        "timeout_seconds": {"type": "float", "default": 120.0},
        "undo": {"type": "str", "default": ""},
    }

    _requires_connection = True
    _begun = False

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``changed``, and by host how the command ended; fails unless it ended with 0 everywhere."""
        hosts = list(dict.fromkeys(arguments["hosts"]))
        strange = [host for host in hosts if host not in variables.raw["hostvars"]]
        if strange or not hosts:
            raise InvalidInput(f"no such host: {', '.join(strange) or 'none was named'}")
        where = f"{arguments['unit']} on {', '.join(hosts)}"
        if self.check_mode:
            return {"changed": True, "hosts": {}, "msg": f"would act on {where}"}
        run = require_grant(PlayContext.of(variables))
        store = open_state(run.run)
        if arguments["act"] == Act.DRAIN:
            require_no_failure_beside(store, run.run, variables)
        self.renew_marks(store, run, variables)
        policy = PlaybookPolicy.parse(variables["holdfast_policy"])
        self.place_marks(store, run, variables, [policy.group], hosts)
        runs = {host: self._on(self.on_host(host, variables)) for host in hosts}
        found = ask_all(runs, lambda send: _answered(send(unit_program.read(arguments["unit"]))))
        left = store.check(run.grant)  # before the transaction that proves the leases
        what = {"host": self.host, "act": arguments["act"], "unit": arguments["turn_unit"]}
        intended = ActIntended(
            at=datetime.now(UTC), undo=arguments["undo"], invocation_id="", **what
        )
        store.append_guarded(run.grant, intended)
        self._begun, began = True, monotonic()
        commands = {
            host: (runs[host], self._command(answer, left, policy.service, run.run))
            for host, answer in found.items()
        }
        ended = ask_all(commands, lambda each: each[0](each[1]))
        failed = {host: told for host, answer in ended.items() if (told := _fault(answer))}
        if not failed:
            took = round(monotonic() - began, 3)
            done = ActDone(at=datetime.now(UTC), seconds=took, invocation_id="", **what)
            store.append_guarded(run.grant, done)
        said = "; ".join(f"{host}: {told}" for host, told in failed.items())
        return {
            "changed": True,
            "failed": bool(failed),
            "hosts": {host: _result(answer) for host, answer in ended.items()},
            "msg": f"{where}: {said or 'done'}",
        }

    def failed(self) -> str:
        """Return what was not done or, once it was sent, what is not known."""
        what = f"{self.host}: {self.arguments['act']} of {self.arguments['unit']}"
        return what if self._begun else f"{what}: {NOT_BEGUN}"

    def _command(
        self, found: ProgramAnswer, left: timedelta, service: str, run: str
    ) -> Sequence[str]:
        limits = unit_program.limits_of(found, left, service, run)
        given = self.arguments
        return unit_program.command(given["timeout_seconds"], limits, given["argv"])

    def _on(self, action: HoldfastAction) -> Run:
        """Return what sends a command to a host, once, and returns its answer, or why it is not known."""
        action.send_once()
        # Ansible keeps the current task in context variables, which new threads do not have.
        return partial(_send, action, contextvars.copy_context())


def _send(
    action: HoldfastAction, context: contextvars.Context, command: Sequence[str]
) -> ProgramAnswer | str:
    try:
        printed = context.run(action.execute, command)
        return unit_program.parse(printed["stdout"], printed["stderr"])
    except (AnsibleConnectionFailure, OutcomeUnknown) as error:
        return f"what was done there is not known: {error}"


def _answered(answer: ProgramAnswer | str) -> ProgramAnswer:
    """Return the answer of a host that was read.

    Raises:
        CannotTell: it did not answer, or the unit cannot be read.
    """
    if isinstance(answer, str):
        raise CannotTell(answer.removeprefix("what was done there is not known: "))
    if answer.before is None:
        raise CannotTell(answer.message)
    return answer


def _fault(answer: ProgramAnswer | str) -> str:
    if isinstance(answer, str):
        return answer
    if answer.end == "not_begun":
        return f"{answer.message}; {NOT_BEGUN}"
    how = "was ended for taking too long" if answer.timed_out else f"ended with {answer.rc}"
    return "" if answer.rc == 0 else f"{how}: {' '.join(answer.output[-3:])}"


def _result(answer: ProgramAnswer | str) -> dict[str, Json]:
    return {"msg": answer} if isinstance(answer, str) else command_result(answer, "")
