"""JSON lines: how an instrument writes down what it saw, and how that is read back.

Owns numbering and time. `n` grows by one per line's sample, `t` is seconds since the instrument started on its own
monotonic clock; the first line tells when that was, so that records of two instruments on one machine can be compared.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TextIO

Line = dict[str, Any]

# The detail of a sample that is not ok only in that nothing came back in time
SILENT = "silent"


class Recorder:
    """Writes lines to one stream, whole and at once, from any thread."""

    def __init__(self, stream: TextIO, what: str, detail: Line) -> None:
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
        """Append one line that happens now, numbered after the last."""
        with self._lock:
            self._put({"n": next(self._numbers), "t": self.now(), **line})

    def write(self, *lines: Line) -> None:
        """Append the lines together and flush them."""
        with self._lock:
            self._put(*lines)

    def _put(self, *lines: Line) -> None:
        self._stream.write(
            "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        )
        self._stream.flush()


def read_lines(path: str | Path) -> Iterator[Line]:
    """Yield the recorded lines; a last line cut short by a kill is left out.

    Raises:
        ValueError: a line before the last is not JSON.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    for line in lines:
        if line.endswith("\n"):
            yield json.loads(line)
