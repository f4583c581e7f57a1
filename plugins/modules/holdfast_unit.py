"""Read a unit's state on the managed host. Changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: holdfast_unit
short_description: Read the state of a systemd unit
description:
  - Returns a unit's state as systemd shows it, with the InvocationID, which identifies the unit's present start.
  - Never changes anything.
options:
  name:
    description: The unit, by name or alias; C(.service) may be left out.
    type: str
    required: true
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
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.holdfast_systemd import NoSuchUnit, describe, read_unit


def main() -> None:
    """Run the module."""
    module = AnsibleModule({"name": {"type": "str", "required": True}}, supports_check_mode=True)
    try:
        unit = read_unit(module.params["name"])
        module.exit_json(changed=False, unit=unit, msg=describe(unit))
    except NoSuchUnit as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
