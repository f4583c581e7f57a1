"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_nova_service
short_description: Disable a nova-compute with the run's token, and enable it only where the token is the run's
description:
  - Reads the service from the first API of the group C(nova_api) that answers, and changes it there with one request.
    The request is never repeated; if its answer is lost, the service is read again.
  - Journals the intent before, in the transaction that proves the leases, and the outcome afterwards.
  - A compute that is already disabled stays as it is, whoever disabled it. One that is disabled for a reason other than
    the token is not enabled.
  - The API's address and login are the site variables C(nova_api_url) and C(nova_auth_*) of those hosts.
  - Warns if nova took long. Nova calls the compute before it answers, so the compute is then slow.
options:
  state:
    description: The state that the service must have.
    type: str
    choices: [disabled, enabled]
    required: true
  host:
    description: Nova's name for the host, its option C(host).
    type: str
    required: true
  token:
    description: The disabled reason to set, and the only one with which the service is enabled.
    type: str
    required: true
  unit:
    description: The unit of nova-compute, for the journal.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Keep new instances away
  holdfast_nova_service:
    state: disabled
    host: "{{ nova_service_host }}"
    token: "holdfast:{{ holdfast_run }}"
    unit: nova-compute
"""

RETURN = r"""
ours:
  description: Whether the service is disabled with the token, after the task.
  returned: success
  type: bool
status:
  description: V(enabled) or V(disabled), after the task.
  returned: success
  type: str
disabled_reason:
  description: Why it is disabled, empty if it is not.
  returned: success
  type: str
seconds:
  description: How long nova took for the change, 0 if nothing was changed.
  returned: success
  type: float
"""
