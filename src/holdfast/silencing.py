"""Silences what the turn of one host disturbs, in Alertmanager and in Icinga, and ends that again (docs/adr/0096).

What is placed is found again by its comment, which names the run and the host; so nothing of others is ever touched.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.alerts import alertmanager, icinga
from holdfast.probes.alerts.site import AlertmanagerSite, IcingaSite
from holdfast.probes.base import ProbeContext

SILENCES: Mapping[str, str] = {
    "holdfast_alertmanager_silence": "['instance=~\"HOST(:.*)?\"']",
    "holdfast_icinga_downtime": "{type: Host, filter: 'host.name == \"HOST\"'}",
}
"""The variables that say what is silenced of a host, each with an example."""


SLOW_SECONDS = 10.0
"""The act follows at once, on what was proved before; so long it may be in between (docs/adr/0027)."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What was silenced in one service, until when at the latest, and the command that ends it before."""

    service: str
    names: Sequence[str]
    until: datetime
    undo: str


def needs() -> tuple[str, ...]:
    """Return the site variables of a host that are read."""
    return tuple(dict.fromkeys((*AlertmanagerSite.needs(), *IcingaSite.needs())))


class Silencer:
    """Silences of one run for the host of the context."""

    def __init__(
        self, context: ProbeContext, comment: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._alertmanager = context.site(context.host, AlertmanagerSite)
        self._icinga = context.site(context.host, IcingaSite)
        self._comment, self._clock = comment, clock

    @property
    def selected(self) -> Mapping[str, Json]:
        """What is silenced, by its variable; without what the site does not have."""
        found = {
            "holdfast_alertmanager_silence": self._alertmanager.holdfast_alertmanager_silence,
            "holdfast_icinga_downtime": self._icinga.holdfast_icinga_downtime,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def where(self) -> str:
        """The services, for messages."""
        return " and ".join(self._services)

    @property
    def _services(self) -> list[str]:
        names = {"holdfast_alertmanager_silence": "Alertmanager"}
        return [names.get(each, "Icinga") for each in self.selected]

    def place(self, now: datetime) -> list[Placed]:
        """Silence the host in every service, or in none.

        What this run placed before, and held with, is replaced: first the new, then the old ends.

        Raises:
            CannotTell: a service refused it, gave no answer, or took too long; what was placed has been ended.
            InvalidInput: what the site selects cannot be read.
        """
        placed: list[Placed] = []
        began = self._clock()
        with ExitStack() as not_placed:
            not_placed.callback(self._take_back, placed)
            for each in self._place_each(now):
                placed.append(each)  # noqa: PERF402 - what was placed before a failure is in it
            took = self._clock() - began
            if took > SLOW_SECONDS:
                raise CannotTell(
                    f"{self.where} took {took:.0f} s to silence it: what was proved before is too old by now"
                )
            not_placed.pop_all()
        return placed

    def end(self) -> Iterator[tuple[str, Sequence[str] | CannotTell]]:
        """End what this run has placed for the host; yield per service the names, or why they may be in effect."""
        for service in self._services:
            try:
                yield service, self._remove(service)
            except CannotTell as error:
                yield service, error

    def _place_each(self, now: datetime) -> Iterator[Placed]:
        if self._alertmanager.holdfast_alertmanager_silence:
            site = self._alertmanager
            until = now + timedelta(minutes=site.holdfast_silence_minutes)
            ids = alertmanager.silence(site, self._comment, now, until)
            yield Placed("Alertmanager", ids, until, _expire_command(site, ids))
            alertmanager.expire(site, self._comment, kept=ids)
        if downtime := self._icinga.holdfast_icinga_downtime:
            of_icinga = self._icinga
            until = now + timedelta(minutes=of_icinga.holdfast_silence_minutes)
            names = icinga.schedule(of_icinga, downtime, self._comment, now, until)
            yield Placed("Icinga", names, until, _remove_command(of_icinga, self._comment))
            icinga.remove(of_icinga, self._comment, kept=names)

    def _remove(self, service: str) -> Sequence[str]:
        if service == "Alertmanager":
            return alertmanager.expire(self._alertmanager, self._comment)
        return icinga.remove(self._icinga, self._comment)

    def _take_back(self, placed: Sequence[Placed]) -> None:
        """End what was placed before the failure; what cannot be ended ends by itself, and the failure is raised."""
        for each in placed:
            with suppress(CannotTell):
                self._remove(each.service)


def _expire_command(site: AlertmanagerSite, ids: Sequence[str]) -> str:
    url = site.holdfast_alertmanager_url
    return shlex.join(["amtool", f"--alertmanager.url={url}", "silence", "expire", *ids])


def _remove_command(site: IcingaSite, comment: str) -> str:
    """Return a command of curl, which asks for the password."""
    ours = f'downtime.author == "{icinga.AUTHOR}" && downtime.comment == "{comment}"'
    body = json.dumps({"type": "Downtime", "filter": ours})
    url = f"{site.holdfast_icinga_url.rstrip('/')}/v1/actions/remove-downtime"
    login, accept = ["--user", site.holdfast_icinga_user], ["--header", "Accept: application/json"]
    return shlex.join(["curl", *login, *accept, "--data", body, url])
