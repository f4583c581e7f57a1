"""The project's directory, and the allow-listed environment of Ansible's processes.

ansible-runner writes the whole environment that it is given into its artifacts, so secrets in the
variables of a person's shell must not be in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from holdfast.errors import InvalidInput

_NAMES = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SUDO_USER", "LANG", "LC_ALL", "TZ", "TMPDIR"}
    | {"SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "VIRTUAL_ENV"}
)
_PREFIXES = ("ANSIBLE_", "HOLDFAST_", "LAB_")

# Settings of Ansible that decide what a play does, and not how a host is reached. A play's safety rests on
# them, so they come from the plays and ansible.cfg alone. Likewise plugins of another place, and prompts.
_CHANGES_PLAYS = frozenset(
    f"ANSIBLE_{name}"
    for name in (
        "ACTION_PLUGINS",
        "ALLOW_BROKEN_CONDITIONALS",
        "ANY_ERRORS_FATAL",
        "ASK_PASS",
        "ASK_VAULT_PASS",
        "BECOME_ASK_PASS",
        "BECOME_PLUGINS",
        "CACHE_PLUGINS",
        "CALLBACK_PLUGINS",
        "CONFIG",
        "CONNECTION_PLUGINS",
        "DUPLICATE_YAML_DICT_KEY",
        "ENABLE_TASK_DEBUGGER",
        "ERROR_ON_UNDEFINED_VARS",
        "FILTER_PLUGINS",
        "FORCE_HANDLERS",
        "GATHERING",
        "HASH_BEHAVIOUR",
        "HOST_PATTERN_MISMATCH",
        "INJECT_FACT_VARS",
        "INVALID_TASK_ATTRIBUTE_FAILED",
        "INVENTORY_ANY_UNPARSED_IS_FAILED",
        "INVENTORY_PLUGINS",
        "INVENTORY_UNPARSED_FAILED",
        "LIBRARY",
        "LOOKUP_PLUGINS",
        "MODULE_UTILS",
        "PLAYBOOK_DIR",
        "PLAYBOOK_VARS_ROOT",
        "PRECEDENCE",
        "PRIVATE_ROLE_VARS",
        "ROLES_PATH",
        "RUN_TAGS",
        "SKIP_TAGS",
        "STRATEGY",
        "STRATEGY_PLUGINS",
        "TASK_DEBUGGER_IGNORE_ERRORS",
        "TASK_TIMEOUT",
        "TEST_PLUGINS",
        "VARS_ENABLED",
        "VARS_PLUGINS",
    )
)


def filter_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the environment that Ansible needs to reach hosts, and nothing that changes a play."""
    return {
        name: value
        for name, value in environ.items()
        if (name in _NAMES or name.startswith(_PREFIXES)) and name not in _CHANGES_PLAYS
    }


def find_project(environ: Mapping[str, str], start: Path) -> Path:
    """Return the directory with ``ansible.cfg`` and ``playbooks/``: ``start`` or one above it.

    ``HOLDFAST_PROJECT`` overrides the search. The last candidate is the checkout of this module.

    Raises:
        InvalidInput: there is no such directory.
    """
    if named := environ.get("HOLDFAST_PROJECT"):
        candidates = [Path(named).expanduser().absolute()]
    else:
        here = start.absolute()
        candidates = [here, *here.parents, Path(__file__).resolve().parents[3]]
    for candidate in candidates:
        if (candidate / "ansible.cfg").is_file() and (candidate / "playbooks").is_dir():
            return candidate
    raise InvalidInput(
        f"{candidates[0]} is not a Holdfast project: it has no ansible.cfg and playbooks/",
        remedy="change into the checkout, or set HOLDFAST_PROJECT to it",
    )
