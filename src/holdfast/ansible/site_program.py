"""Prints what an inventory has: ``python -m holdfast.ansible.site_program``, with a question as JSON on its input.

``site_reader.py`` starts it as a process of its own, because Ansible's state is global. It prints groups, the values of
the question's own expressions, and of variables only whether they are set: no value of theirs leaves this process.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from ansible.errors import AnsibleError
from ansible.template import Templar, trust_as_template
from ansible.vars.hostvars import HostVars

from holdfast.ansible.inventory_program import cause_of, load, place_of

MISSING, EMPTY = "not set", "empty"
_SECRETS = re.compile(
    r"\bvault_\w+"
)  # what a variable takes from a vault, by the names that every site uses


def main() -> int:
    """Print the answer to the question on the standard input."""
    try:
        answer = _answer(json.load(sys.stdin))
    except _FileError as error:
        answer = {"file": error.file, "error": error.cause}
    except AnsibleError as error:
        answer = {"error": cause_of(error)}
    json.dump(answer, sys.stdout)
    return 2 if "error" in answer else 0


class _FileError(Exception):
    """A file of variables cannot be read; ``file`` has the line in it, where Ansible says which."""

    def __init__(self, file: str, cause: str) -> None:
        """Keep which, and why."""
        super().__init__(file, cause)
        self.file, self.cause = file, cause


def _variables(loader: Any, path: str) -> dict[str, Any]:
    try:
        found = loader.load_from_file(path, trusted_as_template=True)
    except AnsibleError as error:
        place = place_of(error)
        cause = cause_of(error).removesuffix(f" ({place})")
        raise _FileError(place or path, cause) from error
    if not isinstance(found or {}, dict):
        raise _FileError(path, "it has no variables, which are names with values")
    return found or {}


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    loader, inventory, variables = load(question["source"])
    groups = {
        name: [host.name for host in group.get_hosts()] for name, group in inventory.groups.items()
    }
    further: dict[str, Any] = {}
    for path in question["files"]:
        further |= _variables(loader, path)

    of_hosts = HostVars(inventory, variables, loader)

    def templar_of(host: Any) -> Templar:
        known = variables.get_vars(host=host, include_hostvars=False)
        return Templar(loader, variables={**known, **further, "hostvars": of_hosts})

    hosts = {host.name: host for host in inventory.get_hosts()}
    members = [name for group in question["groups"] for name in groups.get(group, ())]
    first = next((hosts[name] for name in members), next(iter(hosts.values()), None))
    values = _values(templar_of(first), question["expressions"]) if first else {}
    states = {
        name: _states(templar_of(hosts[name]), sorted(names))
        for name, names in _asked(question["inspect"], groups).items()
    }
    return {"groups": groups, "values": values, "states": states}


def _asked(inspect: dict[str, list[str]], groups: dict[str, list[str]]) -> dict[str, set[str]]:
    """Return, per host, which variables are asked of it."""
    asked: dict[str, set[str]] = {}
    for group, names in inspect.items():
        for host in groups.get(group, ()):
            asked.setdefault(host, set()).update(names)
    return asked


def _values(templar: Templar, expressions: dict[str, str]) -> dict[str, Any]:
    """Return the expressions that have a value here; those that read what is not set have none."""
    found = {}
    for name, expression in expressions.items():
        try:
            value = templar.template(trust_as_template(expression))
        except AnsibleError:
            continue
        if value not in ("", None):
            found[name] = value
    return found


def _states(templar: Templar, names: list[str]) -> dict[str, str]:
    """Return, of variables that cannot be used as they are, why: not set, empty, or what their template lacks."""
    found = {}
    for name in names:
        if name not in templar.available_variables:
            found[name] = MISSING
            continue
        try:
            value = templar.template(templar.available_variables[name])
        except AnsibleError as error:
            found[name] = str(error.message).splitlines()[0]
            continue
        # A URL with an empty password is not empty.
        known = templar.available_variables
        secrets = [each for each in _SECRETS.findall(str(known[name])) if known.get(each) == ""]
        found |= dict.fromkeys(secrets, EMPTY)
        if value in ("", None) and not secrets:
            found[name] = EMPTY
    return found


if __name__ == "__main__":
    sys.exit(main())
