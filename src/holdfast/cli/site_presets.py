"""What is known of sites that other tools deployed: their groups, and where they keep what Holdfast needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.nova_services import PEER_SERVICES, RPC_SERVICES, groups_of

GROUPS: Final = (
    "rabbitmq",
    *groups_of(dict.fromkeys((RPC_SERVICES[0], RPC_SERVICES[1], *PEER_SERVICES, *RPC_SERVICES))),
)
"""The groups that playbooks and claims are about, in the order in which their services are restarted."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One entry of a site's vault: ``key`` is what the other tool calls it, ``what`` says what it is for."""

    name: str
    key: str
    what: str


@dataclass(frozen=True, slots=True)
class Preset:
    """How one tool's inventory becomes a site.

    ``groups`` has, for each of ours, those of the tool that may be it, the likeliest first. ``found`` are templates of
    ours over variables of the tool. ``files`` are the names of its files of variables and ``passwords`` that of its
    secrets, looked for beside the inventory and in ``places``. ``where`` says where to find what was not read.
    ``further_brokers`` are groups of brokers that are another cluster. ``inventory`` is what the tool calls its own.
    """

    name: str
    tool: str
    groups: Mapping[str, Sequence[str]]
    secrets: Sequence[Secret]
    found: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    passwords: str = ""
    places: Sequence[str] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    further_brokers: Sequence[str] = ()
    inventory: str = ""

    def fits(self, groups: Mapping[str, Sequence[str]]) -> bool:
        """Return whether an inventory has hosts in a group that only this tool calls so: that of nova's API."""
        own = [name for name in self.groups["nova_api"] if name not in GROUPS]
        return any(groups.get(name) for name in own)


_URL = "as OS_AUTH_URL in the file with an administrator's credentials"
_CA = "only with TLS: the file of the CA that signed the endpoints' certificates, on this machine"
_BRACKETS = r" | regex_replace('^([^[]*:[^[]*)$', '[\1]')"  # of an IPv6 address in a URL
_TLS = {
    "rabbitmq_management_ca_file": _CA,
    "rabbitmq_amqp_ca_file": _CA,
    "nova_ca_file": _CA,
}


def _if(name: str, value: str, otherwise: str = "", *, default: bool = False) -> str:
    """Return a template with one of two values, by a variable that is true or not."""
    return (
        f"{{{{ '{value}' if {name} | default({str(default).lower()}) | bool else '{otherwise}' }}}}"
    )


KOLLA = Preset(
    name="kolla",
    tool="kolla-ansible",
    groups={
        "rabbitmq": ["rabbitmq"],
        "nova_conductor": ["nova-conductor"],
        "nova_scheduler": ["nova-scheduler"],
        "nova_api": ["nova-api"],
        "nova_metadata": ["nova-metadata"],
        "nova_compute": ["nova-compute", "compute"],
    },
    secrets=[
        Secret("vault_rabbitmq_password", "rabbitmq_password", "nova's account at the broker"),
        Secret(
            "vault_rabbitmq_monitoring_password",
            "rabbitmq_monitoring_password",
            "the management API's",
        ),
        Secret("vault_nova_auth_password", "keystone_admin_password", "the administrator's"),
        Secret("vault_nova_metadata_shared_secret", "metadata_secret", "nova and neutron share it"),
    ],
    found={
        "site_container_engine": "{{ kolla_container_engine }}",
        "site_api_scheme": _if("kolla_enable_tls_backend", "https"),
        "rabbitmq_management_scheme": _if("rabbitmq_enable_tls", "https"),
        "rabbitmq_amqp_tls": _if("rabbitmq_enable_tls", "true"),
        "rabbitmq_amqp_port": "{{ rabbitmq_port | default(5671 if rabbitmq_enable_tls | bool else '') }}",
        "rabbitmq_management_user": "{{ rabbitmq_monitoring_user }}",
        "nova_auth_url": _if("kolla_enable_tls_internal", "https", "http")
        + "://{{ kolla_internal_fqdn | default(kolla_internal_vip_address)"
        + _BRACKETS
        + " }}"
        ":{{ keystone_internal_port | default(5000) }}/v3",
    },
    files=["globals.yml"],
    passwords="passwords.yml",
    places=["/etc/kolla"],
    where={
        "nova_auth_url": f"{_URL}, /etc/kolla/admin-openrc.sh",
        **dict.fromkeys(_TLS, f"{_CA}: certificates/ca/root.crt beside globals.yml"),
    },
    further_brokers=["outward-rabbitmq", "outward_rabbitmq"],
    inventory="multinode",
)
OSA = Preset(
    name="osa",
    tool="OpenStack-Ansible",
    groups={
        "rabbitmq": ["rabbitmq", "rabbitmq_all"],
        "nova_conductor": ["nova_conductor"],
        "nova_scheduler": ["nova_scheduler"],
        "nova_api": ["nova_api_os_compute"],
        "nova_metadata": ["nova_api_metadata"],
        "nova_compute": ["nova_compute"],
    },
    secrets=[
        Secret(
            "vault_nova_transport_password",
            "nova_oslomsg_rpc_password",
            "nova's account at the broker",
        ),
        Secret(
            "vault_rabbitmq_monitoring_password",
            "rabbitmq_monitoring_password",
            "the management API's",
        ),
        Secret("vault_nova_auth_password", "keystone_auth_admin_password", "the administrator's"),
        Secret(
            "vault_nova_metadata_shared_secret",
            "nova_metadata_proxy_secret",
            "nova and neutron share it",
        ),
    ],
    found={
        "site_api_scheme": _if("openstack_service_backend_ssl", "https"),
        "rabbitmq_management_scheme": _if("rabbitmq_management_ssl", "", "http", default=True),
        "rabbitmq_management_port": _if("rabbitmq_management_ssl", "", "15672", default=True),
        "rabbitmq_amqp_tls": _if("rabbitmq_use_ssl", "", "false", default=True),
        "rabbitmq_amqp_port": _if("rabbitmq_use_ssl", "", "5672", default=True),
        "site_nova_vhost": "{{ nova_oslomsg_rpc_vhost if nova_oslomsg_rpc_vhost is string else '' }}",
        "nova_auth_url": "{{ keystone_service_internaluri_proto | default(openstack_service_internaluri_proto"
        " | default('http')) }}://{{ internal_lb_vip_address"
        + _BRACKETS
        + " }}:{{ keystone_service_port | default(5000) }}/v3",
    },
    files=["user_variables.yml"],
    passwords="user_secrets.yml",
    places=["/etc/openstack_deploy"],
    where={
        "nova_auth_url": f"{_URL}, openrc in the utility container",
        **dict.fromkeys(_TLS, f"{_CA}: /etc/openstack_deploy/pki/roots/*/certs"),
    },
    inventory="openstack_inventory.json",
)
_CONTROL = ("controller", "controllers", "control", "Controller", "overcloud_controller")
RDO = Preset(
    name="rdo",
    tool="RDO",
    groups={
        "rabbitmq": ["rabbitmq", "rabbitmq_cluster", *_CONTROL],
        "nova_conductor": ["nova_conductor", *_CONTROL],
        "nova_scheduler": ["nova_scheduler", *_CONTROL],
        "nova_api": ["nova_api", *_CONTROL],
        "nova_metadata": ["nova_metadata", *_CONTROL],
        "nova_compute": [
            "nova_compute",
            "compute",
            "computes",
            "Compute",
            "overcloud_novacompute",
        ],
    },
    secrets=[
        Secret("vault_rabbitmq_management_password", "", "of the account for the management API"),
        Secret("vault_rabbitmq_probe_password", "", "of the account for round trips"),
        Secret("vault_nova_transport_password", "", "in transport_url of nova.conf"),
        Secret("vault_nova_auth_password", "", "the administrator's, OS_PASSWORD in keystonerc"),
        Secret(
            "vault_nova_metadata_shared_secret",
            "",
            "metadata_proxy_shared_secret in nova.conf of the metadata hosts",
        ),
    ],
    where={
        "nova_auth_url": f"{_URL}, keystonerc_admin",
        "site_nova_broker_user": "the user in transport_url of nova.conf",
        **_TLS,
    },
)
PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in (KOLLA, OSA, RDO)}
