"""Standard output that may go away: a closed terminal or a reader that left must never stop a run."""

from __future__ import annotations

import os
from typing import IO, TextIO, cast


class Steady:
    """A stream that is written to as long as somebody listens, and silently not any longer."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.gone = False

    def write(self, text: str) -> int:
        """Write, or do nothing once the reader is gone."""
        if not self.gone:
            try:
                return self._stream.write(text)
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
