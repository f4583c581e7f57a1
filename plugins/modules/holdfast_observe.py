"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_observe
short_description: Read units once nothing is about to change them, and journal their state
description:
  - Waits for an act in progress on each unit (its lock), and until systemd has no job for it, for at most
    O(deadline_seconds). During a restart a unit still shows its old InvocationID.
  - From then on no act begins any more whose intent is from before the reading (docs/adr/0022).
  - Outside of a run, and in check mode, it only reads, and ends no intent.
options:
  units:
    description: The units, by name or alias.
    type: list
    elements: str
    required: true
  deadline_seconds:
    description: How long to wait for an act and for jobs of systemd, for all units together.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Observe the broker
  holdfast_observe:
    units: [rabbitmq-server]
"""

RETURN = r"""
msg:
  description: The host and each unit's state.
  returned: success
  type: str
"""
