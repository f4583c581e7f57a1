"""Which kind a failure is, by the text of nova's fault. Pure.

A fault of an exception that is not nova's own has only the exception's name as its message; the rest is in the
traceback, which nova gives to administrators (nova/compute/utils.py, ``exception_to_dict``).
"""

from __future__ import annotations

import re

from holdfast.boots.model import FailureKind
from holdfast.text import one_line

MAX_FAULT = 300  # characters that are kept

# In this order: "no valid host" may stand around the cause for which no other host was tried.
_KINDS = (
    (FailureKind.CERTIFICATION, r"\bWSREP\b"),
    # The number alone may be a part of an instance's id.
    (FailureKind.DEADLOCK, r"\(1213\b|ERROR 1213\b|DBDeadlock|[Dd]eadlock found"),
    (FailureKind.RPC_TIMEOUT, r"MessagingTimeout|Timed out waiting for a reply"),
    (FailureKind.QUOTA, r"[Qq]uota exceeded|OverQuota|Maximum number of ports exceeded"),
    (
        FailureKind.NETWORK,
        (
            r"[Nn]eutron|PortBinding|[Bb]inding failed for port|allocate the network|Virtual ?Interface"
            r"|NetworkNotFound|[Nn]etwork \S+ could not be found"
        ),
    ),
    (FailureKind.NO_VALID_HOST, r"No valid host|NoValidHost"),
)


def classify(message: str, details: str = "") -> FailureKind:
    """Return the kind of a failure; ``OTHER`` where its text has none of the known causes."""
    for text in (message, _last_line(details), details):
        for kind, pattern in _KINDS:
            if re.search(pattern, text):
                return kind
    return FailureKind.OTHER


def fault_text(message: str, details: str = "") -> str:
    """Return a fault in one line: the message, and the traceback's last line, each where the other does not say it.

    What SQLAlchemy appends, a statement with its values, is left out.
    """
    last = _last_line(details)
    if last.endswith(message) or last in message:
        parts = [message or last]
    else:
        parts = [last] if message in last else [message, last]
    text = one_line("; ".join(parts))
    return text if len(text) <= MAX_FAULT else f"{text[: MAX_FAULT - 1]}…"


def _last_line(details: str) -> str:
    """Return the exception at the end of a traceback, without what follows it."""
    before = re.split(r"\[SQL:|\n\[parameters:|\(Background on this error", details)[0]
    lines = [line.strip() for line in before.splitlines() if line.strip()]
    return lines[-1] if lines else ""
