"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_record
short_description: Journal the outcome of an act, the end of a host's turn, or a host's observed state
options:
  event:
    description: >-
      An act ended (V(act_done)), the host's turn ended (V(host_done)), or a unit's state was read (V(observed)).
    type: str
    choices: [act_done, host_done, observed]
    required: true
  unit:
    description: The unit that the event is about.
    type: str
    required: true
  invocation_id:
    description: The unit's InvocationID now.
    type: str
    required: true
  act:
    description: Which act ended; for V(act_done).
    type: str
    choices: [drain, restart, undrain, rebalance, freeze, unfreeze, copy, purge]
  seconds:
    description: How long the act took; for V(act_done).
    type: float
  changed:
    description: Whether the act changed anything; for V(act_done).
    type: bool
  active:
    description: Whether the unit is active; for V(observed).
    type: bool
"""

EXAMPLES = r"""
- name: Journal the restart of cron
  holdfast_record:
    event: act_done
    act: restart
    unit: cron
    invocation_id: "{{ restart.after }}"
    seconds: "{{ restart.seconds }}"
    changed: "{{ restart.changed }}"
"""

RETURN = r"""
msg:
  description: What was journaled, of which unit.
  returned: always
  type: str
holdfast_host_done:
  description: Whether the host's turn has ended.
  returned: when that was journaled
  type: bool
"""
