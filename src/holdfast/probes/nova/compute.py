"""Read what a compute has in flight: its instances and migrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.nova_services import binary_of
from holdfast.observations.nova import (
    IN_CREATION,
    SILENT_CELL,
    ComputeWork,
    Instance,
    ListedService,
    Migration,
)
from holdfast.probes.base import ProbeContext, require_shape
from holdfast.probes.nova.api_answers import MIGRATIONS, ONE_SERVER, SERVER_NAMES, SERVERS
from holdfast.probes.nova.api_client import OK, get, get_pages
from holdfast.probes.nova.services import list_services
from holdfast.probes.nova.site import ApiSite, api_sites, known_as, require_member

NOT_FOUND = 404
LONG_IDLE_HOURS = 1  # of a migration, before its instance is asked about
ASKED = 20  # instances that one reading asks about, one after another


def probe_compute_work(context: ProbeContext, host: str) -> ComputeWork:
    """Return what is in flight on a compute, with its service as listed before and after.

    Raises:
        CannotTell: no API host answers.
        InvalidInput: ``host`` is no compute of the inventory.
    """
    require_member(context, "compute", host)
    sites, name = api_sites(context), known_as(context, host)
    before = _services(sites, name)
    instances = get_pages(sites, SERVERS, "servers", {"all_tenants": "1", "host": name})
    migrations = get_pages(sites, MIGRATIONS, "migrations", {"host": name}, marker="uuid")
    return ComputeWork(
        host=host,
        before=before,
        instances=[_instance(entry) for entry in instances],
        migrations=_migrations(sites, migrations),
        after=_services(sites, name),
    )


def _services(sites: Mapping[str, ApiSite], name: str) -> list[ListedService]:
    """Return all entries of a compute; nova filters by binary and host, and this does not rely on it."""
    binary = binary_of("compute")
    listed = list_services(sites, binary=binary, host=name)
    return [each for each in listed if (each.binary, each.known_as) == (binary, name)]


def _instance(entry: Json) -> Instance:
    task = entry.get("OS-EXT-STS:task_state") or ""
    return Instance(id=entry["id"], status=entry["status"], task=task)


def _migrations(sites: Mapping[str, ApiSite], entries: Sequence[Json]) -> list[Migration]:
    """Return migrations; those that nova has not written to for long with what it says of their instances."""
    migrations, asked = [], 0
    for entry in entries:
        migration = _migration(entry)
        if migration.is_open and migration.idle_hours >= LONG_IDLE_HOURS and asked < ASKED:
            asked += 1
            at_rest = _at_rest(sites, entry.get("instance_uuid", ""))
            migration = replace(migration, at_rest=at_rest)
        migrations.append(migration)
    return migrations


def _migration(entry: Json) -> Migration:
    kind = entry.get("migration_type") or "migration"
    written = entry.get("updated_at") or entry.get("created_at")
    idle = datetime.now(UTC) - _utc(written) if written else timedelta(0)
    return Migration(str(entry["id"]), kind, entry["status"], idle / timedelta(hours=1))


def _utc(text: str) -> datetime:
    """Return a time of nova's, which is in UTC and does not say so."""
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def _at_rest(sites: Mapping[str, ApiSite], instance: str) -> str:
    """Return what nova says of an instance that has nothing in flight, "" for any other and where it does not say."""
    site = next(iter(sites.values()))
    try:
        answer = get(site, f"{SERVER_NAMES}/{instance}", {})
        if answer.status == NOT_FOUND:
            return f"its instance {instance} is gone"
        if answer.status != OK:
            return ""
        require_shape(answer.body, ONE_SERVER, "")
    except CannotTell:
        return ""
    found = _instance(answer.body["server"])
    if found.task or found.status in {SILENT_CELL, *IN_CREATION}:
        return ""
    return f"its instance {instance} is {found.status} without a task"
