"""Restart a unit if its InvocationID is still the one in the intent: a compare-and-swap (docs/adr/0003)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: holdfast_restart
short_description: Restart a systemd unit exactly once
description:
  - Under an exclusive lock on C(/run/holdfast/<unit>.lock), restarts the unit only if its InvocationID is still
    O(expect_invocation_id). Otherwise it was restarted since; nothing is changed and RV(already_restarted) is true.
  - Fails, without a restart, once the host's clock has reached O(not_after), and for an intent from before the host's
    last boot or its last observation by M(holdfast_unit), and where the host's mark is not that of the run any more.
  - Fails, without a restart, while systemd has a job for the unit, for instance a restart started by a run that died.
  - Restarts once. If the restart fails the task fails, with the unit's state and the last lines of its journal. If the
    state cannot be read after the restart the task fails too, and says what is known to have been done.
options:
  name:
    description: The unit, by name or alias; C(.service) may be left out.
    type: str
    required: true
  expect_invocation_id:
    description: The InvocationID in the intent; empty for a unit that has never run.
    type: str
    required: true
  not_after:
    description: >-
      What M(holdfast_intent) returned as C(not_after). It may be empty in check mode alone.
    type: dict
    required: true
  timeout_seconds:
    description: How long to wait for the lock and for systemd before the restart counts as failed.
    type: int
    default: 900
"""

EXAMPLES = r"""
- name: Restart cron, unless it has been restarted since the intent
  holdfast_restart:
    name: cron
    expect_invocation_id: "{{ cron.unit.invocation_id }}"
    not_after: "{{ intent.not_after }}"
"""

RETURN = r"""
unit:
  description: The unit's state afterwards, as M(holdfast_unit) returns it; empty where it cannot be read.
  returned: always
  type: dict
before:
  description: The InvocationID before, read under the lock.
  returned: always
  type: str
after:
  description: The InvocationID afterwards; empty where it cannot be read.
  returned: always
  type: str
already_restarted:
  description: Whether the unit had been restarted since the intent, so that nothing was done.
  returned: always
  type: bool
seconds:
  description: How long systemd took for the restart.
  returned: always
  type: float
"""

import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.holdfast_act import NotBegun, unit_lock
from ansible.module_utils.holdfast_marks import refuse_unless_marked
from ansible.module_utils.holdfast_systemd import (
    CannotRead,
    describe,
    last_journal_lines,
    read_unit,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "name": {"type": "str", "required": True},
            "expect_invocation_id": {"type": "str", "required": True},
            "not_after": {"type": "dict", "required": True},
            "timeout_seconds": {"type": "int", "default": 900},
        },
        supports_check_mode=True,
    )
    try:
        unit = compare(module)
    except (CannotRead, NotBegun) as error:
        module.fail_json(msg=f"{error}; nothing was touched")
    else:
        result = unchanged(unit, f"would restart: {describe(unit)}")
        module.exit_json(**{**result, "changed": True})


def compare(module: AnsibleModule) -> dict[str, str]:
    """Take the unit's lock, then compare and restart; in check mode compare alone, and return the unit.

    Raises:
        CannotRead, NotBegun: nothing was touched.
    """
    unit: dict[str, str] = read_unit(module.params["name"])
    seconds = module.params["timeout_seconds"]
    if module.check_mode:
        refuse_unless_intended(module, unit)
        return unit
    with unit_lock(unit["id"], seconds) as lock:
        unit = read_unit(unit["id"])
        lock.refuse_if_too_late(module.params["not_after"])
        refuse_unless_marked(module.params["not_after"])
        refuse_unless_intended(module, unit)
        restart(module, unit)
    return unit


def refuse_unless_intended(module: AnsibleModule, unit: dict[str, str]) -> None:
    """Return only if the unit's InvocationID is the intended one; end the module if it was restarted since.

    Raises:
        NotBegun: systemd has a job for the unit.
    """
    if unit["invocation_id"] != module.params["expect_invocation_id"]:
        why = "it was restarted since the intent, so it is not restarted again"
        result = unchanged(unit, f"{describe(unit)}; {why}")
        module.exit_json(**{**result, "already_restarted": True})
    if unit["job"]:
        raise NotBegun(
            f"systemd has a job in progress for the unit: {describe(unit)}. Wait until "
            f"`systemctl list-jobs` no longer lists {unit['id']}, then run this again"
        )


def unchanged(unit: dict[str, str], message: str) -> dict[str, Any]:
    """Return the result of a module that restarted nothing."""
    return {
        "changed": False,
        "unit": unit,
        "before": unit["invocation_id"],
        "after": unit["invocation_id"],
        "already_restarted": False,
        "seconds": 0.0,
        "msg": message,
    }


def restart(module: AnsibleModule, before: dict[str, str]) -> None:
    """Restart the unit once; end the module with what is known of it afterwards."""
    began = time.monotonic()
    error = systemctl_restart(before["id"], module.params["timeout_seconds"])
    result = unchanged(before, "") | {"changed": True}
    try:
        unit = read_unit(before["id"])
    except CannotRead as unreadable:
        result |= {"unit": {}, "after": "", "msg": unknown_message(before, error, str(unreadable))}
        module.fail_json(**result)
    else:
        seconds = round(time.monotonic() - began, 3)
        result |= {"unit": unit, "after": unit["invocation_id"], "seconds": seconds}
        if error:
            module.fail_json(**{**result, "msg": failure_message(unit, error)})
        module.exit_json(**{**result, "msg": f"{describe(unit)} after {seconds:.1f} s"})


def systemctl_restart(unit: str, seconds: int) -> str:
    """Run systemctl restart once; return the error, empty if there is none."""
    argv = ["systemctl", "restart", "--", unit]
    try:
        done = subprocess.run(  # noqa: S603 - the unit's name is an argument, never a program
            argv, capture_output=True, text=True, check=False, timeout=seconds, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return f"systemctl had not finished after {seconds} s"
    except OSError as error:
        return f"systemctl cannot be run: {error.strerror}"
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"


def failure_message(unit: dict[str, str], error: str) -> str:
    """Return the message for a restart that failed: the state, the error and the unit's last journal lines."""
    lines = "".join(f"\n  {line}" for line in last_journal_lines(unit["id"]))
    return f"the restart failed, {describe(unit)}: {error}\nlast lines of its journal:{lines or ' none'}"


def unknown_message(before: dict[str, str], error: str, unreadable: str) -> str:
    """Return the message for a restart after which the unit cannot be read."""
    ended = f"which failed: {error}" if error else "which reported success"
    return (
        f"`systemctl restart {before['id']}` was run, {ended}. In which state the unit is now is not known: "
        f"{unreadable}. Look on the host: systemctl status {before['id']}"
    )


if __name__ == "__main__":
    main()
