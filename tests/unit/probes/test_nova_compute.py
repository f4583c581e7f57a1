"""What a compute has in flight, as nova's API lists it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova.api_answers import MIGRATIONS, SERVER_NAMES, SERVERS, SERVICES
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


def server(status: str, task: str | None) -> Reply:
    return 200, {"server": {"id": "i9", "status": status, "OS-EXT-STS:task_state": task}}


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


STUCK = {
    "id": 5,
    "uuid": "55555555-5555-4555-8555-555555555555",
    "status": "accepted",
    "migration_type": "evacuation",
    "instance_uuid": "i9",
    "created_at": "2020-01-01T00:00:00.000000",
    "updated_at": None,
}


@pytest.mark.parametrize(
    ("reply", "at_rest"),
    [
        ((404, {}), "its instance i9 is gone"),
        (server("ACTIVE", None), "its instance i9 is ACTIVE without a task"),
        (server("ACTIVE", "migrating"), ""),
        (server("BUILD", None), ""),
        (server("UNKNOWN", None), ""),  # its cell is silent
        ((500, {}), ""),
        ((200, {}), ""),
    ],
)
def test_of_a_migration_that_stands_still_the_instance_is_asked_about(
    nova: FakeNova, reply: Reply, at_rest: str
) -> None:
    nova.routes[MIGRATIONS] = 200, {"migrations": [STUCK]}
    nova.routes[f"{SERVER_NAMES}/i9"] = reply
    (migration,) = probe_compute_work(context(nova), "cmp1").migrations
    assert migration.at_rest == at_rest
    assert migration.idle_hours > 24 * 365


def test_no_instance_is_asked_about_for_a_migration_that_has_ended_or_moves(nova: FakeNova) -> None:
    now = datetime.now(UTC).isoformat().removesuffix("+00:00")
    moving, ended = STUCK | {"updated_at": now}, STUCK | {"status": "completed"}
    nova.routes[MIGRATIONS] = 200, {"migrations": [moving, ended]}
    probe_compute_work(context(nova), "cmp1")
    assert [each for each in nova.requests if each.path.startswith(f"{SERVER_NAMES}/i9")] == []
