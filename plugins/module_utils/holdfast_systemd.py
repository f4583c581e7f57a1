"""Reads systemd units on the managed host, for the modules that run there. Standard library only; changes nothing."""

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

ANSWER_SECONDS = 30
"""How long a question to systemd may take; a healthy one answers in milliseconds."""

_SECRETS = (
    # transport_url = rabbit://nova:secret@ctl1, and the like
    (re.compile(r"(://[^\s:/@]*:)[^\s@]+@"), r"\1***@"),
    (
        re.compile(r"(?i)(\w*(?:password|passwd|secret|token|cookie)\w*['\"]?\s*[=:]\s*)\S+"),
        r"\1***",
    ),
)


# The host's PATH finds systemctl and journalctl; no shell interprets the arguments.
def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a unit's name is an argument of ours, never a program
        argv, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS, errors="replace"
    )


class CannotRead(Exception):
    """The unit's state cannot be read, or the unit cannot run: unknown to systemd, masked, its file broken."""


def read_unit(unit: str) -> dict[str, str]:
    """Return the unit's state under the short names of PROPERTIES; ``unit`` may be an alias.

    Raises:
        CannotRead: systemd gives no answer, or the unit cannot run; the message has its load state.
    """
    try:
        done = _run("systemctl", "show", "--property", ",".join(PROPERTIES), "--", unit)
    except subprocess.TimeoutExpired:
        raise CannotRead(f"`systemctl show {unit}` gave no answer in {ANSWER_SECONDS} s") from None
    except OSError as error:
        raise CannotRead(f"systemctl cannot be run: {error.strerror}") from None
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if done.returncode != 0 or "ActiveState" not in shown:
        raise CannotRead(f"systemd shows no state of {unit}: {done.stderr.strip() or 'no output'}")
    state = {short: shown.get(name, "") for name, short in PROPERTIES.items()}
    if state["load_state"] != "loaded":
        raise CannotRead(
            f"the unit {unit} cannot run here: its load state is {state['load_state']}"
        )
    return state


def read_property(unit: str, name: str) -> str:
    """Return one property of the unit as systemd prints it, "" where it gives no answer."""
    try:
        done = _run("systemctl", "show", "--property", name, "--", unit)
    except (subprocess.TimeoutExpired, OSError):
        return ""
    values = (line.partition("=") for line in done.stdout.splitlines())
    return next((value for key, _, value in values if key == name), "")


def describe(state: dict[str, str]) -> str:
    """Return the state in one line: ``cron.service is failed (failed), result exit-code``."""
    line = f"{state['id']} is {state['active_state']} ({state['sub_state']})"
    return line if state["result"] in ("", "success") else f"{line}, result {state['result']}"


def last_journal_lines(unit: str) -> list[str]:
    """Return the last lines of the unit's journal, with anything that looks like a secret masked."""
    try:
        done = _run("journalctl", "-u", unit, "-n", "8", "-o", "cat", "--no-pager", "--quiet")
    except (subprocess.TimeoutExpired, OSError) as error:
        return [f"(its journal cannot be read: {error})"]
    return [without_secrets(line)[:300] for line in done.stdout.splitlines() if line.strip()]


def without_secrets(line: str) -> str:
    """Return the line with passwords in URLs and in ``password=…`` masked."""
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    return line
