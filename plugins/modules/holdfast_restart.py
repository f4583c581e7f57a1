"""Restart a unit if its InvocationID is still the one in the intent: a compare-and-swap (docs/adr/0003)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: holdfast_restart
short_description: Restart a systemd unit exactly once
description:
  - Under an exclusive lock on C(/run/holdfast/<unit>.lock), restarts the unit only if its InvocationID is still
    O(expect_invocation_id). Otherwise it was restarted since; nothing is changed and RV(already_restarted) is true.
  - Fails, without a restart, while systemd has a job for the unit, for instance a restart started by a run that died.
  - Restarts once. If the restart fails the task fails, with the unit's state and the last lines of its journal.
options:
  name:
    description: The unit, by name or alias; C(.service) may be left out.
    type: str
    required: true
  expect_invocation_id:
    description: The InvocationID in the intent; empty for a unit that has never run.
    type: str
    required: true
  timeout_seconds:
    description: How long to wait for the lock and for systemd before the restart counts as failed.
    type: int
    default: 900
  lock_directory:
    description: Where the locks are. It must be the same for everybody who restarts units on the host.
    type: path
    default: /run/holdfast
"""

EXAMPLES = r"""
- name: Restart cron, unless it has been restarted since the intent
  holdfast_restart:
    name: cron
    expect_invocation_id: "{{ cron.unit.invocation_id }}"
"""

RETURN = r"""
unit:
  description: The unit's state afterwards, as M(holdfast_unit) returns it.
  returned: always
  type: dict
before:
  description: The InvocationID before, read under the lock.
  returned: always
  type: str
after:
  description: The InvocationID afterwards.
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

import contextlib
import fcntl
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.holdfast_systemd import (
    NoSuchUnit,
    describe,
    last_journal_lines,
    read_unit,
)


class Busy(Exception):
    """Another restart of the unit is in progress; nothing was touched."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "name": {"type": "str", "required": True},
            "expect_invocation_id": {"type": "str", "required": True},
            "timeout_seconds": {"type": "int", "default": 900},
            "lock_directory": {"type": "path", "default": "/run/holdfast"},
        },
        supports_check_mode=True,
    )
    try:
        restart_once(module)
    except NoSuchUnit as error:
        module.fail_json(msg=f"{error}; nothing was touched")
    except Busy as error:
        module.fail_json(msg=str(error))


def restart_once(module: AnsibleModule) -> None:
    """Take the unit's lock, then compare and restart; in check mode without the lock."""
    unit = read_unit(module.params["name"])
    if module.check_mode:
        swap(module, unit)
    lock = Path(module.params["lock_directory"]) / f"{unit['id']}.lock"
    with locked(lock, module.params["timeout_seconds"]):
        swap(module, read_unit(unit["id"]))


def swap(module: AnsibleModule, unit: dict[str, str]) -> None:
    """Restart the unit if its InvocationID is the expected one; end the module with the result."""
    before = unit["invocation_id"]
    result = {
        "unit": unit,
        "before": before,
        "after": before,
        "already_restarted": False,
        "seconds": 0.0,
    }
    if before != module.params["expect_invocation_id"]:
        result.update(
            already_restarted=True,
            msg=f"{describe(unit)}; it was restarted since the intent, so it is not restarted again",
        )
        module.exit_json(changed=False, **result)
    if unit["job"]:
        raise Busy(
            f"systemd has a job in progress for the unit: {describe(unit)}; nothing was touched. "
            f"Wait until `systemctl list-jobs` no longer lists {unit['id']}, then run this again"
        )
    if module.check_mode:
        module.exit_json(changed=True, **{**result, "msg": f"would restart: {describe(unit)}"})
    began = time.monotonic()
    error = systemctl_restart(unit["id"], module.params["timeout_seconds"])
    unit = read_unit(unit["id"])
    result.update(
        unit=unit, after=unit["invocation_id"], seconds=round(time.monotonic() - began, 3)
    )
    if error:
        module.fail_json(changed=True, msg=failure_message(unit, error), **result)
    module.exit_json(
        changed=True, msg=f"{describe(unit)} after {result['seconds']:.1f} s", **result
    )


def systemctl_restart(unit: str, seconds: int) -> str:
    """Run systemctl restart once; return the error, empty if there is none."""
    argv = ["systemctl", "restart", "--", unit]
    try:
        done = subprocess.run(  # noqa: S603 - the unit's name is an argument, never a program
            argv, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"systemctl had not finished after {seconds} s"
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"


def failure_message(unit: dict[str, str], error: str) -> str:
    """Return the message for a restart that failed: the state, the error and the unit's last journal lines."""
    lines = "".join(f"\n  {line}" for line in last_journal_lines(unit["id"]))
    return f"the restart failed, {describe(unit)}: {error}\nlast lines of its journal:{lines or ' none'}"


@contextlib.contextmanager
def locked(path: Path, seconds: int) -> Iterator[None]:
    """Hold the unit's lock, waiting for another holder for at most ``seconds``.

    Raises:
        Busy: the other holder still has it then.
    """
    path.parent.mkdir(mode=0o755, exist_ok=True)

    def give_up(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise Busy(f"another restart still held {path} after {seconds} s; nothing was touched")

    with path.open("w") as lock:
        previous = signal.signal(signal.SIGALRM, give_up)
        signal.alarm(seconds)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)
        yield


if __name__ == "__main__":
    main()
