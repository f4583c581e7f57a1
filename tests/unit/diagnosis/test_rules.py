"""What each rule says beside its first line: what to type, what it rules out, and when it says nothing."""

from __future__ import annotations

import pytest

from holdfast.diagnosis import kinds
from holdfast.diagnosis.model import Kind
from holdfast.model import Unanswered
from holdfast.observations.rabbitmq import NodeFigures
from tests.unit.diagnosis.test_what_is_not_claimed import only_cause, planted
from tests.unit.diagnosis.whole_fleet import BROKERS, Fleet, node


def kinds_of(fleet: Fleet) -> list[Kind]:
    """Return the kinds of all causes."""
    return [each.kind for each in fleet.diagnoses().causes]


def test_a_disk_limit_that_somebody_set_is_set_back_and_a_full_disk_is_looked_at() -> None:
    usual, set_so = 50_000_000, 9_000_000_000_000
    for limit, first in (
        (set_so, "on ctl3: rabbitmqctl set_disk_free_limit 50MB"),
        (usual, "on ctl3: df -h"),
    ):
        own = NodeFigures(mem_used=1, mem_limit=9, disk_free=75_000_000_000, disk_free_limit=limit)
        figures = {
            node("ctl3"): own,
            node("ctl1"): own.model_copy(update={"disk_free_limit": usual}),
        }
        fleet = Fleet()
        for host in BROKERS:
            fleet.view(host, alarms=(f"disk space on {node('ctl3')}",), figures=figures)
        [alarm] = fleet.diagnoses().causes
        assert alarm.next[0] == first


def test_a_dead_run_is_resumed_before_it_is_given_up() -> None:
    found = only_cause(planted("a dead run with a host in hand"))
    assert found.next[0].startswith("holdfast resume 20261121-0001-nova-restart-k3f9 ")
    assert found.evidence == (
        "cmp1: not restarted; left drained by this run",
        "its driver is gone, and no process of its plays runs",
    )


@pytest.mark.parametrize(
    "message",
    [
        "403 from ctl1's management API to /api/nodes: no",
        "401 from ctl1's management API to /api/nodes: no",
        "ctl1 (rabbitmq_probe_user 'probe') refused",
        "ctl1 (nova_transport_url) login was refused",
        "no token from keystone at http://ctl1: login refused",
        "nova_auth_username 'nova' in project 'service' may not list services",
    ],
)
def test_every_account_of_the_site_is_known(message: str) -> None:
    fleet = Fleet()
    fleet.unanswered["nova.api_answers"] = f"first; {message}"
    found = fleet.diagnoses().causes[0]
    assert found.kind is kinds.ACCOUNT
    assert found.line == f"the site's login is refused: {message}"


def test_a_broker_whose_host_is_not_reached_is_named_as_that() -> None:
    fleet = Fleet()
    fleet.processes["rabbitmq-server on ctl2"] = Unanswered("ctl2 is unreachable: timed out")
    assert only_cause(fleet).kind is kinds.UNREACHABLE


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("ctl2: unreachable: timed out", [kinds.UNREACHABLE]),
        ("ctl2: galera_user is missing", []),
        ("other: unreachable: timed out", []),
    ],
)
def test_only_a_host_that_a_message_calls_unreachable_is_a_cause(
    message: str, expected: list[Kind]
) -> None:
    fleet = Fleet()
    fleet.messages.append(message)
    assert kinds_of(fleet) == expected
    assert bool(fleet.diagnoses().unsaid) is not bool(expected)


def test_several_hosts_with_one_cause_are_its_evidence() -> None:
    found = only_cause(planted("a database that is away"))
    assert len(found.evidence) == 6


def test_a_small_memory_limit_is_raised_and_a_usual_one_is_looked_into_first() -> None:
    assert (
        "set_vm_memory_high_watermark" in only_cause(planted("a watermark set to nothing")).next[0]
    )
    fleet = planted("a watermark set to nothing")
    for host in ("ctl1", "ctl2", "ctl3"):
        view = fleet.views[host]
        assert not isinstance(view, Unanswered)
        figures = {
            name: each.model_copy(update={"mem_limit": 7_000_000_000})
            for name, each in view.figures.items()
        }
        fleet.view(host, figures=figures)
    assert "memory_breakdown" in only_cause(fleet).next[0]
    assert only_cause(planted("a disk alarm")).next == ("on ctl3: df -h",)


def test_a_deaf_service_of_a_fleet_that_was_not_asked_claims_less() -> None:
    fleet = planted("a deaf service with a live connection")
    fleet.unasked.add("nova.processes_connected")
    found = only_cause(fleet)
    assert "nova-compute is up and answered 0 of 3 calls" in found.line
    assert found.rules_out == ()


@pytest.mark.parametrize(
    ("claim", "kind", "step"),
    [
        ("no_mass_run", kinds.MASS_PUPPET, "salt-run jobs.active"),
        ("none_left_disabled", kinds.HELD_PUPPET, "holdfast status"),
        (
            "none_disabled",
            kinds.HELD_PUPPET,
            "on cmp1: puppet config print agent_disabled_lockfile",
        ),
        ("agents_fresh", kinds.STALE_PUPPET, "on cmp1: puppet agent --test --noop"),
    ],
)
def test_what_is_wrong_with_puppet_has_its_kind(claim: str, kind: Kind, step: str) -> None:
    fleet = Fleet()
    fleet.fail(f"puppet.{claim}", "cmp1: it is so")
    assert (only_cause(fleet).kind, only_cause(fleet).next) == (kind, (step,))


@pytest.mark.parametrize("claim", ["nova.rpc_answers", "nova.processes_connected"])
def test_nothing_is_said_to_recover_where_it_was_not_asked(claim: str) -> None:
    fleet = planted("a service that comes back")
    fleet.unasked.add(claim)
    assert kinds.RECOVERING not in kinds_of(fleet)
