"""Read what a compute has in flight: its instances and migrations."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.model import Json
from holdfast.nova_services import binary_of
from holdfast.observations.nova import ComputeWork, Instance, ListedService, Migration
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova.api_client import get_pages
from holdfast.probes.nova.services import list_services
from holdfast.probes.nova.site import ApiSite, api_sites, known_as, require_member

SERVERS, MIGRATIONS = "/v2.1/servers/detail", "/v2.1/os-migrations"


def probe_compute_work(context: ProbeContext, host: str) -> ComputeWork:
    """Return what is in flight on a compute, with its service as listed before and after.

    Raises:
        CannotTell: no API host answers.
        InvalidInput: ``host`` is no compute of the inventory.
    """
    require_member(context, "compute", host)
    sites, name = api_sites(context), known_as(context, host)
    before = _service(sites, name)
    instances = get_pages(sites, SERVERS, "servers", {"all_tenants": "1", "host": name})
    migrations = get_pages(sites, MIGRATIONS, "migrations", {"host": name}, marker="uuid")
    return ComputeWork(
        host=host,
        before=before,
        instances=[_instance(entry) for entry in instances],
        migrations=[_migration(entry) for entry in migrations],
        after=_service(sites, name),
    )


def _service(sites: Mapping[str, ApiSite], name: str) -> ListedService | None:
    return next(iter(list_services(sites, binary=binary_of("compute"), host=name)), None)


def _instance(entry: Json) -> Instance:
    task = entry.get("OS-EXT-STS:task_state") or ""
    return Instance(id=entry["id"], status=entry["status"], task=task)


def _migration(entry: Json) -> Migration:
    kind = entry.get("migration_type") or "migration"
    return Migration(id=str(entry["id"]), kind=kind, status=entry["status"])
