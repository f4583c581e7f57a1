"""What the observer asks: one small question per service, each bounded in time, each answered by a `Reading`.

Owns the questions and what counts as out. A question that cannot be put at all reads as unknown, never as out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import amqp
import httpx

from tests.lab.instruments.calls import Answer, Caller, Server, rpc_servers
from tests.lab.instruments.lines import SILENT
from tests.lab.instruments.site import Host, Site
from tests.lab.instruments.units import HostSilent, UnitStream

TIMEOUT = 0.8  # of one question, in seconds: below the interval between samples

UNITS = {
    "nova_conductor": "nova-conductor",
    "nova_scheduler": "nova-scheduler",
    "nova_api": "nova-api",
    "nova_metadata": "nova-api-metadata",
    "nova_compute": "nova-compute",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer: there (True), out (False) or unknown (None), and what shows it."""

    ok: bool | None
    detail: Any = None


class Look(Protocol):
    """A question to one host that may answer several things at once."""

    @property
    def host(self) -> str: ...

    @property
    def whats(self) -> tuple[str, ...]: ...

    def take(self, number: int) -> dict[str, Reading]:
        """Ask once; never raises for an answer that does not come."""

    def late(self) -> Reading:
        """Return what it means when the question is still open at the end of the sample."""


@dataclass(frozen=True, slots=True)
class AmqpLook:
    """Does this broker take an authenticated connection and open a channel?"""

    target: Host
    site: Site
    whats: tuple[str, ...] = ("amqp",)

    @property
    def host(self) -> str:
        return self.target.name

    def take(self, number: int) -> dict[str, Reading]:
        connection = amqp.Connection(
            host=f"{self.target.address}:{self.site.amqp_port}",
            userid=self.site.amqp_user,
            password=self.site.amqp_password.value,
            virtual_host=self.site.amqp_vhost,
            connect_timeout=TIMEOUT,
            read_timeout=TIMEOUT,
            write_timeout=TIMEOUT,
        )
        try:
            connection.connect()
            connection.channel()
        except TimeoutError:
            return {"amqp": Reading(False, SILENT)}
        except (amqp.AMQPError, OSError) as error:
            return {"amqp": Reading(False, type(error).__name__)}
        finally:
            connection.collect()
        return {"amqp": Reading(True)}

    def late(self) -> Reading:
        return Reading(False, SILENT)


@dataclass(frozen=True, slots=True)
class RpcLook:
    """Does this nova service take a call off its own queue, and does its answer arrive?"""

    server: Server
    caller: Caller

    @property
    def host(self) -> str:
        return self.server.host

    @property
    def whats(self) -> tuple[str, ...]:
        return (self.server.what,)

    def take(self, number: int) -> dict[str, Reading]:
        answer, why = self.caller.ping(self.server, TIMEOUT)
        # A call that could not be sent says something of the broker, not of the service.
        reading = {
            Answer.ANSWERED: Reading(True),
            Answer.SILENT: Reading(False, SILENT),
            Answer.NOT_ASKED: Reading(None, why),
        }
        return {self.server.what: reading[answer]}

    def late(self) -> Reading:
        return Reading(None, "late: the transport is reconnecting")


@dataclass(frozen=True, slots=True)
class HttpLook:
    """Does this API answer its version document? Any answer below 500 is one."""

    host: str
    what: str
    url: str
    client: httpx.Client

    @property
    def whats(self) -> tuple[str, ...]:
        return (self.what,)

    def take(self, number: int) -> dict[str, Reading]:
        try:
            status = self.client.get(f"{self.url.rstrip('/')}/").status_code
        except httpx.TimeoutException:
            return {self.what: Reading(False, SILENT)}
        except httpx.HTTPError as error:
            return {self.what: Reading(False, type(error).__name__)}
        return {self.what: Reading(status < 500, status)}

    def late(self) -> Reading:
        return Reading(False, SILENT)


@dataclass(frozen=True, slots=True)
class UnitsLook:
    """Which invocation of each unit runs on this host?"""

    host: str
    units: tuple[str, ...]
    stream: UnitStream

    @property
    def whats(self) -> tuple[str, ...]:
        return tuple(f"unit:{unit}" for unit in self.units)

    def take(self, number: int) -> dict[str, Reading]:
        try:
            shown = self.stream.ask(number, TIMEOUT)
        except HostSilent as silence:
            return dict.fromkeys(self.whats, Reading(None, str(silence)))
        if len(shown) != len(self.units):
            return dict.fromkeys(self.whats, Reading(None, "systemd did not answer"))
        return {what: unit_reading(unit) for what, unit in zip(self.whats, shown, strict=True)}

    def late(self) -> Reading:
        return Reading(None, "late")


def unit_reading(shown: dict[str, str]) -> Reading:
    """Return a unit's reading from systemd's properties; only `active` is there."""
    detail = {
        "invocation_id": shown.get("InvocationID", ""),
        "active_state": shown.get("ActiveState", ""),
        "sub_state": shown.get("SubState", ""),
        "load_state": shown.get("LoadState", ""),
        "restarts": int(shown.get("NRestarts") or 0),
    }
    return Reading(detail["active_state"] == "active", detail)


def looks_of(site: Site, units: Sequence[tuple[str, str]], stack: ExitStack) -> list[Look]:
    """Return every question for this site; what they keep open is closed by `stack`."""
    looks: list[Look] = [AmqpLook(host, site) for host in site.members("rabbitmq")]
    looks += _unit_looks(site, units, stack)
    looks += _http_looks(site, stack)
    if site.nova_transport is not None:
        caller = Caller(site.nova_transport)
        stack.callback(caller.close)
        looks += [RpcLook(server, caller) for server in rpc_servers(site)]
    return looks


def _http_looks(site: Site, stack: ExitStack) -> Iterator[Look]:
    client = stack.enter_context(httpx.Client(timeout=TIMEOUT, trust_env=False))
    for host in site.hosts.values():
        if "nova_api" in host.groups and host.nova_api_url:
            yield HttpLook(host.name, "http:nova-api", host.nova_api_url, client)
        if "nova_metadata" in host.groups and host.nova_metadata_url:
            yield HttpLook(host.name, "http:nova-metadata", host.nova_metadata_url, client)


def _unit_looks(site: Site, extra: Sequence[tuple[str, str]], stack: ExitStack) -> Iterator[Look]:
    watched = [
        ("rabbitmq", site.rabbitmq_unit),
        *UNITS.items(),
        *((group, unit) for unit, group in extra),
    ]
    for host in site.hosts.values():
        units = tuple(
            dict.fromkeys(
                unit for group, unit in watched if group in host.groups or group == host.name
            )
        )
        if units and host.container:
            stream = UnitStream(host.container, units, site.lab_dir)
            stack.callback(stream.close)
            yield UnitsLook(host.name, units, stream)
