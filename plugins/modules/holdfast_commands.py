"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_commands
short_description: Run one command on each of several hosts at the same time, as one act of the task's host
description:
  - Marks the hosts with the run, reads the unit and the clock of each, journals one intent in the transaction that
    proves the leases, and runs the command on each host once.
  - On each host it begins as M(holdfast_act) says, under the unit's lock, only before the leases expire by the host's
    own clock, and only where the host has the mark of the run. The hosts need not be in the play.
  - Fails unless the command ended with 0 on every host; the message has each of the others. Nothing is tried again.
options:
  act:
    description: What the act is in the journal.
    type: str
    choices: [drain, restart, undrain, rebalance, freeze, unfreeze, copy, purge]
    required: true
  hosts:
    description: The hosts, by their names in the inventory.
    type: list
    elements: str
    required: true
  unit:
    description: The unit on each of them that the command acts on.
    type: str
    required: true
  turn_unit:
    description: The unit of the task's host, for the journal.
    type: str
    required: true
  argv:
    description: The command and its arguments; no shell interprets them.
    type: list
    elements: str
    required: true
  timeout_seconds:
    description: How long to wait for the lock, and then for the command on each host.
    type: float
    default: 120
  undo:
    description: The command that undoes the act; shown in the hold message while the act is in effect.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Stop the API everywhere
  holdfast_commands:
    act: drain
    hosts: "{{ groups['nova_api'] }}"
    unit: nova-api
    turn_unit: placement-api
    argv: [systemctl, stop, nova-api]
"""

RETURN = r"""
hosts:
  description: How the command ended on each host, as M(holdfast_act) returns it.
  returned: success
  type: dict
"""
