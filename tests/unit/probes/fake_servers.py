"""The servers of a fake nova: asked for, built a step at each look, listed in pages, deleted a look later."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.model import Json
from holdfast.probes.nova.api_answers import FLAVORS, LIMITS, SERVER_NAMES, SERVERS, SERVICES
from tests.unit.probes.fake_nova import FakeNova, Reply, Request

FLAVOR = {"id": "f-1", "name": "m1.tiny", "vcpus": 1, "ram": 64}
IMAGE = "5f9c7a0e-3f7f-4c9e-8a51-1213a1213b00"

Fate = tuple[str, Json]
"""A server's last status, and its fault (None without one)."""


def active(_: str) -> Fate:
    return "ACTIVE", None


@dataclass
class FakeServers:
    """What nova keeps of servers. ``fate`` says by a server's name how it ends, ``looks`` after how many lists.

    ``refuses`` answers a request for a server in its place where it returns something. ``unanswered`` names servers
    that are made while the client gets a gateway's error. ``never_goes``: servers that stay in deletion.
    """

    nova: FakeNova
    computes: tuple[str, ...] = ("cmp1", "cmp2", "cmp3")
    fate: Callable[[str], Fate] = active
    looks: int = 2
    refuses: Callable[[str], Reply | None] = lambda _: None
    unanswered: Callable[[str], bool] = lambda _: False
    never_goes: Callable[[str], bool] = lambda _: False
    disabled: dict[str, str] = field(default_factory=dict)
    silent_cell: bool = False
    page: int = 2
    quota: dict[str, int] = field(default_factory=dict)
    servers: dict[str, Json] = field(default_factory=dict)
    deletions: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.nova.routes |= {
            SERVICES: self._services,
            SERVER_NAMES: self._create,
            SERVERS: self._list,
            FLAVORS: (200, {"flavors": [FLAVOR]}),
            LIMITS: self._limits,
        }

    def add(self, name: str, metadata: dict[str, str], status: str = "ACTIVE") -> str:
        """Make a server as somebody else's request would; return its id."""
        server = str(uuid.uuid4())
        self.servers[server] = {
            "id": server,
            "name": name,
            "status": status,
            "OS-EXT-STS:task_state": None,
            "metadata": metadata,
            "looks": 0,
        }
        self.nova.routes[f"{SERVER_NAMES}/{server}"] = self._one
        return server

    def _services(self, _: Request) -> Reply:
        entries: list[Json] = []
        for number, host in enumerate(self.computes):
            entry = {"id": str(number), "binary": "nova-compute", "host": host, "state": "up"}
            status = "disabled" if host in self.disabled else "enabled"
            entries.append({**entry, "status": status, "disabled_reason": self.disabled.get(host)})
        if self.silent_cell:
            entries.append({"binary": "nova-compute", "host": "far1", "status": "UNKNOWN"})
        return 200, {"services": entries}

    def _limits(self, _: Request) -> Reply:
        most = {"maxTotalInstances": -1, "maxTotalCores": -1, "maxTotalRAMSize": -1}
        used = {"totalInstancesUsed": 0, "totalCoresUsed": 0, "totalRAMUsed": 0}
        return 200, {"limits": {"absolute": {**most, **used, **self.quota}}}

    def _create(self, request: Request) -> Reply:
        wanted = request.body["server"]
        if fault := self._fault(request, wanted):
            return 400, {"badRequest": {"code": 400, "message": fault}}
        with self._lock:
            self.asked.append(wanted["name"])
            if refusal := self.refuses(wanted["name"]):
                return refusal
            server = self.add(wanted["name"], wanted["metadata"], "BUILD")
            self.servers[server]["OS-EXT-STS:task_state"] = "scheduling"
        if self.unanswered(wanted["name"]):
            return 504, "<html>Gateway Timeout</html>"
        return 202, {"server": {"id": server, "links": []}}

    def _fault(self, request: Request, wanted: Json) -> str:
        if request.method != "POST":
            return "there is no such method"
        if request.headers["OpenStack-API-Version"] != "compute 2.74":  # before, no `host`
            return "Additional properties are not allowed ('host' was unexpected)"
        if wanted["host"] not in self.computes:
            return f"Compute host {wanted['host']} could not be found."
        known = (wanted["flavorRef"], wanted["imageRef"]) == (FLAVOR["id"], IMAGE)
        return "" if known else "Can not find requested image"

    def _list(self, request: Request) -> Reply:
        with self._lock:
            pattern, marker = request.query.get("name", ""), request.query.get("marker")
            if marker is None:
                self._advance()
            found = [each for each in self.servers.values() if re.search(pattern, each["name"])]
            ids = [each["id"] for each in found]
            rest = found[ids.index(marker) + 1 :] if marker in ids else found
            listed = [_without_lost_fault(each) for each in rest[: self.page]]
            more = {"servers_links": [{"rel": "next"}]} if len(rest) > self.page else {}
            return 200, {"servers": listed, **more}

    def _advance(self) -> None:
        for server in list(self.servers.values()):
            server["looks"] += 1
            if server["OS-EXT-STS:task_state"] == "deleting":
                if not self.never_goes(server["name"]):
                    del self.servers[server["id"]]
            elif server["status"] == "BUILD" and server["looks"] >= self.looks:
                status, fault = self.fate(server["name"])
                task = "spawning" if status == "BUILD" else None
                server |= {"status": status, "OS-EXT-STS:task_state": task}
                if fault is not None:
                    server["fault"] = {"code": 500, "created": "2026-11-21T23:04:00Z", **fault}

    def _one(self, request: Request) -> Reply:
        server = request.path.rpartition("/")[2]
        with self._lock:
            if request.method == "GET":
                found = self.servers.get(server)
                return (200, {"server": found}) if found else (404, {"itemNotFound": {}})
            if request.method != "DELETE":
                return 405, {}
            self.deletions.append(server)
            if server not in self.servers:
                return 404, {"itemNotFound": {"code": 404, "message": "no such instance"}}
            self.servers[server]["OS-EXT-STS:task_state"] = "deleting"
        return 204, None


def _without_lost_fault(server: Json) -> Json:
    """Return a server as lists have it: nova 26 lists no fault of one that never had a host (cell0)."""
    lost = server.get("fault", {}).get("message", "").startswith("No valid host")
    return {name: value for name, value in server.items() if not (lost and name == "fault")}
