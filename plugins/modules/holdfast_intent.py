"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_intent
short_description: Journal an act before it happens
description:
  - Checks the leases and writes the intent in one transaction. Without a valid lease no intent is written and the task
    fails, so the act does not happen.
options:
  act:
    description: The act that is about to happen.
    type: str
    choices: [drain, restart, undrain, rebalance]
    required: true
  unit:
    description: The unit that it acts on.
    type: str
    required: true
  invocation_id:
    description: The unit's present InvocationID. A resume compares it with the one it then finds.
    type: str
    default: ""
  undo:
    description: The command that undoes the act; shown in the hold message while the act is in effect.
    type: str
    default: ""
  ends_with_restart:
    description: Whether what the act did ends with a restart of the unit, as the drain of a broker does.
    type: bool
    default: false
  clock:
    description: >-
      The host's clock as M(holdfast_unit) read it just before this task. Needed for an act by a module on the host,
      which then refuses to begin after the leases have expired.
    type: dict
    default: {}
  log:
    description: >-
      Where the unit's log ends, as M(holdfast_unit) read it just before this task; journaled with the intent, for
      M(holdfast_last_intent).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Journal the intent to restart cron
  holdfast_intent:
    act: restart
    unit: cron
    invocation_id: "{{ cron.unit.invocation_id }}"
    clock: "{{ cron.clock }}"
    log: "{{ cron.log }}"
  register: intent
"""

RETURN = r"""
run:
  description: The run whose journal has the intent.
  returned: success
  type: str
not_after:
  description: >-
    Until when the act may begin, for M(holdfast_restart) and M(holdfast_command); C(boot_id), C(read) and C(seconds) of
    the host's clock. Empty in check mode and without O(clock).
  returned: success
  type: dict
"""
