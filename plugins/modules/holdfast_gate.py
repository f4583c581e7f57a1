"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_gate
short_description: Wait until claims about the fleet hold, or fail
description:
  - Probes run on the controller, with the site's variables and vaulted secrets resolved. Each claim is judged as PASS,
    FAIL or UNKNOWN. Only PASS proceeds. One bad reading of any claim starts the settling again.
  - The arguments are checked first. An unknown claim or parameter, or a claim about a group without hosts, fails
    before any probe.
  - In check mode it takes one reading and fails if that is not PASS.
options:
  claims:
    description:
      - Names of claims, or mappings of C(claim) and the claim's parameters. C(holdfast check --list) lists them.
      - V([standing]) stands for all claims that are true of a healthy fleet at any time.
    type: list
    elements: raw
    required: true
  can_be_told:
    description:
      - Claims that a later gate asks after an act, in the same form. Only an UNKNOWN counts here, such as a log that is
        elsewhere, so that it is found out before the act.
    type: list
    elements: raw
    default: []
  phase:
    description: The part of the host's turn that this gate belongs to; recorded in the journal.
    type: str
    choices: [preflight, drain, restart, verify, undrain, sweep, check]
    required: true
  settle_readings:
    description: How many consecutive readings must pass.
    type: int
    default: 1
  settle_seconds:
    description: How long the consecutive passes must span, from the first to the last.
    type: float
    default: 0
  deadline_seconds:
    description: When to give up. Default C(holdfast_gate_deadline_seconds), else 300.
    type: float
  grace_seconds:
    description: How long the probes of the last reading have after the deadline, before they count as unanswered.
    type: float
    default: 30
  poll_seconds:
    description: The pause between readings. Default C(holdfast_poll_seconds), else 2.
    type: float
  since_restart:
    description: The claims are about an act of this play. In check mode the task only reports what it would wait for.
    type: bool
    default: false
  otherwise:
    description: >-
      What the play does where the gate does not pass, for its message; if empty, that nothing further is touched and
      the host stays as it is.
    type: str
    default: ""
  no_more:
    description: >-
      Keys of the claims' evidence of which the play goes on with the values. In a play that was started early the gate
      is asked again at the engine's word, and fails where there are more of them by then.
    type: list
    elements: str
    default: []
  done:
    description:
      - The unit of a host that is done when the gate has passed, where the gate is the last proof of its turn.
      - That is journaled in the same transaction, with the InvocationID that C(systemd.stays_up), which must be one of
        the claims, has proved.
    type: str
    default: ""
  spread:
    description: >-
      The hosts of the play share the claims. A claim about a group is checked once, at the group's first host, and
      skipped at the others.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: The unit is active and stays up
  holdfast_gate:
    phase: verify
    claims:
      - claim: systemd.stays_up
        unit: cron
    settle_readings: 3
    settle_seconds: 30
    since_restart: true
"""

RETURN = r"""
msg:
  description: How many claims passed, or each claim that did not, with its reason code and message.
  returned: always
  type: str
holdfast:
  description: C(outcome), C(verdicts), C(readings) and C(seconds).
  returned: when the gate took a reading
  type: dict
"""
