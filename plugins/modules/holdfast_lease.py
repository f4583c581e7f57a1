"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_lease
short_description: Hold the leases that the play's holdfast_policy needs
description:
  - Under the engine, which passes C(holdfast_run) and C(holdfast_grant), only checks that the leases are still valid.
  - By hand, takes them for this ansible-playbook process and opens a run in the journal, so that all serial batches
    share them. A play that died keeps nobody out on its own controller; elsewhere its leases expire after 15 minutes.
  - In check mode takes nothing and says whether it could.
options:
  state:
    description: V(released) notes that the run is finished and gives back what was taken by hand.
    type: str
    choices: [held, released]
    default: held
notes:
  - Reads C(holdfast_site), C(holdfast_policy), C(holdfast_by) and C(holdfast_reason); the last two stay literal.
"""

EXAMPLES = r"""
- name: Take the leases
  holdfast_lease:
  run_once: true
  register: lease
"""

RETURN = r"""
run:
  description: The run's id.
  returned: success
  type: str
grant:
  description: The fencing token of each scope.
  returned: success
  type: dict
by_hand:
  description: Whether the play took the leases itself.
  returned: success
  type: bool
"""
