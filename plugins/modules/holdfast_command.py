"""Run a command that acts on a unit, once, while its intent counts (docs/adr/0022)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: holdfast_command
short_description: Run a command that acts on a unit, once, and return how it ended
description:
  - For acts that are commands, such as C(rabbitmq-upgrade drain). Takes the unit's lock, C(/run/holdfast/<unit>.lock),
    as M(holdfast_restart) does, so that an observation by M(holdfast_unit) waits for the command.
  - Fails, and the command is not run, once the host's clock has reached O(not_after), for an intent from before the
    host's last boot or its last observation, where the host's mark is not that of the run any more, and where the lock
    or the unit's state cannot be had. The message then ends with C(nothing was touched).
  - Otherwise the task succeeds however the command ends. RV(rc) and RV(timed_out) are evidence; a gate decides whether
    the act is in effect.
  - A command that takes longer than O(timeout_seconds) is ended with its whole process group.
options:
  argv:
    description: The command and its arguments; no shell interprets them.
    type: list
    elements: str
    required: true
  unit:
    description: The unit that the command acts on, by name or alias.
    type: str
    required: true
  not_after:
    description: >-
      What M(holdfast_intent) returned as C(not_after). It may be empty in check mode alone.
    type: dict
    required: true
  timeout_seconds:
    description: How long the command may take. The lock is waited for as long at most.
    type: float
    required: true
notes:
  - In check mode nothing is run, and the task reports RV(rc) V(0) and what it would run.
"""

EXAMPLES = r"""
- name: Read the host's clock
  holdfast_unit:
    name: rabbitmq-server
  register: found

- name: Journal the intent to drain the node, if the leases are still valid
  holdfast_intent:
    act: drain
    unit: rabbitmq-server
    clock: "{{ found.clock }}"
  register: intent

- name: Drain the node
  holdfast_command:
    argv: [rabbitmq-upgrade, drain]
    unit: rabbitmq-server
    timeout_seconds: 120
    not_after: "{{ intent.not_after }}"
  register: drain
"""

RETURN = r"""
msg:
  description: The command, how it ended and how long it took, with the last line that it printed.
  returned: always
  type: str
command:
  description: The command in one line.
  returned: always
  type: str
rc:
  description: Its exit status; none where it was ended (RV(timed_out)), negative where a signal ended it.
  returned: success
  type: int
timed_out:
  description: Whether it was ended after O(timeout_seconds).
  returned: success
  type: bool
stdout:
  description: The end of its output, at most 8,000 characters, with anything that looks like a secret masked.
  returned: success
  type: str
stderr:
  description: The end of its errors, likewise.
  returned: success
  type: str
seconds:
  description: How long it ran.
  returned: success
  type: float
"""

import os
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.holdfast_act import NotBegun, unit_lock
from ansible.module_utils.holdfast_marks import refuse_unless_marked
from ansible.module_utils.holdfast_systemd import CannotRead, read_unit, without_secrets

MOST_CHARACTERS = 8_000
ENDING_SECONDS = 5
"""How long a command that is told to end may take for it."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "argv": {"type": "list", "elements": "str", "required": True},
            "unit": {"type": "str", "required": True},
            "not_after": {"type": "dict", "required": True},
            "timeout_seconds": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    command = shlex.join(module.params["argv"])
    if module.check_mode:
        result = ended(0, "", "", 0.0)
        module.exit_json(**{**result, "command": command, "msg": f"would run `{command}`"})
    try:
        result = run_locked(module)
    except (CannotRead, NotBegun) as error:
        message = f"`{command}` was not run: {error}; nothing was touched"
        module.fail_json(msg=message, command=command)
    else:
        # Without `failed`, Ansible itself would fail the task by `rc`.
        module.exit_json(failed=False, command=command, msg=describe(command, result), **result)


def run_locked(module: AnsibleModule) -> dict[str, Any]:
    """Take the unit's lock and run the command in time; return how it ended.

    Raises:
        CannotRead, NotBegun: it was not run.
    """
    seconds = module.params["timeout_seconds"]
    unit = read_unit(module.params["unit"])["id"]
    with unit_lock(unit, seconds) as lock:
        lock.refuse_if_too_late(module.params["not_after"])
        refuse_unless_marked(module.params["not_after"])
        return run(module.params["argv"], seconds)


def run(argv: list[str], seconds: float) -> dict[str, Any]:
    """Run the command once, and end it with its process group when its time is over."""
    began = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - the playbook's own command; no shell
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise NotBegun(f"it cannot be run: {error.strerror}") from None
    try:
        stdout, stderr = process.communicate(timeout=seconds)
        status: int | None = process.returncode
    except subprocess.TimeoutExpired:
        stdout, stderr = end(process)
        status = None
    return ended(status, stdout, stderr, time.monotonic() - began)


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """End the process with its group, and return what it printed."""
    printed = ("", "")
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        printed = process.communicate(timeout=ENDING_SECONDS)
    # Also where the command itself has ended: the group may hold others, and nothing of it may act later.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        # A process that left the group may hold the pipes; what it prints is not waited for.
        with suppress(subprocess.TimeoutExpired):
            printed = process.communicate(timeout=ENDING_SECONDS)
    return printed


def ended(status: int | None, stdout: str, stderr: str, seconds: float) -> dict[str, Any]:
    """Return the result of a command that was run."""
    return {
        "changed": True,
        "rc": status,
        "timed_out": status is None,
        "stdout": shortened(stdout),
        "stderr": shortened(stderr),
        "seconds": round(seconds, 3),
    }


def shortened(text: str) -> str:
    """Return the end of the text, without secrets."""
    return "\n".join(without_secrets(line) for line in text.splitlines())[-MOST_CHARACTERS:]


def describe(command: str, result: dict[str, Any]) -> str:
    """Return how the command ended, in one line."""
    took = f"{result['seconds']:.1f} s"
    how = (
        f"was ended after {took}"
        if result["timed_out"]
        else f"ended with {result['rc']} after {took}"
    )
    printed = (result["stderr"].strip() or result["stdout"].strip()).splitlines()
    return f"`{command}` {how}" + (f": {printed[-1]}" if printed else "")


if __name__ == "__main__":
    main()
