"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_nova_service
short_description: Disable a nova-compute with a token, and enable it only where the token is ours
description:
  - Reads the service from the first API of the group C(nova_api) that answers, and changes it there with one call.
    The call is never repeated; where its answer is lost, nova is asked what came of it.
  - A compute that is disabled already stays as it is, whoever disabled it. One that is disabled for another reason
    than the token is not enabled.
  - The API's address and login are the site variables C(nova_api_url) and C(nova_auth_*) of those hosts.
  - Says so where nova took long, since nova asks the compute itself before it answers.
options:
  state:
    description: What the service shall be.
    type: str
    choices: [disabled, enabled]
    required: true
  host:
    description: Nova's own name for the host, its option C(host).
    type: str
    required: true
  token:
    description: The reason to disable with, and the one that makes it ours to enable.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Keep new instances away
  holdfast_nova_service:
    state: disabled
    host: "{{ nova_service_host }}"
    token: "holdfast:{{ holdfast_run }}"
"""

RETURN = r"""
ours:
  description: Whether the service is disabled with the token now.
  returned: success
  type: bool
status:
  description: V(enabled) or V(disabled), as it is now.
  returned: success
  type: str
disabled_reason:
  description: Why it is disabled, empty where it is not.
  returned: success
  type: str
seconds:
  description: How long nova took to change it, 0 where nothing was changed.
  returned: success
  type: float
"""
