"""The instruments' records: written and read as JSON lines.

In each line, `n` is the number of the sample and `t` the seconds since the instrument started, on its own monotonic
clock. The first line has the time of that start, so that records of two instruments on one machine can be compared.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TextIO

Record = dict[str, Any]

# The detail of a sample that is not ok because no answer came in time, as opposed to a refusal
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking one service once: up (True), out (False) or unknown (None), and the evidence."""

    ok: bool | None
    detail: Any = None


class Recorder:
    """Writes lines to one stream, each flushed as a whole; safe to use from several threads."""

    def __init__(self, stream: TextIO, what: str, detail: Record) -> None:
        self._stream = stream
        self._numbers = count(1)
        self._lock = threading.Lock()
        self.started = time.monotonic()
        self.write(
            {
                "n": 0,
                "t": 0.0,
                "what": what,
                "ok": True,
                "detail": {
                    "started_at": datetime.now(UTC).isoformat(),
                    "monotonic": round(self.started, 3),
                    **detail,
                },
            }
        )

    def now(self) -> float:
        """Return seconds since the start."""
        return round(time.monotonic() - self.started, 3)

    def event(self, **line: Any) -> None:
        """Append one line with the current time and the next number."""
        with self._lock:
            self._put({"n": next(self._numbers), "t": self.now(), **line})

    def write(self, *lines: Record) -> None:
        """Append the lines together and flush them."""
        with self._lock:
            self._put(*lines)

    def _put(self, *lines: Record) -> None:
        self._stream.write(
            "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        )
        self._stream.flush()


def read_records(path: str | Path) -> Iterator[Record]:
    """Yield the recorded lines; a last line that was cut short when the instrument was killed is left out.

    Raises:
        ValueError: a line before the last is not JSON.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    for line in lines:
        if line.endswith("\n"):
            yield json.loads(line)
