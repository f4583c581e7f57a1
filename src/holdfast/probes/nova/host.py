"""Read what a nova unit on the task's host has logged since its start."""

from __future__ import annotations

from pydantic import BaseModel, Field, TypeAdapter

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.observations.nova import UnitLog
from holdfast.probes.base import ProbeContext, require_shape

# $1 is the unit, $2 the log file or "journal". The file, and the one that logrotate moved aside last,
# is read from its end back to the start of the unit, so its size does not matter; a million lines at most, where the
# start is months ago: then it is asked only whether the log can be read. The start is the
# moment before the unit's first process, by the host's own clock; logs are in the host's time zone.
_SCRIPT = r"""
set -eu
show() { systemctl show --timestamp=us+utc --value --property "$1" -- "$unit"; }
unit=$1 log=$2 limit=$3
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
lines | head --lines "$limit" | awk -v from="$from" -v limit="$limit" '
  from != "" && !/^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9]/ { undated++; next }
  { dated++ }
  from != "" && ($1 " " $2) < from { reached = 1; exit }
  { lines++ }
  /MessagingTimeout: Timed out waiting for a reply/ { found("no_reply") }
  /failed to send after .* missing queue \(reply_/ { found("reply_abandoned") }
  /Timed out waiting for nova-conductor/ { found("no_conductor") }
  function found(kind) { count[kind]++; if (!last) last = $1 " " $2 }
  END {
    print "lines", lines + 0; print "last", last; print "undated", (undated && !dated) + 0
    print "cut", (NR >= limit && !reached) + 0
    for (kind in count) print "found", kind, count[kind]
  }'
"""


class _Summary(BaseModel):
    """What the script prints."""

    since: str = Field(min_length=1)
    lines: int
    last: str
    undated: bool
    cut: bool
    found: dict[str, int]


_SUMMARY = TypeAdapter[Json](_Summary)


MOST_LINES = 1_000_000
"""How many of the newest lines of a log are read; more would take longer than a gate may."""


def probe_unit_log(context: ProbeContext, unit: str, log: str) -> UnitLog:
    """Count the complaints about messaging in a unit's log that are newer than the unit's start.

    ``log`` is the file that the unit on the task's host logs to, or ``journal``.

    Raises:
        CannotTell: as ``read_unit_log``.
    """
    return read_unit_log(context, unit, log, MOST_LINES)


def read_unit_log(context: ProbeContext, unit: str, log: str, limit: int) -> UnitLog:
    """Return what ``probe_unit_log`` does, from the newest ``limit`` lines of the log.

    Raises:
        CannotTell: the host is unreachable, the unit never ran, the log cannot be read, or what was printed about it.
    """
    result = context.shell.run(["sh", "-c", _SCRIPT, "sh", unit, log, str(limit)])
    if result.rc != 0:
        cause = result.stderr.strip() or f"exit status {result.rc}, no output"
        raise CannotTell(f"{context.host}: the log of {unit} cannot be read: {cause}")
    found: dict[str, str] = {}
    printed: dict[str, Json] = {"found": found}
    for line in result.stdout.splitlines():
        key, _, value = line.partition(" ")
        if key == "found":
            kind, _, count = value.partition(" ")
            found[kind] = count
        else:
            printed[key] = value
    require_shape(printed, _SUMMARY, f"{context.host}: the log of {unit} was summed up")
    summary = _Summary.model_validate(printed)
    return UnitLog(
        host=context.host,
        unit=unit,
        log=log,
        since=summary.since,
        lines=summary.lines,
        complaints=summary.found,
        last=summary.last,
        undated=summary.undated,
        cut=summary.cut,
    )
