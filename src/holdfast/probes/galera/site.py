"""The site's variables about its Galera nodes. Defaults are those that roles/galera documents."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field, SecretStr

from holdfast.errors import InvalidInput
from holdfast.probes.base import CaFile, ProbeContext, ReachedSite, first_address, of_host
from holdfast.probes.connections import Target

GROUP = "galera"
REPLICAS = "galera_replicas"
"""Its asynchronous replicas: asked in the same way, and never about what decides an act."""
ACCOUNT = "galera_user"
"""The variable without which a site has not asked for any of this."""
NO_ACCOUNT = "galera_user is not set: an account with PROCESS reads the cluster's state"


class GaleraSite(ReachedSite):
    """One host's variables; their meaning is in roles/galera/meta/argument_specs.yml."""

    ansible_host: str = ""
    ansible_ssh_host: str = ""
    galera_address: str = ""
    galera_port: int = Field(default=3306, ge=1, le=65535)
    galera_user: str = ""
    galera_password: SecretStr = SecretStr("")
    galera_tls: bool = False
    galera_ca_file: CaFile = ""
    galera_tls_name: str = ""
    galera_answer_seconds: float = Field(default=5.0, gt=0)
    galera_arbitrators: int = Field(default=0, ge=0)
    galera_not_writers: tuple[str, ...] = ()
    galera_haproxy_server: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseNode:
    """One node of the inventory."""

    host: str
    site: GaleraSite

    @property
    def address(self) -> str:
        """Where it takes SQL: by default the address that Ansible uses for the host."""
        site = self.site
        return first_address(
            site.galera_address, site.ansible_host, site.ansible_ssh_host, self.host
        )

    @property
    def target(self) -> Target:
        """Its listener."""
        site = self.site
        return Target(site.connect, self.address, site.galera_port, site.galera_answer_seconds)

    @property
    def server(self) -> str:
        """The name of its server in haproxy's backend; by default the host's short name."""
        return self.site.galera_haproxy_server or self.host.partition(".")[0]


Nodes = dict[str, DatabaseNode]


def nodes_of(context: ProbeContext, group: str = GROUP) -> Nodes:
    """Return every node of a group by its host, in the inventory's order.

    Raises:
        InvalidInput: a host's variables are invalid, no host has an account, or two hosts are one listener: what is
            asked about one of them would be answered by the other. A single host without an account gives no answer.
    """
    hosts = context.members(group)
    nodes = {host: DatabaseNode(host, context.site(host, GaleraSite)) for host in hosts}
    if nodes and not any(node.site.galera_user for node in nodes.values()):
        raise InvalidInput(
            f"{', '.join(nodes)}: {NO_ACCOUNT}",
            remedy=f"set galera_user and galera_password for the group {group}",
        )
    first: dict[tuple[str, int], str] = {}
    for host, node in nodes.items():
        place = (node.address, node.site.galera_port)
        if (twin := first.setdefault(place, host)) != host:
            raise InvalidInput(
                f"{twin} and {host} are one listener: {node.address} port {node.site.galera_port}",
                remedy="set galera_address for each host to its own, not to the address of the load balancer",
            )
    return nodes


def node_of(nodes: Nodes, host: str) -> DatabaseNode:
    """Return the node of a host.

    Raises:
        InvalidInput: the inventory's group does not have ``host``.
    """
    return of_host(nodes, host, "Galera node", GROUP)
