"""What Ansible's processes get to see: the project's directory and an allow-listed environment.

ansible-runner writes the whole environment it was given into its artifacts, so secrets that a
person keeps in variables of their shell must not be in it.
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


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of the environment that Ansible needs."""
    return {
        name: value
        for name, value in environ.items()
        if name in _NAMES or name.startswith(_PREFIXES)
    }


def find_project(environ: Mapping[str, str], start: Path) -> Path:
    """The directory with ``ansible.cfg`` and ``playbooks/``: ``start`` or one above it.

    ``HOLDFAST_PROJECT`` names it outright; otherwise the checkout this module belongs to is the
    last resort.

    Raises:
        InvalidInput: there is none.
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
        f"{candidates[0]} is no Holdfast project: it has no ansible.cfg and playbooks/",
        remedy="change into the checkout, or set HOLDFAST_PROJECT to it",
    )
