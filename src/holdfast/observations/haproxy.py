"""What each haproxy reports of the servers behind the database's address, as frozen schemas."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from holdfast.model import Unanswered
from holdfast.observations.galera import GaleraViews

MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20 | 0x40
"""Bits of ``srv_admin_state``: taken out by a command, by another server's, by the configuration, or for its name."""
BY_COMMAND, DRAINED_BY_COMMAND = 0x01, 0x08
DRAINING = 0x08 | 0x10


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HaproxyServer(_Schema):
    """One server of the backend. ``up``: its checks pass. ``admin``: the bits of ``srv_admin_state``.

    ``sessions`` are open now, also where it takes no new ones. ``backup``: it is used where no other server is up.
    ``configured_weight``: that of the configuration, which a reload brings back.
    """

    name: str
    up: bool
    admin: int
    backup: bool
    weight: int
    sessions: int
    configured_weight: int = 1

    @property
    def in_maintenance(self) -> bool:
        """Whether it gets no new sessions and its checks are off."""
        return bool(self.admin & MAINTENANCE)

    @property
    def takes_sessions(self) -> bool:
        """Whether it could get new ones, if it is its turn."""
        return self.up and not self.in_maintenance and not self.admin & DRAINING and self.weight > 0

    @property
    def as_configured(self) -> HaproxyServer:
        """This server without what commands have changed; its checks then begin with its being up."""
        if not self.admin & (BY_COMMAND | DRAINED_BY_COMMAND):
            return self.model_copy(update={"weight": self.configured_weight})
        admin = self.admin & ~(BY_COMMAND | DRAINED_BY_COMMAND)
        return self.model_copy(
            update={"admin": admin, "up": True, "weight": self.configured_weight}
        )


class HaproxyState(_Schema):
    """One haproxy's backend, servers in the order of its configuration.

    With ``option allbackups`` all backups get sessions at once; haproxy does not report it, so only sessions show it.
    """

    servers: tuple[HaproxyServer, ...]

    @property
    def elected(self) -> tuple[str, ...]:
        """The servers that get new sessions: all that are up and no backups, else the first backup that is up."""
        return elected(self.servers)


def elected(servers: tuple[HaproxyServer, ...]) -> tuple[str, ...]:
    """Return the names of the servers that haproxy gives new sessions to."""
    able = [each for each in servers if each.takes_sessions]
    first = [each.name for each in able if not each.backup]
    return tuple(first or [each.name for each in able][:1])


class WriterViews(_Schema):
    """Who takes writes, by each haproxy and by the nodes' own connections.

    ``servers``: per host of the inventory the name of its server in haproxy. ``not_writers``: accounts whose
    connections say nothing about writes, such as a monitor's.
    """

    backend: str
    servers: Mapping[str, str]
    haproxies: Mapping[str, HaproxyState | Unanswered]
    nodes: GaleraViews
    not_writers: tuple[str, ...] = ()

    @property
    def answered(self) -> Mapping[str, HaproxyState]:
        """Per haproxy that answered, its state."""
        return {h: each for h, each in self.haproxies.items() if isinstance(each, HaproxyState)}

    @property
    def silent(self) -> Mapping[str, str]:
        """Per haproxy that did not answer, the cause."""
        return {h: each.cause for h, each in self.haproxies.items() if isinstance(each, Unanswered)}

    def host_of(self, server: str) -> str:
        """Return the inventory's host of a server, or "" where none has it."""
        return next((host for host, name in self.servers.items() if name == server), "")

    def clients_of(self, host: str) -> Mapping[str, int]:
        """Return the connections on a node that may write; none where it did not answer."""
        node = self.nodes.answered.get(host)
        clients = node.clients if node else {}
        return {
            who: count
            for who, count in clients.items()
            if who.partition("@")[0] not in self.not_writers
        }
