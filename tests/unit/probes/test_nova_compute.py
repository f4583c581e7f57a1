"""What a compute has in flight, as nova's API lists it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova.api_answers import MIGRATIONS, SERVERS, SERVICES
from holdfast.probes.nova.compute import probe_compute_work
from tests.unit.probes.fake_nova import RECORDED, FakeNova, Reply, Request, running_nova
from tests.unit.probes.shells import NoShell


@pytest.fixture
def nova() -> Iterator[FakeNova]:
    with running_nova() as nova:
        nova.routes[SERVICES] = 200, RECORDED["services"]
        nova.routes[SERVERS] = 200, RECORDED["instances"]
        nova.routes[MIGRATIONS] = 200, RECORDED["migrations"]
        yield nova


def context(nova: FakeNova) -> ProbeContext:
    """One host that does everything, which nova knows as ``one``."""
    site: Mapping[str, Json] = {
        **nova.login(),
        "nova_service_host": "one",
        "nova_api_url": nova.url,
    }
    groups = {"nova_api": ["ctl1"], "nova_compute": ["cmp1"]}
    return ProbeContext("ctl1", groups, {"ctl1": site, "cmp1": site}, NoShell())


def test_the_instances_of_every_project_are_listed(nova: FakeNova) -> None:
    probe_compute_work(context(nova), "cmp1")
    (request,) = (each for each in nova.requests if each.path == SERVERS)
    assert (request.query["all_tenants"], request.query["host"]) == ("1", "one")


def test_migrations_are_paged_by_their_uuid(nova: FakeNova) -> None:
    entries = RECORDED["migrations"]["migrations"]

    def page(request: Request) -> Reply:
        if "marker" not in request.query:
            links = [{"rel": "next", "href": "…"}]
            return 200, {"migrations": entries[:1], "migrations_links": links}
        assert request.query["marker"] == entries[0]["uuid"]
        return 200, {"migrations": entries[1:]}

    nova.routes[MIGRATIONS] = page
    work = probe_compute_work(context(nova), "cmp1")
    assert [each.status for each in work.migrations] == ["finished", "completed", "running"]


def test_a_host_that_is_no_compute_is_refused_before_nova_is_asked(nova: FakeNova) -> None:
    with pytest.raises(InvalidInput, match="ctl1: not in the inventory's group nova_compute"):
        probe_compute_work(context(nova), "ctl1")
    assert nova.requests == []
