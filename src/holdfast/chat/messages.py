"""The bot's messages: the command line's output, without secrets, within a platform's limit. Pure.

A message's ``text`` has the run's id and the next command, which are never cut. Its ``code`` is what a
terminal would show, and is cut first.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from holdfast.chat.command_parser import usage
from holdfast.chat.config import Rates
from holdfast.chat.secrets import Scrubber
from holdfast.chat.transport import Button, Message
from holdfast.engine.hold_report import hold_message
from holdfast.engine.run_lookup import StrayPlays
from holdfast.errors import HoldfastError
from holdfast.journal import events
from holdfast.journal.run_state import RunState, Status
from holdfast.plan.approval import awaits, may_approve, open_approval, planned_approval
from holdfast.plan.model import Plan, plan_of
from holdfast.report.plan_view import plan_view, summary
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import plain, progress_lines
from holdfast.report.stop_message import stop_message
from holdfast.text import format_duration, join_names, one_line, strip_control
from holdfast.verbs import Verb

_MARGIN = 40
"""Characters kept free for what a transport adds to a message."""

_LOGGED_REASON = 160
"""Characters of a reason in a START line, which ends with the run's id and must fit."""


# --- commands -------------------------------------------------------------------------------------


def error_message(error: HoldfastError) -> Message:
    """Return what is wrong, then what to do next: the command line's two lines."""
    following = f"\nnext: {strip_control(error.remedy)}" if error.remedy else ""
    return Message(strip_control(error.message) + following)


def too_many_message(rates: Rates) -> Message:
    """Return the reply to the first command above the rate; later ones get none."""
    most = f"{rates.commands} in {format_duration(rates.seconds)}"
    return Message(
        f"Too many commands: at most {most}; this one was not done.\n"
        "next: wait that long and type it again; an abort is accepted all the same"
    )


def stranger_message(platform: str, who: str, person: str, *, authenticates: bool) -> Message:
    """Return who is refused, and what would change that; ``person`` is the proved id, or ""."""
    if not authenticates:
        reason = f"{platform} does not authenticate people: it shows runs, and takes no commands."
        following = "type it in a terminal, or in a channel of another platform"
    elif not person:
        reason = f"{platform} does not prove who {who} is."
        following = "log in to your account there, then type it again"
    else:
        reason = f"{who} is not known here."
        following = "the bot's administrator adds this id to people (docs/chat.md)"
    return Message(f"Refused: {reason}\nnext: {following}")


def help_message(*verbs: Verb) -> Message:
    """Return how commands are typed."""
    if len(verbs) == 1:
        return Message(verbs[0].summary, usage(verbs[0]))
    lines = (f"{usage(each)}\n    {each.summary}" for each in verbs)
    return Message("Commands (in a run's thread, RUN may be left out):", "\n".join(lines))


def plan_message(plan: Plan, typed: str) -> Message:
    """Return a plan before a run; ``typed`` is the command that would run it."""
    text = f"{summary(plan)}, plan {plan.hash}\nNothing was touched. next: {typed}"
    return Message(text, plain(plan_view(plan)))


# --- a run's thread -------------------------------------------------------------------------------


def opening_message(state: RunState, by: str) -> Message:
    """Return the first message of a run's thread: who, why, and the plan."""
    opened = state.opened
    if opened is None:
        return Message(state.run)
    head = one_line(f"{opened.runbook or opened.playbook} at {opened.site} [{state.run}]")
    text = f"{head}\n{one_line(by)}: {one_line(opened.reason)}"
    plan = plan_of(state)
    if plan is None:
        return Message(f"{text}\nA play run by hand: it has no plan.")
    return Message(f"{text}\nplan {plan.hash}", plain(plan_view(plan)))


def progress_message(board: RunProgress, now: datetime) -> Message:
    """Return the one message that is edited as the run proceeds."""
    state = board.state
    status = "waiting for approval" if open_approval(state) else str(state.status)
    lines = plain(*progress_lines(board, now))
    buttons: tuple[Button, ...] = ()
    if state.status is Status.RUNNING and state.abort_request is None:
        buttons = (Button("Stop at the next boundary", f"abort:{state.run}", "bad"),)
    return Message(f"{status} [{state.run}]", lines, buttons)


def approval_message(state: RunState, step: int, display_name: Callable[[str], str]) -> Message:
    """Return the question that a run waits with; once it is answered: by whom, and no buttons."""
    planned, known = planned_approval(state, step), state.steps[step]
    given = join_names(display_name(each.by) for each in known.approvals)
    head = f"Approval needed, step {step} [{state.run}]" + f": given by {given}" * bool(given)
    if planned is None:
        return Message(head)
    others = ", other than who asked for the run" * planned.by_others
    terms = f"{planned.count} of {join_names(may_approve(planned, known)) or 'nobody'}{others}"
    within = f"within {format_duration(planned.deadline_seconds or 0)}"
    asked = open_approval(state) if awaits(state, step) else None
    until = f" (until {asked.until:%H:%M:%S} UTC)" if asked else ""
    text = (
        f"{head}\n{one_line(planned.question)}\n"
        f"by: {terms}; {within}{until}, for plan {known.approval_plan_hash}"
    )
    if known.rejected is not None:
        no = known.rejected
        return Message(f"{text}\nrejected by {display_name(no.by)}: {one_line(no.reason)}")
    if asked is None:
        return Message(text if known.finished else f"{text}\nno longer needed")
    token = f"{state.run}:{step}:{known.approval_plan_hash}"
    buttons = (
        Button("Approve", f"approve:{token}", "good"),
        Button("Reject", f"reject:{token}", "bad"),
    )
    following = (
        f"to say no: holdfast reject {state.run} --reason '…'\nnext: holdfast approve {state.run}"
    )
    return Message(f"{text}\n{following}", buttons=buttons)


def stopped_message(state: RunState, strays: StrayPlays | None = None) -> Message:
    """Return the command line's output for a run that ended, or has no driver any more.

    ``strays`` is what was seen of the plays of the latter.
    """
    held = hold_message(state, strays)
    opened = state.opened
    what = f"{opened.runbook or opened.playbook} at {opened.site}" if opened else ""
    stopped = held if _is_held(state) else state.aborted or state.refused
    status = "HELD" if _is_held(state) else str(state.status).upper()
    text = one_line(f"{status}: {what} [{state.run}]")
    output = typeable(plain(stop_message(state, strays)), state)
    if stopped is None:
        return Message(text, output)
    then = [f"next: {typeable(one_line(each), state)}" for each in stopped.next_commands[:1]]
    return Message("\n".join([text, *then]), output)


def typeable(text: str, state: RunState) -> str:
    """Return text with the site by its name: a path on the controller cannot be typed in chat."""
    opened = state.opened
    path = str(opened.plan.get("inventory") or "") if opened else ""
    if opened is None or not path:
        return text
    return text.replace(f"--site {shlex.quote(path)}", f"--site {opened.site}")


def by_name(output: str, inventory: Path, site: str) -> str:
    """Return the output of a check with the site's name; commands of Ansible, for the controller, keep its path."""
    return re.sub(rf"(?<!-i )(?<!-i '){re.escape(str(inventory))}", site, output)


def _is_held(state: RunState) -> bool:
    return state.status in {Status.HELD, Status.RUNNING} and hold_message(state) is not None


# --- the log channel ------------------------------------------------------------------------------

_ENDS: dict[type[events.Event], str] = {
    events.Held: "HELD",
    events.Aborted: "ABORTED",
    events.RunRefused: "REFUSED",
    events.Finished: "FINISHED",
}


def log_line(state: RunState, event: events.Event, by: str) -> str:
    """Return the log channel's START or END line of an event; empty for all others."""
    opened = state.opened
    if opened is None:
        return ""
    what = f"{opened.runbook or opened.playbook} {opened.site}"
    if isinstance(event, events.RunOpened | events.Resumed):
        again = "START" if isinstance(event, events.RunOpened) else "START (RESUMED)"
        reason = _shorten(one_line(event.reason), _LOGGED_REASON)
        return one_line(f"{again} - {what} by {by}: {reason} [{state.run}]")
    end = _ENDS.get(type(event))
    if end is None:
        return ""
    why = f": {event.evidence}" if isinstance(event, events.Held | events.RunRefused) else ""
    return one_line(f"END ({end}) - {what} [{state.run}]{why}")


def lost_line(state: RunState) -> str:
    """Return the log channel's line for a run whose driver is gone without an end."""
    what = f"{state.opened.runbook} {state.opened.site}" if state.opened else ""
    return one_line(f"END (NO DRIVER) - {what} [{state.run}]")


# --- within the limit, without secrets ------------------------------------------------------------


def fit(message: Message, limit: int, scrub: Scrubber) -> Message:
    """Return the message without secrets or control characters, within ``limit`` characters.

    ``code`` is cut first, by whole lines. Of ``text`` the first line (the run's id) and the last (the
    next command) stay whole; the lines between them are cut.
    """
    most = limit - _MARGIN
    text = _cut_text(scrub(strip_control(message.text)), most)
    code = _cut_code(scrub(strip_control(message.code)), most - len(text))
    return replace(message, text=text, code=code)


def _cut_text(text: str, most: int) -> str:
    """Cut a text; where not even two lines fit, the first is cut, and the last kept if it is a command."""
    if len(text) <= most:
        return text
    first, *middle = text.split("\n")
    last = middle.pop() if middle else ""
    if len(first) + len(last) + 1 > most:
        last = last if last.startswith("next: ") and len(last) < most else ""
        first, middle = _shorten(first, most - len(last) - bool(last)), []
    left = most - len(first) - len(last) - 2
    return "\n".join(filter(None, (first, _shorten("\n".join(middle), left), last)))


def _shorten(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return text[: most - 2].rstrip() + " …" if most > 2 else ""


def _cut_code(code: str, most: int) -> str:
    if len(code) <= most:
        return code
    lines = code.split("\n")
    kept = sum(end <= most - _MARGIN for end in accumulate(len(line) + 1 for line in lines))
    rest = f"… {len(lines) - kept} more lines"
    return "\n".join([*lines[:kept], rest]) if most > _MARGIN else ""
