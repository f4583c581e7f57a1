"""Executes commands for those who may give them: one method for each, which returns one message.

Knows no platform. Reads runs from the journal, and changes them through the engine alone.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from holdfast.chat.approvals import approve, reject, site_and_runbook
from holdfast.chat.command_parser import CHAT_VERBS, Command, find_verb, usage
from holdfast.chat.config import Role
from holdfast.chat.dependencies import BotDependencies
from holdfast.chat.messages import by_name, help_message, plan_message, typeable
from holdfast.chat.permissions import Member
from holdfast.chat.run_request import PlanRequest, ResumeRun, StartRun
from holdfast.chat.transport import Location, Message
from holdfast.engine.hold_report import rerun_command
from holdfast.engine.planner import read_text
from holdfast.engine.run_lookup import find_run, read_run, recent_outlines, service_leases
from holdfast.errors import InvalidInput, Refused, StateUnusable
from holdfast.journal.run_state import RunState, Status
from holdfast.plan.model import Plan
from holdfast.report import build_report
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import event_line, plain, progress_lines
from holdfast.report.status_view import (
    leases_table,
    run_view,
    runbooks_table,
    runs_table,
    status_word,
)
from holdfast.report.table import report_tables
from holdfast.runbook.model import Runbook
from holdfast.runbook.parser import parse_runbook
from holdfast.runbook.sections import section_of
from holdfast.text import closest, count_of, did_you_mean, join_names

_SHOWN = 15
_MOST_READ = 5 * _SHOWN
_CHECKS_AT_ONCE = 2
_LINES, _LONGEST_LINE = 20, 130
"""What one message holds of a log."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who gives a command, and where: replies and the run's thread go to that channel."""

    member: Member
    transport: str
    location: Location


@dataclass
class CommandHandler:
    """Answers commands and button presses; safe to use from several threads.

    A command is done by the method of its name.
    """

    dependencies: BotDependencies
    # Two commands that act never interleave: what one has read is still true when it acts.
    _acting: threading.Lock = field(default_factory=threading.Lock)
    # A check takes minutes where a fleet does not answer: there must be room for other commands.
    _checks: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(_CHECKS_AT_ONCE)
    )

    def answer(self, command: Command, requester: Requester) -> Message:
        """Execute a command and return what was done.

        Raises:
            HoldfastError: it was not done; says why and what to type next.
        """
        message: Message = getattr(self, command.verb)(command, requester)
        return message

    def press(self, token: str, requester: Requester) -> Message:
        """Execute the command of a button, bound to what the button was about.

        Raises:
            HoldfastError: as ``answer``; also for a token that no button of the bot has.
        """
        verb, _, rest = token.partition(":")
        run, _, question = rest.partition(":")
        if run in self.dependencies.store.runs():
            if verb == "approve" and question:
                return self._approve(run, requester, question)
            if verb == "reject" and question:
                return self._reject(run, requester, "by button, without a reason", question)
            if verb == "abort" and not question:
                return self.abort(Command("abort", {"run": run}), requester)
        raise InvalidInput("This button is not known", remedy="holdfast help")

    # --- commands that change nothing ---------------------------------------------------------

    def help(self, command: Command, _: Requester) -> Message:
        """Return what can be typed."""
        name = command.get("command")
        return help_message(*([find_verb(name)] if name else CHAT_VERBS.values()))

    def runbooks(self, _: Command, requester: Requester) -> Message:
        """Return the runbooks that this person has a role for, at any site."""
        seen, broken = list[Runbook](), list[str]()
        for name, path in self.dependencies.runbooks().items():
            if not self._may_view_runbook(requester, name):
                continue
            try:
                seen.append(parse_runbook(str(path), read_text(path)))
            except InvalidInput:
                broken.append(name)
        follow = f"plan {seen[0].name}" if seen else "help"
        text = f"{count_of(len(seen), 'runbook')}. next: holdfast {follow}"
        if broken:
            text = f"Not listed, because they are invalid: {join_names(broken)}\n{text}"
        return Message(text, plain(runbooks_table(seen)))

    def show(self, command: Command, requester: Requester) -> Message:
        """Return a runbook's text."""
        named, sharp, section = command.get("runbook").partition("#")
        name, path = self._runbook(replace(command, values={"runbook": named}), requester)
        _, _, text = read_text(path).partition("\n---\n")
        shown = section_of(text, section, name) if sharp else text
        return Message(f"{name}. next: holdfast plan {name}", shown.strip())

    def plan(self, command: Command, requester: Requester) -> Message:
        """Return what a run would do."""
        request, plan = self._plan(command, requester, Role.VIEWER)
        words = ["holdfast", "run", request.runbook, "--site", request.site]
        words += ["--limit", request.limit] if request.limit else []
        for name, value in request.inputs.items():
            words += ["--input", f"{name}={value}"]
        return plan_message(plan, f"{shlex.join(words)} --reason '…'")

    def status(self, command: Command, requester: Requester) -> Message:
        """Return how one run stands; without one, the newest runs and who holds which lease."""
        deps = self.dependencies
        if command.get("run") or deps.delivery.run_of_thread(requester.location):
            state = self._run(command, requester, Role.VIEWER)
            strays = deps.engine.stray_plays(state)
            driven = self._is_driven(state)
            shown = run_view(state, deps.clock(), driven=driven, strays=strays)
            view = typeable(plain(shown), state)
            return Message(f"{self._status_word(state)} [{state.run}]", view)
        seen, damaged = self._recent(requester.member)
        leases = [
            (scope, row)
            for scope, row in service_leases(deps.store)
            if deps.permissions.may_view(requester.member, scope.partition("/")[0], "")
        ]
        table = runs_table((state, self._status_word(state)) for state in seen)
        text = f"next: holdfast status {seen[0].run}" if seen else "next: holdfast runbooks"
        if damaged:
            text = f"Not listed, because they cannot be read: {join_names(damaged)}\nnext: holdfast status {damaged[0]}"
        warning = deps.store.clock_warning(deps.clock)
        return Message(
            text, plain(table, "", leases_table(leases), *([warning] if warning else []))
        )

    def _recent(self, member: Member) -> tuple[list[RunState], list[str]]:
        """Return the newest runs that the member may see, and those that cannot be read."""
        seen, damaged = list[RunState](), list[str]()
        for run, state in islice(recent_outlines(self.dependencies.store), _MOST_READ):
            if isinstance(state, StateUnusable):
                damaged.append(run)
            elif self.dependencies.permissions.may_view(member, *site_and_runbook(state)):
                seen.append(state)
            if len(seen) == _SHOWN:
                break
        return seen, damaged

    def watch(self, command: Command, requester: Requester) -> Message:
        """Return how far a run is; it is followed here, unless it is posted somewhere already, or is over."""
        deps = self.dependencies
        state = self._run(command, requester, Role.VIEWER)
        over, driven = state.status in {Status.FINISHED, Status.REFUSED}, self._is_driven(state)
        if not over and not deps.delivery.is_followed(state.run):
            deps.follow(state.run, requester.transport, requester.location.channel)
        progress = RunProgress()
        for recorded in deps.store.read(state.run):
            progress.add(recorded)
        then = ": its thread is updated as the run goes on"
        if not driven:
            then = f"\nnext: holdfast {'report' if over else 'status'} {state.run}"
        moment = deps.clock() if driven else state.at or deps.clock()
        text = f"{self._status_word(state)} [{state.run}]{then}"
        return Message(text, plain(*progress_lines(progress, moment)))

    def log(self, command: Command, requester: Requester) -> Message:
        """Return the newest events of a run."""
        state = self._run(command, requester, Role.VIEWER)
        journal = self.dependencies.store.read(state.run)
        lines = [plain(event_line(recorded))[:_LONGEST_LINE] for recorded in journal[-_LINES:]]
        count = f"newest {len(lines)} of {count_of(len(journal), 'event')}"
        return Message(f"log [{state.run}], {count}", "\n".join(lines))

    def report(self, command: Command, requester: Requester) -> Message:
        """Return the report on a run."""
        state = self._run(command, requester, Role.VIEWER)
        report = build_report([self.dependencies.store.read(state.run)])
        return Message(f"report [{state.run}]", plain(report_tables(report)))

    def check(self, command: Command, requester: Requester) -> Message:
        """Return whether claims hold, as the command line reports it."""
        asked = ["--list"] if command.listed else command.claims
        return self._ask(command, requester, lambda at: self.dependencies.launcher.check(at, asked))

    def diagnose(self, command: Command, requester: Requester) -> Message:
        """Return what is wrong at a site, as the command line reports it."""
        return self._ask(command, requester, self.dependencies.launcher.diagnose)

    def _ask(self, command: Command, requester: Requester, ask: Callable[[Path], str]) -> Message:
        """Return the output of a command that asks the services of a site, which goes by its name in chat."""
        site = self._site(command.get("site"), requester)
        self.dependencies.permissions.require(requester.member, Role.VIEWER, site, "")
        inventory = self._inventory(site)
        if not self._checks.acquire(blocking=False):
            raise Refused(f"{_CHECKS_AT_ONCE} checks are running already; ask again in a minute")
        try:
            output = ask(inventory)
        finally:
            self._checks.release()
        return Message(f"{command.verb} at {site}", by_name(output, inventory, site))

    # --- commands that act --------------------------------------------------------------------

    def run(self, command: Command, requester: Requester) -> Message:
        """Start a run in a process of its own; it is posted to a thread of this channel."""
        request, plan = self._plan(command, requester, Role.OPERATOR)
        with self._acting:
            run = self.dependencies.engine.new_run(plan.runbook)
            # Before the launch: a bot that dies in between still knows where to post the run.
            self.dependencies.follow(run, requester.transport, requester.location.channel)
            self.dependencies.launcher.launch(
                StartRun(
                    run=run,
                    plan_request=request,
                    runbook_path=self._runbook(command, requester)[1],
                    inventory=self._inventory(request.site),
                    plan_hash=plan.hash,
                    by=requester.member.id,
                    reason=command.reason,
                    approvers=self.dependencies.permissions.approvers(request.site, plan.runbook),
                )
            )
        return Message(f"Starting [{run}], plan {plan.hash}\nnext: holdfast status {run}")

    def resume(self, command: Command, requester: Requester) -> Message:
        """Continue a run, in a process of its own."""
        state = self._run(command, requester, Role.OPERATOR)
        run, by = state.run, requester.member.id
        if state.status is Status.RUNNING and self._is_driven(state):
            raise Refused(f"Run {run} is running already", remedy=f"holdfast status {run}")
        if state.status in {Status.FINISHED, Status.REFUSED}:
            again = typeable(rerun_command(state), state)
            raise Refused(f"Run {run} is {state.status}: there is nothing to resume", remedy=again)
        with self._acting:
            self.dependencies.follow(run, requester.transport, requester.location.channel)
            approvers = self.dependencies.permissions.approvers(*site_and_runbook(state))
            self.dependencies.launcher.launch(
                ResumeRun(run=run, by=by, reason=command.reason, approvers=approvers)
            )
        return Message(f"Resuming [{run}]\nnext: holdfast status {run}")

    def abort(self, command: Command, requester: Requester) -> Message:
        """Ask a run to stop."""
        state = self._run(command, requester, Role.OPERATOR)
        engine, by = self.dependencies.engine, requester.member.id
        with self._acting:
            driven = self._is_driven(state)
            told: list[str] = []
            state = engine.request_abort(state.run, by, hard=command.hard, tell=told.append)
        following = f"next: holdfast status {state.run}"
        if not driven and state.status is not Status.RUNNING:
            closed = "; ".join(["nothing more is touched", *told])
            return Message(f"Closed [{state.run}]: {closed}.\n{following}")
        when = "at once (hard stop)" if command.hard else "at the next boundary"
        return Message(f"Asked [{state.run}] to stop {when}.\n{following}")

    def approve(self, command: Command, requester: Requester) -> Message:
        """Approve the step that a run waits for."""
        return self._approve(self._run(command, requester, Role.APPROVER).run, requester)

    def _approve(self, run: str, requester: Requester, question: str = "") -> Message:
        member = requester.member
        with self._acting:
            given = approve(self.dependencies, member, run, question)
        more = f"; {count_of(given.left, 'approval')} more needed" * bool(given.left)
        return Message(f"Approved by {member.name}: step {given.step} [{given.run}]{more}")

    def reject(self, command: Command, requester: Requester) -> Message:
        """Say no to what a run waits for."""
        run = self._run(command, requester, Role.APPROVER).run
        return self._reject(run, requester, command.reason)

    def _reject(self, run: str, requester: Requester, reason: str, question: str = "") -> Message:
        member = requester.member
        with self._acting:
            step = reject(self.dependencies, member, run, reason, question)
        return Message(
            f"Rejected by {member.name}: step {step} [{run}]\nnext: holdfast status {run}"
        )

    # --- names --------------------------------------------------------------------------------

    def _plan(self, command: Command, requester: Requester, role: Role) -> tuple[PlanRequest, Plan]:
        """Return what is asked for and its plan, if the requester has the role there."""
        deps = self.dependencies
        name, path = self._runbook(command, requester)
        named, limit = self._site_and_limit(command, requester)
        site = self._site(named, requester)
        request = PlanRequest(
            runbook=name,
            site=site,
            limit=limit,
            inputs=command.inputs,
            approval=deps.permissions.required_approval(site, name),
        )
        deps.permissions.require(requester.member, role, site, name)
        return request, request.plan(deps.engine.planner, path, self._inventory(site))

    def _runbook(self, command: Command, requester: Requester) -> tuple[str, Path]:
        name, known = command.get("runbook"), self.dependencies.runbooks()
        if name in known and self._may_view_runbook(requester, name):
            return name, known[name]
        raise InvalidInput(
            f"No runbook {name!r}: {did_you_mean(name, known)}", remedy="holdfast runbooks"
        )

    def _may_view_runbook(self, requester: Requester, runbook: str) -> bool:
        sites, permissions = self.dependencies.config.sites, self.dependencies.permissions
        return any(permissions.may_view(requester.member, site, runbook) for site in sites)

    def _site_and_limit(self, command: Command, requester: Requester) -> tuple[str, str]:
        """Return both; one word that is near no site's name is the limit, where there is one site."""
        site, limit = command.get("site"), command.get("limit")
        known = self._sites(requester)
        if site and not limit and len(known) == 1 and not closest(site, known):
            return "", site
        return site, limit

    def _sites(self, requester: Requester) -> list[str]:
        permissions = self.dependencies.permissions
        sites = self.dependencies.config.sites
        return [site for site in sites if permissions.may_view(requester.member, site, "")]

    def _site(self, name: str, requester: Requester) -> str:
        known = self._sites(requester)
        if not name and len(known) == 1:
            return known[0]
        if name in known:
            return name
        near = did_you_mean(name, known)
        if not name:
            raise InvalidInput(f"Which site? {near}")
        raise InvalidInput(f"No site {name!r}: {near}", remedy=f"a limit: --limit {name}")

    def _inventory(self, site: str) -> Path:
        name = self.dependencies.config.sites[site].inventory or site
        known = self.dependencies.inventories()
        if name not in known:
            raise InvalidInput(
                f"The project has no inventory {name!r}; {did_you_mean(name, known)}",
                remedy="correct the site in the configuration of chat",
            )
        return known[name]

    def _run(self, command: Command, requester: Requester, role: Role) -> RunState:
        """Return the run that is meant: by its id, a unique part of it, or its thread."""
        deps = self.dependencies
        part = command.get("run") or deps.delivery.run_of_thread(requester.location)
        if not part:
            typed = usage(CHAT_VERBS[command.verb])
            raise InvalidInput(f"Which run? {typed}", remedy="holdfast status")
        state = read_run(deps.store, find_run(deps.store, part))
        deps.permissions.require(requester.member, role, *site_and_runbook(state))
        return state

    def _is_driven(self, state: RunState) -> bool:
        return self.dependencies.engine.driver(state) is not None

    def _status_word(self, state: RunState) -> str:
        return status_word(state, driven=self._is_driven(state))
