"""A cluster whose statistics are switched off, as 3.10.8 and 4.0.5 answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.observations.rabbitmq import ClientLoad, ClusterViews
from holdfast.probes.base import ProbeContext
from holdfast.probes.rabbitmq.cluster import probe_clients
from holdfast.probes.rabbitmq.drain import probe_drain
from holdfast.probes.rabbitmq.load import ROOM, TOTALS, probe_load
from holdfast.probes.rabbitmq.management import (
    CONNECTIONS,
    NAMED_CONNECTIONS,
    NODES,
    OVERVIEW,
    STATISTICS,
)
from holdfast.probes.rabbitmq.queues import probe_depths
from tests.unit.probes.rabbitmq.recorded_brokers import RecordedShell, context_of, node

CLIENT = {"name": "127.0.0.1:47452 -> 127.0.0.1:5672", "node": "rabbit@ctl1"}
LINK = {"name": "<rabbit@ctl1.1795709592.2700.0>", "node": "rabbit@ctl1"}  # of a federation
COUNTS = "queues/%2F?columns=name,consumers,messages_ready"
TOOL = "rabbitmqctl --quiet -n rabbit@ctl1 -t 10 list_queues --formatter json -p / name consumers messages_ready"


def routes() -> dict[str, tuple[int, str]]:
    totals = {"queues": 1, "exchanges": 7, "connections": 0}  # of statistics that are not kept
    overview = {"rabbitmq_version": "3.10.8", "node": "rabbit@ctl1", "object_totals": totals}
    answers = {
        NODES: [{"name": "rabbit@ctl1", "running": True, "being_drained": False}],
        OVERVIEW: overview,
        STATISTICS: {"rabbitmq_version": "3.10.8", "disable_stats": True},
        "health/checks/alarms": {"status": "ok"},
        CONNECTIONS: [{"node": "rabbit@ctl1"}, {"node": "rabbit@ctl1"}],
        NAMED_CONNECTIONS: [CLIENT, LINK],
        "vhosts": [{"name": "/"}],
        "vhosts?columns=name": [{"name": "/"}],
        COUNTS: [{"name": "orders"}],
        ROOM: [{"name": "rabbit@ctl1", "running": True}],
        TOTALS: {"rabbitmq_version": "3.10.8", "disable_stats": True, "object_totals": totals},
    }
    return {path: (200, json.dumps(answer)) for path, answer in answers.items()}


@contextmanager
def broker() -> Iterator[tuple[ProbeContext, RecordedShell]]:
    counted = json.dumps([{"name": "orders", "consumers": 2, "messages_ready": 0}])
    shell = RecordedShell({TOOL: (0, counted, "")})
    with node(routes()) as port:
        yield context_of({"ctl1": port}, shell), shell


def test_messages_are_not_counted_rather_than_none() -> None:
    with broker() as (context, _):
        load = probe_load(context)
    assert (load.ready, load.unacknowledged, load.unread_replies) == (None, None, None)


@pytest.mark.parametrize(("queue", "ready"), [("orders", None), ("holdfast.round-trip.ctl1.7", 0)])
def test_a_queue_of_our_own_is_none_whose_messages_are_missing(
    queue: str, ready: int | None
) -> None:
    """On a cluster without other queues the node has no totals, and a round trip is under way in most readings."""
    answers = routes()
    answers[TOTALS] = (200, json.dumps({"rabbitmq_version": "3.10.8", "queue_totals": {}}))
    answers[COUNTS] = (200, json.dumps([{"name": queue}]))
    with node(answers) as port:
        load = probe_load(context_of({"ctl1": port}, RecordedShell({})))
    assert (load.ready, load.unacknowledged) == (ready, ready)


def test_clients_are_counted_from_the_list_of_connections() -> None:
    with broker() as (context, _):
        views = probe_clients(context)
    assert isinstance(views, ClusterViews)
    assert views.answered["ctl1"].load == ClientLoad(connections=1, churn=None)


def test_a_link_of_the_broker_is_no_client_of_a_drained_node() -> None:
    with node(routes()) as port:
        asked = context_of({"ctl1": port, "ctl2": port}, RecordedShell({}))
        assert probe_drain(asked, "ctl1").connections == 1


def test_consumers_are_counted_by_a_command() -> None:
    with broker() as (context, shell):
        depths = probe_depths(context, {"orders": 1}, of_nova=False, vhost="/")
    ((queue, depth),) = depths.queues.items()
    assert (queue.name, depth.consumers, depth.ready) == ("orders", 2, 0)
    assert shell.commands == [TOOL]
