"""Judge whether placement's tables can leave nova's API database, and whether their copy is whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.evidence import SIZE, TABLES
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.placement import (
    PlacementAnswer,
    PlacementHost,
    TableFigures,
    TableSet,
    TwoSets,
    WayBack,
    WriterUnits,
)

NOT_EMPTY = "not_empty"
PAST = "past_the_point_of_no_return"
CHANGED = "changed"
DIFFERS = "differs"
NO_HOST = "the inventory's group placement has no host"
OK = 200


def source_whole(claim: str, tables: TableSet) -> Verdict:
    """PASS where the old database has all of placement's tables, with resource providers in them."""
    evidence = _evidence(tables)
    if missing := [name for name in tables.wanted if name not in tables.figures]:
        message = f"{tables.database} lacks {', '.join(missing)}: it is not the database that placement uses"
        return Verdict(claim, Outcome.FAIL, "tables_missing", message, evidence)
    providers = tables.figures.get("resource_providers")
    if providers is None or not providers.rows:
        message = f"{tables.database} has placement's tables and no resource provider: placement uses another database"
        return Verdict(claim, Outcome.FAIL, "nothing_to_move", message, evidence)
    message = f"{tables.database} has placement's {len(tables.figures)} tables: {_size(tables)}"
    return Verdict(claim, Outcome.PASS, "whole", message, evidence)


def target_empty(claim: str, tables: TableSet) -> Verdict:
    """PASS where the new database has no table, or only those of a copy that was never used."""
    evidence = _evidence(tables)
    if tables.run:
        message = (
            f"{tables.database} has a copy by {tables.run} that was never used; it is replaced"
        )
        return Verdict(claim, Outcome.PASS, "unused_copy", message, evidence)
    if tables.names:
        rows = ", ".join(f"{name} ({each.rows} rows)" for name, each in tables.figures.items())
        message = f"{tables.database} has tables already: {rows or ', '.join(tables.names)}; nothing was touched"
        return Verdict(claim, Outcome.FAIL, NOT_EMPTY, message, evidence)
    message = f"{tables.database} has no table"
    return Verdict(claim, Outcome.PASS, "empty", message, evidence)


def on_old_database(claim: str, found: WayBack) -> Verdict:
    """PASS where every placement-api is configured with the old database, written as the site has it.

    It is exchanged in the middle of the outage, and only where it is that.
    """
    hosts = {name: each for name, each in found.hosts.items() if isinstance(each, PlacementHost)}
    shown: dict[str, Json] = {name: each.connection for name, each in hosts.items()}
    if new := [name for name, each in hosts.items() if each.connection == "target"]:
        message = f"{', '.join(new)} is configured with {found.target.database} already; nothing was touched"
        return Verdict(claim, Outcome.FAIL, "on_new_database", message, shown)
    if other := [name for name, each in hosts.items() if each.connection == "other"]:
        message = (
            f"{', '.join(other)} has another connection in [placement_database] than placement_extraction_source_url;"
            " they have to be the same, letter by letter; nothing was touched"
        )
        return Verdict(claim, Outcome.FAIL, "other_connection", message, shown)
    silent = [each.cause for each in found.hosts.values() if isinstance(each, Unanswered)]
    if silent or not hosts:
        message = first_few(silent) or NO_HOST
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, shown)
    message = f"configured with the old database: {', '.join(hosts)}"
    return Verdict(claim, Outcome.PASS, "old_database", message, shown)


def copy_agrees(claim: str, sets: TwoSets) -> Verdict:
    """PASS where each of placement's tables has the same rows, largest id and checksum in both databases."""
    evidence = {TABLES: _shown_tables(sets.source), "target": _shown_tables(sets.target)}
    if not sets.source.figures:
        message = f"{sets.source.database} has none of placement's tables"
        return Verdict(claim, Outcome.UNKNOWN, "nothing_found", message, evidence)
    missing = [name for name in sets.source.wanted if name not in sets.source.figures]
    faults = [f"{sets.source.database} has no {name}" for name in missing]
    faults += _differences(sets.source.figures, sets.target.figures, sets.target.database)
    if faults:
        return Verdict(claim, Outcome.FAIL, DIFFERS, first_few(faults), evidence)
    message = (
        f"{len(sets.source.figures)} tables with {sets.source.rows} rows are the same in {sets.source.database} and in"
        f" {sets.target.database}"
    )
    return Verdict(claim, Outcome.PASS, "same", message, evidence)


def source_unchanged(claim: str, tables: TableSet, figures: Mapping[str, TableFigures]) -> Verdict:
    """PASS where the old database's tables are as they were when the copy was compared."""
    evidence = _evidence(tables)
    if faults := [*_differences(figures, tables.figures, f"{tables.database} now")]:
        message = f"somebody writes to the old tables: {first_few(faults)}"
        return Verdict(claim, Outcome.FAIL, CHANGED, message, evidence)
    message = f"placement's tables in {tables.database} are as they were when the copy was compared"
    return Verdict(claim, Outcome.PASS, "unchanged", message, evidence)


def writers_run(claim: str, units: WriterUnits) -> Verdict:
    """PASS where every placement-api and nova-api runs: each is started at the end, or on the way back."""
    return _all_are(claim, units, ("active",), "running", "not_running")


def writers_stopped(claim: str, units: WriterUnits) -> Verdict:
    """PASS where every placement-api and nova-api is stopped."""
    return _all_are(claim, units, _STOPPED, "stopped", "running")


def _all_are(
    claim: str, units: WriterUnits, wanted: tuple[str, ...], reason: str, otherwise: str
) -> Verdict:
    shown = {name: str(each) for name, each in units.states.items() if isinstance(each, str)}
    others = [f"{name} is {state}" for name, state in shown.items() if state not in wanted]
    silent = [each.cause for each in units.states.values() if isinstance(each, Unanswered)]
    if others:
        return Verdict(claim, Outcome.FAIL, otherwise, first_few(others), shown)
    if silent or not shown:
        message = first_few(silent) or "no unit was named"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, shown)
    return Verdict(claim, Outcome.PASS, reason, f"{reason}: {', '.join(shown)}", shown)


def answers_nova(claim: str, answer: PlacementAnswer, providers: int) -> Verdict:
    """PASS where placement answers nova, as nova is configured, with its resource providers."""
    evidence = {"status": answer.status, "providers": answer.providers}
    asked = f"placement, asked from {answer.host} as nova asks it,"
    if answer.status != OK:
        message = f"{asked} answered {answer.status}"
        return Verdict(claim, Outcome.FAIL, "status", message, evidence)
    if answer.providers < max(providers, 1):
        message = f"{asked} has {answer.providers} resource providers, at least {max(providers, 1)} are expected"
        return Verdict(claim, Outcome.FAIL, "too_few", message, evidence)
    message = f"{asked} has {answer.providers} resource providers"
    return Verdict(claim, Outcome.PASS, "answered", message, evidence)


def may_go_back(claim: str, found: WayBack) -> Verdict:
    """PASS where placement has not used the new database, so that the old one has every write."""
    hosts = {name: each for name, each in found.hosts.items() if isinstance(each, PlacementHost)}
    shown: dict[str, Json] = {
        name: f"{each.connection}, {'active' if each.active else 'stopped'}"
        for name, each in hosts.items()
    }
    switched = [
        name
        for name, each in hosts.items()
        if each.connection == "target" and (each.active or not found.target.run)
    ]
    if switched:
        message = (
            f"{', '.join(switched)} is configured with {found.target.database}, which placement may have written to:"
            " this is past the point of no return, and going back would lose those writes"
        )
        return Verdict(claim, Outcome.FAIL, PAST, message, shown)
    if other := [name for name, each in hosts.items() if each.connection == "other"]:
        message = f"{', '.join(other)} is configured with neither of the two databases"
        return Verdict(claim, Outcome.UNKNOWN, "other_connection", message, shown)
    silent = [each.cause for each in found.hosts.values() if isinstance(each, Unanswered)]
    if silent or not hosts:
        message = first_few(silent) or NO_HOST
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, shown)
    message = f"placement has not used {found.target.database}: {', '.join(f'{k}: {v}' for k, v in shown.items())}"
    return Verdict(claim, Outcome.PASS, "not_used", message, shown)


_STOPPED = ("inactive", "failed")


def _differences(
    wanted: Mapping[str, TableFigures], found: Mapping[str, TableFigures], where: str
) -> Iterator[str]:
    for name, figures in wanted.items():
        there = found.get(name)
        if there is None:
            yield f"{where} has no {name}"
        elif there != figures:
            yield f"{name}: {_shown(figures)}, and in {where} {_shown(there)}"


def _shown(figures: TableFigures) -> str:
    return f"{figures.rows} rows, largest id {figures.largest}, checksum {figures.checksum}"


def _size(tables: TableSet) -> str:
    return f"{tables.rows} rows, {tables.size / 2**20:.1f} MiB"


def _evidence(tables: TableSet) -> dict[str, Json]:
    return {
        "database": tables.database,
        SIZE: _size(tables),
        "run": tables.run,
        TABLES: _shown_tables(tables),
    }


def _shown_tables(tables: TableSet) -> dict[str, Json]:
    return {
        name: {"rows": each.rows, "largest": each.largest, "checksum": each.checksum}
        for name, each in tables.figures.items()
    }
