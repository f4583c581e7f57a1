"""Draws the instruments' measurements: as text below the product's tables, and into its picture. Pure."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.report.model import Report
from holdfast.report.svg import INK
from holdfast.report.table import columns
from holdfast.report.timeline_svg import RED, Additions, Mark, Tile
from holdfast.text import format_duration
from tests.lab.report.measurements import MeasuredLane, Measurements


def measurement_tables(report: Report, measured: Measurements) -> RenderableType:
    """Return what is printed below the product's own tables."""
    out = (f"{check} {most}" for check, most in sorted(measured.out_at_most.items()) if most)
    at_once = Text().append("Out at once at most: ", "bold").append(", ".join(out) or "nothing")
    return Group(
        Text(), _lanes(report, measured), Text(), at_once, _messages(measured), _calls(measured)
    )


def _lanes(report: Report, measured: Measurements) -> Table:
    table = columns("observer", "unit", ">restarts", ">out")
    for lane, ours in zip(measured.lanes, report.lanes, strict=True):
        restarts = Text(str(lane.restarts))
        if lane.restarts != ours.restarts:
            restarts = Text(f"{lane.restarts}, but {ours.restarts} by the journal", "bold red")
        table.add_row(
            Text(lane.host, "bold"), lane.unit, restarts, format_duration(lane.out_seconds)
        )
    return table


def _messages(measured: Measurements) -> Text:
    counts = measured.messages
    text = Text().append("Messages: ", style="bold")
    text.append(f"{counts['lost']} lost", style="bold red" if counts["lost"] else "green")
    return text.append(
        f" of {counts['confirmed']} confirmed ({counts['published']} published,"
        f" {counts['unconfirmed']} without a confirm, {counts['duplicated']} delivered twice;"
        f" longest gap between confirms {format_duration(measured.longest_gap_seconds)})"
    )


def _calls(measured: Measurements) -> Text:
    per_run = ", ".join(
        f"{count} in {run}" for run, count in measured.unexplained_calls_by_run.items()
    )
    text = Text().append("RPC calls: ", style="bold")
    text.append(f"{measured.unexplained_calls} lost that no outage of their server explains")
    text.append(f" ({per_run})" if per_run else "")
    return text.append(f", {measured.lost_calls} unanswered in all of {measured.calls}")


def additions(measured: Measurements) -> Additions:
    """Return what the product's picture shows besides its own."""
    return Additions(
        marks={(lane.host, lane.unit): _marks(lane) for lane in measured.lanes},
        notes={
            (lane.host, lane.unit): f"out {format_duration(lane.out_seconds)}"
            for lane in measured.lanes
        },
        tiles=_tiles(measured),
        meaning="out, by the observer",
    )


def _marks(lane: MeasuredLane) -> list[Mark]:
    return [
        Mark(
            outage.start,
            outage.end,
            f"{lane.host}: {outage.check} out for {format_duration(outage.end - outage.start)},"
            " by the observer",
        )
        for outage in lane.outages
    ]


def _tiles(measured: Measurements) -> list[Tile]:
    lost, confirmed = measured.messages["lost"], measured.messages["confirmed"]
    return [
        (str(max(measured.out_at_most.values(), default=0)), "out at once at most", INK),
        (str(lost), f"of {confirmed} messages lost", RED if lost else INK),
        (str(measured.unexplained_calls), "calls lost, unexplained", INK),
    ]
