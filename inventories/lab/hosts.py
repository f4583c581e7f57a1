#!/usr/bin/env python3
"""Inventory of the lab, derived from the LAB_* environment alone.

It has the lab's hosts, their addresses and groups, and variables about the lab itself; all other variables are in
group_vars/. It does not read which containers run: the expected members of a cluster are those of the inventory.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONTROLS = ("ctl1", "ctl2", "ctl3")
BALANCERS = CONTROLS[:2]  # where haproxy leads to the database
REPLICA = "rep1"  # an asynchronous one
FIRST_CONTROL_ADDRESS = 11
FIRST_COMPUTE_ADDRESS = 21
RELEASES = ("bookworm", "trixie")
PROFILES = ("full", "rabbitmq", "data", "cloud", "fleet")
WRITERS = ("one", "all")  # how many nodes of Galera haproxy gives sessions to
# By profile: the lab's name, its network, and how many computes it has
NAMES = {"fleet": "holdfast-fleet"}
SUBNETS = {"fleet": "10.97.4.0/22"}
COMPUTES = {"fleet": "242"}
CONTROL_GROUPS = ("nova_conductor", "nova_scheduler", "nova_api", "nova_metadata")
FIRST_CONTROL_GROUPS = ("lab_database", "keystone", "placement", "placement_extraction")


def choice(variable: str, allowed: tuple[str, ...]) -> str:
    """Return one of `allowed` from the environment; the first is the default."""
    value = os.environ.get(variable) or allowed[0]
    if value not in allowed:
        sys.exit(f"{variable}={value}: expected one of {', '.join(allowed)}")
    return value


def lab_name(profile: str) -> str:
    """Return the lab's name, which also names its containers and its network."""
    name = os.environ.get("LAB_NAME") or NAMES.get(profile, "holdfast")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
        sys.exit(f"LAB_NAME={name}: lower-case letters, digits and dashes, at most 31")
    return name


def subnet(profile: str) -> ipaddress.IPv4Network:
    """Return the lab's private network."""
    text = os.environ.get("LAB_SUBNET") or SUBNETS.get(profile, "10.97.0.0/24")
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        sys.exit(f"LAB_SUBNET={text}: {error}")
    if not network.is_private:
        sys.exit(f"LAB_SUBNET={text}: expected a private IPv4 network, such as 10.97.0.0/24")
    if network.num_addresses <= FIRST_COMPUTE_ADDRESS + 1:
        sys.exit(f"LAB_SUBNET={text}: too small for a lab; expected /27 or larger")
    return network


def computes(profile: str, network: ipaddress.IPv4Network) -> tuple[str, ...]:
    """Return the names of the compute hosts, for each of which the network has an address."""
    text = os.environ.get("LAB_COMPUTES") or COMPUTES.get(profile, "3")
    most = network.num_addresses - 1 - FIRST_COMPUTE_ADDRESS
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        sys.exit(
            f"LAB_COMPUTES={text}: expected a number from 1 to {most}, which is what LAB_SUBNET={network}"
            " has addresses for"
        )
    return tuple(f"cmp{number}" for number in range(1, int(text) + 1))


def inventory() -> dict[str, object]:
    """Return the whole inventory in the form of Ansible's script plugin (`--list`)."""
    profile = choice("LAB_PROFILE", PROFILES)
    name, network = lab_name(profile), subnet(profile)
    hosts = dict(zip(CONTROLS, range(FIRST_CONTROL_ADDRESS, FIRST_COMPUTE_ADDRESS), strict=False))
    services = {"data": ["galera"], "cloud": ["rabbitmq", "galera"]}.get(profile, ["rabbitmq"])
    groups: dict[str, list[str]] = {
        group: [] for group in ("rabbitmq", "galera", "galera_replicas", "haproxy", "lab_light")
    }
    groups |= {group: [*CONTROLS] for group in ("lab_hosts", *services)}
    if "galera" in services:
        groups["haproxy"] = [*BALANCERS]
    if profile == "data":
        hosts[REPLICA] = FIRST_COMPUTE_ADDRESS
        groups["lab_hosts"].append(REPLICA)
        groups["galera_replicas"] = [REPLICA]
    elif profile != "rabbitmq":
        names = computes(profile, network)
        hosts |= {host: FIRST_COMPUTE_ADDRESS + index for index, host in enumerate(names)}
        groups |= {group: [*hosts] for group in ("lab_hosts", "lab_nova")}
        groups |= {group: [*CONTROLS] for group in CONTROL_GROUPS}
        groups |= {group: [CONTROLS[0]] for group in FIRST_CONTROL_GROUPS}
        groups["nova_compute"] = [*names]
        groups["lab_light"] = [*names] if profile == "fleet" else []
    return {
        "_meta": {
            "hostvars": {
                host: {"ansible_host": str(network[address]), "lab_container": f"{name}-{host}"}
                for host, address in hosts.items()
            }
        },
        "all": {
            "vars": {
                "lab_name": name,
                "lab_release": choice("LAB_RELEASE", RELEASES),
                "lab_profile": profile,
                "lab_writers": choice("LAB_WRITERS", WRITERS),
                "lab_subnet": str(network),
                "lab_dir": os.environ.get("LAB_DIR") or str(REPOSITORY / ".lab" / name),
                "lab_repository": str(REPOSITORY),
                "lab_sudo": os.geteuid() != 0,
            }
        },
        **{group: {"hosts": members} for group, members in groups.items()},
    }


def main() -> None:
    """Print the inventory for Ansible's `--list`. Ansible does not call `--host`, because the output has `_meta`."""
    if sys.argv[1:] != ["--list"]:
        sys.exit(f"usage: {sys.argv[0]} --list")
    print(json.dumps(inventory(), indent=2))


if __name__ == "__main__":
    main()
