"""Prints an inventory as JSON: ``python -m holdfast.ansible.inventory_program PATH LIMIT [VARIABLE…]``.

``inventory.py`` starts it as a process of its own, because Ansible's state is global. It prints groups,
hosts, the site's name and the named variables, and no other: every vaulted value is decrypted to prove
that the vault can be opened, and stays in this process. Hosts whose variables cannot be read are named.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible import constants
from ansible._internal._datatag._tags import Origin
from ansible.cli import CLI
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible.vars.plugins import get_vars_from_inventory_sources

from holdfast.marks import has_shell


def main(arguments: list[str]) -> int:
    """Print the inventory ``arguments[0]``, limited to ``arguments[1]`` if that is not empty."""
    source, limit, *names = arguments
    try:
        listing = _listing(source, limit, names)
    except AnsibleError as error:
        listing = {"error": cause_of(error)}
    json.dump(listing, sys.stdout)
    return 2 if "error" in listing else 0


def cause_of(error: AnsibleError) -> str:
    """Return what Ansible says of an error, and in which line of which file it is; the source itself is not quoted."""
    first = str(error.message).splitlines()[0]
    place = place_of(error)
    return first if not place or place in first else f"{first.rstrip('.')} ({place})"


def place_of(error: AnsibleError) -> str:
    """Return the file that an error is in, with the line where that is known; "" without either.

    Ansible tags what it reads with its origin, and an error that it raises for another one has none of its own.
    """
    cause: BaseException | None = error
    while cause:
        what = getattr(cause, "obj", None)
        origin = what if isinstance(what, Origin) else Origin.get_tag(what)
        if origin and origin.path:
            return f"{origin.path}:{origin.line_num}" if origin.line_num else str(origin.path)
        cause = cause.__cause__ or cause.__context__
    return ""


def _listing(source: str, limit: str, names: list[str]) -> dict[str, Any]:
    loader, inventory, variables = load(source)
    hosts = inventory.get_hosts()
    reads, closed = _decrypt_everything(loader, source, [*inventory.groups.values(), *hosts])
    selected, unmatched = _selected(inventory, limit) if limit else (None, "")
    groups = {
        name: [host.name for host in group.get_hosts()]
        for name, group in inventory.groups.items()
        if name != "ungrouped"
    }
    chosen = [host for host in _chosen(hosts, selected) if host.name not in closed]
    known = {host.name: _lookup(loader, variables, host) for host in chosen}
    return {
        "sites": _site_names(known),
        "reads": sorted(reads),
        "closed": closed,
        "without_shell": dict(_without_shell(known)),
        "values": _values(known, names),
        "groups": groups,
        "selected": selected,
        "unmatched": unmatched,
    }


def _selected(inventory: Any, limit: str) -> tuple[list[str], str]:
    """Return the hosts of the limit, and the first part of it that matches none."""
    inventory.subset(limit)
    # Ansible takes a limit without a pattern (a comma, an empty file) for no limit, which is all hosts,
    # and drops an open bracket. Only this private attribute has the patterns that it made.
    patterns = any(part.strip() for part in inventory._subset)  # noqa: SLF001  # see above
    if not patterns or limit.count("[") != limit.count("]"):
        return [], limit
    try:
        return [host.name for host in inventory.get_hosts()], ""
    except AnsibleError as error:
        # The caller sets HOST_PATTERN_MISMATCH=error; the message ends with the pattern.
        return [], str(error.message).rpartition(": ")[2]


def load(source: str) -> tuple[Any, Any, Any]:
    """Return loader, inventory and variables of a source; nothing asks for a password."""
    _refuse_prompts()
    init_plugin_loader()
    loader = DataLoader()
    identities = constants.DEFAULT_VAULT_IDENTITY_LIST
    loader.set_vault_secrets(CLI.setup_vault_secrets(loader, identities, auto_prompt=False))
    inventory = _Inventory(loader=loader, sources=[source])
    return loader, inventory, VariableManager(loader=loader, inventory=inventory)


class _Inventory(InventoryManager):  # type: ignore[misc]  # Ansible has no types
    """An inventory of which no program's own text is read where the program fails.

    Ansible tries its other formats then, and lines of a script can be taken for hosts: those that it would have named
    are missing, and nobody is told.
    """

    def _fetch_inventory_plugins(self) -> list[Any]:
        plugins: list[Any] = super()._fetch_inventory_plugins()
        source = self._inventory.current_source
        if not _is_program(source):
            return plugins
        if not os.access(source, os.X_OK):
            raise AnsibleError(f"{source} is a program that may not be executed")
        return [each for each in plugins if each._load_name == "script"]  # noqa: SLF001  # its name


def _is_program(source: str) -> bool:
    try:
        with Path(source).open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:  # whatever reads this source says so
        return False


def _refuse_prompts() -> None:
    """Nobody is there to answer while a run is under way: it would hang, or read the terminal of its progress."""
    asking = [
        setting
        for setting in ("DEFAULT_ASK_PASS", "DEFAULT_ASK_VAULT_PASS", "DEFAULT_BECOME_ASK_PASS")
        if getattr(constants, setting)
    ]
    identities = constants.DEFAULT_VAULT_IDENTITY_LIST or []
    asking += [each for each in identities if each.rpartition("@")[2].startswith("prompt")]
    if asking:
        raise AnsibleError(
            f"Ansible asks for a password ({', '.join(asking)}), and a run has nobody to answer"
        )


def _chosen(hosts: list[Any], selected: list[str] | None) -> list[Any]:
    return [host for host in hosts if selected is None or host.name in selected]


def _lookup(loader: Any, variables: Any, host: Any) -> Callable[[str], Any]:
    """Return a function that returns a variable of the host, templated, and None where it is not set."""
    known = variables.get_vars(host=host, include_hostvars=False)
    templar = Templar(loader, variables=known)
    return lambda name: templar.template(known[name]) if name in known else None


def _site_names(known: dict[str, Callable[[str], Any]]) -> dict[str, str]:
    """Return every name that these hosts have for their site, and the first host that has it."""
    names: dict[str, str] = {}
    for host, lookup in known.items():
        if name := lookup("holdfast_site"):
            names.setdefault(str(name), host)
    return names


def _without_shell(known: dict[str, Callable[[str], Any]]) -> Iterable[tuple[str, str]]:
    """Yield the hosts that are network devices or Windows, with how Ansible reaches them."""
    for host, lookup in known.items():
        try:
            kind = [str(lookup(f"ansible_{name}") or "") for name in ("connection", "shell_type")]
        except AnsibleError:  # told by the play that reaches the host
            continue
        if not has_shell(*kind):
            yield host, " ".join(filter(None, kind))


def _values(known: dict[str, Callable[[str], Any]], names: list[str]) -> list[tuple[str, str]]:
    """Return every value that these hosts have for the variables, as pairs of name and text."""
    found = {(name, lookup(name)) for name in names for lookup in known.values()}
    return sorted((name, str(value)) for name, value in found if value is not None)


# lookup('env', 'NAME'), also with q and query, and with the full name of the plugin
_READS = re.compile(
    r"""\b(?:lookup|query|q)\(\s*['"](?:ansible\.builtin\.)?env['"]\s*,\s*['"](\w+)['"]"""
)


def _decrypt_everything(
    loader: Any, source: str, entities: list[Any]
) -> tuple[set[str], dict[str, str]]:
    """Read every file of variables once, and decrypt what is encrypted.

    Returns what they read of the environment, and the hosts with a file that cannot be read, each with the reason.
    """
    reads: set[str] = set()
    closed: dict[str, str] = {}
    for entity in entities:
        try:
            variables = get_vars_from_inventory_sources(loader, [source], [entity], "task")
            for value in _leaves(variables):
                if isinstance(value, (str, EncryptedString)):
                    reads |= set(_READS.findall(str(value)))
        except AnsibleError as error:
            cause = f"variables of {entity.name}: {cause_of(error)}"
            for host in _hosts_of(entity):
                closed.setdefault(host, cause)
    return reads, closed


def _hosts_of(entity: Any) -> list[str]:
    return (
        [host.name for host in entity.get_hosts()]
        if hasattr(entity, "get_hosts")
        else [entity.name]
    )


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
