"""Names in verdicts that more than one side of a gate reads: the judges write them, roles and plans read them.

A verdict also carries evidence that only people read; its keys stay beside the judge that writes them.
"""

from __future__ import annotations

from typing import Final

# Facts about a host in `Verdict.hosts`. They decide the order of a roll (holdfast.plan.next_batch).
HEALTHY: Final = "healthy"  # bool: False for a host that a gate found broken; None for one that gave a sweep no answer
LEADERS: Final = (
    "leaders"  # int: queues whose leader is on the host; of a database 1 where it takes writes
)

TURN: Final = "turn"  # int: the place in the order of dependencies of what a change restarts on the host; 0 is first
ALONE: Final = "alone"  # bool: True where no other host may be in hand beside it

# Evidence of rabbitmq.load_known and rabbitmq.consumers_known, which roles/rabbitmq keeps as its baseline.
CONNECTIONS: Final = "connections"  # int: client connections of the whole cluster
CHURN: Final = "churn"  # float: connections opened or closed per second
# Evidence of rabbitmq.backlog_known, which roles/rabbitmq and roles/nova keep as their baseline.
BACKLOG: Final = "backlog"  # object: kind of messages that nobody has taken yet, to their number
CONSUMERS: Final = "consumers"  # object: virtual host to queue name to number of consumers

# Evidence of nova.services_up and nova.rpc_answers; roles/nova keeps that of the first as its baseline.
ABSENT: Final = "absent"  # object: service that people took out before, to the reason they gave
# Evidence of nova.rpc_answers and nova.rpc_quick, of the first also in that baseline.
SLOWEST: Final = (
    "slowest"  # float: seconds until the slowest service answered, of each the quickest answer
)

# Evidence of nova.none_left_disabled and rabbitmq.none_left_drained; `holdfast check` looks the runs up in the journal.
LEFT: Final = "left"  # object: host to the run that took it out of service; "" where the service does not record that
QUEUE: Final = (
    "queue"  # str: one quorum queue of those that a verdict is about; its command shows that queue
)
UNSEEN: Final = "unseen"  # list: why of others, beside those that are left, it is not known

# Evidence of rabbitmq.processes_run and nova.processes_connected, which `holdfast diagnose` reads.
CAUSES: Final = "causes"  # object: service on its host, to what its own host says is wrong with it
WAITING: Final = "waiting"  # object: host to its ports, to how many clients wait there to be taken
UNREACHED: Final = "unreached"  # object: host that could not be asked, to why not

# Evidence of rabbitmq.no_alarms, nova.services_up and nova.rpc_answers, which `holdfast diagnose` reads.
FIGURES: Final = "figures"  # object: alarm, to how much is used, of which limit, and the limits of the other nodes
DOWN: Final = (
    "down"  # object: service that nova does not list as up, to its host and its newest heartbeat
)
MUTE: Final = "mute"  # object: service that did not answer every call, to its host and why

# Evidence of the claims about a systemd unit; roles/holdfast_run journals it with host_done.
HOSTS: Final = "hosts"  # int: how many hosts were asked; the journal's proof that a sweep asked all that were due
INVOCATION_ID: Final = "invocation_id"  # str: the id of the unit's present start
UNIT: Final = "unit"  # str: the unit's name in systemd; roles/systemd_unit refuses some
# What roles/systemd_unit and roles/nova ask of systemd.stays_up after a restart, from systemd.active before it.
OUTLIVE: Final = "outlive"  # float: seconds that the next start must last; 0 where systemd restarted nothing lately

# Evidence of galera.members_agree and galera.conflicts_known, which roles/galera reads.
CLUSTER: Final = "cluster"  # str: the uuid of the cluster's state
CONFLICTS: Final = "conflicts"  # object: host to its counters of lost transactions

# Evidence of haproxy.figures_known, which roles/haproxy keeps as its baseline.
BEFORE: Final = (
    "before"  # object: its process, sessions, what is open and up, and what commands have changed
)

# Evidence of puppet.previewed and puppet.ran_as_previewed; roles/puppet asks the gates of these units.
UNITS: Final = "units"  # object: host to the units that its agent's preview restarts
PACKAGES: Final = "packages"  # object: host to the packages that its agent's preview changes; of puppet.previewed only

# Evidence of placement.source_whole and placement.copy_agrees, which roles/placement_extraction reads.
SIZE: Final = "size"  # str: how many rows placement's tables have, and how large they are
TABLES: Final = "tables"  # object: table to its figures in the old database

# Evidence of puppet.previewed, for whoever watches the run.
TOLD: Final = "told"  # str: what a check is reported with also where it passes

# Reason codes. roles/nova shows the message of a verdict with this one, even where it is a PASS.
STOP_TIMEOUT_TOO_SHORT: Final = "stop_timeout_too_short"
