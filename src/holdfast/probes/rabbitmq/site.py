"""The site's variables about its brokers, with the defaults that roles/rabbitmq documents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from holdfast.probes.base import ProbeContext, SiteVariables

GROUP = "rabbitmq"


class RabbitSite(SiteVariables):
    """One host's variables; see roles/rabbitmq/meta/argument_specs.yml for each one's meaning."""

    ansible_host: str = ""
    rabbitmq_node_name: str = ""
    rabbitmq_management_enabled: bool = True
    rabbitmq_management_scheme: Literal["http", "https"] = "http"
    rabbitmq_management_port: int = Field(default=15672, ge=1, le=65535)
    rabbitmq_management_user: str = ""
    rabbitmq_management_password: SecretStr = SecretStr("")
    rabbitmq_management_ca_file: str = ""
    rabbitmq_amqp_port: int = Field(default=5672, ge=1, le=65535)
    rabbitmq_amqp_tls: bool = False
    rabbitmq_amqp_ca_file: str = ""
    rabbitmq_tls_name: str = ""
    rabbitmq_answer_seconds: float = Field(default=5.0, gt=0)
    rabbitmq_probe_user: str = ""
    rabbitmq_probe_password: SecretStr = SecretStr("")
    rabbitmq_probe_vhost: str = "/"

    def address(self, host: str) -> str:
        """Where to reach the host: as Ansible does."""
        return self.ansible_host or host

    def node(self, host: str) -> str:
        """The node's own name; the broker's default is its host's short name."""
        return self.rabbitmq_node_name or f"rabbit@{host.partition('.')[0]}"

    def management_url(self, host: str) -> str:
        """The management API's address."""
        address = self.address(host)
        bracketed = f"[{address}]" if ":" in address else address
        return f"{self.rabbitmq_management_scheme}://{bracketed}:{self.rabbitmq_management_port}"


Sites = dict[str, RabbitSite]


def sites_of(look: ProbeContext) -> Sites:
    """The variables of every host of the group, in the inventory's order.

    Raises:
        InvalidInput: a host's variables are missing or of the wrong kind.
    """
    return {host: look.site(host, RabbitSite) for host in look.groups.get(GROUP, ())}


def expected(sites: Sites) -> dict[str, str]:
    """The membership that the inventory asks for: host to node name."""
    return {host: site.node(host) for host, site in sites.items()}
