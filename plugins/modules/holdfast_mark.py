"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_mark
short_description: Mark hosts of the play's service with this run, remove its marks, or list all marks
description:
  - Two runs with different state databases know nothing of each other's leases. They meet at the marks in
    C(/run/holdfast/<service>.mark) on hosts of the service, whatever a play is limited to.
  - With V(present), fails where another run's mark counts, with who, where and why, and has then marked nothing. A mark
    counts until it expires, after 30 minutes by the uptime of its host; not if its holder died on this controller, and
    not if its run is known to this state database and holds no lease.
  - A mark that is younger than 5 minutes is not written again.
  - In check mode nothing is written.
options:
  state:
    description: V(present) marks, V(absent) removes this run's marks, V(listed) returns the marks of all services.
    type: str
    choices: [present, absent, listed]
    default: present
  hosts:
    description: The hosts. With V(present) each must answer.
    type: list
    elements: str
    default: []
  groups:
    description: The first three hosts of each of these groups, by name, are added. With V(present) one must answer.
    type: list
    elements: str
    default: []
  run:
    description: With V(absent), the run whose marks are removed; by default the play's own, while it holds its leases.
    type: str
    default: ""
notes:
  - Reads C(holdfast_site), C(holdfast_policy), C(holdfast_run) and C(holdfast_grant).
"""

EXAMPLES = r"""
- name: Mark the batch and the first hosts of its group
  holdfast_mark:
    hosts: "{{ ansible_play_batch }}"
    groups: [rabbitmq]
  run_once: true
  register: holdfast_marked
"""

RETURN = r"""
service:
  description: The service that is marked.
  returned: with V(present)
  type: str
run:
  description: The run whose mark it is.
  returned: with V(present)
  type: str
hosts:
  description: The hosts that have the mark now.
  returned: with V(present)
  type: list
renew_at:
  description: From when on an act must renew the marks before it, in seconds since the epoch.
  returned: with V(present)
  type: float
left:
  description: Where it is not known whether the marks are gone, with the reason.
  returned: with V(absent)
  type: dict
holdfast_refused:
  description: That the play was refused, before any act of it; the engine reads this.
  returned: with V(present), on failure
  type: bool
marks:
  description: Per host C(marks), the valid ones by service, and C(error).
  returned: with V(listed)
  type: dict
"""
