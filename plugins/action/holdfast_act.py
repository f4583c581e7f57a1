"""Act on a unit once, in one step: read it, journal the intent, act, journal the outcome (modules/holdfast_act.py).

A play of one host whose act comes first after the engine's word waits for it here (docs/adr/0077).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from holdfast import unit_program
from holdfast.action_plugin import ArgumentSpec, open_state
from holdfast.errors import CannotTell, InvalidInput
from holdfast.journal.events import ActDone, ActIntended
from holdfast.mark_action import MarkAction, marked_service
from holdfast.model import Act, Json
from holdfast.play_context import (
    PlayContext,
    Variables,
    require_grant,
    require_no_failure_beside,
)
from holdfast.prepared_read import prepared
from holdfast.store.database import Store
from holdfast.unit_program import (
    NOT_BEGUN,
    Limits,
    ProgramAnswer,
    ShownUnit,
    command_result,
    restart_result,
    shown,
)
from holdfast.waiting_action import WaitingAction
from holdfast.word import PARK, ending_with_its_parent, is_ahead

BEGINS = (Act.DRAIN, Act.RESTART)  # the others give back what was taken, or end a roll


class ActionModule(WaitingAction, MarkAction):
    """Calls ``Store.append_guarded`` and, on the host, ``unit_program``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "act": {"type": "str", "choices": [act.value for act in Act], "required": True},
        "unit": {"type": "str", "required": True},
        "argv": {"type": "list", "elements": "str"},
        "timeout_seconds": {"type": "float", "default": 900.0},
        "log": {"type": "str", "default": ""},
        "undo": {"type": "str", "default": ""},
        "ends_with_restart": {"type": "bool", "default": False},
        "waits": {"type": "bool", "default": False},
    }

    _requires_connection = True
    _sent = False

    @property
    def acts(self) -> bool:
        """Whether it must not be called before the engine's word; one that waits for it acts only after it."""
        return not self.arguments["waits"]

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return what was done, after the engine's word where that has not come yet."""
        if not is_ahead(variables):
            return self._act(arguments, variables)
        if len(variables["ansible_play_batch"]) != 1:
            raise InvalidInput(
                "the hosts of a batch wait for the engine's word in a task of its own"
            )
        first_act = {name: arguments[name] for name in ("act", "unit", "log")}
        with ending_with_its_parent():
            at_word = self.wait_for_word(variables[PARK], first_act, variables)
        if at_word.failed:
            return at_word.result
        facts = {"ansible_facts": at_word.result["ansible_facts"]}
        return self._act(arguments, at_word.variables) | facts

    def _act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return what was done; the outcome of a restart is journaled, that of a command is looked at by the role."""
        if arguments["timeout_seconds"] <= 0:
            raise InvalidInput("timeout_seconds must be more than 0: the act would have no end")
        if self.check_mode:
            return self._would(self._read())
        run = require_grant(PlayContext.of(variables))
        store = open_state(run.run)
        self.renew_marks(store, run, variables)
        found = prepared(variables, arguments) or self._read()
        if arguments["act"] in BEGINS:
            require_no_failure_beside(store, run.run, variables)
        limits = self._intend(store, run, found, marked_service(variables))
        if arguments["argv"]:
            return self._command(limits)
        return self._restart(store, run, found.before, limits)

    def failed(self) -> str:
        """Return what was not done or, once it was sent to the host, what is not known."""
        what = f"{self.arguments['act']} {self.arguments['unit']}"
        return f"{self.host}: {what}" if self._sent else f"{self.host}: may not {what}, {NOT_BEGUN}"

    @property
    def _what(self) -> str:
        argv: Sequence[str] | None = self.arguments["argv"]
        return f"`{shown(argv)}`" if argv else f"restart of {self.arguments['unit']}"

    def _read(self) -> ProgramAnswer:
        answer = self._ask(unit_program.read(self.arguments["unit"], self.arguments["log"]))
        if answer.before is None:
            raise CannotTell(answer.message)
        return answer

    def _send(self, command: Sequence[str]) -> ProgramAnswer:
        """Send an act to the host, once: a site's retries of ssh would send it again where the connection breaks."""
        self.send_once()
        self._sent = True
        return self._ask(command)

    def _ask(self, command: Sequence[str]) -> ProgramAnswer:
        printed = self.execute(command)
        return unit_program.parse(printed["stdout"], printed["stderr"])

    def _would(self, found: ProgramAnswer) -> dict[str, Json]:
        """Return what a play with --check reports: the result of an act that has changed nothing."""
        argv = self.arguments["argv"]
        message = f"{self.host}: would {f'run {self._what}' if argv else 'restart'}: {found.before}"
        self.show(message)
        result = command_result(found, "") | {"rc": 0} if argv else restart_result(found)
        return result | {"failed": False, "changed": True, "msg": message}

    def _intend(self, store: Store, run: PlayContext, found: ProgramAnswer, service: str) -> Limits:
        """Journal the intent, and return until when the act may begin, by the host's own clock (docs/adr/0022)."""
        # Asked after the clock was read and before the transaction that proves the leases, so never after their expiry.
        limits = unit_program.limits_of(found, store.check(run.grant), service, run.run)
        given = self.arguments
        intended = ActIntended(
            at=datetime.now(UTC),
            host=self.host,
            act=given["act"],
            unit=given["unit"],
            invocation_id=found.before.invocation_id if found.before and not given["argv"] else "",
            undo=given["undo"],
            ends_with_restart=given["ends_with_restart"],
            log=found.log.model_dump(exclude_defaults=True, mode="json"),
        )
        store.append_guarded(run.grant, intended)
        return limits

    def _restart(
        self, store: Store, run: PlayContext, before: ShownUnit | None, limits: Limits
    ) -> dict[str, Json]:
        """Restart the unit once, and journal the outcome where it is known."""
        unit, seconds = self.arguments["unit"], self.arguments["timeout_seconds"]
        intended = before.invocation_id if before else ""
        answer = self._send(unit_program.restart(seconds, limits, intended))
        result = restart_result(answer)
        if answer.end in ("done", "already_restarted"):
            done = ActDone(
                at=datetime.now(UTC),
                host=self.host,
                act=Act.RESTART,
                unit=unit,
                invocation_id=result["after"],
                seconds=answer.seconds,
                changed=result["changed"],
            )
            store.append_guarded(run.grant, done)
        return result | {"msg": f"{self.host}: {result['msg']}", "run": run.run}

    def _command(self, limits: Limits) -> dict[str, Json]:
        """Run the command once, and return how it ended: evidence, by which the task does not fail."""
        given = self.arguments
        sent = unit_program.command(given["timeout_seconds"], limits, given["argv"])
        answer = self._send(sent)
        if answer.end == "not_begun":
            message = f"{self.host}: {self._what} was not run: {answer.message}; {NOT_BEGUN}"
            return {"failed": True, "msg": message}
        return command_result(answer, shown(given["argv"]))
