"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_haproxy
short_description: Take a database node out of haproxy's backend, or give every server the state that it had
description:
  - Reads every haproxy of the group C(haproxy) through its stats socket, and every node of C(galera) over SQL.
  - With O(state=drained) the server of the task's host gets no more sessions. If it is the writer, another server is
    made the writer. All servers are put into maintenance, sessions are shut down, and when no session and no client is
    left on any of them, the next writer gets new ones. So there are never two (docs/adr/0090).
  - Where sessions do not end in 10 s, the writer gets its place back, and the task fails.
  - With O(state=given_back) every server gets the state from before the first act of the run, in the same way. That
    state is journaled as the baseline C(haproxy). Where the run has not taken the host's server out, nothing is done.
  - Journals the intent before, in the transaction that proves the leases, and the outcome afterwards.
  - Refuses where haproxy's state is not that of the baseline, because somebody or a reload has changed it.
options:
  state:
    description: What haproxy must do with the server of the task's host.
    type: str
    choices: [drained, given_back]
    required: true
  unit:
    description: The unit of the database, for the journal.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Take the node out of haproxy
  holdfast_haproxy:
    state: drained
    unit: mariadb
"""

RETURN = r"""
writer:
  description: The host that takes writes, after the task; empty where it did nothing.
  returned: success
  type: str
seconds:
  description: How long nobody took writes; 0 where the writer stayed.
  returned: success
  type: float
"""
