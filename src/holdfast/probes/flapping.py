"""Ask systemd how often units were started lately, also before the gate: the journal of each host has every start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.systemd import StartsWithin, UnitStarts, UnitState, unit_on
from holdfast.probes.base import ProbeContext, ask_all, or_unanswered
from holdfast.probes.systemd import units_of

STARTED = "39f53479d3a045ac8e11786248231fbf"  # SD_MESSAGE_UNIT_STARTED (systemd, sd-messages.h)


def probe_starts_of(
    context: ProbeContext, unit: str, hosts: Sequence[str], window_seconds: float
) -> StartsWithin:
    """Return how often one unit was started on each of the hosts."""
    return starts_within(
        context, {unit_on(host, unit): (host, unit) for host in hosts}, window_seconds
    )


def starts_within(
    context: ProbeContext, wanted: Mapping[str, tuple[str, str]], seconds: float
) -> StartsWithin:
    """Return each unit's starts; the journal is asked only where the present start is younger than the window."""

    def ask(unit: UnitState) -> UnitStarts:
        if unit.age is not None and unit.age >= seconds:
            return UnitStarts(unit, 0)
        starts = _count(context, unit, seconds)
        lacks_the_newest = unit.age is not None and not starts
        return UnitStarts(unit, None if lacks_the_newest else starts)

    units = units_of(context, wanted)
    told = {name: unit for name, unit in units.items() if not isinstance(unit, Unanswered)}
    silent = {name: unit for name, unit in units.items() if isinstance(unit, Unanswered)}
    return {**silent, **ask_all(told, partial(or_unanswered, ask))}


def _count(context: ProbeContext, unit: UnitState, seconds: float) -> int:
    """Return how many starts of a unit its host's journal has, by its own name, whatever alias it was asked by.

    Raises:
        CannotTell: the host or its journal does not answer.
    """
    since = f"--since=-{seconds:.0f}s"
    only = ["_PID=1", f"UNIT={unit.name}", f"MESSAGE_ID={STARTED}"]
    done = context.reach(unit.host).run(
        ["journalctl", "--quiet", "--no-pager", "--output=cat", since, *only]
    )
    if done.rc != 0:
        cause = done.stderr.strip() or f"exit status {done.rc}"
        raise CannotTell(f"{unit.host}: the starts of {unit.name} cannot be told: {cause}")
    return sum(1 for line in done.stdout.splitlines() if line.strip())
