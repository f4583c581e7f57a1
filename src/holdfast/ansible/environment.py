"""The project's directory, and the allow-listed environment of Ansible's processes.

A play by hand has the whole environment of its shell, a play of the engine has what is listed here: the
run may be started by another person, from chat, or resumed elsewhere, and must do the same. And
ansible-runner writes what it is given into its artifacts, so a shell's secrets must not be in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.errors import InvalidInput
from holdfast.files import exists

FURTHER = "HOLDFAST_PASS_ENVIRONMENT"
"""Names the further variables that plays get (docs/environment.md)."""

# How hosts are reached and a vault is opened. What a play does comes from the plays and ansible.cfg alone, so no other
# setting of Ansible is passed: no strategy, no tags, no other place of plugins, nothing that asks for a password.
_SETTINGS = (
    "BECOME_EXE", "BECOME_FLAGS", "BECOME_METHOD", "BECOME_PASS", "BECOME_PASSWORD_FILE", "BECOME_USER",
    "COLLECTIONS_PATH", "CONNECTION_PASSWORD_FILE", "FORKS", "HOME", "LOCAL_TEMP", "LOG_PATH", "PIPELINING",
    "PRIVATE_KEY_FILE", "PYTHON_INTERPRETER", "REMOTE_PORT", "REMOTE_TEMP", "REMOTE_TMP", "REMOTE_USER",
    "SSH_AGENT", "SSH_ARGS", "SSH_COMMON_ARGS", "SSH_CONTROL_PATH", "SSH_CONTROL_PATH_DIR", "SSH_EXECUTABLE",
    "SSH_EXTRA_ARGS", "SSH_PASSWORD_MECHANISM", "SSH_PIPELINING", "SSH_RETRIES", "SSH_TIMEOUT",
    "SSH_TRANSFER_METHOD", "SSH_VERBOSITY", "SCP_EXECUTABLE", "SCP_EXTRA_ARGS", "SFTP_BATCH_MODE",
    "SFTP_EXECUTABLE", "SFTP_EXTRA_ARGS", "TIMEOUT", "VAULT_IDENTITY", "VAULT_IDENTITY_LIST", "VAULT_ID_MATCH",
    "VAULT_PASSWORD_FILE",
)  # fmt: skip
_ANSIBLE = frozenset(f"ANSIBLE_{name}" for name in _SETTINGS)
_NAMES = _ANSIBLE | {
    *("PATH", "HOME", "USER", "LOGNAME", "SUDO_USER", "LANG", "LC_ALL", "TZ", "TMPDIR"),
    *("SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "VIRTUAL_ENV"),
}
_PREFIXES = ("HOLDFAST_", "LAB_", "ANSIBLE_HASHI_VAULT_")
# Never by request: they change what a play does, or which code it is.
_REFUSED = re.compile(r"(ANSIBLE_|HOLDFAST_|PYTHON|LD_).*|PATH|IFS|BASH_ENV|ENV")
_OF_EVERY_SHELL = re.compile(
    r"_|PWD|OLDPWD|SHELL|SHLVL|TERM|COLORTERM|COLUMNS|LINES|HOSTNAME|MAIL|PS1|EDITOR|VISUAL|PAGER|DISPLAY|"
    r"(LC|LS|LESS|XDG|DBUS|SSH|SUDO|GPG|TMUX|PYTHON|LD)_?.*"
)


def filter_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the environment that Ansible needs to reach hosts, and what ``FURTHER`` names.

    Raises:
        InvalidInput: ``FURTHER`` names a variable that would change the plays.
    """
    further = set(re.split(r"[\s,]+", environ.get(FURTHER, "").strip()))
    if refused := sorted(name for name in further if _REFUSED.fullmatch(name)):
        raise InvalidInput(
            f"{FURTHER} names {', '.join(refused)}, which would change what plays do",
            remedy="set it in ansible.cfg, or leave it out (docs/environment.md)",
        )
    return {
        name: value
        for name, value in environ.items()
        if name in _NAMES or name in further or name.startswith(_PREFIXES)
    }


def not_passed(environ: Mapping[str, str]) -> list[str]:
    """Return the names of what plays do not get, without those that every shell sets."""
    passed = filter_environment(environ)
    return sorted(
        name for name in environ if name not in passed and not _OF_EVERY_SHELL.fullmatch(name)
    )


CARRIED = Path(__file__).resolve().parents[1] / "project"
"""What the wheel carries of the project (pyproject.toml); it is not there in a checkout."""


def checkout() -> Path:
    """Return where the checkout of this module would be; for an installed wheel it is some other directory."""
    return Path(__file__).resolve().parents[3]


def find_project(
    environ: Mapping[str, str], start: Path, installed: Sequence[Path] = (checkout(), CARRIED)
) -> Path:
    """Return the directory with ``ansible.cfg`` and ``playbooks/``: ``start`` or one above it.

    ``HOLDFAST_PROJECT`` overrides the search. The last candidates are ``installed``: the checkout of
    this module, and what its wheel carries.

    Raises:
        InvalidInput: there is no such directory, or the one that is named may not be looked into.
    """
    if named := environ.get("HOLDFAST_PROJECT"):
        candidates = [Path(named).expanduser().absolute()]
        exists(candidates[0] / "ansible.cfg")
    else:
        here = start.absolute()
        candidates = [here, *here.parents, *installed]
    for candidate in candidates:
        # Where another user left this one in a directory that is closed to it, that is none (os.path never raises).
        if os.path.isfile(candidate / "ansible.cfg") and os.path.isdir(candidate / "playbooks"):  # noqa: PTH112, PTH113
            return candidate
    raise InvalidInput(
        f"{candidates[0]} is not a Holdfast project: it has no ansible.cfg and playbooks/",
        remedy="change into the checkout, or set HOLDFAST_PROJECT to it",
    )
