"""``PlayOutcome``: the live progress and the result of a play, from ansible-runner's events.

The result follows from the exit status, the final statistics, and whether they have every host of the
limit. A failed task alone is no failure (it may have been rescued), a task that succeeded no success.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from holdfast.ansible.interfaces import PlayResult, Progress
from holdfast.journal.events import HostEnd, PlayEnd
from holdfast.model import Json
from holdfast.text import host_key_advice, strip_control

_KINDS = ("processed", "dark", "failures")  # of Ansible's final statistics
_READING = re.compile(r"(?:gate|boots) (\S+) ")
_MESSAGE_CHARACTERS = 2000
"""How much of a message is kept, from its end; a task may print megabytes."""


class PlayOutcome:
    """Collects the events of one play; ``expected`` are the hosts of its limit."""

    def __init__(self, expected: Iterable[str]) -> None:
        self._expected = tuple(expected)
        self._task = ""
        self._messages: dict[str, str] = {}
        self._done: set[str] = set()
        self._stats: Mapping[str, Mapping[str, int]] = {}
        self._refused = False
        self._tail: deque[str] = deque(maxlen=12)

    def add(self, event: Mapping[str, Json]) -> Iterator[Progress]:
        """Add an event; yield the progress in it."""
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
                res = data.get("res") or {}
                self._messages[host] = _output(res)
                self._refused |= bool(res.get("holdfast_refused"))
        elif kind == "runner_on_ok" and (data.get("res") or {}).get("holdfast_host_done"):
            self._done.add(host)
        elif kind == "playbook_on_stats":
            self._stats = data

    @property
    def all_done(self) -> bool:
        """Whether every host is done, as its play has journaled, and no task has failed, rescued or not."""
        return self._done.issuperset(self._expected) and not self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether a task has failed on any host, rescued or not."""
        return bool(self._messages)

    def add_error(self, message: str) -> None:
        """Add that events are missing; ``message`` says why."""
        self._messages[""] = message

    def result(self, *, exited_ok: bool, interrupted: bool) -> PlayResult:
        """Return the result of the ended process; ``exited_ok`` is whether its exit status was 0."""
        hosts = {host: self._end(host) for host in (*self._expected, *sorted(self._unexpected()))}
        status: PlayEnd = "ok"
        if interrupted:
            status = "interrupted"
        elif exited_ok and not hosts:
            status = "no_hosts"
        elif not exited_ok or any(end != "ok" for end in hosts.values()):
            status = "refused" if self._refused else "failed"
        return PlayResult(status, hosts, self._messages_of_failed(hosts) if status != "ok" else {})

    def _line(self, stdout: str) -> Iterator[Progress]:
        line = strip_control(stdout).strip()
        if line:
            self._tail.append(line)
        if reading := _READING.match(line):
            yield Progress(reading[1], self._task, line)

    def _end(self, host: str) -> HostEnd:
        processed, dark, failures = (self._stats.get(kind, {}) for kind in _KINDS)
        if host not in processed:
            return "unreachable" if host in dark else "absent"
        if dark.get(host):
            return "unreachable"
        return "failed" if failures.get(host) else "ok"

    def _unexpected(self) -> set[str]:
        """Return the hosts that took part and are not in the limit, such as those of a check."""
        took_part = {host for kind in _KINDS for host in self._stats.get(kind, {})}
        return took_part - set(self._expected)

    def _messages_of_failed(self, hosts: Mapping[str, HostEnd]) -> dict[str, str]:
        """Return the messages of the hosts that did not succeed; without any, the end of the output."""
        messages = {host: text for host, text in self._messages.items() if hosts.get(host) != "ok"}
        if not messages and self._tail:
            messages[""] = "\n".join(self._tail)
        return {host: text[-_MESSAGE_CHARACTERS:] for host, text in messages.items()}


def _output(res: Mapping[str, Json]) -> str:
    """Return the output of a failed task; of a loop, that of its failed items."""
    items = [item for item in res.get("results", []) if isinstance(item, dict)]
    failed = [_output(item) for item in items if item.get("failed") or item.get("unreachable")]
    if failed:
        return "; ".join(dict.fromkeys(failed))
    output = [str(res[key]) for key in ("msg", "module_stderr", "stderr") if res.get(key)]
    text = strip_control("\n".join(dict.fromkeys(output))).strip()
    return host_key_advice(text) or text or "failed, no output"
