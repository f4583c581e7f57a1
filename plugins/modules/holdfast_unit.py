"""Read a unit's state on the managed host. Changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: holdfast_unit
short_description: Read the state of a systemd unit
description:
  - Returns a unit's state as systemd shows it, with the InvocationID, which identifies the unit's present start, and
    the host's steady clock, by which M(holdfast_intent) says until when an act may begin.
  - Never changes the unit.
options:
  name:
    description: The unit, by name or alias; C(.service) may be left out.
    type: str
    required: true
  observe_seconds:
    description: >-
      With it, the state is one that stays true. Waits up to this long for an act in progress on the unit (its lock),
      and no act begins any more whose intent is from before the reading. Writes the time into the lock's file.
    type: int
  log:
    description: The file that the unit logs to. With it, RV(log) says where it ends now.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Read which start of cron is running
  holdfast_unit:
    name: cron
  register: cron
"""

RETURN = r"""
unit:
  description: >-
    C(id), C(load_state), C(active_state), C(sub_state), C(result), C(invocation_id), C(restarts) and C(job)
    (empty unless systemd has a job in progress for the unit), all text.
  returned: success
  type: dict
clock:
  description: C(boot_id), and C(seconds) since the host's boot (CLOCK_BOOTTIME), from before the unit was read.
  returned: success
  type: dict
log:
  description: >-
    Where the file O(log) ends, for M(holdfast_intent), read after the unit; C(inode), C(size), C(digest) of its last
    bytes and C(processes) of the unit. Empty where there is no such file.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.holdfast_act import NotBegun, read_clock, unit_lock
from ansible.module_utils.holdfast_log import log_position
from ansible.module_utils.holdfast_systemd import CannotRead, describe, read_property, read_unit


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "name": {"type": "str", "required": True},
            "observe_seconds": {"type": "int"},
            "log": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        clock = read_clock()
        unit = observe(module) if observes(module) else read_unit(module.params["name"])
        log = log_position(module.params["log"], read_property(unit["id"], "ControlGroup"))
        module.exit_json(changed=False, unit=unit, clock=clock, log=log, msg=describe(unit))
    except (CannotRead, NotBegun) as error:
        module.fail_json(msg=str(error))


def observes(module: AnsibleModule) -> bool:
    """Return whether earlier intents end with this reading; never in check mode, which writes nothing."""
    return module.params["observe_seconds"] is not None and not module.check_mode


def observe(module: AnsibleModule) -> dict[str, str]:
    """Return the unit's state under its lock, and end the intents from before."""
    unit = read_unit(module.params["name"])["id"]
    with unit_lock(unit, module.params["observe_seconds"]) as lock:
        lock.end_earlier_intents()
        state: dict[str, str] = read_unit(unit)
        return state


if __name__ == "__main__":
    main()
