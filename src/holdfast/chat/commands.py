"""Does what a command asks, for somebody who may: every command is one method, and says one message.

Knows no platform. Reads runs from the journal through the engine, and changes them through it alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from holdfast.chat import approvals
from holdfast.chat.approvals import site_and_runbook
from holdfast.chat.command_parser import VERBS, Command
from holdfast.chat.config import Config, Role
from holdfast.chat.ledger import Ledger
from holdfast.chat.messages import help_message, plan_message, typeable
from holdfast.chat.permissions import Member, Permissions
from holdfast.chat.run_launcher import Launcher
from holdfast.chat.run_request import Resume, RunRequest, Start
from holdfast.chat.transport import Message, Place
from holdfast.engine import Engine, find_run, read_text, recent_runs
from holdfast.errors import InvalidInput, Refused, StateUnusable
from holdfast.journal import RunState, Status
from holdfast.plan import Plan
from holdfast.report.progress_text import plain
from holdfast.report.status_view import (
    leases_table,
    run_view,
    runbooks_table,
    runs_table,
    status_word,
)
from holdfast.runbook import Runbook, parse_runbook
from holdfast.store import Store
from holdfast.text import closest, count_of, join_names

_RECENT = 15
_LOOKED_AT = 5 * _RECENT
_CHECKS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and where: answers and the run's thread go to that channel."""

    member: Member
    transport: str
    place: Place


@dataclass
class CommandHandler:
    """``runbooks`` and ``inventories`` are those of the project, by name."""

    config: Config
    access: Permissions
    engine: Engine
    store: Store
    ledger: Ledger
    launcher: Launcher
    runbooks: Callable[[], Mapping[str, Path]]
    inventories: Callable[[], Mapping[str, Path]]
    clock: Callable[[], datetime]
    # Two commands that act never interleave: what one has looked at is still true when it acts.
    _acting: threading.Lock = field(default_factory=threading.Lock)
    # A check takes minutes where a fleet does not answer: there must be room for other commands.
    _checks: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(_CHECKS_AT_ONCE)
    )

    def answer(self, command: Command, asker: Asker) -> Message:
        """Do it, and say what was done.

        Raises:
            HoldfastError: it was not done; says why and what to type next.
        """
        return _VERBS[command.verb](self, command, asker)

    def press(self, token: str, asker: Asker) -> Message:
        """Do what a button stands for: the same as the command, bound to what the button was about.

        Raises:
            HoldfastError: as ``answer``; also for a token that no button of ours has.
        """
        verb, _, rest = token.partition(":")
        run, _, question = rest.partition(":")
        if run in self.store.runs():
            if verb == "approve" and question:
                return self._give_word(run, asker, question)
            if verb == "abort" and not question:
                return self.abort(Command("abort", {"run": run}), asker)
        raise InvalidInput("This button is not known", remedy="holdfast help")

    # --- looking ------------------------------------------------------------------------------

    def help(self, command: Command, _: Asker) -> Message:
        """What can be typed."""
        name = command.get("command")
        if name and name not in VERBS:
            near = closest(name, VERBS)
            raise InvalidInput(
                f"There is no command {name!r}" + f": did you mean {near}?" * bool(near),
                remedy=f"holdfast help {near}".strip(),
            )
        return help_message(VERBS.get(name))

    def list_runbooks(self, _: Command, asker: Asker) -> Message:
        """The runbooks that this person has a role for, at any site."""
        seen, broken = list[Runbook](), list[str]()
        for name, path in self.runbooks().items():
            if not any(self.access.sees(asker.member, site, name) for site in self.config.sites):
                continue
            try:
                seen.append(parse_runbook(str(path), read_text(path)))
            except InvalidInput:
                broken.append(name)
        text = f"{count_of(len(seen), 'runbook')}. next: holdfast plan RUNBOOK"
        if broken:
            text = f"Not in this list, for something in it is wrong: {join_names(broken)}\n{text}"
        return Message(text, plain(runbooks_table(seen)))

    def show(self, command: Command, asker: Asker) -> Message:
        """A runbook's text."""
        name, path = self._runbook(command, asker)
        _, _, text = read_text(path).partition("\n---\n")
        return Message(f"{name}. next: holdfast plan {name}", text.strip())

    def plan(self, command: Command, asker: Asker) -> Message:
        """What a run would do."""
        wanted = self._wanted(command, asker)
        self.access.require(asker.member, Role.VIEWER, wanted.site, wanted.runbook)
        inputs = [f"{name}={value}" for name, value in wanted.inputs.items()]
        words = ["holdfast run", wanted.runbook, wanted.site, wanted.limit, *inputs, "reason WHY"]
        return plan_message(self._planned(command, wanted, asker), " ".join(filter(None, words)))

    def status(self, command: Command, asker: Asker) -> Message:
        """How one run stands; without one, the newest and who holds what."""
        if command.get("run") or self.ledger.run_told_in(asker.place):
            state = self._run(command, asker, Role.VIEWER)
            view = typeable(plain(run_view(state, driven=self._driven(state))), state)
            return Message(f"{self._word(state)} [{state.run}]", view)
        seen, damaged = self._recent(asker.member)
        now = self.clock()
        leases = [
            (scope, row)
            for scope in self.store.scopes()
            if self.access.sees(asker.member, scope.partition("/")[0], "")
            for row in self.store.holders(scope, now)
        ]
        table = runs_table((state, self._word(state)) for state in seen)
        text = "next: holdfast status RUN"
        if damaged:
            text = f"Not in this list, for it cannot be read: {join_names(damaged)}\nnext: holdfast status {damaged[0]}"
        return Message(text, plain(table, "", leases_table(leases)))

    def _recent(self, member: Member) -> tuple[list[RunState], list[str]]:
        """The newest runs that the member may see, and those of which nobody can tell."""
        seen, damaged = list[RunState](), list[str]()
        for run, state in islice(recent_runs(self.store), _LOOKED_AT):
            if isinstance(state, StateUnusable):
                damaged.append(run)
            elif self.access.sees(member, *site_and_runbook(state)):
                seen.append(state)
            if len(seen) == _RECENT:
                break
        return seen, damaged

    def check(self, command: Command, asker: Asker) -> Message:
        """Whether the fleet is as it should be: the CLI's own answer."""
        site = self._site(command.get("site"), asker)
        self.access.require(asker.member, Role.VIEWER, site, "")
        inventory = self._inventory(site)
        if not self._checks.acquire(blocking=False):
            raise Refused(f"{_CHECKS_AT_ONCE} checks are under way already; ask again in a minute")
        try:
            said = self.launcher.check(inventory, command.many)
        finally:
            self._checks.release()
        return Message(f"check at {site}", said.replace(str(inventory), site))

    # --- acting -------------------------------------------------------------------------------

    def run(self, command: Command, asker: Asker) -> Message:
        """Start a run in a process of its own; it is told in a thread of this channel."""
        wanted = self._wanted(command, asker)
        self.access.require(asker.member, Role.OPERATOR, wanted.site, wanted.runbook)
        plan = self._planned(command, wanted, asker)
        with self._acting:
            run = self.engine.new_run(plan.runbook)
            # Before the launch: a bot that dies in between still knows where the run is to be told.
            self._follow(run, asker)
            self.launcher.launch(
                Start(
                    run=run,
                    wanted=wanted,
                    runbook_path=self._runbook(command, asker)[1],
                    inventory=self._inventory(wanted.site),
                    plan_hash=plan.hash,
                    by=asker.member.id,
                    reason=command.reason,
                )
            )
        return Message(f"Starting [{run}], plan {plan.hash}\nnext: holdfast status {run}")

    def resume(self, command: Command, asker: Asker) -> Message:
        """Go on with a run, in a process of its own."""
        state = self._run(command, asker, Role.OPERATOR)
        if state.status is Status.RUNNING and self._driven(state):
            raise Refused(
                f"Run {state.run} is running already", remedy=f"holdfast status {state.run}"
            )
        with self._acting:
            self._follow(state.run, asker)
            self.launcher.launch(Resume(run=state.run, by=asker.member.id, reason=command.reason))
        return Message(f"Resuming [{state.run}]\nnext: holdfast status {state.run}")

    def abort(self, command: Command, asker: Asker) -> Message:
        """Ask a run to stop."""
        state = self._run(command, asker, Role.OPERATOR)
        hard = "hard" in command.flags
        with self._acting:
            driven = self._driven(state)
            state = self.engine.ask_abort(state.run, asker.member.id, hard=hard)
        following = f"next: holdfast status {state.run}"
        if not driven and state.status is not Status.RUNNING:
            return Message(f"Closed [{state.run}]: nothing more is touched.\n{following}")
        when = "at once (hard stop)" if hard else "at the next boundary"
        return Message(f"Asked [{state.run}] to stop {when}.\n{following}")

    def approve(self, command: Command, asker: Asker) -> Message:
        """Give the word that a run waits for."""
        return self._give_word(self._run(command, asker, Role.APPROVER).run, asker)

    def _give_word(self, run: str, asker: Asker, question: str = "") -> Message:
        desk = approvals.ApprovalService(self.engine, self.access)
        with self._acting:
            given = desk.approve(asker.member, run, self.clock(), question)
        more = f"; {count_of(given.left, 'approval')} more wanted" * bool(given.left)
        return Message(f"Approved by {asker.member.name}: step {given.step} [{given.run}]{more}")

    # --- names --------------------------------------------------------------------------------

    def _wanted(self, command: Command, asker: Asker) -> RunRequest:
        name, _ = self._runbook(command, asker)
        site = self._site(command.get("site"), asker)
        return RunRequest(
            runbook=name,
            site=site,
            limit=command.get("limit"),
            inputs=dict(command.inputs),
            approval=self.access.asked(site, name),
        )

    def _planned(self, command: Command, wanted: RunRequest, asker: Asker) -> Plan:
        _, path = self._runbook(command, asker)
        return wanted.plan(self.engine.planner, path, self._inventory(wanted.site))

    def _runbook(self, command: Command, asker: Asker) -> tuple[str, Path]:
        name, known = command.get("runbook"), self.runbooks()
        if name in known and any(
            self.access.sees(asker.member, site, name) for site in self.config.sites
        ):
            return name, known[name]
        near = closest(name, known)
        hint = f"did you mean {near}?" if near else f"there are: {join_names(known) or 'none'}"
        raise InvalidInput(f"No runbook {name!r}: {hint}", remedy="holdfast runbooks")

    def _site(self, name: str, asker: Asker) -> str:
        known = [site for site in self.config.sites if self.access.sees(asker.member, site, "")]
        if not name and len(known) == 1:
            return known[0]
        if name in known:
            return name
        near = closest(name, known)
        hint = f"did you mean {near}?" if near else f"there are: {join_names(known) or 'none'}"
        raise InvalidInput(f"No site {name!r}: {hint}" if name else f"Which site? {hint}")

    def _inventory(self, site: str) -> Path:
        wanted = self.config.sites[site].inventory or site
        known = self.inventories()
        if wanted not in known:
            raise InvalidInput(
                f"The project has no inventory {wanted!r}; it has {join_names(known) or 'none'}",
                remedy="correct the site in the configuration of chat",
            )
        return known[wanted]

    def _run(self, command: Command, asker: Asker, role: Role) -> RunState:
        """The run that is meant: its id, a unique part of it, or the one whose thread this is."""
        part = command.get("run") or self.ledger.run_told_in(asker.place)
        if not part:
            raise InvalidInput(f"Which run? {VERBS[command.verb].usage}", remedy="holdfast status")
        state = self.engine.state(find_run(self.store, part))
        self.access.require(asker.member, role, *site_and_runbook(state))
        return state

    def _follow(self, run: str, asker: Asker) -> None:
        self.ledger.follow(run, "thread", asker.transport, asker.place.channel)
        if log := self.config.log:
            self.ledger.follow(run, "log", log.transport, log.channel)

    def _driven(self, state: RunState) -> bool:
        return self.engine.driver(state) is not None

    def _word(self, state: RunState) -> str:
        return status_word(state, driven=self._driven(state))


_VERBS: Mapping[str, Callable[[CommandHandler, Command, Asker], Message]] = {
    "help": CommandHandler.help,
    "runbooks": CommandHandler.list_runbooks,
    "show": CommandHandler.show,
    "plan": CommandHandler.plan,
    "run": CommandHandler.run,
    "status": CommandHandler.status,
    "resume": CommandHandler.resume,
    "abort": CommandHandler.abort,
    "approve": CommandHandler.approve,
    "check": CommandHandler.check,
}
