"""What is printed at a hold: the state of every host, and the commands to continue, from the run's state."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from datetime import datetime

from holdfast.engine.run_lookup import StrayPlays
from holdfast.journal.events import Aborted, Held
from holdfast.journal.run_state import Failure, RunState, Turn
from holdfast.plan.model import readable_plan
from holdfast.text import join_names

_NAMED = 8
"""Hosts that have a sentence each; in a large fleet the others share one."""

BY_HAND = "the same ansible-playbook command as before, once this is repaired"
"""The way to continue a play run by hand: it has no plan, and probes everything again before it acts."""


def held_event(state: RunState, failure: Failure, at: datetime) -> Held:
    """Return the hold for the journal; its code is 6 where the outcome of an act is unknown."""
    unknown = any(turn.outcome_unknown for _, turn in state.in_hand())
    return Held(
        at=at,
        host=failure.host,
        step=failure.step,
        claim=failure.claim,
        evidence=failure.evidence,
        left=host_states(state, {*failure.ill, failure.host}),
        next_commands=next_commands(state),
        code=6 if unknown else 4,
    )


def aborted_event(state: RunState, by: str, at: datetime, ended: Sequence[int] = ()) -> Aborted:
    """Return the end of a run that ``by`` requested to stop; ``ended`` are processes of its plays."""
    left, commands = host_states(state), next_commands(state)
    # Of a held run only the resume is named: what was frozen is what keeps a change that failed from spreading.
    commands[1:1] = dict.fromkeys(freeze.undo for freeze in state.frozen.values())
    return Aborted(at=at, by=by, ended=list(ended), left=left, next_commands=commands)


def hold_message(state: RunState, strays: StrayPlays | None = None) -> Held | None:
    """Return the hold of a held run; for a run that still counts as running, one made from its last event.

    The latter is for runs whose driver died; ``strays`` is what was seen of their plays. None for a
    run that ended otherwise, or has no events.
    """
    if state.held is not None or state.status != "running" or state.at is None:
        return state.held
    last = state.batches[-1] if state.batches else None
    hosts = join_names(state.hosts_under_way() or (last.hosts if last and not last.ended else ()))
    during = f" with {hosts} in hand" if hosts else ""
    evidence = f"the run's last event is from {state.at:%Y-%m-%d %H:%M:%S} UTC{during}"
    if strays is not None:
        evidence = f"{evidence}; {strays.describe()}"
    held = held_event(state, Failure(state.current_step, hosts, "", evidence), state.at)
    if strays is None or not strays.processes:
        return held
    proceed, *rest = held.next_commands
    both = [proceed, f"holdfast abort {shlex.quote(state.run)}", *rest]
    return held.model_copy(update={"next_commands": both})


def host_states(state: RunState, ill: Collection[str] = ()) -> list[str]:
    """Return one sentence for each host that is ill or in hand, then which are done and which not touched.

    ``ill`` are hosts that were found broken: what was proved of them earlier is not true any more.
    """
    done = state.done()
    relapsed = "restarted and proved healthy earlier in this run, and not well now"
    sentences = _each([host for host in done if host in ill], relapsed)
    in_hand = {turn.host: describe_turn(turn) for _, turn in state.in_hand()}
    sentences += [f"{host}: {text}" for host, text in in_hand.items()]
    given_back = [turn.host for turn in state.step.turns.values() if _given_back(turn)]
    known = {*in_hand, *given_back, *state.step.done()}
    begun = [host for host in state.hosts_under_way() if host not in known]
    sentences += _each(begun, "its turn had begun; no act on it is in the journal")
    if given_back:
        sentences.append(f"drained and given back, not restarted: {join_names(given_back)}")
    if well := [host for host in done if host not in ill]:
        sentences.append(f"done and proved healthy: {join_names(well)}")
    if frozen := list(state.frozen):
        what = "what changes it by itself was disabled by this run, which has not enabled it"
        sentences.append(f"{what}: {join_names(frozen)}")
    if untouched := _untouched(state):
        sentences.append(f"not touched in step {state.current_step}: {join_names(untouched)}")
    return sentences


def _each(hosts: Sequence[str], text: str) -> list[str]:
    """Return the sentence for each host; of many the last one is about all the others."""
    others = [f"{join_names(hosts[_NAMED:])}: {text}"] if len(hosts) > _NAMED else []
    return [f"{host}: {text}" for host in hosts[:_NAMED]] + others


def next_commands(state: RunState) -> list[str]:
    """Return the command that continues the run, then those that undo drains by hand."""
    proceed = f"holdfast resume {shlex.quote(state.run)} --reason '…'"
    if state.opened is not None and not state.opened.plan:
        proceed = BY_HAND
    elif state.grant is None:
        proceed = rerun_command(state)
    undos = [turn.undo for _, turn in state.in_hand() if turn.undo]
    return [proceed, *undos, f"holdfast log {shlex.quote(state.run)}"]


def rerun_command(state: RunState) -> str:
    """Return the complete command that starts this run anew, with its site, limit and inputs.

    Where the plan cannot be read, the command shows the runbook: site and hosts are not guessed.
    """
    if state.opened is None or not state.opened.plan:
        return BY_HAND
    plan = readable_plan(state)
    if plan is None:
        return shlex.join(["holdfast", "show", state.opened.runbook])
    command = ["holdfast", "run", plan.runbook, "--site", plan.inventory]
    command += ["--limit", plan.limit] if plan.limit else []
    for name, value in plan.inputs.items():
        command += ["--input", f"{name}={value}"]
    return f"{shlex.join(command)} --reason '…'"


def describe_turn(turn: Turn) -> str:
    """Return what this run did to a host in hand, as far as it is known."""
    restarts = [_describe_restart(each.unit, each.happened) for each in turn.restarts.values()]
    parts = restarts or ["not restarted"]
    if turn.undo:
        unsure = "a drain was begun, and it is not known whether it is in effect"
        parts.append("left drained by this run" if turn.drain_seen else unsure)
    return "; ".join(parts)


def _given_back(turn: Turn) -> bool:
    return turn.given_back and not turn.done and not turn.in_hand


def _describe_restart(unit: str, happened: bool | None) -> str:
    if happened is None:
        return f"a restart of {unit} was sent, and whether it happened is unknown"
    return f"{unit} was {'restarted, not yet proved healthy' if happened else 'not restarted'}"


def _untouched(state: RunState) -> list[str]:
    plan, step = readable_plan(state), state.step
    if plan is None or step.finished:
        return []
    hosts: tuple[str, ...] = getattr(plan.step(step.number), "hosts", ())
    begun = {
        turn.host for turn in step.turns.values() if turn.done or turn.in_hand or _given_back(turn)
    }
    begun |= set(state.hosts_under_way())
    return [host for host in hosts if host not in begun]
