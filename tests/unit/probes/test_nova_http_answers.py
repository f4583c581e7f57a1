"""How the API and the metadata service of each host are asked."""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from holdfast.errors import CannotTell, InvalidInput
from holdfast.judges.nova.answers import api_answers, metadata_from_computes
from holdfast.model import Json
from holdfast.observations.nova import ApiReplies, HttpReply, MetadataReplies
from holdfast.probes.base import ProbeContext
from holdfast.probes.connections import Connect, directly
from holdfast.probes.nova.answers import (
    METADATA_PATH,
    _spread,
    probe_apis,
    probe_metadata,
    probe_metadata_from,
)
from holdfast.report.remedies import remedy_for
from tests.unit.probes.fake_nova import FakeNova, Reply, Request, closed_port_url, running_nova
from tests.unit.probes.shells import NoShell

SECRET = "planted-shared-secret"  # noqa: S105 - planted, to be looked for


@pytest.fixture
def nova() -> Iterator[FakeNova]:
    with running_nova() as nova:
        nova.routes["/"] = 200, {"versions": ["latest"]}
        nova.routes["/v2.1/servers"] = 200, {"servers": []}
        yield nova


def api(nova: FakeNova, **changed: str) -> dict[str, Json]:
    return {**nova.login(), "nova_api_url": nova.url, **changed}


def metadata(nova: FakeNova, **changed: str) -> dict[str, Json]:
    return {"nova_metadata_url": nova.url, **changed}


def ask_apis(hosts: Mapping[str, dict[str, Json]]) -> Mapping[str, ApiReplies]:
    return probe_apis(ProbeContext("ctl1", {"nova_api": list(hosts)}, hosts, NoShell()))


def ask_metadata(hosts: Mapping[str, dict[str, Json]]) -> Mapping[str, MetadataReplies]:
    return probe_metadata(ProbeContext("ctl1", {"nova_metadata": list(hosts)}, hosts, NoShell()))


def test_every_api_is_asked_directly(nova: FakeNova) -> None:
    url = closed_port_url()
    found = ask_apis({"ctl1": api(nova), "ctl2": api(nova, nova_api_url=url)})
    assert found["ctl1"] == ApiReplies(HttpReply(200), HttpReply(200))
    assert found["ctl2"].root.status == 0
    assert "refused" in found["ctl2"].root.cause
    assert found["ctl2"].call is None


def test_no_proxy_of_the_environment_is_used(
    nova: FakeNova, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be asked instead of the host, and would be sent keystone's password."""
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask_apis({"ctl1": api(nova)})["ctl1"] == ApiReplies(HttpReply(200), HttpReply(200))
    assert ask_metadata({"ctl1": metadata(nova)})["ctl1"].root.status


def test_an_api_whose_root_answers_may_fail_the_call(nova: FakeNova) -> None:
    nova.routes["/v2.1/servers"] = 500, {}
    assert ask_apis({"ctl1": api(nova)})["ctl1"] == ApiReplies(HttpReply(200), HttpReply(500))


def test_whose_call_was_refused_is_in_the_reply_and_in_the_verdict(nova: FakeNova) -> None:
    nova.routes["/v2.1/servers"] = 403, {}
    found = ask_apis({"ctl1": api(nova)})
    assert found["ctl1"].login_refused
    message = api_answers("nova.api_answers", found).message
    assert "GET /servers was answered 403: nova_auth_username '" in message
    assert remedy_for(message, "site").startswith("openstack role assignment list --names --user ")


def test_without_a_token_the_call_is_not_made(nova: FakeNova) -> None:
    wrong = api(nova, nova_auth_password="planted-and-wrong")  # noqa: S106 - planted, to be looked for
    found = ask_apis({"ctl1": wrong, "ctl2": wrong})
    assert found["ctl2"].root == HttpReply(200)
    assert found["ctl2"].call is None
    assert found["ctl2"].login_refused
    assert "login refused (401): nova_auth_username '" in found["ctl2"].no_token
    assert nova.logins == 1
    assert "planted" not in repr(found)


def check_signature(request: Request) -> Reply:
    instance = request.headers.get("X-Instance-ID")
    if instance is None:
        return 400, {}
    right = hmac.new(SECRET.encode(), instance.encode(), hashlib.sha256).hexdigest()
    return (404 if request.headers["X-Instance-ID-Signature"] == right else 403), {}


@pytest.mark.parametrize(("secret", "status"), [(SECRET, 404), ("planted-other-secret", 403)])
def test_metadata_requests_are_signed_as_neutron_signs_them(
    nova: FakeNova, secret: str, status: int
) -> None:
    nova.routes[METADATA_PATH] = check_signature
    found = ask_metadata({"ctl1": metadata(nova, nova_metadata_shared_secret=secret)})
    assert found["ctl1"] == MetadataReplies(
        HttpReply(200), (HttpReply(400), HttpReply(status)), known=False
    )
    assert "planted" not in repr(nova.requests)


def test_a_known_instance_is_asked_for_by_its_project(nova: FakeNova) -> None:
    nova.routes[METADATA_PATH] = check_signature
    site = metadata(
        nova,
        nova_metadata_shared_secret=SECRET,
        nova_metadata_instance="i-1",
        nova_metadata_project="p-1",
    )
    assert ask_metadata({"ctl1": site})["ctl1"].known
    assert nova.requests[-1].headers["X-Instance-ID"] == "i-1"
    assert nova.requests[-1].headers["X-Tenant-ID"] == "p-1"


def test_without_a_secret_only_the_root_is_asked(nova: FakeNova) -> None:
    found = ask_metadata({"ctl1": metadata(nova)})
    assert found["ctl1"] == MetadataReplies(HttpReply(200), None, known=False)
    assert [each.path for each in nova.requests] == ["/"]


def test_metadata_is_asked_from_computes_and_the_secret_stays_here(nova: FakeNova) -> None:
    """The way of an instance's request begins at its compute; a compute that is not reached proves nothing."""
    nova.routes["/"] = lambda _: (200, {"versions": ["latest"]})
    nova.routes[METADATA_PATH] = lambda r: (404 if "X-Instance-ID" in r.headers else 400, {})
    opened: list[str] = []

    def look_from(host: str) -> Connect:
        def connect(*where: Any) -> socket.socket:
            opened.append(host)
            if host == "cmp2":
                raise CannotTell("cmp2 is unreachable: no route")
            return directly(*where)

        return connect

    groups = {"nova_compute": ["cmp1", "cmp2"], "nova_metadata": ["ctl1"]}
    site = {"ctl1": metadata(nova, nova_metadata_shared_secret=SECRET)}
    context = ProbeContext("cmp1", groups, site, NoShell(), look_from=look_from)

    found = probe_metadata_from(context, (), 3)

    assert set(opened) == {"cmp1", "cmp2"}
    assert metadata_from_computes("c", {"ctl1 from cmp1": found["ctl1 from cmp1"]}).passed
    verdict = metadata_from_computes("c", found)
    assert (verdict.outcome, verdict.hosts) == ("UNKNOWN", {})
    assert "cmp2 is unreachable: no route" in verdict.message
    assert SECRET not in repr([each.headers for each in nova.requests])
    with pytest.raises(InvalidInput, match="cmp9: not in the inventory's group nova_compute"):
        probe_metadata_from(context, ("cmp9",), 3)


def test_the_computes_that_are_asked_from_are_spread() -> None:
    hosts = [f"cmp{number}" for number in range(1, 11)]
    assert list(_spread(hosts, 3)) == ["cmp1", "cmp4", "cmp7"]
    assert list(_spread(hosts[:2], 3)) == ["cmp1", "cmp2"]
