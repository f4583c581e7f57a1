"""The site's variables about its brokers, and which broker answers.

Defaults are those that roles/rabbitmq documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from pydantic import Field, SecretStr

from holdfast.errors import CannotTell, InvalidInput
from holdfast.observations.base import Unanswered
from holdfast.probes.base import ProbeContext, SiteVariables

GROUP = "rabbitmq"


class RabbitSite(SiteVariables):
    """One host's variables; their meaning is in roles/rabbitmq/meta/argument_specs.yml."""

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
        """Return the address that Ansible uses for the host."""
        return self.ansible_host or host

    def node(self, host: str) -> str:
        """Return the node's name; the broker's default has its host's short name."""
        return self.rabbitmq_node_name or f"rabbit@{host.partition('.')[0]}"

    def management_url(self, host: str) -> str:
        """Return the URL of the management API."""
        address = self.address(host)
        bracketed = f"[{address}]" if ":" in address else address
        return f"{self.rabbitmq_management_scheme}://{bracketed}:{self.rabbitmq_management_port}"


Sites = dict[str, RabbitSite]
AnswerT = TypeVar("AnswerT")


def sites_of(context: ProbeContext) -> Sites:
    """Return the variables of every host of the group, in the inventory's order.

    Raises:
        InvalidInput: a host's variables are missing or invalid.
    """
    return {host: context.site(host, RabbitSite) for host in context.groups.get(GROUP, ())}


def expected(sites: Sites) -> dict[str, str]:
    """Return the members that the inventory expects: host to node name."""
    return {host: site.node(host) for host, site in sites.items()}


def with_management(sites: Sites) -> list[str]:
    """Return the hosts whose management API may be asked."""
    return [host for host, site in sites.items() if site.rabbitmq_management_enabled]


def site_of_member(sites: Sites, host: str) -> RabbitSite:
    """Return the variables of one broker.

    Raises:
        InvalidInput: the inventory's group does not have ``host``.
    """
    if host not in sites:
        raise InvalidInput(
            f"{host} is no broker of this inventory",
            remedy=f"name a host of the group {GROUP}: {', '.join(sites) or 'it is empty'}",
        )
    return sites[host]


def first_answer(hosts: Iterable[str], ask: Callable[[str], AnswerT]) -> tuple[str, AnswerT]:
    """Return the first host that answers, with its answer.

    Raises:
        CannotTell: no host answers; the message has every cause.
    """
    causes = []
    for host in hosts:
        try:
            return host, ask(host)
        except CannotTell as error:
            causes.append(str(error))
    raise CannotTell("; ".join(causes) or "there is no broker to ask")


def or_unanswered(ask: Callable[[], AnswerT]) -> AnswerT | Unanswered:
    """Return the answer, or why there is none."""
    try:
        return ask()
    except CannotTell as error:
        return Unanswered(str(error))
