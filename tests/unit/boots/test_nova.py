"""What is asked before the first server: the computes, the flavor, the image, the quota."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.boots.nova import find_flavor, find_image, left_out, require_quota
from holdfast.errors import CannotTell, InvalidInput, Refused
from holdfast.model import Json
from holdfast.probes.nova.api_answers import FLAVORS, SERVICES
from holdfast.probes.nova.site import ApiSite
from tests.unit.boots.boots_harness import site
from tests.unit.probes.fake_nova import FakeNova, Reply, running_nova
from tests.unit.probes.fake_servers import FLAVOR, IMAGE, FakeServers


@pytest.fixture
def nova() -> Iterator[FakeNova]:
    with running_nova() as nova:
        yield nova


def sites(nova: FakeNova) -> dict[str, ApiSite]:
    return {"ctl1": site(nova)}


def test_a_disabled_compute_is_left_out_with_its_reason_and_one_that_is_down_is_not(
    nova: FakeNova,
) -> None:
    kept = FakeServers(nova, disabled={"cmp2": "disk is failing"})
    names = {host: host for host in kept.computes}
    assert left_out(sites(nova), names) == {"cmp2": "disabled: disk is failing"}


def test_a_compute_that_nova_does_not_list_once_is_refused(nova: FakeNova) -> None:
    FakeServers(nova)
    with pytest.raises(InvalidInput, match="nova lists far9, which is cmp9, nowhere"):
        left_out(sites(nova), {"cmp9": "far9"})
    twice = {"id": "1", "binary": "nova-compute", "host": "cmp1", "status": "enabled"}
    nova.routes[SERVICES] = 200, {"services": [twice, {**twice, "id": "2"}]}
    with pytest.raises(InvalidInput, match="cmp1, more than once"):
        left_out(sites(nova), {"cmp1": "cmp1"})


def test_a_flavor_is_found_by_its_id_or_its_only_name(nova: FakeNova) -> None:
    FakeServers(nova)
    assert find_flavor(sites(nova), "m1.tiny") == find_flavor(sites(nova), "f-1") == FLAVOR
    with pytest.raises(
        InvalidInput, match=r"there is no flavor m1\.tinny; did you mean m1\.tiny\?"
    ):
        find_flavor(sites(nova), "m1.tinny")
    nova.routes[FLAVORS] = 200, {"flavors": [FLAVOR, {**FLAVOR, "id": "f-2"}]}
    with pytest.raises(InvalidInput, match=r"there are 2 flavors called m1\.tiny: f-1, f-2"):
        find_flavor(sites(nova), "m1.tiny")


def catalog_with(service: str, url: str) -> list[Json]:
    endpoint = {"id": "1", "interface": "public", "region": "r", "region_id": "r", "url": url}
    return [{"id": "2", "type": service, "name": service, "endpoints": [endpoint]}]


def test_an_image_is_taken_by_its_id_and_asked_for_by_its_name(nova: FakeNova) -> None:
    FakeServers(nova)
    assert find_image(sites(nova), IMAGE) == IMAGE
    nova.catalog = catalog_with("image", nova.url)
    other = {"id": "i-2", "name": "cirros-old"}
    nova.routes["/v2/images"] = 200, {"images": [{"id": IMAGE, "name": "cirros"}, other]}
    assert find_image(sites(nova), "cirros") == IMAGE
    with pytest.raises(InvalidInput, match="there is no image gone"):
        find_image(sites(nova), "gone")
    nova.routes["/v2/images"] = 200, {"images": [other, {**other, "id": "i-3"}]}
    with pytest.raises(InvalidInput, match="there are 2 images called cirros-old: i-2, i-3"):
        find_image(sites(nova), "cirros-old")


@pytest.mark.parametrize(
    ("catalog", "reply", "said"),
    [
        (False, (200, {"images": []}), "keystone's catalog names no image service"),
        (True, (503, {}), "the image service answered 503"),
        (True, (200, {"login": "page"}), "in another shape than expected"),
    ],
)
def test_an_image_service_that_does_not_say_is_no_answer(
    nova: FakeNova, catalog: bool, reply: Reply, said: str
) -> None:
    FakeServers(nova)
    nova.catalog = catalog_with("image" if catalog else "network", nova.url)
    nova.routes["/v2/images"] = reply
    with pytest.raises(CannotTell, match=said):
        find_image(sites(nova), "cirros")


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        (
            {"maxTotalInstances": 10, "totalInstancesUsed": 5},
            "instances: 10 allowed, 5 used, 6 more needed",
        ),
        ({"maxTotalCores": 5}, "cores: 5 allowed, 0 used, 6 more needed"),
        ({"maxTotalRAMSize": 64}, "ram: 64 allowed, 0 used, 384 more needed"),
    ],
)
def test_a_quota_without_room_is_refused_before_anything_is_booted(
    nova: FakeNova, quota: dict[str, int], said: str
) -> None:
    kept = FakeServers(nova, quota=quota)
    with pytest.raises(Refused, match=said) as refused:
        require_quota(sites(nova), FLAVOR, 6)
    assert refused.value.remedy.startswith("openstack quota set --")
    assert kept.asked == []


@pytest.mark.parametrize("most", [6, -1])
def test_a_quota_with_room_for_all_is_no_fault(nova: FakeNova, most: int) -> None:
    FakeServers(nova, quota={"maxTotalInstances": most, "maxTotalCores": most})
    require_quota(sites(nova), FLAVOR, 6)
