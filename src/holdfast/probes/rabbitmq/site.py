"""The site's variables about its brokers, and the brokers of the inventory.

Defaults are those that roles/rabbitmq documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, SecretStr

from holdfast.errors import InvalidInput
from holdfast.probes.base import (
    CaFile,
    CommandPrefix,
    PrefixedShell,
    ProbeContext,
    ReachedSite,
    Shell,
    first_address,
    of_host,
)
from holdfast.probes.connections import Target

GROUP = "rabbitmq"
OWN_CONNECTIONS = "holdfast: "  # how the names begin that connections of our gates give themselves


class RabbitSite(ReachedSite):
    """One host's variables; their meaning is in roles/rabbitmq/meta/argument_specs.yml."""

    ansible_host: str = ""
    ansible_ssh_host: str = ""
    rabbitmq_address: str = ""
    rabbitmq_node_name: str = ""
    rabbitmq_unit: str = "rabbitmq-server"
    rabbitmq_command_prefix: CommandPrefix = ()
    rabbitmq_management_enabled: bool = True
    rabbitmq_management_scheme: Literal["http", "https"] = "http"
    rabbitmq_management_port: int = Field(default=15672, ge=1, le=65535)
    rabbitmq_management_path: str = Field(default="", pattern=r"^[\w./~%-]*$")
    rabbitmq_management_user: str = ""
    rabbitmq_management_password: SecretStr = SecretStr("")
    rabbitmq_management_ca_file: str = ""
    rabbitmq_amqp_port: int = Field(default=5672, ge=1, le=65535)
    rabbitmq_amqp_tls: bool = False
    rabbitmq_amqp_ca_file: CaFile = ""
    rabbitmq_tls_name: str = ""
    rabbitmq_answer_seconds: float = Field(default=5.0, gt=0)
    rabbitmq_probe_user: str = ""
    rabbitmq_probe_password: SecretStr = SecretStr("")
    rabbitmq_probe_vhost: str = "/"


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker of the inventory. ``shell`` reaches the task's host, whose tools can ask any node."""

    host: str
    site: RabbitSite
    shell: Shell

    @property
    def node(self) -> str:
        """The node's name; the broker's default has its host's short name."""
        return self.site.rabbitmq_node_name or f"rabbit@{self.host.partition('.')[0]}"

    @property
    def address(self) -> str:
        """Where its API and its AMQP listener are: by default the address that Ansible uses for the host."""
        site = self.site
        return first_address(
            site.rabbitmq_address, site.ansible_host, site.ansible_ssh_host, self.host
        )

    def target(self, port: int) -> Target:
        """Return one of its listeners."""
        return Target(self.site.connect, self.address, port, self.site.rabbitmq_answer_seconds)

    def at_port(self, port: int) -> str:
        """Return ``address:port`` as URLs have it."""
        return f"[{self.address}]:{port}" if ":" in self.address else f"{self.address}:{port}"


Brokers = dict[str, Broker]


def brokers_of(context: ProbeContext) -> Brokers:
    """Return every broker by its host, in the inventory's order.

    Raises:
        InvalidInput: a host's variables are missing or invalid, or two hosts are one node: what is asked about one of
            them would be answered by the other.
    """
    hosts = context.members(GROUP)
    # The tools are those of the task's host, whichever node they ask.
    tools = tools_of(context, context.host, context.shell)
    brokers = {host: Broker(host, context.site(host, RabbitSite), tools) for host in hosts}
    first: dict[str, str] = {}
    for host, broker in brokers.items():
        if (twin := first.setdefault(broker.node, host)) != host:
            raise InvalidInput(
                f"{twin} and {host} are one node of the cluster: {broker.node}",
                remedy="set rabbitmq_node_name for each host as its `rabbitmqctl status` has it",
            )
    return brokers


def tools_of(context: ProbeContext, host: str, shell: Shell) -> Shell:
    """Return the shell in which RabbitMQ's tools are found: that of the host, or one in the broker's container."""
    prefix = context.site(host, RabbitSite).rabbitmq_command_prefix
    return PrefixedShell(shell, prefix) if prefix else shell


def broker_of(brokers: Brokers, host: str) -> Broker:
    """Return the broker of a host.

    Raises:
        InvalidInput: the inventory's group does not have ``host``.
    """
    return of_host(brokers, host, "broker", GROUP)


def expected(brokers: Brokers) -> dict[str, str]:
    """Return the members that the inventory expects: host to node name."""
    return {host: broker.node for host, broker in brokers.items()}
