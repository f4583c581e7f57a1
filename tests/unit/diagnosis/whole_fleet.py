"""A fleet as its probes see it, all well; a case changes what a fault changes, and the real judges judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from holdfast.claims import bind_claim
from holdfast.diagnosis import Diagnoses, diagnose
from holdfast.diagnosis.model import DeadRun, Findings
from holdfast.journal.events import journaled
from holdfast.model import Json, Observation, Unanswered
from holdfast.nova_services import binary_of
from holdfast.observations.nova import (
    ApiReplies,
    ExpectedService,
    FleetUnits,
    HttpReply,
    ListedService,
    MetadataReplies,
    RpcAnswers,
    RpcReplies,
    ServiceList,
)
from holdfast.observations.processes import Login, Peer, ServiceProcess
from holdfast.observations.rabbitmq import ClusterViews, NodeView, RoundTrip
from holdfast.observations.systemd import UnitState

NOW = datetime(2026, 11, 21, 0, 31, 0, tzinfo=UTC)
BROKERS = ("ctl1", "ctl2", "ctl3")
COMPUTES = ("cmp1", "cmp2", "cmp3")
HOSTS = (*BROKERS, *COMPUTES)
SERVICES = [
    *[(service, host) for service in ("conductor", "scheduler") for host in BROKERS],
    *[("compute", host) for host in COMPUTES],
]
SAME = Login("brokers", "user", "password")


def node(host: str) -> str:
    """Return a node's name."""
    return f"rabbit@{host}"


def _unit(host: str, name: str) -> UnitState:
    return UnitState(
        host,
        f"{name}.service",
        "loaded",
        "active",
        "running",
        "notify",
        "success",
        "a" * 32,
        0,
        9000.0,
    )


def _process(service: str, host: str) -> ServiceProcess:
    peers = () if service == "rabbitmq-server" else (Peer("ctl1:5672", established=True),)
    return ServiceProcess(
        service, _unit(host, service), "enabled", states=("S",), peers=peers, login=SAME
    )


def _expected(service: str, host: str) -> ExpectedService:
    return ExpectedService(service, host, host)


@dataclass
class Fleet:
    """What every probe observes, by the name of the observation."""

    views: dict[str, NodeView | Unanswered] = field(default_factory=dict)
    trips: dict[str, RoundTrip] = field(default_factory=dict)
    processes: dict[str, ServiceProcess | Unanswered] = field(default_factory=dict)
    listed: dict[str, ListedService] = field(default_factory=dict)
    replies: dict[str, RpcReplies] = field(default_factory=dict)
    api: dict[str, ApiReplies] = field(default_factory=dict)
    dead: list[DeadRun] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)
    others: list[dict[str, Json]] = field(default_factory=list)  # verdicts on other systems
    services: Sequence[tuple[str, str]] = tuple(SERVICES)  # of nova: service and host

    def __post_init__(self) -> None:
        """Let everything be well."""
        nodes = frozenset(map(node, BROKERS))
        for host in BROKERS:
            self.views[host] = NodeView(
                version="3.10.8", node=node(host), members=nodes, running=nodes
            )
            self.trips[host] = RoundTrip(ok=True, seconds=0.02)
            self.processes[f"rabbitmq-server on {host}"] = _process("rabbitmq-server", host)
            self.api[host] = ApiReplies(HttpReply(200), HttpReply(200))
            for service in ("nova-api", "nova-metadata"):
                self.processes[f"{service} on {host}"] = _process(service, host)
        for service, host in self.services:
            name = _expected(service, host).name
            self.processes[name] = _process(binary_of(service), host)
            self.listed[name] = ListedService(
                binary_of(service),
                host,
                "enabled",
                "up",
                "2026-11-21T00:30:55",
                "",
                forced_down=False,
                id=name,
            )
            self.replies[name] = RpcReplies(3, 3)

    # --- what a fault changes -------------------------------------------------------------------

    def process(self, name: str) -> ServiceProcess:
        """Return what a host says of a service."""
        found = self.processes[name]
        assert isinstance(found, ServiceProcess)
        return found

    def change(self, name: str, **unit: Json) -> None:
        """Change the unit of a service; one that does not run has no process and no connection."""
        process = self.process(name)
        runs = unit.get("active_state", "active") == "active"
        more: dict[str, Json] = {} if runs else {"states": (), "peers": ()}
        self.processes[name] = replace(process, unit=replace(process.unit, **unit), **more)

    def tell(self, name: str, **found: Json) -> None:
        """Change what a host says of a service beside its unit."""
        self.processes[name] = replace(self.process(name), **found)

    def silence(self, *names: str, beat: str = "2026-11-21T00:25:00") -> None:
        """Let services answer no call and report no more."""
        for name in names:
            self.replies[name] = RpcReplies(3)
            self.listed[name] = replace(self.listed[name], state="down", updated_at=beat)

    def every_client(self) -> list[str]:
        """Return the names of all services that take calls."""
        return list(self.listed)

    def view(self, host: str, **changes: Json) -> None:
        """Change a broker's view of the cluster."""
        view = self.views[host]
        assert isinstance(view, NodeView)
        self.views[host] = view.model_copy(update=changes)

    # --- what is made of it ---------------------------------------------------------------------

    def observations(self) -> dict[str, Observation]:
        """Return what is observed for each claim."""
        cluster = ClusterViews(expected={host: node(host) for host in BROKERS}, views=self.views)
        brokers = {n: each for n, each in self.processes.items() if n.startswith("rabbitmq")}
        others = {n: each for n, each in self.processes.items() if n not in brokers}
        expected = [_expected(*each) for each in self.services]
        services = ServiceList(expected, list(self.listed.values()))
        units = partial(self._units)
        about_cluster = ("members_agree", "none_left_drained", "no_alarms", "no_partitions")
        found: dict[str, Observation] = {
            "rabbitmq.processes_run": brokers,
            "nova.processes_connected": others,
            **{f"rabbitmq.{name}": cluster for name in about_cluster},
            "rabbitmq.units_stay_up": units(brokers),
            "rabbitmq.amqp_round_trip": self.trips,
            "nova.services_up": services,
            "nova.units_stay_up": FleetUnits(units(others), services),
            "nova.none_left_disabled": services,
            "nova.rpc_answers": RpcAnswers(
                {_expected(*each): self.replies[_expected(*each).name] for each in self.services},
                services,
            ),
            "nova.api_answers": self.api,
            "nova.metadata_answers": dict.fromkeys(
                BROKERS, MetadataReplies(HttpReply(200), (HttpReply(400), HttpReply(404)))
            ),
        }
        return found | {name: Unanswered(cause) for name, cause in self.unanswered.items()}

    def _units(self, processes: dict[str, ServiceProcess | Unanswered]) -> dict[str, Json]:
        return {
            name: each if isinstance(each, Unanswered) else each.unit
            for name, each in processes.items()
        }

    def verdicts(self) -> list[dict[str, Json]]:
        """Return what the judges say, as a check has it from its journal: it names no host that is healthy."""
        asked = {n: each for n, each in self.observations().items() if n not in self.unasked}
        judged = [journaled(bind_claim(name).judge([seen])) for name, seen in asked.items()]
        return [*judged, *self.others]

    def fail(self, claim: str, message: str, outcome: str = "FAIL") -> None:
        """Let a claim about another system not pass."""
        self.others.append(
            {"claim": claim, "outcome": outcome, "reason": "", "message": message, "evidence": {}}
        )

    def diagnoses(self) -> Diagnoses:
        """Return the diagnosis of the whole fleet."""
        found = Findings(self.verdicts(), NOW, HOSTS, self.messages, self.dead, "inventories/lab")
        return diagnose(found)
