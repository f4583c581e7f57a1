"""How the management API is asked: what counts as an answer, and the message when there is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

import pytest

from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json
from holdfast.probes.rabbitmq import management
from holdfast.probes.rabbitmq.cluster import probe_cluster
from holdfast.probes.rabbitmq.drain import probe_drain
from holdfast.probes.rabbitmq.management import NODES
from holdfast.probes.rabbitmq.queues import probe_queues, queues_of
from holdfast.probes.rabbitmq.quorum import probe_quorum
from holdfast.probes.rabbitmq.site import brokers_of
from holdfast.report.remedies import remedy_for
from tests.unit.probes.rabbitmq.recorded_brokers import (
    USER,
    RecordedShell,
    Routes,
    cluster,
    context_of,
    node,
    recorded,
)

WRONG = "planted-and-wrong"
RUNNING = '{"name":"rabbit@ctl1","running":true}'


def answers(routes: Routes | None, *paths: str, **variables: object) -> Mapping[str, Json]:
    with node(routes) as port:
        context = context_of({"ctl1": port}, RecordedShell({}), **variables)
        return management.ask(brokers_of(context)["ctl1"], *paths)


def refusal(routes: Routes | None, **variables: object) -> str:
    with pytest.raises(CannotTell) as raised:
        answers(routes, "nodes", **variables)
    assert WRONG not in repr(raised.value)
    return str(raised.value)


def test_all_paths_are_answered() -> None:
    routes = {"vhosts": (200, '[{"name":"/"}]'), "queues/%2F": (200, "[]")}
    assert answers(routes, "vhosts", "queues/%2F") == {"vhosts": [{"name": "/"}], "queues/%2F": []}


def test_a_failed_check_is_an_answer() -> None:
    found = answers({"health/checks/alarms": (503, '{"status":"failed"}')}, "health/checks/alarms")
    assert found == {"health/checks/alarms": {"status": "failed"}}


def test_a_list_that_occurs_twice_counts_as_what_both_have() -> None:
    """Seen on 3.10.8 and 4.0.5 after a drain, in either order."""
    body = '[{"online":["a","b"],"name":"q","online":["b","c"]}]'
    assert answers({"queues": (200, body)}, "queues") == {
        "queues": [{"online": ["b"], "name": "q"}]
    }


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ({}, "404 from ctl1's management API"),
        ({"nodes": (500, "{}")}, "500 from ctl1's management API"),
        ({"nodes": (503, "{}")}, "503 from ctl1's management API"),  # a proxy's, not a check's
        ({"nodes": (200, "<html>")}, "invalid JSON"),
        ({"nodes": (200, "{}")}, "answered /api/nodes in another shape than expected"),
        ({"nodes": (200, "[]")}, "at least 1 item"),
        ({"nodes": (200, "[[]]")}, "another shape than expected: 0: "),
        ({"nodes": (200, '[{"name":"rabbit@ctl1"}]')}, "0.running: Field required"),
        ({"nodes": (200, f"[{RUNNING},{RUNNING}]")}, "rabbit@ctl1 listed more than once"),
        (None, "Connection refused"),
    ],
)
def test_without_an_answer_the_cause_is_reported(routes: Routes | None, message: str) -> None:
    assert message in refusal(routes)


def test_a_wrong_password_is_named_and_not_shown() -> None:
    message = refusal({"nodes": (200, "[]")}, rabbitmq_management_password=WRONG)
    assert message.startswith("401 from ctl1's management API")
    assert USER in message
    expected = f"rabbitmqctl authenticate_user {USER}; then correct rabbitmq_management_password"
    assert expected in remedy_for(message, "site")


@pytest.mark.parametrize(
    ("status", "reason", "remedy"),
    [
        (401, "Not monitor user", f"on a broker: rabbitmqctl set_user_tags {USER} monitoring"),
        (401, "Not management user", f"on a broker: rabbitmqctl set_user_tags {USER} monitoring"),
        (401, "User not authorised to access virtual host", f"on a broker: rabbitmqctl list_user_permissions {USER}"),
        (403, "", f"on a broker: rabbitmqctl list_user_permissions {USER}"),
    ],
)  # fmt: skip
def test_who_was_refused_and_what_is_missing_is_named(
    status: int, reason: str, remedy: str
) -> None:
    message = refusal({"nodes": (status, json.dumps({"reason": reason}))})
    assert f"rabbitmq_management_user {USER!r}" in message
    assert remedy_for(message, "site") == remedy


def test_a_node_that_hangs_costs_its_own_answer_only() -> None:
    hangs = threading.Event()
    with node(recorded("4.0", "healthy")["http"]["ctl1"]) as healthy, node(None, hangs) as stuck:
        ports = {"ctl1": healthy, "ctl2": stuck}
        views = probe_cluster(context_of(ports, RecordedShell({}), rabbitmq_answer_seconds=0.5))
    assert list(views.answered) == ["ctl1"]
    assert "gave no answer to /api/nodes in 0.5 s" in views.silent["ctl2"]


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert answers({"queues": (200, "[]")}, "queues") == {"queues": []}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "answers without TLS: set rabbitmq_management_scheme: http"),
        ({"rabbitmq_management_ca_file": "no/such.pem"}, "rabbitmq_management_ca_file no/such.pem"),
    ],
)
def test_https_needs_a_certificate_and_its_authority(
    variables: dict[str, str], message: str
) -> None:
    https = {"rabbitmq_management_scheme": "https", **variables}
    assert message in refusal({"nodes": (200, "[]")}, **https)


def test_the_next_node_is_asked_for_the_queues() -> None:
    with cluster("3.10", "stopped") as (context, _):
        assert probe_queues(context).host == "ctl2"


def test_queues_that_the_user_may_not_see_are_an_error() -> None:
    """The list over all virtual hosts would omit them without an error (3.10.8, 4.0.5)."""
    denied = '{"error":"not_authorised","reason":"User not authorised to access virtual host"}'
    routes = {**recorded("3.10", "healthy")["http"]["ctl1"], queues_of("holdfast"): (401, denied)}
    with node(routes) as port, pytest.raises(CannotTell) as raised:
        probe_queues(context_of({"ctl1": port}, RecordedShell({})))
    assert "/api/queues/holdfast: User not authorised to access virtual host" in str(raised.value)


def test_a_user_without_the_monitoring_tag_is_an_error() -> None:
    """It would be shown only its own connections, without an error; the list of nodes is refused."""
    routes = {
        **recorded("4.0", "drained")["http"]["ctl2"],
        NODES: (401, '{"reason":"Not monitor user"}'),
    }
    with node(routes) as port:
        drain = probe_drain(context_of({"ctl1": 1, "ctl2": port}, RecordedShell({})), "ctl1")
    assert "Not monitor user" in drain.silent["ctl2"]
    assert drain.login_refused


def test_without_any_answer_every_cause_is_in_the_message() -> None:
    with cluster("3.10", "healthy", rabbitmq_management_password=WRONG) as (context, _):
        with pytest.raises(CannotTell) as raised:
            probe_queues(context)
        views, quorum = probe_cluster(context), probe_quorum(context, "ctl1")
        causes = views.silent
    assert raised.value.login_refused
    assert (views.login_refused, quorum.login_refused) == (True, True)
    assert all(f"401 from {host}'s" in str(raised.value) for host in ("ctl1", "ctl2", "ctl3"))
    assert all(cause.startswith("401") for cause in causes.values())


def test_a_wrong_variable_is_named_and_its_value_not_shown() -> None:
    context = context_of({"ctl1": 1}, RecordedShell({}), rabbitmq_management_password=[WRONG])
    with pytest.raises(InvalidInput) as raised:
        probe_cluster(context)
    assert "rabbitmq_management_password" in str(raised.value)
    assert WRONG not in str(raised.value)


def test_the_recordings_have_a_list_that_occurs_twice() -> None:
    """Otherwise that rule would not be tested with a real answer."""
    _, body = recorded("3.10", "drained")["http"]["ctl2"][queues_of("/")]
    assert body.count('"online":') > sum("online" in queue for queue in json.loads(body))


@pytest.mark.parametrize("address", ["::FFFF:127.0.0.1", "[::FFFF:127.0.0.1]"])
def test_an_ipv6_address_may_be_written_in_upper_case_and_in_brackets(address: str) -> None:
    found = answers({"queues": (200, "[]")}, "queues", ansible_host=address)
    assert found == {"queues": []}
