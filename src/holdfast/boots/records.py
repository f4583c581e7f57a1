"""The records of boot tests: one file each in the state directory, written before the first server is asked for.

A test that died can be cleaned up from its record, or from the servers' names and metadata alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from holdfast.boots.model import BootTest
from holdfast.errors import InvalidInput, StateUnusable


@dataclass(frozen=True, slots=True)
class Records:
    """The records in ``directory``."""

    directory: Path

    def write(self, test: BootTest) -> None:
        """Write a test's record in place of its older one, whole or not at all.

        Raises:
            StateUnusable: it cannot be written.
        """
        path = self.path(test.id)
        fresh = path.with_suffix(".new")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8") as file:
                file.write(test.model_dump_json(by_alias=True))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise StateUnusable(
                f"{path} cannot be written: {error.strerror}", remedy="make it writable"
            ) from None

    def read(self, test: str) -> BootTest | None:
        """Return a test's record, None where there is none.

        Raises:
            StateUnusable: it cannot be read.
        """
        path = self.path(test)
        try:
            return BootTest.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateUnusable(f"{path} cannot be read: {error.strerror}") from None
        except ValidationError:
            raise StateUnusable(
                f"{path} is damaged, or was written by another version of Holdfast",
                remedy=f"mv {path} {path}.unreadable",
            ) from None

    def find(self, name: str) -> str:
        """Return the id of the only record that ends with ``name``, or ``name`` where it is a whole id.

        Raises:
            InvalidInput: it is the end of several.
        """
        if name in (known := list(self.ids())):
            return name
        found = [each for each in known if each.endswith(name)]
        if len(found) > 1:
            raise InvalidInput(f"{name} is the end of several ids: {', '.join(found)}")
        return found[0] if found else name

    def last(self, test: BootTest) -> BootTest | None:
        """Return the newest test of the same site that ended by itself, of those before this one.

        Raises:
            StateUnusable: a record cannot be read.
        """
        records = [record for each in self.ids() if (record := self.read(each)) is not None]
        before = [
            each
            for each in records
            if each.site == test.site
            and each.began < test.began
            and each.ended is not None
            and not each.stopped
        ]
        return max(before, key=lambda each: each.began, default=None)

    def ids(self) -> Iterator[str]:
        """Yield the id of each record."""
        yield from (path.stem for path in self.directory.glob("*.json"))

    def path(self, test: str) -> Path:
        """Return the file of a test.

        Raises:
            InvalidInput: this can be no id.
        """
        if not test or "/" in test or test.startswith("."):
            raise InvalidInput(f"{test!r} is no id of a boot test")
        return self.directory / f"{test}.json"
