"""What is asked of nova's API, and what counts as no answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.errors import CannotTell
from holdfast.probes.nova_api import (
    SERVICES,
    ApiSite,
    NoToken,
    first,
    instances_on,
    migrations_of,
    put,
    services,
)
from tests.unit.probes.nova_stub import (
    PASSWORD,
    RECORDED,
    Asked,
    Reply,
    Stub,
    closed_port_url,
    serving,
)

SERVERS, MIGRATIONS = "/v2.1/servers/detail", "/v2.1/os-migrations"


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


def site(stub: Stub, **changed: str) -> ApiSite:
    return ApiSite.model_validate({**stub.login(), "nova_api_url": stub.url, **changed})


def test_services_are_asked_at_a_version_that_names_silent_cells(stub: Stub) -> None:
    stub.routes[SERVICES] = 200, RECORDED["services"]
    listed = services({"ctl1": site(stub)}, host="one")
    assert [entry["binary"] for entry in listed] == [
        "nova-conductor",
        "nova-scheduler",
        "nova-compute",
    ]
    (asked,) = stub.asked
    assert asked.query == {"host": "one"}
    assert asked.headers["OpenStack-API-Version"] == "compute 2.69"
    assert asked.headers["X-Auth-Token"] == "a-token"


def test_one_token_serves_every_host_of_a_gate(stub: Stub) -> None:
    stub.routes[SERVICES] = 200, RECORDED["services"]
    for host in ("ctl1", "ctl2", "ctl3"):
        services({host: site(stub)})
    assert stub.logins == 1


def test_another_host_is_asked_where_one_does_not_answer(stub: Stub) -> None:
    stub.routes[SERVICES] = 200, RECORDED["services"]
    sites = {"ctl1": site(stub, nova_api_url=closed_port_url()), "ctl2": site(stub)}
    assert first(sites, SERVICES, {})[0] == "ctl2"


def test_nobody_answers(stub: Stub) -> None:
    stub.routes[SERVICES] = 500, RECORDED["refused"]
    sites = {"ctl1": site(stub, nova_api_url=closed_port_url()), "ctl2": site(stub)}
    with pytest.raises(CannotTell) as caught:
        services(sites)
    assert "ctl1: " in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert "ctl2: 500 for /v2.1/os-services" in str(caught.value)


def test_a_refused_login_is_said_without_the_password(stub: Stub) -> None:
    wrong = site(stub, nova_auth_password="planted-and-wrong")  # noqa: S106 - planted, to be looked for
    with pytest.raises(NoToken) as caught:
        services({"ctl1": wrong, "ctl2": wrong})
    assert str(caught.value) == f"no token from keystone at {stub.url}/v3: login refused (401)"
    assert stub.logins == 1, "a login that keystone refused was tried again"
    assert not stub.asked
    assert "planted" not in repr(wrong)


def test_a_keystone_that_is_away_is_named(stub: Stub) -> None:
    url = closed_port_url()
    with pytest.raises(NoToken, match=f"no token from keystone at {url}/v3: .*refused"):
        services({"ctl1": site(stub, nova_auth_url=f"{url}/v3")})


def test_instances_of_every_project_are_read_page_by_page(stub: Stub) -> None:
    entries = RECORDED["instances"]["servers"]

    def page(asked: Asked) -> Reply:
        if "marker" not in asked.query:
            return 200, {"servers": entries[:2], "servers_links": [{"rel": "next", "href": "…"}]}
        assert asked.query["marker"] == entries[1]["id"]
        return 200, {"servers": entries[2:]}

    stub.routes[SERVERS] = page
    found = instances_on({"ctl1": site(stub)}, "one")
    assert [each["id"] for each in found] == [each["id"] for each in entries]
    assert all(a.query["all_tenants"] == "1" and a.query["host"] == "one" for a in stub.asked)


def test_migrations_are_paged_by_their_uuid(stub: Stub) -> None:
    entries = RECORDED["migrations"]["migrations"]

    def page(asked: Asked) -> Reply:
        if "marker" not in asked.query:
            links = [{"rel": "next", "href": "…"}]
            return 200, {"migrations": entries[:1], "migrations_links": links}
        assert asked.query["marker"] == entries[0]["uuid"]
        return 200, {"migrations": entries[1:]}

    stub.routes[MIGRATIONS] = page
    found = migrations_of({"ctl1": site(stub)}, "one")
    assert [each["status"] for each in found] == ["finished", "completed", "running"]


def test_pages_without_end_are_no_answer(stub: Stub) -> None:
    entry = RECORDED["instances"]["servers"][0]
    stub.routes[SERVERS] = 200, {"servers": [entry], "servers_links": [{"rel": "next"}]}
    with pytest.raises(CannotTell, match="has more than"):
        instances_on({"ctl1": site(stub)}, "one")


def test_a_put_is_sent_once_whatever_comes_back(stub: Stub) -> None:
    stub.routes[f"{SERVICES}/7"] = 500, RECORDED["refused"]
    answer = put(site(stub), f"{SERVICES}/7", {"status": "disabled"}, wait=5)
    assert answer.status == 500
    assert [(each.method, each.body) for each in stub.asked] == [("PUT", {"status": "disabled"})]


def test_the_password_is_in_no_request_but_the_login(stub: Stub) -> None:
    stub.routes[SERVICES] = 200, RECORDED["services"]
    services({"ctl1": site(stub)})
    assert PASSWORD not in repr(stub.asked)
