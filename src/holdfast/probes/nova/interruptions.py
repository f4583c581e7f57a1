"""Ask each service's own log how often its heartbeat and its connections to brokers were lost lately, and came back.

nova's list has the newest heartbeat alone, and a broker the connections of this moment. The services log every loss, so
their logs have what was before the run too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.nova_services import RPC_SERVICES
from holdfast.observations.nova import ExpectedService, FleetInterruptions, Interruptions
from holdfast.probes.base import ProbeContext, Shell, ask_all, or_unanswered
from holdfast.probes.nova.fleet import UnitSite, listed_by_nova
from holdfast.probes.nova.site import expected_services

# $1 is the unit, $2 its log or "journal", $3 how many seconds back, $4 how many lines of a file are read at most. The
# times in a file may be of another time zone than the host's. The file's own last change is when its newest line was
# written, so that line's time tells what the log's clock said then. The journal has the host's time. mawk has no
# repetitions such as {8}, and the id of a connection is what oslo.messaging has in brackets before its words.
_SCRIPT = r"""
set -u
export LC_ALL=C
unit=$1 log=$2 window=$3 limit=$4
date '+now %s'
if [ "$log" = journal ] || [ ! -e "$log" ]; then
  echo "journal yes"
  lines() {
    journalctl --quiet --no-pager --all --since "-${window}s" --lines "$limit" --output short-unix --unit "$unit"
  }
else
  [ -r "$log" ] || { echo "$log cannot be read" >&2; exit 4; }
  directory=$(dirname -- "$log")
  unread=$(find "$directory" -maxdepth 1 -type f -name "${log##*/}*" ! -name "${log##*/}" ! -name "${log##*/}.1" \
    -newermt "-$window seconds" -size +0)
  [ -z "$unread" ] || echo "unread yes"
  for each in "$log.1" "$log"; do [ ! -s "$each" ] || stat -c 'written %Y' -- "$each"; done
  lines() { for each in "$log.1" "$log"; do [ ! -r "$each" ] || cat -- "$each"; done | tail -n "$limit"; }
fi
lines | awk -v limit="$limit" '
  function at() {
    if ($1 ~ /^[0-9]+[.][0-9]+$/) return $1
    if (match($0, /"asctime": ?"[^"]*"/)) {
      split(substr($0, RSTART, RLENGTH), fields, "\""); sub(/ /, "T", fields[4]); return fields[4]
    }
    return $1 ~ /T/ ? $1 : $1 "T" $2
  }
  function told(kind) { n++; kept[n % 3000] = kind " " process " " connection " " at() }
  { process = connection = "-" }
  /(^|[^A-Za-z])(TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL)([^A-Za-z]|$)/ {
    levels++; newest = at(); if (first == "") first = newest
  }
  match($0, / [0-9]+ (TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL) /) { process = substr($0, RSTART + 1) + 0 }
  match($0, /"process": ?[0-9]+/) { process = substr($0, RSTART, RLENGTH); gsub(/[^0-9]/, "", process) }
  match($0, /\[[0-9a-f-]+\] (AMQP server|[Rr]econnected)/) {
    connection = substr($0, RSTART + 1); sub(/\].*/, "", connection)
  }
  /AMQP server .* is unreachable/ { told("lost") }
  /[Rr]econnected to AMQP server/ { told("back") }
  /Lost connection to nova-conductor for reporting|Unexpected error while reporting service status/ { told("silent") }
  /Recovered from being unable to report status/ { told("reports") }
  match($0, /report_state.* run outlasted interval by [0-9.]+/) {
    late = substr($0, RSTART, RLENGTH); sub(/.* /, "", late)
    if (late + 0 >= 50) { told("silent"); told("reports") }
  }
  END {
    print "levels", levels + 0; print "first", first; print "newest", newest; print "cut", (NR >= limit) ? "yes" : ""
    for (i = (n > 3000 ? n - 2999 : 1); i <= n; i++) print "event", kept[i % 3000]
  }'
echo end
"""
_LINES = 300_000

_AGAIN = 120.0
"""Seconds. After this time without any line about it, the next line that tells a loss counts as a new loss."""

_LOST, _BACK = ("lost", "silent"), ("back", "reports")


@dataclass(frozen=True, slots=True)
class _Event:
    """A line of a log about a loss, or about its end; ``age`` in seconds."""

    kind: str
    of: str
    age: float


def probe_interruptions(context: ProbeContext, window_seconds: float) -> FleetInterruptions:
    """Return how often each service that is called lost its heartbeat or a connection within the window.

    Of a host that does not answer the cause is in its place, and nova's list beside it.
    """
    expected = expected_services(context, RPC_SERVICES)

    def ask(each: ExpectedService) -> Interruptions:
        site = context.site(each.host, UnitSite)
        unit, log = site.unit(each.service), site.log(each.service)
        return read_interruptions(context.reach(each.host), each, unit, log, window_seconds)

    services = ask_all({each.name: each for each in expected}, partial(or_unanswered, ask))
    told = not any(isinstance(each, Unanswered) for each in services.values())
    return FleetInterruptions(services, None if told else listed_by_nova(context, expected))


def read_interruptions(
    shell: Shell, service: ExpectedService, unit: str, log: str, window_seconds: float
) -> Interruptions:
    """Return what a service's log says of the last ``window_seconds``.

    Raises:
        CannotTell: the log cannot be read, or does not have lines of the whole window.
    """
    where = f"{service.host}: how often {service.name} lost its connections cannot be told"
    done = shell.run(["sh", "-c", _SCRIPT, "sh", unit, log, f"{window_seconds:.0f}", str(_LINES)])
    lines = done.stdout.splitlines()
    if done.rc != 0 or lines[-1:] != ["end"]:
        raise CannotTell(f"{where}: {done.stderr.strip() or f'exit status {done.rc}'}")
    values = dict(line.split(" ", 1) for line in lines[:-1] if not line.startswith("event"))
    source = "the journal" if "journal" in values else log
    if not int(values["levels"]):
        raise CannotTell(f"{where}: {source} has no line with a level, such as INFO")
    age = _clock_of(values, where)
    if (values["cut"] or "unread" in values) and age(values["first"]) < window_seconds:
        minutes = f"{window_seconds / 60:g} min"
        raise CannotTell(f"{where}: {source} does not reach back {minutes}")
    told = (line.split(" ")[1:] for line in lines if line.startswith("event"))
    events = [_Event(kind, f"{process} {of}", age(at)) for kind, process, of, at in told]
    return Interruptions(
        host=service.host,
        log=source,
        heartbeats=_most(events, {"silent", "reports"}, window_seconds),
        connections=_most(events, {"lost", "back"}, window_seconds),
        last=min((each.age for each in events if each.kind in _LOST), default=None),
    )


def _clock_of(values: Mapping[str, str], where: str) -> _Age:
    """Return what tells how many seconds ago a line was written.

    Raises:
        CannotTell: its times are in no known format.
    """
    now = float(values["now"])
    if "journal" in values:
        return _Age(now, 0.0, where)
    newest = _Age(0.0, 0.0, where).moment(values["newest"])
    return _Age(now, float(values["written"]) - newest, where)


@dataclass(frozen=True, slots=True)
class _Age:
    """Tells the age of a line from its time; ``offset``: what the log's clock is behind the epoch's."""

    now: float
    offset: float
    where: str

    def __call__(self, at: str) -> float:
        # In the hour that occurs twice a line may seem to be of the future: it counts as one of now.
        return max(self.now - self.moment(at) - self.offset, 0.0)

    def moment(self, at: str) -> float:
        """Return the seconds that a time in a log is, as if it were UTC's."""
        try:
            if at.replace(".", "", 1).isdigit():
                return float(at)
            return datetime.fromisoformat(f"{at.replace(',', '.')[:19]}+00:00").timestamp()
        except ValueError:
            raise CannotTell(f"{self.where}: {at!r} is no time as nova's log has it") from None


def _most(events: Iterable[_Event], kinds: set[str], window: float) -> int:
    """Return how often something was lost within the window.

    Each connection of each process counts apart, and the one that was lost most often: a broker that is restarted
    costs each of them one. But a service that is restarted after each loss has a process for each: moments count too.
    """
    by_one: dict[str, list[_Event]] = {}
    for event in events:
        if event.kind in kinds:
            by_one.setdefault(event.of, []).append(event)
    losses = [list(_losses(each, window)) for each in by_one.values()]
    moments, last = 0, float("inf")
    for age in sorted((loss.age for each in losses for loss in each), reverse=True):
        if last - age >= _AGAIN:
            moments, last = moments + 1, age
    return max([moments, *map(len, losses)])


def _losses(events: Iterable[_Event], window: float) -> Iterator[_Event]:
    """Yield each loss: the first line that tells it, up to the line that tells its end."""
    before: _Event | None = None
    for event in events:
        lost = before is not None and before.kind in _LOST and before.age - event.age < _AGAIN
        if not lost and event.age <= window and (event.kind in _LOST or _untold(before)):
            yield event
        before = event


def _untold(before: _Event | None) -> bool:
    """Return whether what came back was lost without a line that says so: what came back before was up."""
    return before is None or before.kind in _BACK
