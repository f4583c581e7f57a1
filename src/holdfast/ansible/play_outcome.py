"""How a play went, from ansible-runner's events: live progress, and in the end the result.

Judges by the process's exit, the final statistics, and the presence in them of every host that was
meant. A failed task alone proves nothing (it may have been rescued), nor does a task that went well.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from holdfast.ansible.interfaces import PlayResult, Progress
from holdfast.journal.events import HostEnd, PlayEnd
from holdfast.model import Json
from holdfast.text import strip_control

_READING = re.compile(r"gate (\S+) ")
_LONGEST = 2000
"""Characters of a message that are kept; a task may print megabytes."""


class PlayOutcome:
    """Collects the events of one play."""

    def __init__(self, expected: Iterable[str]) -> None:
        self._expected = tuple(expected)
        self._task = ""
        self._messages: dict[str, str] = {}
        self._stats: Mapping[str, Mapping[str, int]] | None = None
        self._tail: deque[str] = deque(maxlen=12)

    def hear(self, event: Mapping[str, Json]) -> Iterator[Progress]:
        """Take in an event; yields what is worth showing at once."""
        kind, data = event.get("event", ""), event.get("event_data") or {}
        host = data.get("host") or ""
        if kind == "verbose":
            yield from self._line(event.get("stdout") or "")
        elif kind == "playbook_on_task_start":
            self._task = str(data.get("name") or data.get("task") or "")
        elif kind == "runner_on_start":
            yield Progress(host, self._task, "")
        elif kind in {"runner_on_failed", "runner_on_unreachable"}:
            if not data.get("ignore_errors"):
                self._messages[host] = _words(data.get("res") or {})
        elif kind == "playbook_on_stats":
            self._stats = data

    def lost(self, words: str) -> None:
        """Take in that events are missing; ``words`` say why."""
        self._messages[""] = words

    def result(self, *, ended_well: bool, interrupted: bool) -> PlayResult:
        """The result, once the process has ended; ``ended_well`` is what its exit status said."""
        hosts = {host: self._end(host) for host in (*self._expected, *sorted(self._unexpected()))}
        status: PlayEnd = "ok"
        if interrupted:
            status = "interrupted"
        elif ended_well and not hosts:
            status = "no_hosts"
        elif not ended_well or any(end != "ok" for end in hosts.values()):
            status = "failed"
        return PlayResult(status, hosts, self._told(hosts) if status != "ok" else {})

    def _line(self, stdout: str) -> Iterator[Progress]:
        line = strip_control(stdout).strip()
        if line:
            self._tail.append(line)
        if reading := _READING.match(line):
            yield Progress(reading[1], self._task, line)

    def _end(self, host: str) -> HostEnd:
        if self._stats is None or host not in self._stats.get("processed", {}):
            unreached = host in (self._stats or {}).get("dark", {})
            return "unreachable" if unreached else "absent"
        if self._stats.get("dark", {}).get(host):
            return "unreachable"
        return "failed" if self._stats.get("failures", {}).get(host) else "ok"

    def _unexpected(self) -> set[str]:
        """Hosts that played without being in the limit, such as those of a check."""
        if self._stats is None:
            return set()
        kinds = ("processed", "dark", "failures")
        played = {host for kind in kinds for host in self._stats.get(kind, {})}
        return played - set(self._expected)

    def _told(self, hosts: Mapping[str, HostEnd]) -> dict[str, str]:
        """The words of the hosts that did not end well; without any, the end of the output."""
        told = {host: text for host, text in self._messages.items() if hosts.get(host) != "ok"}
        if not told and self._tail:
            told[""] = "\n".join(self._tail)
        return {host: text[-_LONGEST:] for host, text in told.items()}


def _words(res: Mapping[str, Json]) -> str:
    """What a failed task says; of a loop, what its failed items say."""
    items = [item for item in res.get("results", []) if isinstance(item, dict)]
    failed = [_words(item) for item in items if item.get("failed") or item.get("unreachable")]
    if failed:
        return "; ".join(dict.fromkeys(failed))
    said = [str(res[key]) for key in ("msg", "module_stderr", "stderr") if res.get(key)]
    return strip_control("\n".join(dict.fromkeys(said))).strip() or "failed without a word"
