"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_lease
short_description: Hold the leases that the play's holdfast_policy needs
description:
  - Under the engine, which passes C(holdfast_run) and C(holdfast_grant), only checks that the leases are still valid.
  - By hand, takes the leases for this ansible-playbook process and opens a run in the journal. All serial batches share
    them. If the play dies, another play on the same controller can take them at once, one on another controller after
    15 minutes.
  - In check mode takes nothing and reports whether it could.
options:
  state:
    description: V(released) journals that the run is finished and releases the leases that were taken by hand.
    type: str
    choices: [held, released]
    default: held
notes:
  - Reads C(holdfast_site), C(holdfast_policy), C(holdfast_by) and C(holdfast_reason). Templates in the last two are not
    evaluated.
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
