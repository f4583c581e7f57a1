"""The lab as its inventory describes it: hosts, groups, addresses and secrets, resolved by one Ansible command.

Secrets are wrapped in `Secret`, whose text and repr do not contain them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]

# The variables of the site contract that are read; None where the site does not define one.
VARIABLES = (
    "ansible_host",
    "lab_container",
    "lab_dir",
    "nova_api_url",
    "nova_metadata_url",
    "nova_service_host",
    "nova_transport_url",
    "rabbitmq_amqp_port",
    "rabbitmq_probe_password",
    "rabbitmq_probe_user",
    "rabbitmq_probe_vhost",
    "rabbitmq_unit",
)


class SiteError(Exception):
    """The inventory could not be read; the message is that of Ansible."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value for a client library; it is never printed."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "<secret>"


@dataclass(frozen=True, slots=True)
class Host:
    """One host of the lab; a value that the site does not define is an empty string."""

    name: str
    groups: tuple[str, ...]
    address: str
    container: str
    nova_host: str
    nova_api_url: str
    nova_metadata_url: str


@dataclass(frozen=True, slots=True)
class Site:
    """The whole lab. `nova_transport` is None where no nova runs."""

    hosts: Mapping[str, Host]
    lab_dir: Path
    amqp_port: int
    amqp_user: str
    amqp_password: Secret
    amqp_vhost: str
    rabbitmq_unit: str
    nova_transport: Secret | None

    def members(self, group: str) -> tuple[Host, ...]:
        """Return the group's hosts in the inventory's order; an unknown group has none."""
        return tuple(host for host in self.hosts.values() if group in host.groups)

    def groups(self) -> dict[str, list[str]]:
        """Return every group that has hosts, with their names."""
        names = dict.fromkeys(group for host in self.hosts.values() for group in host.groups)
        return {group: [host.name for host in self.members(group)] for group in names}


def read_site(inventory: str) -> Site:
    """Return the lab as the inventory describes it, templates resolved.

    Raises:
        SiteError: Ansible refused the inventory, or it names no broker.
    """
    answers = dict(_parse_answers(_resolve(inventory)))
    if not answers:
        raise SiteError(f"{inventory}: no hosts")
    hosts = {name: _host(name, values) for name, values in answers.items()}
    brokers = [values for name, values in answers.items() if "rabbitmq" in hosts[name].groups]
    if not brokers:
        raise SiteError(f"{inventory}: group rabbitmq has no hosts")
    return _site(hosts, brokers[0], list(answers.values()))


def read_values(inventory: str, variables: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return these variables of every host, and the names of its groups (`group_names`); None where there is no value.

    Raises:
        SiteError: Ansible refused the inventory.
    """
    return dict(_parse_answers(_resolve(inventory, variables)))


def _resolve(inventory: str, variables: Sequence[str] = VARIABLES) -> str:
    # `ansible-inventory --list` shows templates as they are written, so a task resolves them.
    wanted = ", ".join(f"'{name}': {name} | default(none)" for name in (*variables, "group_names"))
    command = [
        str(Path(sys.executable).with_name("ansible")),
        *(
            "-i",
            inventory,
            "all",
            "-m",
            "ansible.builtin.debug",
            "-a",
            f"msg={{{{ {{{wanted}}} }}}}",
        ),
    ]
    environment = os.environ | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise SiteError(f"{inventory}: {done.stderr.strip() or 'Ansible could not resolve it'}")
    return done.stdout


def _parse_answers(output: str) -> Iterator[tuple[str, dict[str, Any]]]:
    # Ansible's minimal callback: `name | SUCCESS => {json}`, one after the other.
    decoder, at = json.JSONDecoder(), 0
    while (arrow := output.find(" => ", at)) >= 0:
        name = output[at:arrow].partition(" | ")[0].strip()
        answer, at = decoder.raw_decode(output, arrow + len(" => "))
        yield name, answer["msg"]


def _host(name: str, values: Mapping[str, Any]) -> Host:
    return Host(
        name=name,
        groups=tuple(values["group_names"]),
        address=values["ansible_host"] or name,
        container=values["lab_container"] or "",
        nova_host=values["nova_service_host"] or name,
        nova_api_url=values["nova_api_url"] or "",
        nova_metadata_url=values["nova_metadata_url"] or "",
    )


def _site(hosts: dict[str, Host], broker: Mapping[str, Any], every: list[dict[str, Any]]) -> Site:
    transports = [values["nova_transport_url"] for values in every if values["nova_transport_url"]]
    return Site(
        hosts=hosts,
        lab_dir=Path(broker["lab_dir"] or "."),
        amqp_port=int(broker["rabbitmq_amqp_port"] or 5672),
        amqp_user=broker["rabbitmq_probe_user"],
        amqp_password=Secret(broker["rabbitmq_probe_password"]),
        amqp_vhost=broker["rabbitmq_probe_vhost"],
        rabbitmq_unit=broker["rabbitmq_unit"] or "rabbitmq-server",
        nova_transport=Secret(transports[0]) if transports else None,
    )
