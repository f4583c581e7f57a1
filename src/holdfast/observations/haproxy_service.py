"""What one haproxy reports of its process, its proxies and its configuration, as frozen schemas."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from holdfast.model import Unanswered
from holdfast.observations.haproxy import BY_COMMAND, DRAINED_BY_COMMAND


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProxyServer(_Schema):
    """One server of any backend. ``admin``: the bits of ``srv_admin_state``; ``up``: it is used, by its checks.

    ``configured_weight`` is that of the configuration, ``weight`` the present one.
    """

    backend: str
    name: str
    up: bool
    admin: int
    weight: int
    configured_weight: int

    @property
    def place(self) -> str:
        """Its name in commands."""
        return f"{self.backend}/{self.name}"

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that give it the state that commands have given it; none where it is as configured."""
        state = "maint" if self.admin & BY_COMMAND else "drain" if self.admin & DRAINED_BY_COMMAND else ""  # fmt: skip
        weight = "" if self.weight == self.configured_weight else f"weight {self.weight}"
        words = (f"state {state}" if state else "", weight)
        return tuple(f"set server {self.place} {word}" for word in words if word)


class HaproxyFigures(_Schema):
    """What a baseline has of a haproxy, as JSON: its process, and what leads where.

    ``open``: frontends that take sessions. ``up``: servers in use, as ``BACKEND/SERVER``. ``restore``: the
    commands that give servers back what commands had given them.
    """

    pid: int
    uptime: int
    sessions: int
    open: tuple[str, ...]
    up: tuple[str, ...]
    restore: tuple[str, ...]


class HaproxyService(_Schema):
    """The process that answers on the stats socket, and what it leads where.

    ``uptime``: for how many seconds it has run. ``sessions`` are open now. ``frontends``: whether each takes new ones.
    ``old``: per process that was replaced and still runs, its open sessions; Unanswered where that is not told.
    """

    host: str
    pid: int
    uptime: int
    sessions: int
    frontends: Mapping[str, bool]
    servers: tuple[ProxyServer, ...]
    old: Mapping[int, int] | Unanswered

    @property
    def figures(self) -> HaproxyFigures:
        """What later readings are compared with."""
        return HaproxyFigures(
            pid=self.pid,
            uptime=self.uptime,
            sessions=self.sessions,
            open=tuple(sorted(name for name, is_open in self.frontends.items() if is_open)),
            up=tuple(sorted(each.place for each in self.servers if each.up)),
            restore=tuple(command for each in self.servers for command in each.commands),
        )


class ConfigurationCheck(_Schema):
    """What ``haproxy -c`` said of the files that the running process was started with.

    ``can_reload``: whether the unit has a command for that; None where it was not asked.
    """

    files: tuple[str, ...]
    rc: int
    output: str
    can_reload: bool | None = None


ConfigurationChecks = Mapping[str, ConfigurationCheck | Unanswered]
"""Per host what haproxy says of its configuration, or why there is no answer."""
