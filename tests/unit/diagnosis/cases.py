"""The on-call cases: faults as the probes of a whole fleet see them, each with the first line that is expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from holdfast.diagnosis import kinds
from holdfast.diagnosis.model import DeadRun, Kind
from holdfast.model import Unanswered
from holdfast.observations.nova import ApiReplies, HttpReply, RpcReplies
from holdfast.observations.processes import Complaint, Login, Peer
from holdfast.observations.rabbitmq import NodeFigures, RoundTrip
from tests.unit.diagnosis.whole_fleet import BROKERS, COMPUTES, Fleet, node

SILENT = RoundTrip(ok=False, stage="login", how="silent", cause="no answer in 5 s")


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, its first line, and the kinds of all causes that are named."""

    name: str
    plant: Callable[[Fleet], None]
    line: str
    kinds: tuple[Kind, ...]


def _frozen_broker(fleet: Fleet) -> None:
    fleet.tell("rabbitmq-server on ctl2", states=("T",))
    fleet.trips["ctl2"] = SILENT
    for host in ("ctl1", "ctl3"):  # each waits for the frozen one (seen on 3.10.8)
        fleet.trips[host] = SILENT.model_copy(update={"stage": "declare", "cause": "timed out"})
    for host in BROKERS:
        cause = f"{host}'s management API gave no answer to /api/nodes in 5 s"
        fleet.views[host] = Unanswered(cause)
    fleet.silence(*fleet.every_client())
    fleet.tell("nova-compute on cmp1", peers=())


def _packet_filter(fleet: Fleet) -> None:
    fleet.silence("nova-compute on cmp2")
    attempts = (Peer("ctl1:5672", established=False, attempted=True),)
    heard = {"unreachable": Complaint(7, 3.0)}
    fleet.tell("nova-compute on cmp2", peers=attempts, complaints=heard)


def _drained(fleet: Fleet) -> None:
    fleet.views["ctl3"] = Unanswered("ctl3's management API (10.0.0.3:15672): Connection refused")
    fleet.trips["ctl3"] = RoundTrip(
        ok=False, stage="connect", how="refused", cause="Connection refused"
    )
    for host in ("ctl1", "ctl2"):
        fleet.view(host, maintenance=frozenset({node("ctl3")}))


def _watermark(fleet: Fleet) -> None:
    own = NodeFigures(
        mem_used=300_000_000,
        mem_limit=2_500_000,
        disk_free=50_000_000_000,
        disk_free_limit=50_000_000,
    )
    usual = own.model_copy(update={"mem_limit": 7_000_000_000})
    figures = {node("ctl1"): own, node("ctl2"): usual, node("ctl3"): usual}
    for host in BROKERS:
        fleet.view(host, alarms=(f"memory on {node('ctl1')}",), figures=figures)
        fleet.trips[host] = RoundTrip(
            ok=False, stage="publish", how="silent", cause="publishers are blocked"
        )
    fleet.silence(*(f"nova-compute on {host}" for host in COMPUTES))


def _conductor_and_scheduler(fleet: Fleet) -> None:
    fleet.change("nova-conductor on ctl1", active_state="inactive", sub_state="dead")
    fleet.tell("nova-conductor on ctl1", stopped_for=300.0)
    fleet.tell("nova-scheduler on ctl2", states=("T", "T"))
    fleet.silence("nova-conductor on ctl1", "nova-scheduler on ctl2")


def _flapping(fleet: Fleet) -> None:
    fleet.change("nova-scheduler on ctl3", restarts=14, age=6.0)


def _dead_run(fleet: Fleet) -> None:
    entry = fleet.listed["nova-compute on cmp1"]
    reason = "holdfast:20261121-0001-nova-restart-k3f9"
    fleet.listed["nova-compute on cmp1"] = replace(entry, status="disabled", disabled_reason=reason)
    left = "cmp1: not restarted; left drained by this run"
    run = DeadRun(
        "20261121-0001-nova-restart-k3f9",
        "nova-restart",
        ("cmp1",),
        (left,),
        "its driver is gone, and no process of its plays runs",
    )
    fleet.dead.append(run)


def _healed_partition(fleet: Fleet) -> None:
    fleet.view(
        "ctl1",
        running=frozenset({node("ctl1"), node("ctl2")}),
        partitions=frozenset({node("ctl3")}),
    )
    fleet.view(
        "ctl2",
        running=frozenset({node("ctl1"), node("ctl2")}),
        partitions=frozenset({node("ctl3")}),
    )
    fleet.view(
        "ctl3",
        running=frozenset({node("ctl3")}),
        partitions=frozenset({node("ctl1"), node("ctl2")}),
    )
    fleet.silence("nova-compute on cmp3")


def _masked(fleet: Fleet) -> None:
    fleet.change(
        "nova-compute on cmp3", active_state="inactive", sub_state="dead", load_state="masked"
    )
    fleet.tell("nova-compute on cmp3", unit_file="masked", stopped_for=125.0)
    fleet.silence("nova-compute on cmp3")


def _wrong_password(fleet: Fleet) -> None:
    fleet.tell(
        "nova-compute on cmp2",
        peers=(),
        complaints={"refused": Complaint(40, 2.0), "unreachable": Complaint(3, 2.0)},
        login=Login("brokers", "user", "another"),
    )
    fleet.silence("nova-compute on cmp2")


def _refused_at_start(fleet: Fleet) -> None:
    _wrong_password(fleet)
    fleet.change("nova-compute on cmp2", active_state="inactive", sub_state="dead")
    fleet.tell("nova-compute on cmp2", complaints={"refused": Complaint(2, 400.0)})


def _refused_again_and_again(fleet: Fleet) -> None:
    _wrong_password(fleet)
    fleet.change("nova-compute on cmp2", active_state="activating", sub_state="start", restarts=10)
    fleet.tell("nova-compute on cmp2", states=("S",), complaints={})
    fleet.tell("nova-compute on cmp2", earlier={"refused": Complaint(20, 9.0)})


def _wrong_account_of_the_site(fleet: Fleet) -> None:
    for host in BROKERS:
        text = f"401 from {host}'s management API to /api/nodes: Not_Authorized (rabbitmq_management_user 'monitoring')"
        fleet.views[host] = Unanswered(text)


def _deaf(fleet: Fleet) -> None:
    fleet.replies["nova-compute on cmp1"] = RpcReplies(3)


def _lost_queue(fleet: Fleet) -> None:
    fleet.replies["nova-compute on cmp1"] = RpcReplies(3, no_queue=True)


def _disk_alarm(fleet: Fleet) -> None:
    own = NodeFigures(
        mem_used=300_000_000,
        mem_limit=7_000_000_000,
        disk_free=20_000_000,
        disk_free_limit=50_000_000,
    )
    for host in BROKERS:
        alarms = (f"disk space on {node('ctl3')}",)
        fleet.view(host, alarms=alarms, figures={node("ctl3"): own})


def _no_database(fleet: Fleet) -> None:
    for host in BROKERS:
        for service in ("nova-conductor", "nova-scheduler"):
            fleet.tell(f"{service} on {host}", complaints={"database": Complaint(12, 1.0)})
        fleet.api[host] = ApiReplies(HttpReply(200), HttpReply(500))
    for name in ("nova.services_up", "nova.none_left_disabled"):
        fleet.unanswered[name] = "no API host of nova answered: ctl1: 500 for /os-services"
    fleet.silence(*(f"nova-compute on {host}" for host in COMPUTES))


def _skewed(fleet: Fleet) -> None:
    fleet.tell("nova-compute on cmp2", skew=-94.0)
    fleet.listed["nova-compute on cmp2"] = replace(
        fleet.listed["nova-compute on cmp2"], state="down"
    )


def _full(fleet: Fleet) -> None:
    fleet.tell("nova-compute on cmp1", full="/var/log/nova")
    fleet.silence("nova-compute on cmp1")


def _unreached(fleet: Fleet) -> None:
    fleet.processes["nova-compute on cmp2"] = Unanswered(
        "cmp2 is unreachable: Connection timed out"
    )
    fleet.silence("nova-compute on cmp2")


def _broker_stopped(fleet: Fleet) -> None:
    fleet.change(
        "rabbitmq-server on ctl2", active_state="failed", sub_state="failed", result="exit-code"
    )
    fleet.tell("rabbitmq-server on ctl2", status=1)
    for host in ("ctl1", "ctl3"):
        fleet.view(host, running=frozenset({node("ctl1"), node("ctl3")}))
    fleet.views["ctl2"] = Unanswered("ctl2's management API (10.0.0.2:15672): Connection refused")
    fleet.trips["ctl2"] = RoundTrip(
        ok=False, stage="connect", how="refused", cause="Connection refused"
    )


def _cut_off(fleet: Fleet) -> None:
    fleet.tell(
        "nova-compute on cmp2", peers=(Peer("ctl3:5672", established=True, unacknowledged=6),)
    )
    fleet.silence("nova-compute on cmp2")


def _wedged(fleet: Fleet) -> None:
    fleet.trips["ctl1"] = SILENT
    fleet.silence(*fleet.every_client())


def _wedged_under_restarts(fleet: Fleet) -> None:
    """Services that were restarted meanwhile wait in their start for a broker that answers (seen on 3.10.8)."""
    _wedged(fleet)
    for host in COMPUTES:
        name = f"nova-compute on {host}"
        fleet.change(name, active_state="activating", sub_state="start")


def _wedged_with_clients_waiting(fleet: Fleet) -> None:
    """A listener's queue that nobody empties is full after 128 clients: the kernel takes no more (seen on 3.10.8)."""
    for host in BROKERS:
        fleet.trips[host] = SILENT.model_copy(update={"stage": "connect", "cause": "timed out"})
        fleet.tell(f"rabbitmq-server on {host}", waiting={5672: 129})
        fleet.change(f"nova-conductor on {host}", restarts=2, age=34.0)
        fleet.change(f"nova-scheduler on {host}", active_state="activating", sub_state="start")
    fleet.silence(*fleet.every_client())


def _starting(fleet: Fleet) -> None:
    fleet.change("nova-compute on cmp1", active_state="activating", sub_state="start")
    fleet.silence("nova-compute on cmp1")


def _recovering(fleet: Fleet) -> None:
    entry = fleet.listed["nova-compute on cmp2"]
    fleet.listed["nova-compute on cmp2"] = replace(
        entry, state="down", updated_at="2026-11-21T00:29:48"
    )


def _taken_out(fleet: Fleet) -> None:
    entry = fleet.listed["nova-compute on cmp3"]
    repaired = replace(entry, status="disabled", state="down", disabled_reason="new disk")
    fleet.listed["nova-compute on cmp3"] = repaired
    fleet.replies["nova-compute on cmp3"] = RpcReplies(3)
    fleet.change("nova-compute on cmp3", active_state="inactive", sub_state="dead")


def _well(_: Fleet) -> None:
    """Leave everything as it is."""


CASES: tuple[Case, ...] = (
    Case(
        "a frozen broker",
        _frozen_broker,
        "ctl2: rabbitmq-server is frozen (process state T): it accepts connections and says "
        "nothing; ctl1 and ctl3 wait for it",
        (kinds.FROZEN_BROKER,),
    ),
    Case(
        "a packet filter in front of one compute",
        _packet_filter,
        "cmp2: nova-compute runs and has no connection to a broker: no answer from ctl1:5672 "
        "(SYN-SENT); its log: AMQP server "
        "unreachable, 7 log lines, the last 3 s ago: a packet filter, a route or a wrong address",
        (kinds.UNCONNECTED,),
    ),
    Case(
        "a node left drained",
        _drained,
        "ctl3: its broker is left drained (in maintenance): it runs and takes no clients",
        (kinds.DRAINED,),
    ),
    Case(
        "a watermark set to nothing",
        _watermark,
        "ctl1: memory alarm (used 0.3 GB of a limit of 0.0025 GB; ctl2's limit is 7 GB): it blocks "
        "every publisher of the cluster",
        (kinds.ALARM,),
    ),
    Case(
        "a stopped conductor beside a frozen scheduler",
        _conductor_and_scheduler,
        "2 causes: ctl2: nova-scheduler is frozen (process state T); ctl1: nova-conductor is not "
        "running: it was stopped, or ended by itself without an error, 5 min 00 s ago",
        (kinds.FROZEN, kinds.STOPPED),
    ),
    Case(
        "a flapping scheduler",
        _flapping,
        "ctl3: nova-scheduler is flapping: systemd has restarted it 14 times, the last time 6 s ago",
        (kinds.FLAPPING,),
    ),
    Case(
        "a dead run with a host in hand",
        _dead_run,
        "cmp1: in hand of a dead run, 20261121-0001-nova-restart-k3f9 (nova-restart): its driver is gone",
        (kinds.DEAD_RUN,),
    ),
    Case(
        "a healed partition",
        _healed_partition,
        "ctl3: partition: ctl3 went on without ctl1 and ctl2; restart ctl3: it is the smaller "
        "side; the larger has the newest messages",
        (kinds.PARTITION,),
    ),
    Case(
        "a masked unit",
        _masked,
        "cmp3: nova-compute is masked and not running, so nothing may start it, since 2 min 05 s",
        (kinds.MASKED,),
    ),
    Case(
        "a wrong broker password",
        _wrong_password,
        "cmp2: nova-compute is refused by the brokers (ACCESS_REFUSED, 40 log lines, the last 2 s "
        "ago): the password in its nova.conf "
        "is not that of cmp1",
        (kinds.REFUSED,),
    ),
    Case(
        "a wrong broker password at a restart",
        _refused_at_start,
        "cmp2: nova-compute has ended, refused by the brokers (ACCESS_REFUSED, 2 log lines, the last 400 s ago): "
        "the password in its nova.conf is not that of cmp1",
        (kinds.REFUSED,),
    ),
    Case(
        "a wrong broker password, started again and again",
        _refused_again_and_again,
        "cmp2: nova-compute has ended, refused by the brokers (ACCESS_REFUSED, 20 log lines, the last 9 s ago): "
        "the password in its nova.conf is not that of cmp1",
        (kinds.REFUSED,),
    ),
    Case(
        "a wrong account of the site",
        _wrong_account_of_the_site,
        "the site's login is refused: 401 from ctl1's management API to /api/nodes: Not_Authorized "
        "(rabbitmq_management_user 'monitoring')",
        (kinds.ACCOUNT,),
    ),
    Case(
        "a deaf service with a live connection",
        _deaf,
        "cmp1: nova-compute runs, is connected and answered 0 of 3 calls: it is deaf, or a "
        "connection is half open",
        (kinds.DEAF,),
    ),
    Case(
        "a queue that was lost",
        _lost_queue,
        "cmp1: nova-compute has lost its queue on the broker: it runs and gets no calls",
        (kinds.NO_QUEUE,),
    ),
    Case(
        "a disk alarm",
        _disk_alarm,
        "ctl3: disk space alarm (free 0.02 GB, the limit is 0.05 GB): it blocks every publisher of the cluster",
        (kinds.ALARM,),
    ),
    Case(
        "a database that is away",
        _no_database,
        "ctl1, ctl2, ctl3: nova gets no connection to its database (12 log lines, the last 1 s ago)",
        (kinds.DATABASE,),
    ),
    Case(
        "a clock that is behind",
        _skewed,
        "cmp2: nova-compute has a clock that is 94 s behind the controller's",
        (kinds.SKEW,),
    ),
    Case(
        "a full file system",
        _full,
        "cmp1: nova-compute has no space left: the file system of /var/log/nova is full",
        (kinds.FULL,),
    ),
    Case(
        "a host that SSH does not reach",
        _unreached,
        "cmp2: the host itself does not answer Holdfast: Connection timed out",
        (kinds.UNREACHABLE,),
    ),
    Case(
        "a broker that has failed",
        _broker_stopped,
        "ctl2: rabbitmq-server has failed: result exit-code, exit status 1",
        (kinds.BROKER_DOWN,),
    ),
    Case(
        "a connection that was cut",
        _cut_off,
        "cmp2: nova-compute runs and is cut off: what it sends to ctl3:5672 is not acknowledged "
        "(sent again 6 times): a packet filter, "
        "a route or a wrong address",
        (kinds.UNCONNECTED,),
    ),
    Case(
        "a broker that runs and answers nothing",
        _wedged,
        "ctl1: rabbitmq-server runs and accepts a connection and gives no answer to login",
        (kinds.WEDGED,),
    ),
    Case(
        "a broker that answers nothing while services are restarted",
        _wedged_under_restarts,
        "ctl1: rabbitmq-server runs and accepts a connection and gives no answer to login",
        (kinds.WEDGED,),
    ),
    Case(
        "brokers that take no client while many flap",
        _wedged_with_clients_waiting,
        "ctl1, ctl2, ctl3: rabbitmq-server runs and takes no client, though clients wait for it",
        (kinds.WEDGED,),
    ),
    Case(
        "a service that starts",
        _starting,
        "cmp1: nova-compute is activating (start)",
        (kinds.STARTING,),
    ),
    Case(
        "a service that comes back",
        _recovering,
        "recovering: nova-compute on cmp2, heartbeat 1 min 12 s old, catching up: it answers "
        "calls, and nova lists it as up after its next report",
        (kinds.RECOVERING,),
    ),
    Case(
        "a compute under repair",
        _taken_out,
        "nothing is wrong, without what people took out: nova-compute on cmp3",
        (),
    ),
    Case("nothing", _well, "nothing is wrong: 14 claims passed", ()),
)
