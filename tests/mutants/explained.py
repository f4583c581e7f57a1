"""Survivors that a person has explained: ``explained.yml``, by file and change, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.mutants.mutations import Mutant

FILE = Path(__file__).with_name("explained.yml")

Key = tuple[str, str, str, str]
"""File, text of the line (its number moves), text before and text after."""


@dataclass(frozen=True, slots=True)
class Explained:
    """Changes that no test needs to see, and which of them were met."""

    changes: frozenset[Key]
    met: set[Key] = field(default_factory=set)

    @classmethod
    def read(cls) -> Explained:
        """Return those of the file."""
        return cls(
            frozenset(
                (entry["file"], change["in"], change["before"], str(after))
                for entry in yaml.safe_load(FILE.read_text()) or []
                for change in entry["changes"]
                for after in change["after"]
            )
        )

    def has(self, file: str, mutant: Mutant) -> bool:
        """Return whether this mutant is explained."""
        key = (file, mutant.text, mutant.before, mutant.after)
        if key in self.changes:
            self.met.add(key)
        return key in self.changes

    def not_met(self, module: str) -> list[str]:
        """Return what is explained of this file and did not survive: it may go."""
        return [
            f"{file}: explained, but seen or gone: {text}: {before} -> {after}"
            for file, text, before, after in sorted(self.changes - self.met)
            if file == module
        ]
