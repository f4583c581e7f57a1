"""What a diagnosis leaves open: what a cause does not explain, and what nobody has looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from holdfast.diagnosis import kinds
from holdfast.diagnosis.model import Diagnosis
from holdfast.diagnosis.partitions import sides_of
from holdfast.model import Unanswered
from holdfast.observations.nova import RpcReplies
from tests.unit.diagnosis import whole_fleet
from tests.unit.diagnosis.cases import CASES
from tests.unit.diagnosis.whole_fleet import Fleet, node


def planted(name: str) -> Fleet:
    """Return a fleet with the fault of a case."""
    fleet = Fleet()
    next(case for case in CASES if case.name == name).plant(fleet)
    return fleet


def unexplained(fleet: Fleet) -> list[str]:
    """Return the claims that no cause explains."""
    return [str(each["claim"]) for each in fleet.diagnoses().unexplained]


def only_cause(fleet: Fleet) -> Diagnosis:
    """Return the one cause."""
    [found] = fleet.diagnoses().causes
    return found


@pytest.mark.parametrize("name", ["a disk alarm", "a frozen broker", "a database that is away"])
def test_a_broker_or_nova_explains_nothing_of_haproxy(name: str) -> None:
    fleet = planted(name)
    fleet.fail("haproxy.one_writer", "two writers: ctl1 and ctl3", "UNKNOWN")
    assert unexplained(fleet) == ["haproxy.one_writer"]


def test_what_is_wrong_with_puppet_explains_nothing_of_nova() -> None:
    fleet = Fleet()
    fleet.fail("puppet.agents_fresh", "cmp1: the last run is 3 days old")
    fleet.fail("nova.units_stay_up", "cmp1: nova-compute restarts")
    assert only_cause(fleet).kind is kinds.STALE_PUPPET
    assert unexplained(fleet) == ["nova.units_stay_up"]


def test_a_host_that_is_not_reached_explains_all_of_it() -> None:
    fleet = planted("a host that SSH does not reach")
    fleet.fail("puppet.none_left_disabled", "cmp2: not known", "UNKNOWN")
    assert unexplained(fleet) == []


def test_a_database_that_is_ill_itself_comes_before_what_nova_says_of_it() -> None:
    fleet = planted("a database that is away")
    fleet.fail("haproxy.backend_up", "hap1: not known", "UNKNOWN")
    fleet.fail("galera.members_agree", "no quorum: ctl1 is alone")
    found = only_cause(fleet)
    assert found.kind is kinds.DATABASE
    assert found.line == (
        "the database: galera.members_agree: no quorum: ctl1 is alone; so nova gets no connection to it"
    )
    assert found.next == ("holdfast check --site inventories/lab galera.members_agree",)
    assert unexplained(fleet) == []


def test_a_broker_that_was_started_again_once_makes_nothing_else_ill() -> None:
    fleet = planted("a masked unit")
    fleet.change("rabbitmq-server on ctl2", restarts=1, age=20.0)
    fleet.fail("nova.cells_answer", "nothing is known of the cell")
    found = fleet.diagnoses()
    assert [each.kind for each in found.causes] == [kinds.MASKED, kinds.RECOVERING]
    assert [each["claim"] for each in found.unexplained] == ["nova.cells_answer"]


@pytest.mark.parametrize("state", ["masked", "stopped", "failed", "flapping"])
def test_a_broker_that_does_not_run_makes_all_else_ill(state: str) -> None:
    fleet, name = Fleet(), "rabbitmq-server on ctl2"
    match state:
        case "masked":
            fleet.change(name, active_state="inactive", load_state="masked")
        case "flapping":
            fleet.change(name, restarts=5, age=3.0)
        case _:
            fleet.change(name, active_state={"stopped": "inactive"}.get(state, state))
    fleet.silence(*fleet.every_client())
    assert only_cause(fleet).kind is kinds.BROKER_DOWN


def _nobody_asked(fleet: Fleet) -> None:
    fleet.unasked.add("rabbitmq.processes_run")


def _host_not_reached(fleet: Fleet) -> None:
    fleet.processes["rabbitmq-server on ctl1"] = Unanswered("ctl1 is unreachable: timed out")


@pytest.mark.parametrize("hide", [_nobody_asked, _host_not_reached])
def test_a_broker_is_called_wedged_only_where_its_host_says_that_it_runs(
    hide: Callable[[Fleet], None],
) -> None:
    fleet = planted("a broker that runs and answers nothing")
    hide(fleet)
    assert kinds.WEDGED not in [each.kind for each in fleet.diagnoses().causes]


def test_of_many_mute_services_none_is_said_to_answer() -> None:
    """Evidence names ten services of each kind: what is not among them is not well for that."""
    many = [f"cmp{number}" for number in range(1, 13)]
    fleet = Fleet(services=[("compute", host) for host in many])
    fleet.silence("nova-compute on cmp12")
    fleet.replies = dict.fromkeys(fleet.replies, RpcReplies(3))
    assert kinds.RECOVERING not in [each.kind for each in fleet.diagnoses().causes]


def test_a_login_that_is_its_peers_may_have_been_corrected_since() -> None:
    fleet = planted("a wrong broker password")
    fleet.tell("nova-compute on cmp2", login=whole_fleet.SAME)
    found = only_cause(fleet)
    assert "corrected and the service not restarted since, or the account itself was" in found.line
    assert found.next == ("on cmp2: systemctl restart nova-compute",)


def test_a_login_that_is_another_is_corrected_before_a_restart() -> None:
    [first] = only_cause(planted("a wrong broker password")).next
    assert first.startswith("on cmp2: correct transport_url in /etc/nova/nova.conf, then systemctl")


# --- partitions -------------------------------------------------------------------------------

SILENT = frozenset({"ctl3"})


def views(**cut: str) -> Mapping[str, Mapping[str, object]]:
    """Return what each host reports to be cut off from."""
    return {host: {"partitions": [node(each) for each in of.split()]} for host, of in cut.items()}


@pytest.mark.parametrize(
    ("seen", "silent", "line"),
    [
        (views(ctl1="ctl2 ctl3", ctl2="ctl1"), SILENT, "ctl1 against ctl2"),
        (views(ctl1="ctl2 ctl3"), {"ctl2", "ctl3"}, "ctl1 is cut off from ctl2 and ctl3"),
        (views(ctl1="ctl2", ctl2="ctl1"), (), "ctl1 against ctl2"),
        (views(a="b c d", b="a c d", c="a b", d="a b"), (), "c and d against a against b"),
        (
            views(ctl1="ctl2", ctl2="ctl1", ctl3=""),
            (),
            "ctl1 and ctl2 do not see each other, ctl3 sees both",
        ),
    ],
    ids=["one-silent", "one-answers", "equal", "no-majority", "some-see-all"],
)
def test_no_side_is_restarted_where_it_is_not_known_which(
    seen: Mapping[str, Mapping[str, object]], silent: frozenset[str], line: str
) -> None:
    sides = sides_of(seen, silent)
    assert (sides.known, sides.line) == (False, line)


def test_the_side_without_a_majority_is_restarted() -> None:
    sides = sides_of(views(a="c", b="c", c="a b"), ())
    assert (sides.known, sides.ill, sides.line) == (True, ("c",), "c went on without a and b")


def test_with_a_silent_node_no_restart_is_the_next_command() -> None:
    fleet = planted("a healed partition")
    known = only_cause(fleet)
    assert known.next[0] == "on ctl3: systemctl restart rabbitmq-server"
    fleet.views["ctl2"] = Unanswered("ctl2's management API gave no answer")
    found = fleet.diagnoses().causes[0]
    assert found.kind is kinds.PARTITION
    assert found.next == ("holdfast show rabbitmq-recover#partition",)
    assert "ctl2 gives no answer" in found.line
