"""Read nova's service list."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.model import Json
from holdfast.nova_services import RPC_SERVICES
from holdfast.observations.nova import ListedService, ServiceList
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova.api_answers import SERVICES
from holdfast.probes.nova.api_client import get_from_first
from holdfast.probes.nova.site import ApiSite, api_sites, expected_services, known_as


def probe_services(context: ProbeContext) -> ServiceList:
    """Return nova's service list, and what the inventory expects to be in it.

    Raises:
        CannotTell: no API host answers.
    """
    expected = expected_services(context, RPC_SERVICES)
    others = [known_as(context, host) for host in context.in_hand]
    return ServiceList(expected, list_services(api_sites(context)), others)


def list_services(sites: Mapping[str, ApiSite], **query: str) -> list[ListedService]:
    """Return nova's service list, from the first API host that answers.

    Raises:
        CannotTell: no API host answers.
    """
    _, body = get_from_first(sites, SERVICES, query)
    return [_listed_service(entry) for entry in body["services"]]


def _listed_service(entry: Json) -> ListedService:
    """Return one entry of the list; a silent cell's has binary, host and status alone."""
    return ListedService(
        binary=entry["binary"],
        known_as=entry["host"],
        status=entry["status"],
        state=entry.get("state", ""),
        updated_at=entry.get("updated_at") or "",
        disabled_reason=entry.get("disabled_reason") or "",
        forced_down=bool(entry.get("forced_down")),
        id=entry.get("id", ""),
    )
