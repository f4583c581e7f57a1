"""Nova for the two runners: what its list of services has, and what was done to it, by the list's own record.

The real plays talk to a keystone, a nova and a broker on the loopback. Stories about something else leave out what
asks over RPC. The claims, tasks and conditions of the role are otherwise its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from holdfast.ansible.interfaces import PlayResult
from holdfast.model import Json, Phase
from tests.contract.rpc_broker import running_services
from tests.contract.runner_harness import (
    AnsibleRunnerHarness,
    FakeRunnerHarness,
    PlayStarter,
)
from tests.fakes.fleet import Fault
from tests.unit.probes.fake_nova import FakeNova, Reply, Request, running_nova

HOSTS = ("a", "b", "c")
SERVICES = ("conductor", "scheduler", "compute")
LAYERS = (*SERVICES, "api", "metadata")
# Of the broker only what nova's services answer over it.
WITH_RPC: dict[str, Json] = {"nova_broker_claims": []}
# `heartbeat_advanced` stays.
WITHOUT_RPC: dict[str, Json] = {
    **WITH_RPC,
    "_nova_listed_claims": ["nova.services_up", "nova.api_answers"],
    "_nova_slowest": 0.02,
    "_nova_peer_claims": [],
}
COMPLAINT = (
    "2026-11-21 23:00:00.000 1 ERROR nova.compute.manager oslo_messaging.exceptions.MessagingTimeout:"
    " Timed out waiting for a reply to message ID b\n"
)


class NovaHarness(Protocol):
    """A runner whose hosts a, b and c run all of nova."""

    def play_starter(self) -> PlayStarter: ...
    def disable(self, host: str, reason: str) -> None: ...
    def make_busy(self, host: str) -> None: ...
    def make_deaf(self, service: str, *hosts: str) -> None: ...
    def make_deaf_after_restart(self, service: str, host: str) -> None: ...
    def stop_compute(self, host: str) -> None: ...
    def exchange_addresses(self, one: str, other: str) -> None: ...
    def disabled(self, host: str) -> str: ...
    def changes(self) -> list[tuple[str, str, int]]: ...


class Deafness:
    """Tells of a queue whether its service has lost it; ``since`` has the conditions."""

    def __init__(self) -> None:
        self.since: dict[str, Callable[[], bool]] = {}

    def __call__(self, queue: str) -> bool:
        return queue in self.since and self.since[queue]()


class RealNova:
    """Answers as keystone and nova, and keeps which change was made when so many restarts had happened."""

    def __init__(
        self, path: Path, stub: FakeNova, broker: int = 0, deaf: Deafness | None = None
    ) -> None:
        """``broker``: the port of ``running_services``, which asks ``deaf``."""
        self.harness = AnsibleRunnerHarness(path)
        self._deaf = deaf or Deafness()
        self._entries: dict[str, dict[str, Json]] = {}
        self._beats = 0
        self._busy: set[str] = set()
        self._changes: list[tuple[str, str, int]] = []
        self._serve(stub)
        site = self.harness.site
        groups: Json = {f"nova_{layer}": {"children": {"toys": {}}} for layer in LAYERS}
        (site.path / "nova.yml").write_text(json.dumps(groups))
        for host in HOSTS:
            self._configure(host, host)
        metadata = {"nova_metadata_url": stub.url, "nova_metadata_shared_secret": "s"}
        # Every host has complained before, by a clock that is ahead.
        for host in HOSTS:
            (site.place(host) / "log").write_text(COMPLAINT)
        log = str(site.place("{{ inventory_hostname }}") / "log")
        variables = {
            **stub.login(),
            "nova_api_url": stub.url,
            **metadata,
            **{f"nova_{layer}_log": log for layer in LAYERS},
            "nova_transport_url": f"rabbit://nova:planted@127.0.0.1:{broker}/",
            "holdfast_site": "contract",
            "nova_config_files": [f"{site.path}/.hosts/{{{{ inventory_hostname }}}}/nova.conf"],
        }
        (site.path / "group_vars" / "all.yml").write_text(json.dumps(variables))

    def play_starter(self) -> PlayStarter:
        return PlayStarter(self.harness, service="nova")

    def disable(self, host: str, reason: str) -> None:
        self._entries[f"compute-{host}"] |= {"status": "disabled", "disabled_reason": reason}

    def make_busy(self, host: str) -> None:
        self._busy.add(host)

    def make_deaf(self, service: str, *hosts: str) -> None:
        """Let these lose their queues and go on reporting heartbeats."""
        for host in hosts:
            self._deaf.since[f"{service}.{host}"] = lambda: True

    def make_deaf_after_restart(self, service: str, host: str) -> None:
        self._deaf.since[f"{service}.{host}"] = lambda: self.harness.restarts(host) > 0

    def flap(self, service: str, host: str) -> None:
        """Let systemd have restarted it itself some minutes ago."""
        self.harness.site.flap(host, 300, f"nova-{service}")

    def stop_compute(self, host: str) -> None:
        down = self.harness.site.place(host) / "nova-compute" / "down"
        down.parent.mkdir()
        down.touch()

    def exchange_addresses(self, one: str, other: str) -> None:
        """Let each answer at the other's address; their hostnames are none of the inventory's."""
        self._configure(one, other)
        self._configure(other, one)

    def _configure(self, host: str, name: str) -> None:
        (self.harness.site.place(host) / "nova.conf").write_text(f"[DEFAULT]\nhost = {name}\n")
        self.harness.site.call_itself(host, f"rack-of-{name}")

    def printed(self, text: str) -> bool:
        """Tell whether a task of the plays showed this."""
        events = (self.harness.state_dir / "runs").rglob("job_events/*.json")
        return any(text in path.read_text() for path in events)

    def take_out(self, host: str) -> None:
        """Switch a compute's host off, disabled in nova as people do it."""
        self._entries[f"compute-{host}"] |= {
            "status": "disabled",
            "disabled_reason": "fenced",
            "state": "down",
        }
        self.harness.make_unreachable(host)

    def disabled(self, host: str) -> str:
        return str(self._entries[f"compute-{host}"]["disabled_reason"] or "")

    def changes(self) -> list[tuple[str, str, int]]:
        return self._changes

    def _serve(self, stub: FakeNova) -> None:
        for service in SERVICES:
            for host in HOSTS:
                ident = f"{service}-{host}"
                entry: dict[str, Json] = {
                    "id": ident,
                    "binary": f"nova-{service}",
                    "host": host,
                    "state": "up",
                }
                entry |= {"status": "enabled", "disabled_reason": None, "forced_down": False}
                self._entries[ident] = entry | {"zone": "x"}
                stub.routes[f"/v2.1/os-services/{ident}"] = self._changer(ident, host)
        stub.routes["/v2.1/os-services"] = self._list
        stub.routes["/v2.1/servers/detail"] = self._servers
        stub.routes["/v2.1/os-migrations"] = (200, {"migrations": []})
        stub.routes["/v2.1/servers"] = (200, {"servers": []})
        stub.routes["/"] = (200, {"versions": [], "latest": ""})
        stub.routes["/latest/meta-data/"] = lambda asked: (
            (404 if "X-Instance-ID" in asked.headers else 400),
            {},
        )

    def _list(self, asked: Request) -> Reply:
        self._beats += 1
        beat = f"2026-11-26T12:{self._beats // 60:02d}:{self._beats % 60:02d}.000000"
        entries = [
            entry | {"updated_at": beat}
            for entry in self._entries.values()
            if all(entry[key] == value for key, value in asked.query.items() if key in entry)
        ]
        return 200, {"services": entries}

    def _changer(self, ident: str, host: str) -> Callable[[Request], Reply]:
        def change(asked: Request) -> Reply:
            self._changes.append((host, asked.body["status"], self.harness.restarts(host)))
            self._entries[ident] |= {"disabled_reason": None, **asked.body}
            return 200, {"service": self._entries[ident]}

        return change

    def _servers(self, asked: Request) -> Reply:
        building = {"id": "vm", "status": "BUILD", "OS-EXT-STS:task_state": "spawning"}
        return 200, {"servers": [building] if asked.query["host"] in self._busy else []}


class FakedNova:
    """The same over the fleet in memory."""

    def __init__(self, path: Path) -> None:
        self.harness = FakeRunnerHarness(path)

    def play_starter(self) -> PlayStarter:
        return PlayStarter(self.harness, service="nova")

    def disable(self, host: str, reason: str) -> None:
        self.harness.fleet.hosts[host].drained_by = reason

    def make_busy(self, host: str) -> None:
        self.harness.fleet.never_idle.add(host)

    def make_deaf(self, service: str, *hosts: str) -> None:
        for host in hosts:
            self.harness.fleet.hosts[host].healthy = False

    def make_deaf_after_restart(self, service: str, host: str) -> None:
        self.harness.fleet.faults.append(Fault(host, "unhealthy", before=(host, Phase.VERIFY)))

    def stop_compute(self, host: str) -> None:
        self.harness.fleet.hosts[host].unit("nova-compute").active = False

    def exchange_addresses(self, one: str, other: str) -> None:
        hosts = self.harness.fleet.hosts
        hosts[one].answers_as, hosts[other].answers_as = other, one

    def disabled(self, host: str) -> str:
        by = self.harness.fleet.hosts[host].drained_by
        return f"holdfast:{by}" if by.startswith("contract-") else by

    def changes(self) -> list[tuple[str, str, int]]:
        found, restarts = [], 0
        for event in self.harness.fleet.history:
            restarts += event.action == "restart"
            if event.action in {"drain", "undrain"}:
                state = "disabled" if event.action == "drain" else "enabled"
                found.append((event.host, state, restarts))
        return found


@contextmanager
def nova(kind: str, path: Path) -> Iterator[NovaHarness]:
    """Yield the nova of a runner, ``fake`` or ``real``."""
    if kind == "fake":
        yield FakedNova(path)
        return
    deaf = Deafness()
    with running_nova() as stub, running_services(deaf) as broker:
        yield RealNova(path, stub, broker, deaf)


def roll(
    plays: PlayStarter, layer: str, *batch: str, rpc: bool = False, **given: Json
) -> PlayResult:
    """Run a layer's playbook for a batch; with ``rpc`` its services are called over the broker."""
    variables: dict[str, Json] = {
        "holdfast_batch": list(batch),
        "holdfast_phases": ["preflight", "drain", "restart", "verify", "undrain"],
        "holdfast_done": [],
        "holdfast_sweep": {},
        "holdfast_gate_deadline_seconds": 2,
        "holdfast_poll_seconds": 0,
        "nova_idle_deadline_seconds": 2,
        "nova_stop_timeout_required": False,
        "nova_rpc_response_timeout": 0,
    }
    if not rpc:
        heartbeat = {"claim": "nova.heartbeat_advanced", "service": layer, "host": batch[0]}
        variables["_nova_rpc_answers"] = [heartbeat]
    playbook = f"nova_{layer}_restart.yml"
    return plays.play(playbook, batch, **(variables | (WITH_RPC if rpc else WITHOUT_RPC) | given))
