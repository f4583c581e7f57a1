"""Who somebody is and what they may do: by immutable id and the configuration alone."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from holdfast.chat.config import Config, Rates, Role
from holdfast.chat.transport import Person
from holdfast.errors import Refused
from holdfast.people import Approvers, person_of
from holdfast.runbook.model import ApprovalPolicy
from holdfast.text import join_names

_KEYS = 10_000
"""Ids whose events are counted; strangers can have any number of them."""


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the configuration.

    Attributes:
        id: the id that they use now; the journal records it.
    """

    name: str
    id: str


class NotAllowed(Refused):
    """This person may not do this here."""


class Permissions:
    """The roles of the configuration, by person, site and runbook."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._members = {
            person: Member(name, person) for name, ids in config.people.items() for person in ids
        }

    def member(self, person: Person) -> Member | None:
        """Return who this is; None for strangers, and where the platform proves no id."""
        return self._members.get(person.id) if person.id else None

    def display_name(self, by: str) -> str:
        """Return the name in the configuration with the id, or the id alone."""
        name = person_of(self._config.people, by)
        return f"{name} ({by})" if name else by

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
            else "add somebody to roles in the configuration",
        )

    def may_view(self, member: Member, site: str, runbook: str) -> bool:
        """Return whether the member has any role there."""
        return bool(self._roles(member, site, runbook))

    def people(self, role: Role, site: str, runbook: str) -> list[str]:
        """Return the names of those who have the role there."""
        grants = (g for g in self._config.roles if g.role is role and g.covers(site, runbook))
        return sorted({name for grant in grants for name in grant.people})

    def approvers(self, site: str, runbook: str) -> Approvers:
        """Return everybody who is known, and who may approve a run there."""
        names = self.people(Role.APPROVER, site, runbook)
        return Approvers(self._config.people, tuple(names))

    def ids_on(self, transport: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return the ids of these people on one platform: whom a message there can mention."""
        ids = (each for name in names for each in self._config.people.get(name, ()))
        return tuple(each for each in ids if each.startswith(f"{transport}:"))

    def person(self, by: str) -> str:
        """Return the name of the person who has this id, or a login; "" for nobody's."""
        return person_of(self._config.people, by)

    def required_approval(self, site: str, runbook: str) -> ApprovalPolicy | None:
        """Return the approval without which no run begins there: of several rules, the strictest."""
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
        """Count an event of this key and return True, unless there were too many; by default, the commands' rate."""
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
