"""Ask the task's own host: what a nova unit has logged since its start, how long its stop may take."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.errors import CannotTell
from holdfast.probes.base import ProbeContext

_UNITS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "month": 2629800.0,
    "y": 31557600.0,
}
_SPAN = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(sorted(_UNITS, key=len, reverse=True))})")

# $1 the unit, $2 the log file or "journal". The file is read from its end back to the start of the
# unit, with the one that logrotate has just put aside, so its size does not matter. The start is the
# moment before the unit's first process, by the host's own clock; logs are in the host's time zone.
_SCRIPT = r"""
set -eu
show() { systemctl show --timestamp=us+utc --value --property "$1" -- "$unit"; }
unit=$1 log=$2
since=$(show InactiveExitTimestamp)
[ -n "$since" ] || { echo "$unit has never been started" >&2; exit 3; }
since=$(date --date "$since" '+%Y-%m-%d %H:%M:%S.%3N') from=$since
if [ "$log" = journal ]; then
  lines() { journalctl --quiet --no-pager --reverse --output short-iso "_SYSTEMD_INVOCATION_ID=$(show InvocationID)"; }
  from=
else
  [ -r "$log" ] || { echo "$log is not there or cannot be read" >&2; exit 4; }
  lines() { tac -- "$log"; [ ! -r "$log.1" ] || tac -- "$log.1"; }
fi
echo "since $since"
lines | awk -v from="$from" '
  from != "" && !/^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9]/ { next }
  from != "" && ($1 " " $2) < from { exit }
  { lines++ }
  /MessagingTimeout: Timed out waiting for a reply/ { found("no_reply") }
  /failed to send after .* missing queue \(reply_/ { found("reply_abandoned") }
  /Timed out waiting for nova-conductor/ { found("no_conductor") }
  function found(kind) { count[kind]++; if (!last) last = $1 " " $2 }
  END {
    print "lines", lines + 0; print "last", last
    for (kind in count) print "found", kind, count[kind]
  }'
"""


@dataclass(frozen=True, slots=True)
class LoggedSince:
    """What was logged since the unit's start ``since``: lines at all, and complaints by kind.

    ``since`` and ``last`` (complaint) are in the host's local time; ``last`` is "" without any.
    """

    since: str
    lines: int
    complaints: dict[str, int]
    last: str


def logged_since_start(look: ProbeContext, unit: str, log: str) -> LoggedSince:
    """Count the complaints about messaging in a unit's log that are newer than its start.

    Raises:
        CannotTell: the host is unreachable, the unit never ran, or the log cannot be read.
    """
    done = look.shell.run(["sh", "-c", _SCRIPT, "sh", unit, log])
    if done.rc != 0:
        cause = done.stderr.strip() or f"exit status {done.rc}"
        raise CannotTell(f"{look.host}: the log of {unit} cannot be told: {cause}")
    words: dict[str, str] = {}
    complaints = {}
    for line in done.stdout.splitlines():
        key, _, rest = line.partition(" ")
        if key == "found":
            kind, count = rest.split()
            complaints[kind] = int(count)
        words[key] = rest
    return LoggedSince(words["since"], int(words["lines"]), complaints, words["last"])


def stop_timeout_seconds(look: ProbeContext, unit: str) -> float:
    """How long systemd lets the unit stop before it kills it; infinity where it never does.

    Raises:
        CannotTell: the host is unreachable, or systemd on it does not know the unit.
    """
    argv = ["systemctl", "show", "--property", "TimeoutStopUSec,LoadState", "--", unit]
    done = look.shell.run(argv)
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if done.rc != 0 or shown.get("LoadState") != "loaded":
        state = shown.get("LoadState") or done.stderr.strip() or f"exit status {done.rc}"
        raise CannotTell(f"{look.host}: systemd says nothing about {unit}: {state}")
    return _seconds(shown["TimeoutStopUSec"])


def _seconds(span: str) -> float:
    """A time span as systemd writes it, ``1min 30s`` (systemd.time(7)); ``infinity`` is one, too."""
    if span == "infinity":
        return float("inf")
    return sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(span))
