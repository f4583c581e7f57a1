"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_state_apart
short_description: Refuse to restart the Galera cluster that keeps Holdfast's own state
description:
  - Asks the state database which cluster it is part of. If that is the cluster of the task, the journal and the leases
    would be unreachable in the middle of a host's turn; the task fails, unless a reason is given.
options:
  cluster:
    description: The uuid of the cluster that is going to be restarted.
    type: str
    required: true
  accepted:
    description: The reason why the state may be in that cluster. The run may then end where the writer changes.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Holdfast's own state is not in this cluster
  holdfast_state_apart:
    cluster: 6f1c7b1e-0000-11ee-9d64-0e8f5a2f5a61
"""

RETURN = r"""
inside:
  description: Whether the state is in that cluster, which was accepted.
  returned: success
  type: bool
"""
