"""The observer's checks: one short request to each service, with a timeout, whose answer is a `CheckResult`.

A service that refuses or does not answer is out. If the request could not be sent, its state is unknown, never out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import amqp
import requests

from tests.lab.instruments.records import NO_ANSWER, CheckResult
from tests.lab.instruments.rpc_calls import CallOutcome, RpcClient, RpcServer, rpc_servers
from tests.lab.instruments.site import Host, Site
from tests.lab.instruments.units import HostUnresponsive, UnitReader, unit_result

TIMEOUT = 0.8  # of one request, in seconds: below the interval between samples

UNITS = {
    "nova_conductor": "nova-conductor",
    "nova_scheduler": "nova-scheduler",
    "nova_api": "nova-api",
    "nova_metadata": "nova-api-metadata",
    "nova_compute": "nova-compute",
}


class ServiceCheck(Protocol):
    """One request to one host; its answer may show the state of several services."""

    @property
    def host(self) -> str: ...

    @property
    def services(self) -> tuple[str, ...]: ...

    def run(self, number: int) -> dict[str, CheckResult]:
        """Send the request for sample `number` and return each service's result; never raises for a missing answer."""

    def late_result(self) -> CheckResult:
        """Return the result of a check that has not ended by the end of the sample."""


@dataclass(frozen=True, slots=True)
class AmqpCheck:
    """Checks that a broker accepts an authenticated connection and opens a channel."""

    target: Host
    site: Site
    services: tuple[str, ...] = ("amqp",)

    @property
    def host(self) -> str:
        return self.target.name

    def run(self, number: int) -> dict[str, CheckResult]:
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
            return {"amqp": CheckResult(False, NO_ANSWER)}
        except (amqp.AMQPError, OSError) as error:
            return {"amqp": CheckResult(False, type(error).__name__)}
        finally:
            connection.collect()
        return {"amqp": CheckResult(True)}

    def late_result(self) -> CheckResult:
        return CheckResult(False, NO_ANSWER)


@dataclass(frozen=True, slots=True)
class RpcCheck:
    """Checks that a nova service takes a call from its own queue and that its answer arrives."""

    server: RpcServer
    client: RpcClient

    @property
    def host(self) -> str:
        return self.server.host

    @property
    def services(self) -> tuple[str, ...]:
        return (self.server.name,)

    def run(self, number: int) -> dict[str, CheckResult]:
        answer, why = self.client.ping(self.server, TIMEOUT)
        # That a call could not be sent shows the state of the broker, not of the service.
        reading = {
            CallOutcome.ANSWERED: CheckResult(True),
            CallOutcome.NO_ANSWER: CheckResult(False, NO_ANSWER),
            CallOutcome.NOT_SENT: CheckResult(None, why),
        }
        return {self.server.name: reading[answer]}

    def late_result(self) -> CheckResult:
        return CheckResult(None, "late: the transport is reconnecting")


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """Checks that an API returns its version document; any status below 500 is up."""

    host: str
    what: str
    url: str
    client: requests.Session

    @property
    def services(self) -> tuple[str, ...]:
        return (self.what,)

    def run(self, number: int) -> dict[str, CheckResult]:
        try:
            url = f"{self.url.rstrip('/')}/"
            answer = self.client.get(url, timeout=TIMEOUT, allow_redirects=False)
        except requests.Timeout:
            return {self.what: CheckResult(False, NO_ANSWER)}
        except requests.RequestException as error:
            return {self.what: CheckResult(False, type(error).__name__)}
        return {self.what: CheckResult(answer.status_code < 500, answer.status_code)}

    def late_result(self) -> CheckResult:
        return CheckResult(False, NO_ANSWER)


@dataclass(frozen=True, slots=True)
class UnitsCheck:
    """Checks which units of a host are active, and notes their InvocationIDs."""

    host: str
    units: tuple[str, ...]
    reader: UnitReader

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(f"unit:{unit}" for unit in self.units)

    def run(self, number: int) -> dict[str, CheckResult]:
        try:
            shown = self.reader.read(number, TIMEOUT)
        except HostUnresponsive as error:
            return dict.fromkeys(self.services, CheckResult(None, str(error)))
        if len(shown) != len(self.units):
            return dict.fromkeys(self.services, CheckResult(None, "systemd did not answer"))
        return {what: unit_result(unit) for what, unit in zip(self.services, shown, strict=True)}

    def late_result(self) -> CheckResult:
        return CheckResult(None, "late")


def service_checks(
    site: Site, units: Sequence[tuple[str, str]], stack: ExitStack
) -> list[ServiceCheck]:
    """Return all checks of a site; `stack` closes the connections that they keep open."""
    checks: list[ServiceCheck] = [AmqpCheck(host, site) for host in site.members("rabbitmq")]
    checks += _unit_checks(site, units, stack)
    checks += _http_checks(site, stack)
    if site.nova_transport is not None:
        client = RpcClient(site.nova_transport)
        stack.callback(client.close)
        checks += [RpcCheck(server, client) for server in rpc_servers(site)]
    return checks


def _http_checks(site: Site, stack: ExitStack) -> Iterator[ServiceCheck]:
    client = stack.enter_context(requests.Session())
    client.trust_env = False
    for host in site.hosts.values():
        if "nova_api" in host.groups and host.nova_api_url:
            yield HttpCheck(host.name, "http:nova-api", host.nova_api_url, client)
        if "nova_metadata" in host.groups and host.nova_metadata_url:
            yield HttpCheck(host.name, "http:nova-metadata", host.nova_metadata_url, client)


def _unit_checks(
    site: Site, extra: Sequence[tuple[str, str]], stack: ExitStack
) -> Iterator[ServiceCheck]:
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
            reader = UnitReader(host.container, units, site.lab_dir)
            stack.callback(reader.close)
            yield UnitsCheck(host.name, units, reader)
