"""Draws what the instruments saw: as text below the product's tables, and into its picture. Pure."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.report.model import Report
from holdfast.report.svg import INK
from holdfast.report.table import columns
from holdfast.report.timeline_svg import RED, Additions, Mark, Tile
from holdfast.text import format_duration
from tests.lab.report.seen import Seen, SeenLane


def seen_tables(report: Report, seen: Seen) -> RenderableType:
    """Return what is printed below the product's own tables."""
    out = (f"{check} {most}" for check, most in sorted(seen.out_at_most.items()) if most)
    at_once = Text().append("Out at once at most: ", "bold").append(", ".join(out) or "nothing")
    return Group(Text(), _lanes(report, seen), Text(), at_once, _messages(seen), _calls(seen))


def _lanes(report: Report, seen: Seen) -> Table:
    table = columns("observer", "unit", ">restarts", ">out")
    for lane, ours in zip(seen.lanes, report.lanes, strict=True):
        restarts = Text(str(lane.restarts))
        if lane.restarts != ours.restarts:
            restarts = Text(f"{lane.restarts}, but {ours.restarts} by the journal", "bold red")
        table.add_row(
            Text(lane.host, "bold"), lane.unit, restarts, format_duration(lane.out_seconds)
        )
    return table


def _messages(seen: Seen) -> Text:
    counts = seen.messages
    text = Text().append("Messages: ", style="bold")
    text.append(f"{counts['lost']} lost", style="bold red" if counts["lost"] else "green")
    return text.append(
        f" of {counts['confirmed']} confirmed ({counts['published']} published,"
        f" {counts['unconfirmed']} without a confirm, {counts['duplicated']} delivered twice;"
        f" longest gap between confirms {format_duration(seen.longest_gap_seconds)})"
    )


def _calls(seen: Seen) -> Text:
    per_run = ", ".join(f"{count} in {run}" for run, count in seen.unexplained_calls_by_run.items())
    text = Text().append("RPC calls: ", style="bold")
    text.append(f"{seen.unexplained_calls} lost that no outage of their server explains")
    text.append(f" ({per_run})" if per_run else "")
    return text.append(f", {seen.lost_calls} unanswered in all of {seen.calls}")


def additions(seen: Seen) -> Additions:
    """Return what the product's picture shows besides its own."""
    return Additions(
        marks={(lane.host, lane.unit): _marks(lane) for lane in seen.lanes},
        notes={
            (lane.host, lane.unit): f"out {format_duration(lane.out_seconds)}"
            for lane in seen.lanes
        },
        tiles=_tiles(seen),
        meaning="out, by the observer",
    )


def _marks(lane: SeenLane) -> list[Mark]:
    return [
        Mark(
            outage.start,
            outage.end,
            f"{lane.host}: {outage.check} out for {format_duration(outage.end - outage.start)},"
            " by the observer",
        )
        for outage in lane.outages
    ]


def _tiles(seen: Seen) -> list[Tile]:
    lost, confirmed = seen.messages["lost"], seen.messages["confirmed"]
    return [
        (str(max(seen.out_at_most.values(), default=0)), "out at once at most", INK),
        (str(lost), f"of {confirmed} messages lost", RED if lost else INK),
        (str(seen.unexplained_calls), "calls lost, unexplained", INK),
    ]
