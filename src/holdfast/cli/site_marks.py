"""The marks on a site's hosts, for ``lease list`` and ``lease release`` (docs/adr/0023), read by a play."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from holdfast.ansible.interfaces import Play, StopSignal, run_play
from holdfast.cli.context import CommandContext
from holdfast.cli.interrupt import interruptible
from holdfast.engine.play_builder import MARKS
from holdfast.errors import StateUnusable
from holdfast.journal.events import BaselineTaken, RunOpened
from holdfast.marks import RunMark
from holdfast.model import Json, LeaseMode
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store
from holdfast.store.leases import LeaseRow
from holdfast.text import join_names, one_line


@dataclass(frozen=True, slots=True)
class SiteMark:
    """The marks of one run on one service: the hosts that have them, and the holder as of a lease."""

    scope: str
    hosts: tuple[str, ...]
    row: LeaseRow

    @property
    def label(self) -> str:
        """Return how it is listed, such as ``lab/nova, marked on ctl1, ctl2``."""
        return f"{self.scope}, marked on {join_names(self.hosts, limit=3)}"


@dataclass(frozen=True, slots=True)
class SiteMarks:
    """The marks of a site, and per host why they are not known."""

    marks: tuple[SiteMark, ...]
    unknown: Mapping[str, str]


def read_site_marks(context: CommandContext, site: str) -> SiteMarks:
    """Ask every host of the site for its marks.

    Raises:
        InvalidInput: there is no such site.
        StateUnusable: the play did not tell.
    """
    name, found = _play(context, site, {})
    marks: dict[tuple[str, str], SiteMark] = {}
    for host, answer in found.items():
        for service, entry in answer["marks"].items():
            mark = RunMark.from_text(entry["mark"])
            expires = context.now() + timedelta(seconds=entry["seconds"])
            row = LeaseRow(mark.holder, LeaseMode.EXCLUSIVE, 0, mark.since, expires)
            earlier = marks.get((service, mark.holder.run))
            hosts = (*(earlier.hosts if earlier else ()), host)
            marks[service, mark.holder.run] = SiteMark(f"{name}/{service}", hosts, row)
    unknown = {host: answer["error"] for host, answer in found.items() if answer["error"]}
    return SiteMarks(tuple(marks.values()), unknown)


def remove_site_mark(context: CommandContext, site: str, mark: SiteMark) -> None:
    """Remove the marks of the run from the hosts that have them."""
    _play(context, site, {"run": mark.row.holder.run, "hosts": list(mark.hosts)})


def _play(
    context: CommandContext, site: str, unmark: dict[str, Json]
) -> tuple[str, Mapping[str, Json]]:
    """Run the play, with a journal of its own that is deleted; return the site's name and each host's answer."""
    adapters, run = context.adapters(context), f"marks-{secrets.token_hex(4)}"
    place = context.site(site)
    with TemporaryDirectory(prefix="holdfast-marks-") as directory:
        settings = Settings(f"sqlite:///{directory}/state.db", Path(directory))
        store, runner = open_store(settings), adapters.runner(settings)
        inventory = adapters.planner.inventories.read(place, "")
        store.append(run, _opened(context, inventory.name))
        given: dict[str, Json] = {"holdfast_run": run, "holdfast_grant": {}}
        variables = given | ({"holdfast_unmark": unmark} if unmark else {})
        play = Play(run, "marks", MARKS, str(place), (), variables)
        stop = StopSignal()
        with context.status_line("Asking the hosts") as show, interruptible(stop, show):
            ended = run_play(runner, play, lambda _: None, lambda: stop.at_boundary)
        if ended.status != "ok":
            said = "; ".join(f"{host}: {text}" for host, text in ended.messages.items())
            raise StateUnusable(
                f"the marks of {inventory.name} are not known: {one_line(said or ended.status)}",
                remedy=f"ansible -i {place} all -m ping",
            )
        return inventory.name, {} if unmark else _listed(store, run)


def _listed(store: Store, run: str) -> Mapping[str, Json]:
    taken = [entry.event for entry in store.read(run) if isinstance(entry.event, BaselineTaken)]
    return taken[-1].values if taken else {}


def _opened(context: CommandContext, site: str) -> RunOpened:
    return RunOpened(
        at=context.now(),
        runbook="",
        runbook_hash="",
        playbook=MARKS,
        site=site,
        by="",
        reason="holdfast lease",
        controller=platform.node(),
        process=os.getpid(),
    )
