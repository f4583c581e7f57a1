"""Standard output that may go away: a closed terminal or a reader that left must never stop a run."""

from __future__ import annotations

import os
import sys
from typing import IO, TextIO, cast


def fill_closed() -> None:
    """Give standard streams that were closed (cron, ``>&-``) an end that swallows what comes.

    Otherwise the next file that is opened would take their number, and whoever writes to
    "standard output" later, a child process too, would write into it.
    """
    sys.stdin = sys.stdin or _nothing("r")
    sys.stdout = sys.stdout or _nothing("w")
    sys.stderr = sys.stderr or _nothing("w")


def _nothing(mode: str) -> TextIO:
    return cast("TextIO", open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123  # a device, open to the end


class OutputStream:
    """A stream that is written to as long as somebody listens, and silently not any longer."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.gone = False

    def write(self, text: str) -> int:
        """Write, or do nothing once the reader is gone; what the terminal cannot show becomes "?"."""
        if not self.gone:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(text.encode(self.encoding, "replace").decode(self.encoding))
            except OSError:
                self._leave()
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing once the reader is gone."""
        if not self.gone:
            try:
                self._stream.flush()
            except OSError:
                self._leave()

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor below."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        """What characters it takes."""
        return self._stream.encoding

    def text(self) -> IO[str]:
        """This object as the type that rich asks for; it uses the methods above only."""
        return cast("IO[str]", self)

    def _leave(self) -> None:
        """Point the descriptor at nothing, so that the interpreter's last flush does not fail too."""
        self.gone = True
        try:
            descriptor = self._stream.fileno()
        except OSError:
            return
        with open(os.devnull, "w") as nothing:  # noqa: PTH123  # a device, not a path of anybody's
            os.dup2(nothing.fileno(), descriptor)
