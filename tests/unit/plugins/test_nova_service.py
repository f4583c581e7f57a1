"""A compute is disabled with the run's token, and enabled only if the token is the run's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from holdfast.errors import CannotTell, InvalidInput, LeaseLost
from holdfast.model import Json
from holdfast.probes.nova.api_answers import SERVICES
from holdfast.probes.nova.site import ApiSite
from plugins.action.holdfast_nova_service import ComputeService
from tests.unit.probes.fake_nova import FakeNova, Reply, Request, closed_port_url, running_nova

OURS = "holdfast:20261121-2304-nova-restart-k3f9"


class FakeComputeService:
    """One nova-compute in the fake nova API."""

    def __init__(self, stub: FakeNova, status: str = "enabled", reason: str | None = None) -> None:
        self.entry: dict[str, Json] = {
            "id": "7",
            "binary": "nova-compute",
            "host": "cmp1",
            "status": status,
            "disabled_reason": reason,
        }
        self.refuses = False
        stub.routes[SERVICES] = self.list
        stub.routes[f"{SERVICES}/7"] = self.change

    def list(self, asked: Request) -> Reply:
        listed = asked.query == {"binary": "nova-compute", "host": self.entry["host"]}
        return 200, {"services": [self.entry] if listed else []}

    def change(self, asked: Request) -> Reply:
        assert asked.method == "PUT"
        if self.refuses:
            return 403, {"forbidden": {}}
        self.entry |= {"disabled_reason": None, **asked.body}
        return 200, {"service": self.entry}


@pytest.fixture
def stub() -> Iterator[FakeNova]:
    with running_nova() as stub:
        yield stub


def site(stub: FakeNova, url: str = "") -> ApiSite:
    return ApiSite.model_validate({**stub.login(), "nova_api_url": url or stub.url})


def compute(stub: FakeNova, host: str = "cmp1") -> ComputeService:
    sites = {"ctl1": site(stub, closed_port_url()), "ctl2": site(stub)}
    return ComputeService(sites, host, OURS, lambda: None)


def puts(stub: FakeNova) -> list[Json]:
    return [request.body for request in stub.requests if request.method == "PUT"]


def test_a_compute_is_disabled_and_enabled_again(stub: FakeNova) -> None:
    nova = FakeComputeService(stub)
    found = compute(stub).set_state("disabled", check_mode=False)
    assert (found["changed"], found["ours"], found["disabled_reason"]) == (True, True, OURS)
    assert nova.entry["disabled_reason"] == OURS
    found = compute(stub).set_state("enabled", check_mode=False)
    assert (found["changed"], found["status"]) == (True, "enabled")
    assert puts(stub) == [{"status": "disabled", "disabled_reason": OURS}, {"status": "enabled"}]


@pytest.mark.parametrize("reason", ["disk is failing", "holdfast:another-run", "", None])
def test_a_compute_that_somebody_else_disabled_stays_disabled(
    stub: FakeNova, reason: str | None
) -> None:
    nova = FakeComputeService(stub, "disabled", reason)
    before = dict(nova.entry)
    for state in ("disabled", "enabled"):
        found = compute(stub).set_state(state, check_mode=False)
        assert (found["changed"], found["ours"], found["status"]) == (False, False, "disabled")
        assert f"by somebody else ({reason or 'no reason given'})" in found["msg"]
    assert nova.entry == before
    assert puts(stub) == []


@pytest.mark.parametrize("first", ["7", "of another cell"])
def test_one_that_is_listed_twice_is_not_changed(stub: FakeNova, first: str) -> None:
    nova = FakeComputeService(stub)
    twin = {**nova.entry, "id": "of another cell"}
    listed = [nova.entry, twin] if first == "7" else [twin, nova.entry]
    stub.routes[SERVICES] = 200, {"services": listed}
    with pytest.raises(InvalidInput, match="so which one to change is not known"):
        compute(stub).set_state("disabled", check_mode=False)
    assert puts(stub) == []


def test_repeating_a_change_changes_nothing(stub: FakeNova) -> None:
    FakeComputeService(stub, "disabled", OURS)
    found = compute(stub).set_state("disabled", check_mode=False)
    assert (found["changed"], found["ours"]) == (False, True)
    FakeComputeService(stub, "enabled")
    assert not compute(stub).set_state("enabled", check_mode=False)["changed"]
    assert puts(stub) == []


def test_check_mode_reports_the_change_and_does_not_make_it(stub: FakeNova) -> None:
    nova = FakeComputeService(stub)
    assert compute(stub).set_state("disabled", check_mode=True)["changed"]
    assert nova.entry["status"] == "enabled"
    assert puts(stub) == []


def test_a_refusal_is_not_repeated_and_names_the_api_that_refused(stub: FakeNova) -> None:
    FakeComputeService(stub).refuses = True
    with pytest.raises(CannotTell, match=r"nova-api on ctl2 answered 403: .*; cmp1 is enabled"):
        compute(stub).set_state("disabled", check_mode=False)
    assert len(puts(stub)) == 1


def test_a_host_that_nova_does_not_list_is_an_error(stub: FakeNova) -> None:
    FakeComputeService(stub)
    with pytest.raises(CannotTell, match="nova lists no nova-compute on cmp9; is nova_service_ho"):
        compute(stub, "cmp9").set_state("disabled", check_mode=False)


def test_nothing_is_changed_while_the_cell_does_not_answer(stub: FakeNova) -> None:
    FakeComputeService(stub, "UNKNOWN")
    with pytest.raises(CannotTell, match="its cell's database does not answer"):
        compute(stub).set_state("disabled", check_mode=False)
    assert puts(stub) == []


def test_a_change_that_nova_accepted_and_did_not_make_is_an_error(stub: FakeNova) -> None:
    FakeComputeService(stub)
    stub.routes[f"{SERVICES}/7"] = 200, {}
    with pytest.raises(CannotTell, match="cmp1 is enabled"):
        compute(stub).set_state("disabled", check_mode=False)


def test_an_error_whose_change_took_effect_is_no_failure(stub: FakeNova) -> None:
    nova = FakeComputeService(stub)

    def change_and_fail(asked: Request) -> Reply:
        nova.change(asked)
        return 500, {}

    stub.routes[f"{SERVICES}/7"] = change_and_fail
    found = compute(stub).set_state("disabled", check_mode=False)
    assert (found["changed"], found["ours"]) == (True, True)
    assert len(puts(stub)) == 1


def test_a_change_after_which_nova_answers_no_more_was_sent(stub: FakeNova) -> None:
    """That the compute "was not disabled" would be an assertion that nobody has looked at."""
    nova = FakeComputeService(stub)

    def change_and_fall_silent(asked: Request) -> Reply:
        nova.change(asked)
        stub.routes[SERVICES] = 503, {}
        return 500, {}

    stub.routes[f"{SERVICES}/7"] = change_and_fall_silent
    with pytest.raises(CannotTell) as caught:
        compute(stub).set_state("disabled", check_mode=False)
    for part in ("the request was sent", "answered 500", "Whether it took effect is not known"):
        assert part in caught.value.message
    assert caught.value.remedy.startswith("openstack compute service list")


def test_after_a_lost_lease_nothing_is_sent(stub: FakeNova) -> None:
    nova = FakeComputeService(stub)

    def lost() -> None:
        raise LeaseLost("the lease of run r1 expired")

    with pytest.raises(LeaseLost):
        replace(compute(stub), prove_lease=lost).set_state("disabled", check_mode=False)
    assert puts(stub) == []
    assert nova.entry["status"] == "enabled"
