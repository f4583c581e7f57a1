"""The site's variables about nova, and which services the inventory expects where.

See roles/nova/meta/argument_specs.yml for the meaning of each variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import SecretStr

from holdfast.errors import InvalidInput
from holdfast.nova_services import group_of
from holdfast.observations.nova import ExpectedService
from holdfast.probes.base import CaFile, ProbeContext, SiteVariables


class NovaHost(SiteVariables):
    """``nova_service_host``: nova's own name for the host, its option ``host``."""

    nova_service_host: str = ""


class QueuesSite(NovaHost):
    """What says where one host's queues are; without a transport URL that is not known here."""

    nova_transport_url: SecretStr | None = None


class RpcSite(SiteVariables):
    """What it takes to call the services of one host; every cell has brokers of its own."""

    nova_transport_url: SecretStr
    nova_ca_file: CaFile = ""


class _HttpSite(SiteVariables):
    """``nova_ca_file``: the authority that signed the endpoints' certificates."""

    nova_ca_file: CaFile = ""

    @property
    def trust(self) -> str | bool:
        """The file of the trusted authority, True for the system's own."""
        return self.nova_ca_file or True


class ApiSite(_HttpSite):
    """What it takes to ask one host's nova-api, and to log in: who asks, and where the token comes from."""

    nova_api_url: str
    nova_auth_url: str
    nova_auth_username: str
    nova_auth_password: SecretStr
    nova_auth_project: str
    nova_auth_user_domain: str = "Default"
    nova_auth_project_domain: str = "Default"


class MetadataSite(_HttpSite):
    """What it takes to ask one host's metadata service.

    With the shared secret a request is signed as neutron's proxy signs it. The instance and its
    project are optional: a 404 for an unknown instance also needs an answer of the database.
    """

    nova_metadata_url: str
    nova_metadata_shared_secret: SecretStr | None = None
    nova_metadata_instance: str = ""
    nova_metadata_project: str = ""


def api_sites(context: ProbeContext) -> Mapping[str, ApiSite]:
    """Return the variables of every host of the group ``nova_api``, in the inventory's order."""
    return {host: context.site(host, ApiSite) for host in context.groups.get("nova_api", ())}


def known_as(context: ProbeContext, host: str) -> str:
    """Return nova's own name for a host."""
    return context.site(host, NovaHost).nova_service_host or host


def expected_services(context: ProbeContext, services: Iterable[str]) -> list[ExpectedService]:
    """Return the services that the inventory expects: each with every host of its group."""
    return [
        ExpectedService(service, host, known_as(context, host))
        for service in services
        for host in context.groups.get(group_of(service), ())
    ]


def require_member(context: ProbeContext, service: str, host: str) -> Sequence[str]:
    """Return the hosts of a service's group.

    Raises:
        InvalidInput: ``host`` is not one of them.
    """
    members = context.groups.get(group_of(service), ())
    if host not in members:
        raise InvalidInput(f"{host}: not in the inventory's group {group_of(service)}")
    return members
