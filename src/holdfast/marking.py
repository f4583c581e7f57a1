"""Reads, writes and removes marks on hosts through their shells (docs/adr/0023).

A mark is written by compare-and-swap: under a lock on the host, only where the file is still what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from holdfast.errors import CannotTell, LeaseHeld
from holdfast.marks import FRESH, TTL, HostMarks, RunMark
from holdfast.model import HOST_DIRECTORY, Holder, Json, Unanswered
from holdfast.probes.base import Shell, ask_all, or_unanswered

Reach = Callable[[str], Shell]

# The clock is the file that holdfast_marks.py reads too: containers may have an uptime of their own.
READ = """\
set -eu
cat /proc/sys/kernel/random/boot_id
cut -d ' ' -f 1 /proc/uptime
for file in "$1"/*.mark; do
  [ -e "$file" ] || continue
  text=$(head -c 9000 -- "$file") || { [ -e "$file" ] || continue; exit 1; }
  printf '%s\\t%s\\n' "${file##*/}" "$(printf %s "$text" | tr '\\n' ' ')"
done
"""
"""``DIRECTORY``: prints the boot id, the uptime, and each mark in a line; a mark may be removed meanwhile."""

SWAP = """\
set -eu
umask 077
directory=$1 file=$1/$2.mark now=
mkdir -p -m 0755 -- "$directory"
exec 9>>"$file.lock"
umask 022
flock -w 10 9
[ ! -e "$file" ] || now=$(head -c 9000 -- "$file")
[ "$now" != "$4" ] || { echo swapped; exit 0; }
[ "$now" = "$3" ] || { echo changed; exit 0; }
if [ -n "$4" ]; then printf %s "$4" >"$file.new"; mv -f -- "$file.new" "$file"; else rm -f -- "$file"; fi
echo swapped
"""
"""``DIRECTORY SERVICE BEFORE AFTER``: writes AFTER, or removes the file, where its content is BEFORE.

It may be sent twice, where ssh repeats a command whose connection broke. Whoever can read a lock's file can hold it,
so nobody else can.
"""


def read_marks(reach: Reach, hosts: Iterable[str]) -> dict[str, HostMarks | Unanswered]:
    """Return the marks of each host, all asked at the same time, or why one gave no answer."""

    def read(host: str) -> HostMarks:
        return HostMarks.parse(_run(reach(host), READ))

    return ask_all({host: host for host in hosts}, lambda host: or_unanswered(read, host))


def list_marks(reach: Reach, hosts: Iterable[str]) -> dict[str, Json]:
    """Return, as JSON, the valid ``marks`` of each host and its ``error``."""
    return {
        host: {"error": found.cause, "marks": {}}
        if isinstance(found, Unanswered)
        else found.listed()
        for host, found in read_marks(reach, hosts).items()
    }


def remove_marks(reach: Reach, hosts: Iterable[str], run: str) -> dict[str, str]:
    """Remove the marks of a run; return the hosts where it is not known whether they are gone, and why."""

    def remove(host: str) -> str:
        try:
            found = HostMarks.parse(_run(reach(host), READ))
            for service, text in found.texts.items():
                mark = _readable(found, service)
                if mark and mark.holder.run == run:
                    _swap(reach(host), service, text, "")
        except CannotTell as error:
            return error.message
        return ""

    done = ask_all({host: host for host in hosts}, remove)
    return {host: why for host, why in done.items() if why}


@dataclass(frozen=True, slots=True)
class Marker:
    """Marks hosts with the run of ``holder``.

    ``counts`` says whether another run's valid mark excludes it; ``release`` is the command that removes such a mark.
    """

    reach: Reach
    service: str
    holder: Holder
    counts: Callable[[RunMark], bool]
    release: str

    def excluded_by(self, host: str, found: HostMarks) -> RunMark | None:
        """Return the mark of another run that counts on this host; None without one.

        Raises:
            CannotTell: the host has a file that is no mark.
        """
        try:
            mark = found.mark(self.service)
        except CannotTell as error:
            raise CannotTell(f"{host}: {error.message}", remedy=error.remedy) from None
        other = mark is not None and mark.holder.run != self.holder.run and self.counts(mark)
        return mark if other else None

    def look(self, meeting: Sequence[str], own: Sequence[str]) -> dict[str, HostMarks]:
        """Return what the hosts answered, if no mark there excludes the run.

        Raises:
            CannotTell: an own host, or every one of the meeting hosts, gives no answer; or a mark is none.
            LeaseHeld: another run's mark counts; the message says who, since when and why.
        """
        found = read_marks(self.reach, dict.fromkeys([*meeting, *own]))
        causes = {host: each.cause for host, each in found.items() if isinstance(each, Unanswered)}
        if missing := [host for host in own if host in causes]:
            raise CannotTell("; ".join(f"{host}: {causes[host]}" for host in missing))
        if all(host in causes for host in meeting):
            said = "; ".join(f"{host}: {causes[host]}" for host in meeting)
            raise CannotTell(
                f"none of {', '.join(meeting)} answers, so no other run would learn of this one: {said}",
                remedy="repair the connection to one of them, then repeat the command",
            )
        answered = {host: each for host, each in found.items() if isinstance(each, HostMarks)}
        for host, each in answered.items():
            if mark := self.excluded_by(host, each):
                run, controller = mark.holder.run, mark.holder.controller
                ask = f"on {controller}: holdfast status {run}. If that run has ended"
                message = describe(self.service, host, mark, each)
                raise LeaseHeld(message, remedy=f"{ask}: {self.release}")
        return answered

    def place(self, meeting: Sequence[str], own: Sequence[str], now: datetime) -> list[str]:
        """Mark the hosts and return which have a mark of this run now; a fresh one is not written again.

        Runs that meet mark their first host first, so of two at the same time one is refused there. Where
        that fails, the marks that were written are removed again.

        Raises:
            CannotTell, LeaseHeld: as ``look``; also where a host cannot be marked, or is being marked.
        """
        answered = self.look(meeting, own)
        due = [host for host in answered if not self._is_fresh(answered[host])]
        written: dict[str, str] = {}
        try:
            for hosts in (due[:1], due[1:]):
                self._write({host: answered[host] for host in hosts}, now, written)
        except (CannotTell, LeaseHeld):
            for host, text in written.items():
                with suppress(CannotTell):
                    _swap(self.reach(host), self.service, text, "")
            raise
        return list(answered)

    def _is_fresh(self, found: HostMarks) -> bool:
        mark = self._own(found)
        if mark is None or found.left(mark) <= TTL - FRESH:
            return False
        process = (self.holder.controller, self.holder.process)
        return (mark.holder.controller, mark.holder.process) == process

    def _own(self, found: HostMarks) -> RunMark | None:
        mark = found.mark(self.service)
        return mark if mark and mark.holder.run == self.holder.run else None

    def _write(
        self, found: Mapping[str, HostMarks], now: datetime, written: dict[str, str]
    ) -> None:
        def write(host: str) -> str | Unanswered:
            own = self._own(found[host])
            text = found[host].new_mark(self.holder, own.since if own else now).as_text()
            before = found[host].texts.get(self.service, "")
            return text if _swap(self.reach(host), self.service, before, text) else ""

        done = ask_all({host: host for host in found}, lambda host: or_unanswered(write, host))
        others = [host for host, text in done.items() if not text]
        marked = read_marks(self.reach, others)
        # What was the run's own before stays so whatever fails now: another of its plays may act under it.
        written |= {
            host: text
            for host, text in done.items()
            if isinstance(text, str) and text and not self._own(found[host])
        }
        for host, text in done.items():
            if isinstance(text, Unanswered):
                raise CannotTell(f"{host} could not be marked: {text.cause}")
            # Another task of this run may have marked it meanwhile.
            now_there = marked.get(host)
            if not text and not (isinstance(now_there, HostMarks) and self._is_fresh(now_there)):
                raise LeaseHeld(
                    f"{host} is being marked by another run at this moment",
                    remedy="see which: repeat the command",
                )


def describe(service: str, host: str, mark: RunMark, found: HostMarks) -> str:
    """Return who changes the service, in one sentence."""
    holder, minutes = mark.holder, found.left(mark).total_seconds() / 60
    return (
        f"{service} is being changed by run {holder.run}: {holder.by} on {holder.controller}, process "
        f"{holder.process}, since {mark.since:%Y-%m-%d %H:%M} UTC, because: {holder.reason}. {host} has its mark, "
        f"which expires in {minutes:.0f} min unless it is renewed. That run has another state database than this one"
    )


def _readable(found: HostMarks, service: str) -> RunMark | None:
    with suppress(CannotTell):
        return found.mark(service)
    return None


def _swap(shell: Shell, service: str, before: str, after: str) -> bool:
    """Write ``after`` where the file is still ``before``; return whether it was written."""
    answer = _run(shell, SWAP, service, before, after).strip()
    if answer not in {"swapped", "changed"}:
        raise CannotTell(f"its mark cannot be written: {answer[:200]!r}")
    return answer == "swapped"


def _run(shell: Shell, script: str, *arguments: str) -> str:
    done = shell.run(["sh", "-c", script, "sh", HOST_DIRECTORY, *arguments])
    if done.rc != 0:
        raise CannotTell(f"its marks cannot be used: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
