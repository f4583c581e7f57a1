"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_last_intent
short_description: Return what the journal has of the run's last intent to do an act
description:
  - For a gate that compares with what was noted before an act, also in a play that began after the act, as on a resume.
options:
  act:
    description: The act.
    type: str
    choices: [drain, restart, undrain, rebalance, freeze, unfreeze, copy, purge]
    required: true
  unit:
    description: The unit that it acts on, as the intent names it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Where its log ended before the restart
  holdfast_last_intent:
    act: restart
    unit: nova-compute
  register: intended
"""

RETURN = r"""
log:
  description: >-
    Where the unit's log ended before the act, as M(holdfast_act) noted it. Empty in check mode, where this run
    intended no such act on the host, and where that was not noted.
  returned: success
  type: dict
"""
