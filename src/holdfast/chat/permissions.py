"""Who somebody is and what they may do: by immutable id, from the configuration, and nothing else."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from holdfast.chat.config import Config, Rates, Role
from holdfast.chat.transport import Person
from holdfast.errors import Refused
from holdfast.runbook import ApprovalPolicy
from holdfast.text import join_names

_KEYS = 10_000
"""Strangers can have as many ids as they like; our memory cannot."""


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the configuration, speaking as ``id``; ``ids`` are all that are theirs.

    Words in the journal are given as one id; whether two of them are one person's word is decided
    by ``ids`` (a login at the console can be among them, as ``login:ada``).
    """

    name: str
    id: str
    ids: frozenset[str]

    def is_one(self, by: str) -> bool:
        """Whether what the journal calls ``by`` is this person: an id of theirs, or a login."""
        return by in self.ids or f"login:{by}" in self.ids


class NotAllowed(Refused):
    """This person may not do this here."""


class Permissions:
    """Answers from the configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._members = {
            person: Member(name, person, frozenset(ids))
            for name, ids in config.people.items()
            for person in ids
        }

    def member(self, person: Person) -> Member | None:
        """Who this is; None for strangers, and for whoever the platform does not vouch for."""
        return self._members.get(person.id) if person.id else None

    def named(self, by: str) -> str:
        """Say who did something: the name in the configuration with the id, or the id alone."""
        known = self._members.get(by)
        return f"{known.name} ({by})" if known else by

    def require(self, member: Member, role: Role, site: str, runbook: str) -> None:
        """Return only if the member has the role there; every role includes the viewer's.

        Raises:
            NotAllowed: they have not.
        """
        roles = self._roles(member, site, runbook)
        if role in roles or (role is Role.VIEWER and roles):
            return
        others = join_names(self.people(role, site, runbook))
        raise NotAllowed(
            f"{member.name} is no {role} of {runbook or 'anything'} at {site}",
            remedy=f"ask one of: {others}"
            if others
            else "nobody is: see roles in the configuration",
        )

    def sees(self, member: Member, site: str, runbook: str) -> bool:
        """Whether the member has any role there."""
        return bool(self._roles(member, site, runbook))

    def people(self, role: Role, site: str, runbook: str) -> list[str]:
        """The names of those who have the role there."""
        grants = (g for g in self._config.roles if g.role is role and g.covers(site, runbook))
        return sorted({name for grant in grants for name in grant.people})

    def asked(self, site: str, runbook: str) -> ApprovalPolicy | None:
        """The approval without which no run begins there: of several rules, the strictest."""
        rules = [rule for rule in self._config.approvals if rule.covers(site, runbook)]
        if not rules:
            return None
        return ApprovalPolicy(
            count=max(rule.count for rule in rules),
            by_others=any(rule.by_others for rule in rules),
            deadline_seconds=min(rule.deadline_seconds for rule in rules),
        )

    def _roles(self, member: Member, site: str, runbook: str) -> set[Role]:
        return {
            grant.role
            for grant in self._config.roles
            if member.name in grant.people and grant.covers(site, runbook)
        }


@dataclass
class RateLimit:
    """At most so many events for each key in a span of time; remembers the keys used last."""

    rates: Rates
    clock: Callable[[], datetime]
    _events: OrderedDict[str, deque[datetime]] = field(default_factory=OrderedDict)

    def allows(self, key: str, most: int = 0, span: timedelta | None = None) -> bool:
        """Count an event of this key, unless there were too many; the rates are those of commands."""
        most, span = most or self.rates.commands, span or timedelta(seconds=self.rates.seconds)
        now = self.clock()
        events = self._events.setdefault(key, deque())
        self._events.move_to_end(key)
        while len(self._events) > _KEYS:
            self._events.popitem(last=False)
        while events and now - events[0] >= span:
            events.popleft()
        if len(events) >= most:
            return False
        events.append(now)
        return True
