"""``KeptError``: what a thread beside the driver raised, kept for whoever has to know of it."""

from __future__ import annotations


class KeptError:
    """``with kept:`` ends the block at an error and keeps it in ``error``: no thread ends in silence."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> None:
        """Begin; nothing is to be prepared."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, Exception):
            self.error = error
        return isinstance(error, Exception)
