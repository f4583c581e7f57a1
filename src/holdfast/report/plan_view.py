"""A plan as text, shown before a run is confirmed: steps, batches, order, gates, an estimate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from holdfast.model import Json
from holdfast.plan.model import (
    Plan,
    PlannedApprove,
    PlannedCheck,
    PlannedRoll,
    PlannedStep,
    PlannedWait,
)
from holdfast.plan.next_batch import Facts, next_batches
from holdfast.report.table import labelled_rows
from holdfast.runbook.model import SettleSpec
from holdfast.text import count_of, format_duration, join_names, one_line

_SHOWN_BATCHES = 8
_ORDERS = {
    "unhealthy_first": "unhealthy first",
    "dependencies_first": "what others depend on first, one at a time",
    "fewest_leaders_first": "fewest leaders first",
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What hosts keep of a change that was previewed: what it would do, and the facts that decide an order."""

    text: str
    facts: Facts


def plan_view(plan: Plan, preview: Preview | None = None) -> RenderableType:
    """Return what ``holdfast plan`` prints; with a preview the batches are in the order that follows from it."""
    return Group(*_lines(plan, preview))


def summary(plan: Plan) -> str:
    """Return in one sentence what the plan would act on, for the confirmation of a run."""
    hosts = {host for roll in plan.rolls() for host in roll.hosts}
    units = sum(len(roll.hosts) for roll in plan.rolls())
    what = f"{count_of(units, 'restart')} on {count_of(len(hosts), 'host')}"
    estimate = f"about {format_duration(plan.estimate_seconds)} without a hold"
    return one_line(f"{plan.runbook} at {plan.site}: {what}, {estimate}")


def _lines(plan: Plan, preview: Preview | None) -> Iterator[RenderableType]:
    yield Text(summary(plan), style="bold")
    leases = (f"{scope} ({mode})" for scope, mode in plan.leases.items())
    yield Text(f"leases: {join_names(leases) or 'none'}", style="dim")
    if plan.limit:
        yield Text(one_line(f"limited to: {plan.limit}"), style="dim")
    for name, value in plan.inputs.items():
        yield Text(one_line(f"{name} = {value}"), style="dim")
    if preview:
        yield Text(one_line(f"preview: {preview.text}"))
    for step in plan.steps:
        yield Text()
        yield Text(one_line(f"{step.number}. {step.title}"), style="bold")
        yield labelled_rows(
            (f"   {name}", Text(one_line(text)))
            for name, text in _rows(step, preview.facts if preview else {})
        )


def _rows(step: PlannedStep, facts: Facts) -> Iterator[tuple[str, str]]:
    if isinstance(step, PlannedRoll):
        yield from _roll_rows(step, facts)
    elif isinstance(step, PlannedApprove):
        yield "question", step.question
        yield (
            "approved by",
            f"{count_of(step.count, 'person')}{', not the one who starts the run' * step.by_others}",
        )
    else:
        yield from _inspection_rows(step)
    if step.deadline_seconds is not None:
        yield "deadline", format_duration(step.deadline_seconds)


def _inspection_rows(step: PlannedCheck | PlannedWait) -> Iterator[tuple[str, str]]:
    yield ("gates" if step.kind == "check" else "must hold"), _claims(step.claims)
    if step.hosts:
        yield "hosts", join_names(step.hosts)
    yield "settles", _settles(step.settle)
    if step.why:
        yield "why", step.why


def _roll_rows(roll: PlannedRoll, facts: Facts) -> Iterator[tuple[str, str]]:
    if not roll.hosts:
        yield "hosts", "none within the limit"
        return
    yield "playbook", roll.playbook
    yield ("window", _window(roll, facts)) if roll.window else ("batches", _batches(roll, facts))
    orders = [_ORDERS[order] for order in roll.policy.order]
    yield "order", ", then ".join([*orders, "as in the inventory"]) + "; decided before each batch"
    yield "at most", f"{roll.policy.batch_max} at a time: {roll.policy.batch_max_reason}"
    for name, value in roll.variables.items():
        yield "variable", f"{name} = {value}"
    if roll.policy.survey:
        yield "survey", _claims(roll.policy.survey)
    if roll.settle:
        yield "settles", _settles(roll.settle)
    if roll.canary_settle:
        yield "canary settles", _settles(roll.canary_settle)
    if roll.lasts_seconds:
        last = format_duration(roll.lasts_seconds)
        yield "verified for", f"at least {last} after each restart: {roll.why}"


def _window(roll: PlannedRoll, facts: Facts) -> str:
    sizes = " then ".join(str(size) for size in roll.growth or (roll.batch,))
    canary = ", a canary first" if roll.canary else ""
    hosts = join_names(
        (host for batch in next_batches(roll, facts) for host in batch), _SHOWN_BATCHES
    )
    return f"{hosts}  ({sizes} at a time, the next when one has settled{canary})"


def _batches(roll: PlannedRoll, facts: Facts) -> str:
    batches = list(next_batches(roll, facts))
    number = len(batches)
    shown = " | ".join(" ".join(hosts) for hosts in batches[:_SHOWN_BATCHES])
    more = f" | … {number - _SHOWN_BATCHES} more" if number > _SHOWN_BATCHES else ""
    canary = ", a canary first" if roll.canary else ""
    return f"{shown}{more}  ({count_of(number, 'batch')}{canary})"


def _claims(entries: Iterable[Json]) -> str:
    """Return claims with their parameters."""
    return ", ".join(_claim(entry) for entry in entries)


def _claim(entry: Json) -> str:
    if isinstance(entry, str):
        return entry
    parameters = ", ".join(f"{name} {value}" for name, value in entry.items() if name != "claim")
    return f"{entry['claim']} ({parameters})" if parameters else str(entry["claim"])


def _settles(settle: SettleSpec) -> str:
    readings, seconds = int(settle.readings), float(settle.seconds)
    if readings == 1 and not seconds:
        return "at the first good reading"
    return f"after {count_of(readings, 'good reading')} in a row over {format_duration(seconds)}"
