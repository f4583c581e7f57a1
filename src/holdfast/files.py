"""Whether a file is there, and what is in a directory: an answer, or an error that says why it cannot be told."""

from __future__ import annotations

import fnmatch
import shlex
from pathlib import Path

from holdfast.errors import InvalidInput


def exists(path: Path) -> bool:
    """Return whether there is a file or directory of this name.

    Raises:
        InvalidInput: that cannot be told, such as where a directory above it may not be looked into.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _closed(path, error) from error
    return True


def entries(directory: Path, pattern: str = "*") -> list[Path]:
    """Return what is in a directory and fits the pattern, in the order of names; nothing where there is none.

    Raises:
        InvalidInput: it cannot be read. What is in it would be missing, and nobody would be told.
    """
    try:
        found = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _closed(directory, error) from error
    return [path for path in found if fnmatch.fnmatchcase(path.name, pattern)]


def who_may(path: Path) -> str:
    """Return the command that shows who may look at a path: each directory above it counts."""
    return f"see who may: namei -l {shlex.quote(str(path))}"


def _closed(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(f"{path} cannot be read: {error.strerror}", remedy=who_may(path))
