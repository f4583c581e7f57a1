"""What nova's API is asked, and what counts as no answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.errors import CannotTell
from holdfast.probes.nova.api_answers import SERVICES
from holdfast.probes.nova.api_client import NoToken, get_from_first, get_pages, put
from holdfast.probes.nova.services import list_services
from holdfast.probes.nova.site import ApiSite
from holdfast.report.remedies import remedy_for
from tests.unit.probes.fake_nova import (
    PASSWORD,
    RECORDED,
    FakeNova,
    Reply,
    Request,
    closed_port_url,
    running_nova,
)

SERVERS = "/v2.1/servers/detail"


@pytest.fixture
def nova() -> Iterator[FakeNova]:
    with running_nova() as nova:
        yield nova


def site(nova: FakeNova, **changed: str) -> ApiSite:
    return ApiSite.model_validate({**nova.login(), "nova_api_url": nova.url, **changed})


def test_services_are_listed_at_a_version_that_names_silent_cells(nova: FakeNova) -> None:
    nova.routes[SERVICES] = 200, RECORDED["services"]
    listed = list_services({"ctl1": site(nova)}, host="one")
    assert [entry.binary for entry in listed] == [
        "nova-conductor",
        "nova-scheduler",
        "nova-compute",
    ]
    (request,) = nova.requests
    assert request.query == {"host": "one"}
    assert request.headers["OpenStack-API-Version"] == "compute 2.69"
    assert request.headers["X-Auth-Token"] == "a-token"


def test_one_token_serves_every_host_of_a_gate(nova: FakeNova) -> None:
    nova.routes[SERVICES] = 200, RECORDED["services"]
    for url in (nova.url, f"{nova.url}/", f"{nova.url}//"):
        list_services({"ctl1": site(nova, nova_api_url=url)})
    assert nova.logins == 1


def test_another_host_is_asked_where_one_does_not_answer(nova: FakeNova) -> None:
    nova.routes[SERVICES] = 200, RECORDED["services"]
    sites = {"ctl1": site(nova, nova_api_url=closed_port_url()), "ctl2": site(nova)}
    assert get_from_first(sites, SERVICES, {})[0] == "ctl2"


def test_where_no_host_answers_every_cause_is_in_the_message(nova: FakeNova) -> None:
    nova.routes[SERVICES] = 500, RECORDED["refused"]
    sites = {"ctl1": site(nova, nova_api_url=closed_port_url()), "ctl2": site(nova)}
    with pytest.raises(CannotTell) as caught:
        list_services(sites)
    assert "ctl1: " in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert "ctl2: 500 for /v2.1/os-services" in str(caught.value)


def test_a_refused_login_is_reported_without_the_password(nova: FakeNova) -> None:
    wrong = site(nova, nova_auth_password="planted-and-wrong")  # noqa: S106 - planted, to be looked for
    with pytest.raises(NoToken) as caught:
        list_services({"ctl1": wrong, "ctl2": wrong})
    assert str(caught.value).startswith(
        f"no token from keystone at {nova.url}/v3: login refused (401): nova_auth_username '"
    )
    assert caught.value.login_refused
    assert remedy_for(str(caught.value), "site").startswith("correct nova_auth_password")
    assert nova.logins == 1, "a login that keystone refused was tried again"
    assert not nova.requests
    assert "planted" not in repr(wrong)


@pytest.mark.parametrize("status", [401, 403])
def test_whose_token_nova_refuses_is_named(nova: FakeNova, status: int) -> None:
    nova.routes[SERVICES] = status, {}
    asked = site(nova)
    with pytest.raises(CannotTell) as caught:
        list_services({"ctl1": asked})
    user, project = asked.nova_auth_username, asked.nova_auth_project
    assert caught.value.login_refused
    assert f"{status} for {SERVICES}: nova_auth_username {user!r} in project" in str(caught.value)
    assert remedy_for(str(caught.value), "site") == (
        f"openstack role assignment list --names --user {user} --project {project}"
    )


def test_a_keystone_that_does_not_answer_is_named(nova: FakeNova) -> None:
    url = closed_port_url()
    with pytest.raises(NoToken, match=f"no token from keystone at {url}/v3: .*refused") as caught:
        list_services({"ctl1": site(nova, nova_auth_url=f"{url}/v3")})
    assert not caught.value.login_refused


def test_a_list_is_read_page_by_page(nova: FakeNova) -> None:
    entries = RECORDED["instances"]["servers"]

    def page(request: Request) -> Reply:
        if "marker" not in request.query:
            return 200, {"servers": entries[:2], "servers_links": [{"rel": "next", "href": "…"}]}
        assert request.query["marker"] == entries[1]["id"]
        return 200, {"servers": entries[2:]}

    nova.routes[SERVERS] = page
    found = get_pages({"ctl1": site(nova)}, SERVERS, "servers", {"host": "one"})
    assert [each["id"] for each in found] == [each["id"] for each in entries]
    assert all(request.query["host"] == "one" for request in nova.requests)


def test_endless_pages_are_no_answer(nova: FakeNova) -> None:
    entry = RECORDED["instances"]["servers"][0]
    nova.routes[SERVERS] = 200, {"servers": [entry], "servers_links": [{"rel": "next"}]}
    with pytest.raises(CannotTell, match="has more than"):
        get_pages({"ctl1": site(nova)}, SERVERS, "servers", {})


def test_a_put_is_sent_once_whatever_comes_back(nova: FakeNova) -> None:
    nova.routes[f"{SERVICES}/7"] = 500, RECORDED["refused"]
    answer = put(site(nova), f"{SERVICES}/7", {"status": "disabled"}, wait=5)
    assert answer.status == 500
    assert [(each.method, each.body) for each in nova.requests] == [("PUT", {"status": "disabled"})]


def test_the_password_is_in_no_request_but_the_login(nova: FakeNova) -> None:
    nova.routes[SERVICES] = 200, RECORDED["services"]
    list_services({"ctl1": site(nova)})
    assert PASSWORD not in repr(nova.requests)
