"""systemd on the managed host, for the modules that run there: standard library only.

Owns reading a unit's state and saying why it is not well. Changes nothing.
"""

from __future__ import annotations

import re
import subprocess

PROPERTIES = {
    "Id": "id",
    "LoadState": "load_state",
    "ActiveState": "active_state",
    "SubState": "sub_state",
    "Result": "result",
    "InvocationID": "invocation_id",
    "NRestarts": "restarts",
    "Job": "job",
}

_SECRETS = (
    # transport_url = rabbit://nova:secret@ctl1, and the like
    (re.compile(r"(://[^\s:/@]*:)[^\s@]+@"), r"\1***@"),
    (
        re.compile(r"(?i)(\w*(?:password|passwd|secret|token|cookie)\w*['\"]?\s*[=:]\s*)\S+"),
        r"\1***",
    ),
)


# Managed hosts find systemctl where their PATH says; arguments are lists, so nothing is interpreted.
def _answer(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a unit's name is an argument of ours, never a program
        argv, capture_output=True, text=True, check=False, timeout=30, errors="replace"
    )


class NoSuchUnit(Exception):
    """systemd cannot run the unit at all: it has no such unit, or the unit is masked or broken."""


def read_unit(unit: str) -> dict[str, str]:
    """The unit's state under the short names of PROPERTIES, whatever alias it was asked for by.

    Raises:
        NoSuchUnit: there is nothing that could run; the message says what systemd has.
    """
    done = _answer("systemctl", "show", "--property", ",".join(PROPERTIES), "--", unit)
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if done.returncode != 0 or "ActiveState" not in shown:
        raise NoSuchUnit(f"systemd says nothing about {unit}: {done.stderr.strip() or 'no answer'}")
    state = {short: shown.get(name, "") for name, short in PROPERTIES.items()}
    if state["load_state"] != "loaded":
        raise NoSuchUnit(f"the unit {unit} cannot run here: systemd calls it {state['load_state']}")
    return state


def describe(state: dict[str, str]) -> str:
    """The state in one line: ``cron.service is failed (failed), result exit-code``."""
    line = f"{state['id']} is {state['active_state']} ({state['sub_state']})"
    return line if state["result"] in ("", "success") else f"{line}, result {state['result']}"


def last_words(unit: str) -> list[str]:
    """The last lines of the unit's journal, with what looks like a secret blanked out."""
    done = _answer("journalctl", "-u", unit, "-n", "8", "-o", "cat", "--no-pager", "--quiet")
    return [without_secrets(line)[:300] for line in done.stdout.splitlines() if line.strip()]


def without_secrets(line: str) -> str:
    """The line with passwords in URLs and in ``password=…`` blanked out."""
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    return line
