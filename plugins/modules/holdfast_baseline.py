"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_baseline
short_description: Keep figures from before the first restart
description:
  - The first time in a run, journals the given values. From then on, also after a resume, returns those first values.
options:
  name:
    description: The baseline's name within the run.
    type: str
    required: true
  values:
    description: The figures, for instance from the evidence of a gate.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Keep how many clients the broker has before the first restart
  holdfast_baseline:
    name: rabbitmq
    values: "{{ gate.holdfast.verdicts[0].evidence }}"
  register: baseline
"""

RETURN = r"""
values:
  description: The run's figures under that name.
  returned: success
  type: dict
"""
