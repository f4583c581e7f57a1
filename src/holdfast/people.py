"""Who people are: a name, and every immutable id of theirs; a login in a terminal is one of them.

Two ids are two people only where both are known. An id that is in nobody's list may be anybody's, also
that of somebody who is known under another one: it never counts as another person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictStr, model_validator

Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
Id = Annotated[StrictStr, Field(pattern=r"^[a-z]+:\S+$", max_length=255)]
Ids = Annotated[tuple[Id, ...], Field(min_length=1)]
People = Mapping[str, tuple[str, ...]]
"""The ids of each person, by name: ``slack:T1/U2``, ``matrix:@ada:example.org``, ``login:ada``."""


class PeopleSection(BaseModel):
    """The section ``people`` of a file: nobody's id is also another's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: dict[Name, Ids] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ids_are_one_persons(self) -> PeopleSection:
        owners: dict[str, str] = {}
        for name, ids in self.people.items():
            for each in ids:
                if owners.setdefault(each, name) != name:
                    raise ValueError(f"{each} is both {owners[each]} and {name}")
        return self


@dataclass(frozen=True, slots=True)
class Approvers:
    """``people`` are all who are known; ``names`` those who may approve, None for all of them."""

    people: People = field(default_factory=dict)
    names: tuple[str, ...] | None = None

    def ids(self) -> dict[str, list[str]]:
        """Return the ids of those who may approve, by name."""
        names = self.people if self.names is None else self.names
        return {name: list(self.people[name]) for name in names if name in self.people}


def person_of(people: Mapping[str, tuple[str, ...] | list[str]], by: str) -> str:
    """Return the name of the person who has the id ``by``, a login without ``login:`` included; "" for nobody's."""
    sought = by if ":" in by else f"login:{by}"
    return next((name for name, ids in people.items() if sought in ids), "")
