"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_park
short_description: Wait for the engine's word before anything is asked or touched
description:
  - The engine starts the play of the next batch while the one before it settles. Fails where the engine is gone.
options:
  pipe:
    description:
      - The pipe whose other end the engine holds. Beside it, with the suffix C(.json), are the variables of the word.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Wait for the engine's word
  holdfast_park:
    pipe: "{{ holdfast_park }}"
"""

RETURN = r"""
variables:
  description: What was not known when the play started, C(holdfast_done) and C(holdfast_sweep).
  returned: success
  type: dict
"""
