"""Silences what the turn of one host disturbs, in Alertmanager and in Icinga, and ends that again (docs/adr/0096).

What is placed is found again by its comment, which names the run and the host; so nothing of others is ever touched.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from holdfast.errors import CannotTell, HoldfastError, InvalidInput
from holdfast.model import Json
from holdfast.probes.alerts import alertmanager, icinga
from holdfast.probes.alerts.client import NotDone
from holdfast.probes.alerts.site import Account, AlertmanagerSite, IcingaSite
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


class _Remove(Protocol):
    def __call__(self, comment: str, kept: Sequence[str] = ()) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class _Service:
    """A service in which the site silences the host: what ``variable`` selects, and how that is done.

    ``place`` takes comment, beginning and end, and returns names; ``undo`` returns the command for comment and names.
    """

    name: str
    variable: str
    selected: Json
    minutes: int
    place: Callable[[str, datetime, datetime], Sequence[str]]
    remove: _Remove
    undo: Callable[[str, Sequence[str]], str]


def needs() -> tuple[str, ...]:
    """Return the site variables of a host that are read."""
    return tuple(dict.fromkeys((*AlertmanagerSite.needs(), *IcingaSite.needs())))


def require_own(
    host: str, selected: Mapping[str, Json], others: Iterable[tuple[str, Mapping[str, Json]]]
) -> None:
    """Refuse what one of the others would silence as well: it does not select this host alone.

    ``others``: each with what is selected there, as ``Silencer.selected``.

    Raises:
        InvalidInput: two hosts have the same.
    """
    for other, of_other in others:
        for variable, chosen in selected.items():
            if chosen == of_other.get(variable):
                raise InvalidInput(
                    f"{variable} is the same for {host} and {other}, so it silences more than one host",
                    remedy=f"use the host's name in it: {SILENCES[variable]}",
                )


class Silencer:
    """Silences of one run for the host of the context."""

    def __init__(
        self, context: ProbeContext, comment: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._services = tuple(_services(context))
        self._comment, self._clock = comment, clock

    @property
    def selected(self) -> Mapping[str, Json]:
        """What is silenced, by its variable; without what the site does not have."""
        return {each.variable: each.selected for each in self._services}

    @property
    def where(self) -> str:
        """The services, for messages."""
        return " and ".join(each.name for each in self._services)

    def place(self, now: datetime) -> list[Placed]:
        """Silence the host in every service, or in none.

        What this run placed before, and held with, is replaced: first the new, then the old ends.

        Raises:
            CannotTell: a service refused it, gave no answer, or took too long. What it may have placed all the same has
                been ended; the message names what could not be.
            InvalidInput: what the site selects cannot be read.
        """
        placed: list[Placed] = []
        began = self._clock()
        try:
            for service in self._services:
                placed.append(self._place(service, now))  # noqa: PERF401 - what was placed before a failure is in it
            for service, each in zip(self._services, placed, strict=True):
                service.remove(self._comment, each.names)
            self._require_quick(began)
        except HoldfastError as error:
            asked = len(placed) + (not isinstance(error, NotDone))
            if left := self._take_back(self._services[:asked], placed, now):
                raise CannotTell("; ".join([error.message, *left]), remedy=error.remedy) from error
            raise
        return placed

    def end(self) -> Iterator[tuple[str, Sequence[str] | CannotTell]]:
        """End what this run has placed for the host; yield per service the names, or why they may be in effect."""
        for service in self._services:
            yield service.name, self._remove(service)

    def _place(self, service: _Service, now: datetime) -> Placed:
        until = now + timedelta(minutes=service.minutes)
        names = service.place(self._comment, now, until)
        return Placed(service.name, names, until, service.undo(self._comment, names))

    def _remove(self, service: _Service) -> Sequence[str] | CannotTell:
        try:
            return service.remove(self._comment)
        except CannotTell as error:
            return error

    def _require_quick(self, began: float) -> None:
        took = self._clock() - began
        if took > SLOW_SECONDS:
            raise CannotTell(
                f"{self.where} took {took:.0f} s to silence it: what was proved before is too old by now"
            )

    def _take_back(
        self, asked: Sequence[_Service], placed: Sequence[Placed], now: datetime
    ) -> list[str]:
        """End what was placed, and what may have been where the answer was lost; return what could not be ended."""
        undo = {each.service: f"; to end it: {each.undo}" for each in placed}
        left = []
        for service in asked:
            if isinstance(why := self._remove(service), CannotTell):
                until = now + timedelta(minutes=service.minutes)
                left.append(
                    f"it may be silenced in {service.name} until {until:%H:%M} UTC, comment {self._comment!r}:"
                    f" that could not be ended: {why.message}{undo.get(service.name, '')}"
                )
        return left


def _services(context: ProbeContext) -> Iterator[_Service]:
    """Yield the services in which the site silences the host of the context."""
    prometheus = context.site(context.host, AlertmanagerSite)
    if prometheus.holdfast_alertmanager_silence:
        yield _Service(
            "Alertmanager",
            "holdfast_alertmanager_silence",
            prometheus.holdfast_alertmanager_silence,
            prometheus.holdfast_silence_minutes,
            partial(alertmanager.silence, prometheus),
            partial(alertmanager.expire, prometheus),
            partial(_expire_command, prometheus.account),
        )
    nagios = context.site(context.host, IcingaSite)
    if downtime := nagios.holdfast_icinga_downtime:
        yield _Service(
            "Icinga",
            "holdfast_icinga_downtime",
            downtime,
            nagios.holdfast_silence_minutes,
            partial(icinga.schedule, nagios, downtime),
            partial(icinga.remove, nagios),
            partial(_remove_command, nagios.account),
        )


def _expire_command(account: Account, _comment: str, names: Sequence[str]) -> str:
    return _curl(account, "--request", "DELETE", *(f"/api/v2/silence/{each}" for each in names))


def _remove_command(account: Account, comment: str, _names: Sequence[str]) -> str:
    ours = f'downtime.author == "{icinga.AUTHOR}" && downtime.comment == "{comment}"'
    body = json.dumps({"type": "Downtime", "filter": ours})
    accept = ("--header", "Accept: application/json")
    return _curl(account, *accept, "--data", body, "/v1/actions/remove-downtime")


def _curl(account: Account, *arguments: str) -> str:
    """Return a command of curl for what begins with ``/``; it asks for the password of the account's user."""
    url = urlsplit(account.url.rstrip("/"))
    options = ["--user", account.user] if account.user else []
    options += ["--cacert", account.ca_file] if account.ca_file else []
    if account.tls_name:
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        address = f"[{host}]" if ":" in host else host
        options += ["--connect-to", f"{account.tls_name}:{port}:{address}:{port}"]
        url = url._replace(netloc=f"{account.tls_name}:{port}")
    typed = [f"{url.geturl()}{each}" if each.startswith("/") else each for each in arguments]
    return shlex.join(["curl", "--fail-with-body", *options, *typed])
