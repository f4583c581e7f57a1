"""What SSH servers show of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ShownKeys:
    """The host keys behind a name, as ``seen_from`` saw them: per address types and keys, none where it is silent."""

    name: str
    seen_from: str
    addresses: Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class SshLogin:
    """How a login with a test key ended: ``in`` with one; else ssh's own words, and what they are known to mean."""

    outcome: Literal["in", "refused", "another_key", "none"]
    said: str = ""


@dataclass(frozen=True, slots=True)
class SshLogins:
    """The logins of one user to every address behind a name (``USER@NAME``), tried from ``seen_from``."""

    login: str
    seen_from: str
    addresses: Mapping[str, SshLogin]
