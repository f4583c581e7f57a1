"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_puppet
short_description: Disable a host's Puppet agent with the run's id, and enable it only where the run has disabled it
description:
  - Makes the agent's disabled lock, or removes it, with a program on the host that leaves anybody else's lock.
  - Journals the intent before, in the transaction that proves the leases, and the outcome afterwards.
options:
  state:
    description:
      - V(shown) reads whether the agent is disabled, and by whom. It changes nothing.
      - V(installed) puts the units of a run and of a preview into C(/run/systemd/system), gone with the next boot.
      - V(disabled) puts them there too, and disables the agent.
      - V(enabled) enables it.
    type: str
    choices: [shown, installed, disabled, enabled]
    required: true
  run:
    description: The run by which the agent is disabled.
    type: str
    required: true
  reason:
    description: Why, for whoever reads the message of the lock.
    type: str
    default: ""
  undo:
    description: The command that enables what the run has disabled, for the journal.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Stop new runs
  holdfast_puppet:
    state: disabled
    run: "{{ holdfast_run }}"
    reason: "a change of nova.conf"
"""

RETURN = r"""
whose:
  description: By whom the agent is disabled after the task, V(run), V(others) or V(nobody).
  returned: success
  type: str
message:
  description: The message of its lock, empty if it is not disabled; before the task, with V(shown).
  returned: success
  type: str
"""
