"""How each host's API and metadata service is asked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.probes.nova_api import ApiSite
from holdfast.probes.nova_http import (
    METADATA_PATH,
    ApiReplies,
    MetadataReplies,
    MetadataSite,
    ask_apis,
    ask_metadata,
)
from holdfast.probes.nova_http import (
    Reply as Said,
)
from tests.unit.probes.nova_stub import Asked, Reply, Stub, closed_port_url, serving

SECRET = "planted-shared-secret"  # noqa: S105 - planted, to be looked for


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        stub.routes["/"] = 200, {"versions": []}
        stub.routes["/v2.1/servers"] = 200, {"servers": []}
        yield stub


def api(stub: Stub, **changed: str) -> ApiSite:
    return ApiSite.model_validate({**stub.login(), "nova_api_url": stub.url, **changed})


def metadata(stub: Stub, **changed: Any) -> MetadataSite:
    return MetadataSite.model_validate({"nova_metadata_url": stub.url, **changed})


def test_every_api_is_asked_itself(stub: Stub) -> None:
    url = closed_port_url()
    found = ask_apis({"ctl1": api(stub), "ctl2": api(stub, nova_api_url=url)})
    assert found["ctl1"] == ApiReplies(Said(200), Said(200))
    assert found["ctl2"].root.status == 0
    assert "refused" in found["ctl2"].root.said
    assert found["ctl2"].call is None


def test_an_api_that_fails_behind_its_root(stub: Stub) -> None:
    stub.routes["/v2.1/servers"] = 500, {}
    assert ask_apis({"ctl1": api(stub)})["ctl1"] == ApiReplies(Said(200), Said(500))


def test_without_a_token_the_call_is_not_made(stub: Stub) -> None:
    wrong = api(stub, nova_auth_password="planted-and-wrong")  # noqa: S106 - planted, to be looked for
    found = ask_apis({"ctl1": wrong, "ctl2": wrong})
    assert found["ctl2"].root == Said(200)
    assert found["ctl2"].call is None
    assert found["ctl2"].no_token.endswith("login refused (401)")
    assert stub.logins == 1
    assert "planted" not in repr(found)


def as_nova_does(asked: Asked) -> Reply:
    instance = asked.headers.get("X-Instance-ID")
    if instance is None:
        return 400, {}
    right = hmac.new(SECRET.encode(), instance.encode(), hashlib.sha256).hexdigest()
    return (404 if asked.headers["X-Instance-ID-Signature"] == right else 403), {}


def test_metadata_is_asked_as_neutron_asks_it(stub: Stub) -> None:
    stub.routes[METADATA_PATH] = as_nova_does
    found = ask_metadata({"ctl1": metadata(stub, nova_metadata_shared_secret=SECRET)})
    assert found["ctl1"] == MetadataReplies(Said(200), Said(400), Said(404), known=False)
    assert SECRET not in repr(stub.asked)


def test_a_wrong_secret_is_refused(stub: Stub) -> None:
    stub.routes[METADATA_PATH] = as_nova_does
    found = ask_metadata({"ctl1": metadata(stub, nova_metadata_shared_secret="other")})  # noqa: S106
    assert found["ctl1"].signed == Said(403)


def test_a_known_instance_is_asked_for_by_its_project(stub: Stub) -> None:
    stub.routes[METADATA_PATH] = as_nova_does
    site = metadata(
        stub,
        nova_metadata_shared_secret=SECRET,
        nova_metadata_instance="i-1",
        nova_metadata_project="p-1",
    )
    assert ask_metadata({"ctl1": site})["ctl1"].known
    assert stub.asked[-1].headers["X-Instance-ID"] == "i-1"
    assert stub.asked[-1].headers["X-Tenant-ID"] == "p-1"


def test_without_a_secret_only_the_root_is_asked(stub: Stub) -> None:
    found = ask_metadata({"ctl1": metadata(stub)})
    assert found["ctl1"] == MetadataReplies(Said(200), None, None, known=False)
    assert [each.path for each in stub.asked] == ["/"]
