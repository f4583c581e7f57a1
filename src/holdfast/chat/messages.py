"""What is said in chat: the CLI's sentences as messages, without secrets, as long as they may be.

Pure. A message's ``text`` carries what must survive: the run's id and the next command. Its ``code`` is
what a terminal would show, and is what gets cut.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from holdfast.chat.command_parser import VERBS, Verb
from holdfast.chat.config import Rates
from holdfast.chat.secrets import Scrubber
from holdfast.chat.transport import Button, Message
from holdfast.engine import hold_message
from holdfast.errors import HoldfastError
from holdfast.journal import RunState, Status, events
from holdfast.plan import Plan, PlannedApprove, plan_of
from holdfast.report.plan_view import plan_view, summary
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import plain, progress_lines
from holdfast.report.stop_message import stop_message
from holdfast.text import format_duration, join_names, one_line, strip_control

_ROOM = 40
"""Characters kept free for what a transport puts around a message."""

_LOGGED_REASON = 160
"""A START line ends with the run's id: a long reason must not push it past a platform's limit."""


# --- commands -------------------------------------------------------------------------------------


def error_message(error: HoldfastError) -> Message:
    """What is wrong, then what to do next: the CLI's two lines."""
    following = f"\nnext: {strip_control(error.remedy)}" if error.remedy else ""
    return Message(strip_control(error.message) + following)


def too_many_message(rates: Rates) -> Message:
    """Said once: what comes after it within that time gets no answer."""
    most = f"{rates.commands} in {format_duration(rates.seconds)}"
    return Message(
        f"Too many commands: at most {most}; this one was not done.\n"
        "next: wait that long and say it again; an abort is heard all the same"
    )


def stranger_message(platform: str, who: str, ident: str, *, vouches: bool) -> Message:
    """Who is refused, and what would change that."""
    if not vouches:
        words = f"{platform} cannot vouch for who asks: runs are told here, not asked for."
        following = "holdfast in a terminal, or a channel of another platform"
    elif not ident:
        words = f"{platform} does not say who {who} is."
        following = "log in to your account there, then say it again"
    else:
        words = f"{who} is not known here."
        following = "whoever keeps the bot puts this id into people (docs/chat.md)"
    return Message(f"Refused: {words}\nnext: {following}")


def help_message(verb: Verb | None) -> Message:
    """How commands are typed."""
    if verb is not None:
        return Message(verb.summary, verb.usage)
    lines = (f"{each.usage}\n    {each.summary}" for each in VERBS.values())
    return Message("What can be typed (in a run's thread, RUN may be left out):", "\n".join(lines))


def plan_message(plan: Plan, typed: str) -> Message:
    """A plan before a run; ``typed`` is the command that would run it."""
    text = f"{summary(plan)}, plan {plan.hash}\nNothing was touched. next: {typed}"
    return Message(text, plain(plan_view(plan)))


# --- a run's thread -------------------------------------------------------------------------------


def opening_message(state: RunState, by: str) -> Message:
    """The first message of a run's thread: who, why, and the plan."""
    opened = state.opened
    if opened is None:
        return Message(state.run)
    head = one_line(f"{opened.runbook or opened.playbook} at {opened.site} [{state.run}]")
    text = f"{head}\n{one_line(by)}: {one_line(opened.reason)}"
    plan = plan_of(state)
    if plan is None:
        return Message(f"{text}\nA play run by hand: it keeps no plan.")
    return Message(f"{text}\nplan {plan.hash}", plain(plan_view(plan)))


def progress_message(board: RunProgress, now: datetime) -> Message:
    """The one message that is edited in place: where the run stands."""
    state = board.state
    word = str(state.status) if state.status is not Status.RUNNING else "running"
    lines = plain(*progress_lines(board, now))
    buttons: tuple[Button, ...] = ()
    if state.status is Status.RUNNING and state.abort_request is None:
        buttons = (Button("Stop at the next boundary", f"abort:{state.run}", "bad"),)
    return Message(f"{word} [{state.run}]", lines, buttons)


def approval_message(
    state: RunState, step: int, people: Sequence[str], named: Callable[[str], str]
) -> Message:
    """The question a run waits with; answered, it says by whom and has no buttons any more."""
    asked, known = planned_approval(state, step), state.steps[step]
    given = join_names(named(word.by) for word in known.approvals)
    head = f"Approval wanted, step {step} [{state.run}]" + f": given by {given}" * bool(given)
    if asked is None:
        return Message(head)
    others = ", other than who asked for the run" * asked.by_others
    terms = f"{asked.count} of {join_names(people) or 'nobody'}{others}"
    within = f"within {format_duration(asked.deadline_seconds or 0)}, for plan {known.approval_plan_hash}"
    text = f"{head}\n{one_line(asked.question)}\nof: {terms}; {within}"
    if not awaits(state, step):
        return Message(text if known.finished else f"{text}\nnot waited for any more")
    token = f"{state.run}:{step}:{known.approval_plan_hash}"
    approve = Button("Approve", f"approve:{token}", "good")
    abort = Button("Abort", f"abort:{state.run}", "bad")
    return Message(f"{text}\nnext: holdfast approve {state.run}", buttons=(approve, abort))


def stopped_message(state: RunState) -> Message:
    """The CLI's last words for a run that ended, or has no driver any more."""
    held = hold_message(state)
    what = (
        f"{state.opened.runbook or state.opened.playbook} at {state.opened.site}"
        if state.opened
        else ""
    )
    stopped = held if _is_held(state) else state.aborted or state.refused
    word = "HELD" if _is_held(state) else str(state.status).upper()
    text = one_line(f"{word}: {what} [{state.run}]")
    told = typeable(plain(stop_message(state, held)), state)
    if stopped is None:
        return Message(text, told)
    then = [f"next: {typeable(one_line(each), state)}" for each in stopped.next_commands[:1]]
    return Message("\n".join([text, *then]), told)


def typeable(text: str, state: RunState) -> str:
    """The CLI's words with the site by its name: a path of the controller cannot be typed in chat."""
    plan = state.opened.plan if state.opened else {}
    path = str(plan.get("inventory") or "")
    return text.replace(f"--site {shlex.quote(path)}", f"--site {plan['site']}") if path else text


def awaits(state: RunState, step: int) -> bool:
    """Whether the run waits for somebody's word at that step now."""
    known = state.steps.get(step)
    waits = known is not None and known.approval_requested_at is not None and not known.finished
    return waits and state.status is Status.RUNNING and state.current_step == step


def planned_approval(state: RunState, step: int) -> PlannedApprove | None:
    """What the plan says of that approval: how many, of whom, for how long."""
    plan = plan_of(state)
    found = plan.step(step) if plan else None
    return found if isinstance(found, PlannedApprove) else None


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
    """The START or END line of an event in the log channel; empty for all others."""
    opened = state.opened
    if opened is None:
        return ""
    what = f"{opened.runbook or opened.playbook} {opened.site}"
    if isinstance(event, events.RunOpened | events.Resumed):
        again = "START" if isinstance(event, events.RunOpened) else "START (RESUMED)"
        reason = _cut_words(one_line(event.reason), _LOGGED_REASON)
        return one_line(f"{again} - {what} by {by}: {reason} [{state.run}]")
    word = _ENDS.get(type(event))
    if word is None:
        return ""
    why = f": {event.evidence}" if isinstance(event, events.Held | events.RunRefused) else ""
    return one_line(f"END ({word}) - {what} [{state.run}]{why}")


def lost_line(state: RunState) -> str:
    """The log channel's line for a run whose driver is gone without an end."""
    what = f"{state.opened.runbook} {state.opened.site}" if state.opened else ""
    return one_line(f"END (NO DRIVER) - {what} [{state.run}]")


# --- as long as it may be, and no secret in it ----------------------------------------------------


def fit(message: Message, limit: int, scrub: Scrubber) -> Message:
    """Return the message without secrets or anything a terminal obeys, within ``limit`` characters.

    ``code`` is cut first, by whole lines. Of ``text`` the first line (the run's id) and the last (the
    next command) stay whole; what stands between them gives way.
    """
    text, code = scrub(strip_control(message.text)), scrub(strip_control(message.code))
    most = limit - _ROOM
    text = _cut_between(text, most)
    left = most - len(text)
    return replace(message, text=text, code=_cut_lines(code, left))


def _cut_between(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    first, *rest = text.split("\n")
    last = rest.pop() if rest else ""
    room = most - len(first) - len(last) - 2
    middle = _cut_words("\n".join(rest), room)
    kept = "\n".join(filter(None, (first, middle, last)))
    return kept if len(kept) <= most else _cut_line(first, last, most)


def _cut_line(first: str, last: str, most: int) -> str:
    """A log line is one line; its evidence comes last and gives way. A next command never does."""
    if last.startswith("next: ") and len(last) < most:
        return "\n".join(filter(None, (_cut_words(first, most - len(last) - 1), last)))
    return _cut_words(first, most)


def _cut_words(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return text[: most - 2].rstrip() + " …" if most > 2 else ""


def _cut_lines(code: str, most: int) -> str:
    if len(code) <= most:
        return code
    lines, kept, used = code.split("\n"), list[str](), 0
    for line in lines:
        if used + len(line) + 1 > most - _ROOM:
            break
        kept.append(line)
        used += len(line) + 1
    return "\n".join([*kept, f"… {len(lines) - len(kept)} more lines"]) if most > _ROOM else ""
