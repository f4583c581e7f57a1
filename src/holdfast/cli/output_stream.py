"""Standard output that may be closed: a closed terminal or pipe must never stop a run."""

from __future__ import annotations

import os
import sys
from typing import IO, Any, TextIO, cast


def replace_closed_streams() -> None:
    """Open the null device for standard streams that were closed (cron, ``>&-``).

    Otherwise the next file that is opened would get their descriptor, and anything written to
    standard output later, also by a child process, would end up in that file.
    """
    sys.stdin = sys.stdin or _null_stream("r")
    sys.stdout = sys.stdout or _null_stream("w")
    sys.stderr = sys.stderr or _null_stream("w")


def _null_stream(mode: str) -> TextIO:
    return cast("TextIO", open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123  # a device, open until the process ends


class OutputStream:
    """A stream that ignores writes once its reader has closed it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.closed = False

    def write(self, text: str) -> int:
        """Write, or do nothing once the stream is closed; characters outside its encoding become "?"."""
        if not self.closed:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(text.encode(self.encoding, "replace").decode(self.encoding))
            except OSError:
                self._close()
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing once the stream is closed."""
        if not self.closed:
            try:
                self._stream.flush()
            except OSError:
                self._close()

    def __getattr__(self, name: str) -> Any:
        """Everything else (``isatty``, ``fileno``, ``encoding``) is the stream's own."""
        return getattr(self._stream, name)

    def as_text_io(self) -> IO[str]:
        """Return this object as the type that rich asks for."""
        return cast("IO[str]", self)

    def _close(self) -> None:
        """Point the descriptor at the null device, so that the interpreter's last flush does not fail."""
        self.closed = True
        try:
            descriptor = self._stream.fileno()
        except OSError:
            return
        with open(os.devnull, "w") as null:  # noqa: PTH123  # a device, not a file
            os.dup2(null.fileno(), descriptor)
