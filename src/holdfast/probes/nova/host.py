"""Read what a nova unit on the task's host has logged since an act, or since its start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.observations.nova import DIGESTED, LogPosition, LogSpan, UnitLog
from holdfast.probes.base import ProbeContext, require_shape

# Where the lines of a log begin is told by a position in it, by the processes that wrote them or by systemd's id of the
# start, never by the times in them: a log may be in another time zone than its host, and an hour occurs twice when
# summer time ends. oslo.log's formats name the process: "… 4711 INFO …", or "process": 4711 in JSON.
#
# $1 is the unit, $2 the log file or "journal", $3 how many lines are read at most, $4 to $7 the inode, size, digest and
# processes that were noted before the act, $8 where processes are listed, $9 how many bytes are digested. What follows
# are the words in front of a command in the unit's container: its log has the numbers that processes have in there, and
# those of the host's processes tell nothing.
_SCRIPT = r"""
set -eu
unit=$1 log=$2 limit=$3 inode=$4 size=$5 digest=$6 before=$7 proc=$8 block=$9
shift 9
present= missing=0
[ $# = 0 ] || before=
show() { systemctl show --property "$1" -- "$unit" | sed -n "s/^$1=//p"; }
is_noted() {
  [ -r "$1" ] && [ "$(stat -c %s -- "$1")" -ge "$size" ] || return 1
  from=$((size > block ? size - block : 0))
  [ "$(tail -c "+$((from + 1))" -- "$1" | head -c "$((size - from))" | sha256sum | cut -c 1-64)" = "$digest" ]
}
noted_file() {
  renamed=$(find "$directory" -maxdepth 1 -inum "$inode" 2>/dev/null | head -n 1)
  if is_noted "$renamed"; then echo "$renamed"; return; fi
  [ "$size" -gt 0 ] || return 0
  for each in "$log" "$log.1"; do if is_noted "$each"; then echo "$each"; return; fi; done
}
from_position() {
  tail -c "+$((size + 1))" -- "$file"
  [ ! "$file" -ef "$log" ] || return 0
  find "$directory" -maxdepth 1 -type f -newer "$file" -name "${log##*/}*" \
    ! -name "${log##*/}" ! -name '*.?z*' ! -name '*.zst' -exec cat -- {} +
  cat -- "$log"
}
newest() { for each in "$log.1" "$log"; do [ ! -r "$each" ] || tail -n "$limit" -- "$each"; done; }
if [ "$log" = journal ] || [ ! -e "$log" ]; then
  [ "$log" = journal ] || missing=1
  span=start start=$(show InvocationID) limit=$((limit / 10))
  [ -n "$start" ] || { echo "systemd reports no start of $unit" >&2; exit 3; }
  lines() { journalctl --quiet --no-pager --all --lines "$limit" --output short-iso "_SYSTEMD_INVOCATION_ID=$start"; }
else
  [ -r "$log" ] || { echo "$log cannot be read" >&2; exit 4; }
  directory=$(dirname -- "$log") file=
  [ -z "$digest" ] || file=$(noted_file)
  if [ -n "$file" ]; then
    span=act
    lines() { from_position | head -n "$limit"; }
  else
    span=running cgroup=$(show ControlGroup)
    if [ $# -gt 0 ]; then
      present=$("$@" sh -c 'cd /proc && echo [0-9]*') || { echo "its container cannot be asked" >&2; exit 5; }
    elif [ -n "$cgroup" ]; then present=$(
      grep -lsF -- ":$cgroup" "$proc"/[0-9]*/cgroup | sed 's|.*/\([0-9]*\)/cgroup$|\1|' | tr '\n' ' ')
    fi
    lines() { newest; }
  fi
fi
echo "span $span"
echo "missing $missing"
lines | awk -v span="$span" -v before="$before" -v present="$present" -v limit="$limit" '
  function set_of(text, set,   parts, n, i) { n = split(text, parts, " "); for (i = 1; i <= n; i++) set[parts[i]] = 1 }
  function found(kind) { count[kind]++; last = at() }
  function at() {
    if (match($0, /"asctime": ?"[^"]*"/)) { split(substr($0, RSTART, RLENGTH), fields, "\""); return fields[4] }
    return $1 ~ /T/ ? $1 : $1 " " $2
  }
  BEGIN { set_of(before, is_old); set_of(present, is_present) }
  match($0, / [0-9]+ (TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL) /) { process = substr($0, RSTART + 1) + 0 }
  match($0, /"process": ?[0-9]+/) { process = substr($0, RSTART, RLENGTH); gsub(/[^0-9]/, "", process) }
  process != "" { named++ }
  /(^|[^A-Za-z])(TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL)([^A-Za-z]|$)/ { levels++ }
  NR == 1 { first = process }
  span == "act" && (process in is_old) { next }
  span == "running" && !(process in is_present) { next }
  { lines++ }
  /MessagingTimeout: Timed out waiting for a reply/ { found("no_reply") }
  /failed to send after .* missing queue \(reply_/ { found("reply_abandoned") }
  /Timed out waiting for nova-conductor/ { found("no_conductor") }
  END {
    print "lines", lines + 0; print "last", last; print "levels", levels + 0
    print "unnamed", (NR && !named) + 0
    print "cut", (NR >= limit && (span != "running" || (first in is_present))) + 0
    for (kind in count) print "found", kind, count[kind]
  }'
"""


class _Summary(BaseModel):
    """What the script prints."""

    span: LogSpan
    lines: int
    last: str
    levels: int
    unnamed: bool
    missing: bool
    cut: bool
    found: dict[str, int]


_SUMMARY = TypeAdapter[Json](_Summary)


MOST_LINES = 1_000_000
"""How many lines of a log are read, of the journal a tenth; more would take longer than a gate may."""


def probe_unit_log(
    context: ProbeContext, unit: str, log: str, position: LogPosition, prefix: Sequence[str]
) -> UnitLog:
    """Count the complaints about messaging in a unit's log since an act, or since the unit's start.

    ``log`` is the file that the unit on the task's host logs to, or ``journal``; without such a file the journal is
    read. ``position``: where the file ended before the act, if there was one. ``LogSpan`` says which part is read.
    ``prefix``: the words in front of a command in the unit's container, none without one.

    Raises:
        CannotTell: as ``read_unit_log``.
    """
    return read_unit_log(context, LogSource(unit, log, position, prefix), MOST_LINES)


@dataclass(frozen=True, slots=True)
class LogSource:
    """Which log is read, and from where.

    ``prefix`` leads into the unit's container, ``proc`` lists the host's processes.
    """

    unit: str
    log: str
    position: LogPosition
    prefix: Sequence[str] = ()
    proc: str = "/proc"

    def arguments(self, limit: int) -> list[str]:
        """Return the script's arguments."""
        noted, before = self.position, " ".join(map(str, self.position.processes))
        position = [str(noted.inode), str(noted.size), noted.digest, before]
        fixed = [self.unit, self.log, str(limit), *position, self.proc, str(DIGESTED)]
        return [*fixed, *self.prefix]


def read_unit_log(context: ProbeContext, source: LogSource, limit: int) -> UnitLog:
    """Return what ``probe_unit_log`` does, from at most ``limit`` lines.

    Raises:
        CannotTell: the host is unreachable, the unit never ran, the log cannot be read, or what was printed about it.
    """
    unit, log = source.unit, source.log
    result = context.shell.run(["sh", "-c", _SCRIPT, "sh", *source.arguments(limit)])
    if result.rc != 0:
        cause = result.stderr.strip() or f"exit status {result.rc}, no output"
        raise CannotTell(f"{context.host}: the log of {unit} cannot be read: {cause}")
    summary = _summary(result.stdout, f"{context.host}: the log of {unit} was summed up")
    if summary.missing and not summary.lines:
        raise CannotTell(
            f"{context.host}: there is no {log}, and the journal has no line of the present start of {unit}; which"
            " file does it log to (nova_*_log)?"
        )
    return UnitLog(
        host=context.host,
        unit=unit,
        log="journal" if summary.missing else log,
        complaints=summary.found,
        **summary.model_dump(exclude={"found"}),
    )


def _summary(printed: str, source: str) -> _Summary:
    """Return what the script has printed; raise CannotTell where it has another shape."""
    found: dict[str, str] = {}
    values: dict[str, Json] = {"found": found}
    for line in printed.splitlines():
        key, _, value = line.partition(" ")
        if key == "found":
            kind, _, count = value.partition(" ")
            found[kind] = count
        else:
            values[key] = value
    require_shape(values, _SUMMARY, source)
    return _Summary.model_validate(values)
