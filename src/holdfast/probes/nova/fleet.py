"""Ask every host of nova's groups about its units: whether they run, and whether their logs can be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.nova_services import RPC_SERVICES, SERVICES
from holdfast.observations.nova import (
    ExpectedService,
    FleetLogs,
    FleetUnits,
    LogPosition,
    ServiceList,
    UnitLog,
)
from holdfast.observations.systemd import StartsWithin, UnitState
from holdfast.probes.base import CommandPrefix, ProbeContext, SiteVariables, ask_all, or_unanswered
from holdfast.probes.flapping import starts_within
from holdfast.probes.nova.host import LogSource, read_unit_log
from holdfast.probes.nova.services import list_services
from holdfast.probes.nova.site import api_sites, expected_services
from holdfast.probes.systemd import units_of

NEWEST_LINES = 1_000
"""How many lines of a log are read to see whether it can be told."""


class UnitSite(SiteVariables):
    """One host's units, their logs and containers; defaults are those of roles/nova."""

    nova_conductor_unit: str = "nova-conductor"
    nova_scheduler_unit: str = "nova-scheduler"
    nova_api_unit: str = "nova-api"
    nova_metadata_unit: str = "nova-api-metadata"
    nova_compute_unit: str = "nova-compute"
    nova_conductor_log: str = "/var/log/nova/nova-conductor.log"
    nova_scheduler_log: str = "/var/log/nova/nova-scheduler.log"
    nova_api_log: str = "/var/log/nova/nova-api-wsgi.log"
    nova_metadata_log: str = "/var/log/nova/nova-metadata-wsgi.log"
    nova_compute_log: str = "/var/log/nova/nova-compute.log"
    nova_conductor_command_prefix: CommandPrefix = ()
    nova_scheduler_command_prefix: CommandPrefix = ()
    nova_api_command_prefix: CommandPrefix = ()
    nova_metadata_command_prefix: CommandPrefix = ()
    nova_compute_command_prefix: CommandPrefix = ()

    def unit(self, service: str) -> str:
        """Return the unit of a service."""
        return str(getattr(self, f"nova_{service}_unit"))

    def log(self, service: str) -> str:
        """Return the log of a service: a file, or ``journal``."""
        return str(getattr(self, f"nova_{service}_log"))

    def prefix(self, service: str) -> tuple[str, ...]:
        """Return the words in front of a command in the service's container, none without one."""
        return tuple(getattr(self, f"nova_{service}_command_prefix"))


def probe_fleet_units(context: ProbeContext) -> FleetUnits:
    """Return the state of every service's unit, asked on its own host, and nova's list where one is not active."""
    expected = expected_services(context, SERVICES)
    wanted = {
        each.name: (each.host, context.site(each.host, UnitSite).unit(each.service))
        for each in expected
    }
    units = units_of(context, wanted)
    active = [
        isinstance(each, UnitState) and each.active_state == "active" for each in units.values()
    ]
    return FleetUnits(units, None if all(active) else listed_by_nova(context, expected))


def probe_nova_starts(context: ProbeContext, window_seconds: float) -> StartsWithin:
    """Return how often the unit of each of nova's services was started within the window."""
    wanted = {
        each.name: (each.host, context.site(each.host, UnitSite).unit(each.service))
        for each in expected_services(context, SERVICES)
    }
    return starts_within(context, wanted, window_seconds)


def probe_fleet_logs(context: ProbeContext) -> FleetLogs:
    """Return the newest lines of every unit's log, summed up, and nova's list where one cannot be read."""
    expected = expected_services(context, SERVICES)

    def ask(each: ExpectedService) -> UnitLog:
        site = context.site(each.host, UnitSite)
        there = replace(context, host=each.host, shell=context.reach(each.host))
        unit, log = site.unit(each.service), site.log(each.service)
        source = LogSource(unit, log, LogPosition(), site.prefix(each.service))
        return read_unit_log(there, source, NEWEST_LINES)

    logs = ask_all({each.name: each for each in expected}, partial(or_unanswered, ask))
    told = not any(isinstance(each, Unanswered) for each in logs.values())
    return FleetLogs(logs, None if told else listed_by_nova(context, expected))


def listed_by_nova(
    context: ProbeContext, expected: Iterable[ExpectedService]
) -> ServiceList | Unanswered:
    """Return nova's list of the expected services that it lists, or why there is none."""
    listing = [each for each in expected if each.service in RPC_SERVICES]
    try:
        return ServiceList(listing, list_services(api_sites(context)))
    except CannotTell as cause:
        return Unanswered(str(cause))
