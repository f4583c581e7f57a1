"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_park
short_description: Wait for the engine's word, then ask again what was asked before it
description:
  - The engine starts the play of the next batch while the one before it settles. Gates that have passed until here were
    a rehearsal, and are not in the journal. At the word they are asked again, all in the same readings, and journaled;
    the batch's first host sweeps the hosts done earlier beside them.
  - While it waits it takes such readings too. The last one stands for that at the word where it is at most 3 s old and
    nothing was acted on since it began (docs/adr/0077).
  - Fails where the engine is gone, and where a gate does not pass.
options:
  file:
    description:
      - The file that the engine holds locked. The word is the file beside it with the suffix C(.json).
    type: path
    required: true
  first_act:
    description:
      - C(act), C(unit) and C(log) of the first M(holdfast_act) after the word. Its unit is read beside the gates.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Wait for the engine's word
  holdfast_park:
    file: "{{ holdfast_park }}"
"""

RETURN = r"""
ansible_facts:
  description:
    - C(holdfast_word), what was not known when the play started, C(holdfast_done) and C(holdfast_sweep).
    - It also has C(holdfast_park), the file, C(holdfast_outlive), what C(systemd.active) found at the word, and
      C(holdfast_prepared), what was read for O(first_act).
  returned: success
  type: dict
msg:
  description: As of M(holdfast_gate).
  returned: always
  type: str
holdfast:
  description: As of M(holdfast_gate), of the first gate that did not pass, else of the last.
  returned: when something was asked
  type: dict
"""
