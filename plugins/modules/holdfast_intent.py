"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_intent
short_description: Journal an act before it happens
description:
  - Checks the leases and writes the intent in one transaction. Without a valid lease there is no intent, and the task
    fails before the act.
options:
  act:
    description: What is about to happen to the host.
    type: str
    choices: [drain, restart, undrain]
    required: true
  unit:
    description: The unit it happens to.
    type: str
    required: true
  invocation_id:
    description: The unit's present InvocationID; a resume compares it with what it finds.
    type: str
    default: ""
  undo:
    description: The command that takes the act back, for the hold message.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Say what is about to happen
  holdfast_intent:
    act: restart
    unit: cron
    invocation_id: "{{ cron.unit.invocation_id }}"
"""

RETURN = r"""
run:
  description: The run whose journal has the intent.
  returned: success
  type: str
"""
