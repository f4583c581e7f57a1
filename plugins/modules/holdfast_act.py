"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_act
short_description: Restart a unit, or run a command that acts on it, exactly once
description:
  - Reads the unit and the host's clock, journals the intent in the transaction that proves the leases, and acts.
    Without a valid lease no intent is written and nothing is touched (docs/adr/0002).
  - On the host the act begins under the exclusive lock C(/run/holdfast/<unit>.lock), only before the leases expire by
    the host's own clock, never for an intent from before the host's last boot or its last observation by
    M(holdfast_observe), only where the host has the mark of the run (docs/adr/0023), and never while systemd has a
    job for the unit (docs/adr/0022).
  - Without O(argv), restarts the unit, only if its InvocationID is still the one in the intent (docs/adr/0003), and
    journals the outcome. If the restart fails the task fails, with the unit's state and the last lines of its journal.
    If the state cannot be read afterwards the task fails too, and says what is known to have been done.
  - With O(argv), runs that command. However it ends the task succeeds, and RV(rc) and RV(timed_out) are evidence. What
    is in effect is looked at, and journaled by M(holdfast_record), in later tasks.
  - Nothing is ever tried again. Where the task fails without an act, its message ends with C(nothing was touched).
options:
  act:
    description: What the act is in the journal.
    type: str
    choices: [drain, restart, undrain, rebalance, freeze, unfreeze, copy, purge]
    required: true
  unit:
    description: The unit, by name or alias; C(.service) may be left out.
    type: str
    required: true
  argv:
    description: The command and its arguments; no shell interprets them. Without it the unit is restarted.
    type: list
    elements: str
  timeout_seconds:
    description: How long to wait for the lock, and then for the act. A command is then ended with its process group.
    type: float
    default: 900
  log:
    description: >-
      The file that the unit logs to, if it has one. Where it ends before the act is journaled with the intent, for
      M(holdfast_last_intent).
    type: str
    default: ""
  undo:
    description: The command that undoes the act; shown in the hold message while the act is in effect.
    type: str
    default: ""
  ends_with_restart:
    description: Whether what the act did ends with a restart of the unit, as the drain of a broker does.
    type: bool
    default: false
  waits:
    description: >-
      Whether it may be called before the engine's word, in a play that was started early for one host. It waits for the
      word then, as M(holdfast_park) does, and acts only after every gate that was asked before has passed. Its process
      ends with that of the play.
    type: bool
    default: false
notes:
  - In check mode it reads the unit, reports what it would do, and returns RV(rc) V(0).
  - Needs a shell, systemctl, and the programs flock (util-linux) and timeout (coreutils) on the host, and no Python.
"""

EXAMPLES = r"""
- name: Restart cron
  holdfast_act:
    act: restart
    unit: cron
  register: restarted

- name: Drain the node
  holdfast_act:
    act: drain
    unit: rabbitmq-server
    argv: [rabbitmq-upgrade, drain]
    undo: rabbitmq-upgrade revive
    ends_with_restart: true
    timeout_seconds: 120
  register: drained
"""

RETURN = r"""
unit:
  description: The unit's state afterwards, all text; empty where it cannot be read.
  returned: for a restart
  type: dict
before:
  description: The InvocationID before, read under the lock.
  returned: for a restart
  type: str
after:
  description: The InvocationID afterwards; empty where it cannot be read.
  returned: for a restart
  type: str
already_restarted:
  description: Whether the unit had been restarted since the intent, so that nothing was done.
  returned: for a restart
  type: bool
command:
  description: The command in one line.
  returned: for a command
  type: str
rc:
  description: Its exit status; none where it was ended (RV(timed_out)).
  returned: for a command
  type: int
timed_out:
  description: Whether it was ended after O(timeout_seconds).
  returned: for a command
  type: bool
output:
  description: The last lines that it printed, with anything that looks like a secret masked.
  returned: for a command
  type: list
  elements: str
seconds:
  description: How long the act took.
  returned: success
  type: float
ansible_facts:
  description: As of M(holdfast_park).
  returned: where it has waited for the word
  type: dict
msg:
  description: What was done, or why nothing was.
  returned: always
  type: str
"""
