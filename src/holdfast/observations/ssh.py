"""What SSH servers show of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShownKeys:
    """The host keys behind a name, as ``seen_from`` saw them: per address types and keys, none where it is silent."""

    name: str
    seen_from: str
    addresses: Mapping[str, Sequence[tuple[str, str]]]
