"""The configuration of chat: which platforms and channels, who people are, who may do what.

Owns the shape of the file and its errors. People are told apart by immutable ids alone; a name here
is what messages show. Sections under ``transports`` belong to their transports.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.runbook.model import ApprovalPolicy
from holdfast.settings import read_config
from holdfast.text import did_you_mean

Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]
Id = Annotated[StrictStr, Field(pattern=r"^[a-z]+:\S+$", max_length=255)]
EVERY = "*"
Which = Annotated[tuple[Annotated[StrictStr, Field(min_length=1)], ...], Field(min_length=1)]


class StrictModel(BaseModel):
    """Takes no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Role(StrEnum):
    """What somebody may do. An operator or approver may also do what a viewer may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


class Channel(StrictModel):
    """A channel of one platform, by the platform's own id for it."""

    transport: Name
    channel: Annotated[StrictStr, Field(min_length=1)]


class _Selection(StrictModel):
    """Sites and runbooks by name, or ``*`` for all."""

    sites: Which
    runbooks: Which = (EVERY,)

    def covers(self, site: str, runbook: str) -> bool:
        """Return whether both are included; an empty runbook stands for any."""
        return _among(site, self.sites) and (not runbook or _among(runbook, self.runbooks))


class RoleGrant(_Selection):
    """These people have this role there."""

    role: Role
    people: Names


class ApprovalRule(_Selection, ApprovalPolicy):
    """Runs there need an approval first: by ``count`` people, within ``deadline_seconds``."""

    deadline_seconds: Annotated[StrictInt, Field(ge=1)] = 900


class SiteConfig(StrictModel):
    """A site that chat may use, by the name it calls itself (``holdfast_site``).

    ``inventory`` is its directory under inventories/ where that has another name; ``channel`` is
    where runs from a terminal are posted.
    """

    inventory: Name | None = None
    channel: Channel | None = None


class Rates(StrictModel):
    """``commands`` a person may give in ``seconds``; progress is edited every ``edit_seconds``."""

    commands: Annotated[StrictInt, Field(ge=1)] = 20
    seconds: Annotated[StrictInt, Field(ge=1)] = 60
    edit_seconds: Annotated[StrictInt, Field(ge=1)] = 5


class Config(StrictModel):
    """The file of ``holdfast chat serve --config``."""

    transports: Annotated[dict[Name, dict[str, Json]], Field(min_length=1)]
    people: dict[Name, Annotated[tuple[Id, ...], Field(min_length=1)]]
    roles: tuple[RoleGrant, ...]
    sites: Annotated[dict[Name, SiteConfig], Field(min_length=1)]
    approvals: tuple[ApprovalRule, ...] = ()
    log: Channel | None = None
    rates: Rates = Rates()

    @model_validator(mode="after")
    def _names_exist(self) -> Config:
        for kind, name, known in self._named():
            if name != EVERY and name not in known:
                raise ValueError(f"there is no {kind} {name!r}; {did_you_mean(name, known)}")
        return self

    @model_validator(mode="after")
    def _ids_are_one_persons(self) -> Config:
        owners: dict[str, str] = {}
        for name, ids in self.people.items():
            for person in ids:
                if owners.setdefault(person, name) != name:
                    raise ValueError(f"{person} is both {owners[person]} and {name}")
        return self

    def require_runbooks(self, known: Collection[str]) -> None:
        """Return only if every runbook that is named exists: a rule with a typo would never apply.

        Raises:
            InvalidInput: there is not.
        """
        rules: dict[str, Sequence[_Selection]] = {"roles": self.roles, "approvals": self.approvals}
        named = ((key, name) for key in rules for rule in rules[key] for name in rule.runbooks)
        for key, name in named:
            if name != EVERY and name not in known:
                raise InvalidInput(
                    f"{key}: there is no runbook {name!r}; {did_you_mean(name, known)}",
                    remedy="holdfast runbooks",
                )

    def _named(self) -> Iterator[tuple[str, str, list[str]]]:
        people, sites = list(self.people), list(self.sites)
        for grant in self.roles:
            yield from (("person", name, people) for name in grant.people)
            yield from (("site", name, sites) for name in grant.sites)
        for rule in self.approvals:
            yield from (("site", name, sites) for name in rule.sites)
        channels = [site.channel for site in self.sites.values()] + [self.log]
        for channel in filter(None, channels):
            yield "transport", channel.transport, list(self.transports)


def load_config(path: Path) -> Config:
    """Read the file.

    Raises:
        InvalidInput: it cannot be read, or something in it is wrong; names the key, never a value.
    """
    return read_config(
        path,
        Config,
        unreadable="--config FILE; docs/chat.md describes it",
        wrong="see docs/chat.md",
    )


def _among(name: str, names: tuple[str, ...]) -> bool:
    return EVERY in names or name in names
