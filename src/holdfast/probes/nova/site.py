"""The site's variables about nova, and which services the inventory expects where.

See roles/nova/meta/argument_specs.yml for the meaning of each variable.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from holdfast.errors import InvalidInput
from holdfast.nova_services import group_of
from holdfast.observations.nova import ExpectedService
from holdfast.probes.base import CaFile, ProbeContext, ReachedSite, SiteVariables
from holdfast.probes.connections import Connect, directly
from holdfast.probes.nova.transport_url import BrokerAddress, brokers_of


class NovaHost(SiteVariables):
    """``nova_service_host``: nova's own name for the host, its option ``host``."""

    nova_service_host: str = ""


class _TransportSite(SiteVariables):
    """``nova_transport_tls``: nova.conf says ``ssl = true`` in its own section, and not the URL."""

    nova_transport_url: SecretStr | None = None
    nova_transport_tls: bool = False

    def brokers(self, host: str) -> Sequence[BrokerAddress]:
        """Return the brokers of the host's transport URL, none without one.

        Raises:
            InvalidInput: the URL is invalid; the message has nothing of it.
        """
        if self.nova_transport_url is None:
            return ()
        try:
            return brokers_of(self.nova_transport_url.get_secret_value(), self.nova_transport_tls)
        except InvalidInput as error:
            text, remedy = f"{host}: {error.message}", "correct it in the site's inventory"
        raise InvalidInput(text, remedy=remedy)


class QueuesSite(NovaHost, _TransportSite):
    """What says where one host's queues are; without a transport URL that is not known here."""


class RpcSite(_TransportSite, ReachedSite):
    """What it takes to call the services of one host; every cell has brokers of its own.

    ``nova_transport_tls_name``: the name on the brokers' certificates, where it is not the address.
    """

    nova_transport_url: SecretStr
    nova_transport_tls_name: str = ""
    nova_ca_file: CaFile = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL that is asked, and the variable that it is from.

    ``ca_file``: that of the trusted authority, "" for the system's own. ``connect``: how it is connected to.
    """

    variable: str
    url: str
    ca_file: str
    connect: Connect = directly


class _HttpSite(ReachedSite):
    """``nova_ca_file``: the authority that signed the endpoints' certificates."""

    nova_ca_file: CaFile = ""

    def _endpoint(self, variable: str) -> Endpoint:
        return Endpoint(variable, getattr(self, variable), self.nova_ca_file, self.connect)


class ApiSite(_HttpSite):
    """What it takes to ask one host's nova-api, and to log in: who asks, and where the token comes from."""

    nova_api_url: str
    nova_auth_url: str
    nova_auth_username: str
    nova_auth_password: SecretStr
    nova_auth_project: str
    nova_auth_user_domain: str = "Default"
    nova_auth_project_domain: str = "Default"

    @property
    def api(self) -> Endpoint:
        """This host's nova-api."""
        return self._endpoint("nova_api_url")

    @property
    def keystone(self) -> Endpoint:
        """Where the token comes from."""
        return self._endpoint("nova_auth_url")


class MetadataSite(_HttpSite):
    """What it takes to ask one host's metadata service.

    With the shared secret a request is signed as neutron's proxy signs it. The instance and its
    project are optional: a 404 for an unknown instance also needs an answer of the database.
    """

    nova_metadata_url: str
    nova_metadata_shared_secret: SecretStr | None = None
    nova_metadata_instance: str = ""
    nova_metadata_project: str = ""

    @property
    def metadata(self) -> Endpoint:
        """This host's metadata service."""
        return self._endpoint("nova_metadata_url")


def api_sites(context: ProbeContext) -> Mapping[str, ApiSite]:
    """Return the variables of every host of the group ``nova_api``, in the inventory's order."""
    return {host: context.site(host, ApiSite) for host in context.members("nova_api")}


def known_as(context: ProbeContext, host: str) -> str:
    """Return nova's own name for a host."""
    return context.site(host, NovaHost).nova_service_host or host


def expected_services(
    context: ProbeContext, services: Iterable[str], hosts: Collection[str] = ()
) -> list[ExpectedService]:
    """Return the services that the inventory expects: each with every host of its group, or with those of ``hosts``."""
    return [
        ExpectedService(service, host, known_as(context, host))
        for service in services
        for host in context.members(group_of(service))
        if not hosts or host in hosts
    ]


def require_member(context: ProbeContext, service: str, host: str) -> Sequence[str]:
    """Return the hosts of a service's group.

    Raises:
        InvalidInput: ``host`` is not one of them.
    """
    members = context.members(group_of(service))
    if host not in members:
        raise InvalidInput(f"{host}: not in the inventory's group {group_of(service)}")
    return members
