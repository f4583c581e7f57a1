"""``holdfast boots``: boots servers on every compute through nova's API, says how each ended, and deletes them.

The work is done by a play (``playbooks/boots.yml``), which takes shared leases and keeps the record that is read here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from holdfast.ansible.interfaces import Play, PlayResult, Progress, StopSignal, run_play
from holdfast.boots.model import NOTHING_DELETED, BootTest, scopes
from holdfast.boots.records import Records
from holdfast.boots.summary import Ending, end_of, for_programs
from holdfast.boots.summary_text import summary_lines
from holdfast.cli.context import CommandContext
from holdfast.cli.interrupt import interruptible
from holdfast.cli.options import JsonOption, LimitOption, SiteOption, context_of
from holdfast.engine.dependencies import this_process
from holdfast.errors import InvalidInput, OutcomeUnknown, Refused
from holdfast.model import Json
from holdfast.plan.model import SiteInventory
from holdfast.report.boots_svg import boots_svg
from holdfast.report.table import columns
from holdfast.text import one_line, parse_duration

EXIT_CODES = {Ending.WITHIN: 0, Ending.EXCEEDED: 4, Ending.STOPPED: 5, Ending.UNKNOWN: 6}
COLOURS = {Ending.WITHIN: "bold green", Ending.EXCEEDED: "bold red"}
SHOWN = 20  # failures of which each is printed
_PLAY = "boots"


def boots(  # noqa: PLR0913  # one parameter for each option of the command
    ctx: typer.Context,
    *,
    site: SiteOption = "",
    limit: LimitOption = "",
    flavor: Annotated[
        str, typer.Option("--flavor", metavar="FLAVOR", help="The servers' flavor: its id or name.")
    ] = "",
    image: Annotated[
        str, typer.Option("--image", metavar="IMAGE", help="Their image: its id or name.")
    ] = "",
    network: Annotated[
        str,
        typer.Option(
            "--network", metavar="ID", help="A network for each, or none: then no port is made."
        ),
    ] = "none",
    per_host: Annotated[
        int, typer.Option("--per-host", metavar="N", min=1, help="Servers on each compute.")
    ] = 3,
    hosts: Annotated[
        int,
        typer.Option(
            "--hosts",
            metavar="N",
            min=0,
            help="So many computes, spread over the inventory and the same each time; 0 for all.",
        ),
    ] = 0,
    at_once: Annotated[
        int,
        typer.Option(
            "--at-once",
            metavar="N",
            min=1,
            max=200,
            help="Requests under way at the same time; nova builds what it has taken beside them.",
        ),
    ] = 20,
    within: Annotated[
        str,
        typer.Option(
            "--within", metavar="DURATION", help="A server that is not ACTIVE by then has failed."
        ),
    ] = "5m",
    failures: Annotated[
        int, typer.Option("--failures", metavar="N", min=0, help="So many servers may fail.")
    ] = 0,
    clean_up: Annotated[
        str,
        typer.Option(
            "--clean-up",
            metavar="ID",
            help="Boot nothing: delete what the test with this id, or its end, has left.",
        ),
    ] = "",
    svg: Annotated[
        Path | None,
        typer.Option(help="Also write a picture of the test to this file.", dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Boot servers on every compute at once through nova's API, wait for each, classify every failure, and delete them.

    For after an upgrade or a roll: each service answers, and do boots work? Compares with the last test of the site.
    Nothing is asked twice: a server that fails is a failure, and its fault is printed. Servers carry the test's id, and
    nothing else is deleted. While it lasts nobody can restart nova, its brokers or its databases with Holdfast; where
    somebody does, it is refused. Ctrl-C deletes what was booted; a second one leaves it, and says how to delete it.

    The account of the site (nova_auth_username) has to be an administrator's: servers are placed on named computes. Its
    project's quota has to have room for all of them.
    """
    context = context_of(ctx)
    if clean_up:
        _clean_up(context, site, clean_up)
        return
    if not (flavor and image):
        raise InvalidInput(
            "a flavor and an image are needed to boot servers: openstack flavor list, openstack image list",
            remedy="holdfast boots --flavor FLAVOR --image IMAGE",
        )
    options: dict[str, Json] = {
        "flavor": flavor,
        "image": image,
        "network": network,
        "per_host": per_host,
        "sample": hosts,
        "at_once": at_once,
        "within": _seconds(within),
        "failures": failures,
    }
    if svg:
        _require_writable(svg)
    test = _boot(context, site, limit, options)
    last = _records(context).last(test)
    if as_json:
        context.write_line(json.dumps(for_programs(test, last)))
    else:
        context.show(_view(test, last))
    if svg:
        svg.write_text(boots_svg(test), encoding="utf-8")
    if test.left:
        raise OutcomeUnknown(
            f"{test.id}: {len(test.left)} are not known to be deleted",
            remedy=_clean_up_command(test.id, site),
        )
    raise typer.Exit(EXIT_CODES[end_of(test)])


def _seconds(text: str) -> int:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InvalidInput(f"--within: {error}") from None
    if not seconds:
        raise InvalidInput("--within 0: no server is ACTIVE at once", remedy="--within 5m")
    return seconds


def _require_writable(svg: Path) -> None:
    """Return only if the picture can be written: that is not to be found out when the servers were booted."""
    try:
        svg.open("a", encoding="utf-8").close()
    except OSError as error:
        raise InvalidInput(f"{svg} cannot be written: {error.strerror}") from None


def _records(context: CommandContext) -> Records:
    return Records(context.settings.state_dir / "boots")


def _clean_up_command(test: str, site: str) -> str:
    return f"holdfast boots --clean-up {test}" + (f" --site {site}" if site else "")


def _boot(context: CommandContext, site: str, limit: str, options: dict[str, Json]) -> BootTest:
    """Run the play and return the test's record.

    Raises:
        Refused: it was refused before the first request; nothing was booted.
        OutcomeUnknown: the play ended and the record did not; servers may be left.
    """
    inventory = _inventory(context, site, limit)
    computes = inventory.groups.get("nova_compute", ())
    chosen = [each for each in computes if inventory.selected is None or each in inventory.selected]
    if not chosen:
        raise InvalidInput("no host of the group nova_compute is selected", remedy="--limit 'cmp*'")
    context.store.require_lasting()
    test = context.store.new_run(_PLAY, context.now())
    variables = {
        "holdfast_boots_id": test,
        "holdfast_boots_options": options,
        "holdfast_boots_hosts": chosen,
    }
    ended = _play(context, site, inventory, test, variables)
    record, (said, remedy) = _records(context).read(test), _said(ended)
    if record is None:
        said = said or f"the play ended ({ended.status}) before anything was booted"
        raise Refused(said, remedy=remedy)
    if record.ended is None:
        raise OutcomeUnknown(
            f"{test}: the play ended ({ended.status}) before its servers were deleted{f': {said}' if said else ''}",
            remedy=_clean_up_command(test, site),
        )
    return record


def _clean_up(context: CommandContext, site: str, name: str) -> None:
    """Delete what a test has left.

    Raises:
        Refused: nothing was deleted.
        OutcomeUnknown: some are not known to be deleted.
    """
    test, inventory = _records(context).find(name), _inventory(context, site, "")
    # A run of its own, which ends no process of a test that still runs.
    run = context.store.new_run("boots-clean-up", context.now())
    variables = {"holdfast_boots_state": "deleted", "holdfast_boots_id": test}
    ended = _play(context, site, inventory, run, variables)
    said, remedy = _said(ended)
    if ended.status == "ok":
        context.show(Text(f"{test}: nothing of it is left", "green"))
        return
    if NOTHING_DELETED in said:
        raise Refused(said, remedy=remedy)
    raise OutcomeUnknown(
        said or f"the play ended: {ended.status}", remedy=_clean_up_command(test, site)
    )


def _said(ended: PlayResult) -> tuple[str, str]:
    """Return why a play failed, and what its error says to type next."""
    text = "; ".join(dict.fromkeys(ended.messages.values()))
    message, _, remedy = text.partition("\n  next: ")
    return one_line(message), one_line(remedy)


def _inventory(context: CommandContext, site: str, limit: str) -> SiteInventory:
    path = context.site(site)
    with context.status_line("Reading inventory"):
        inventory = context.adapters(context).planner.inventories.read(path, limit)
    if not inventory.groups.get("nova_api"):
        raise InvalidInput("the inventory's group nova_api has no hosts to ask")
    return inventory


def _play(
    context: CommandContext,
    site: str,
    inventory: SiteInventory,
    run: str,
    variables: Mapping[str, Json],
) -> PlayResult:
    """Run the play to its end; the first Ctrl-C asks it to delete what it booted, the second ends it at once."""
    holder = this_process(run, context.user, "a boot test")
    context.store.would_take(holder, scopes(inventory.name, inventory.groups))
    with TemporaryDirectory(prefix="holdfast-boots-") as directory:
        stop, stop_file = StopSignal(), Path(directory) / "stop"
        runner = context.adapters(context).runner(
            replace(context.settings, state_dir=Path(directory))
        )
        play = Play(
            run=run,
            ident=_PLAY,
            playbook="boots.yml",
            inventory=str(context.site(site)),
            variables={
                "holdfast_site": inventory.name,
                "holdfast_by": context.user,
                "holdfast_boots_records": str(_records(context).directory),
                "holdfast_boots_stop_file": str(stop_file),
                **variables,
            },
        )
        with (
            context.status_line("Boot test") as show,
            interruptible(stop, lambda _: context.err.print(Text(_stopping(stop), "yellow"))),
        ):

            def listen(at: Progress) -> None:
                show(one_line(at.text.removeprefix(f"boots {at.host} ") or at.task))

            return run_play(runner, play, listen, _asks(stop, stop_file))


def _stopping(stop: StopSignal) -> str:
    if stop.hard:
        return "Ending now: what was booted is left."
    return "Stopping: what was booted is deleted first. Ctrl-C again leaves it."


def _asks(stop: StopSignal, stop_file: Path) -> Callable[[], bool]:
    """Return what is asked at each tick of the play: it passes a first Ctrl-C on, and ends the play at the second."""

    def ask() -> bool:
        if stop.at_boundary and not stop_file.exists():
            stop_file.touch()
        return stop.hard

    return ask


def _view(test: BootTest, last: BootTest | None) -> RenderableType:
    first, *rest = summary_lines(test, last)
    parts: list[RenderableType] = [Text(one_line(first), COLOURS.get(end_of(test), "bold yellow"))]
    bad = [boot for boot in test.boots if boot.outcome in {"failed", "unknown"}]
    if bad:
        table = columns("host", ">server", "kind", "fault")
        for boot in bad[:SHOWN]:
            kind = boot.kind or boot.outcome
            table.add_row(
                Text(boot.host, "bold"), str(boot.number), str(kind), Text(one_line(boot.fault))
            )
        parts += [Text(), table]
        if len(bad) > SHOWN:
            parts.append(Text(f"and {len(bad) - SHOWN} more: --json has all", "dim"))
        parts.append(Text())
    parts += [Text(one_line(line)) for line in rest]
    return Group(*parts)
