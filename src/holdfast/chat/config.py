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
    ValidationError,
    model_validator,
)

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.people import Name, People, PeopleSection
from holdfast.runbook.model import ApprovalPolicy
from holdfast.settings import read_config
from holdfast.text import did_you_mean

Names = Annotated[tuple[Name, ...], Field(min_length=1)]
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


class Config(PeopleSection):
    """The file of ``holdfast chat serve --config``; ``people`` are added to those of the project."""

    transports: Annotated[dict[Name, dict[str, Json]], Field(min_length=1)]
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

    def joined_by(self, people: People) -> Config:
        """Return this configuration with the project's people as well.

        Raises:
            ValueError: an id is two people's, or a role names nobody.
        """
        every = {name: (*people.get(name, ()), *self.people.get(name, ())) for name in people}
        joined = PeopleSection(people={**self.people, **every}).people
        for grant in self.roles:
            for name in grant.people:
                if name not in joined:
                    raise ValueError(
                        f"roles: there is no person {name!r}; {did_you_mean(name, joined)}"
                    )
        return self.model_copy(update={"people": joined})

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
        sites = list(self.sites)
        for grant in self.roles:
            yield from (("site", name, sites) for name in grant.sites)
        for rule in self.approvals:
            yield from (("site", name, sites) for name in rule.sites)
        channels = [site.channel for site in self.sites.values()] + [self.log]
        for channel in filter(None, channels):
            yield "transport", channel.transport, list(self.transports)


def load_config(path: Path, people: People | None = None) -> Config:
    """Read the file; ``people`` are the project's.

    Raises:
        InvalidInput: it cannot be read, or something in it is wrong; names the key, never a value.
    """
    remedy = "see docs/chat.md"
    config = read_config(
        path, Config, unreadable="--config FILE; docs/chat.md describes it", wrong=remedy
    )
    try:
        return config.joined_by(people or {})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidInput(f"{path}: people: {first['msg']}", remedy=remedy) from None
    except ValueError as error:
        raise InvalidInput(f"{path}: {error}", remedy=remedy) from None


def _among(name: str, names: tuple[str, ...]) -> bool:
    return EVERY in names or name in names
