"""Which hosts of a large group a batch asks: templates of the roles, as Ansible resolves them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from holdfast.journal.run_state import SWEEP_AT_LEAST
from holdfast.model import Json
from tests.content.repository import ROOT, yaml_of

HOSTS = "systemd_unit_hosts"


def test_one_host_of_a_batch_asks_about_the_broker_and_all_of_nova() -> None:
    """The others ask about their own units: five hosts would ask the same five times."""
    claims = {}
    for host in ("h1", "h2"):
        play = {"inventory_hostname": host, "ansible_play_batch": ["h1", "h2"]}
        given = {"nova_layer": "compute", "groups": {}, "nova_recovering": False}
        own = {"_nova_unit_claims": ["own"], "_nova_fleet_claims": ["nova"]}
        variables = {**templates("nova"), **play, **given, **own, "nova_broker_claims": ["broker"]}
        templar = Templar(DataLoader(), variables=variables)
        claims[host] = templar.template(trust_as_template("{{ _nova_preflight_claims }}"))
    assert claims == {"h1": ["own", "broker", "nova"], "h2": ["own"]}


@pytest.mark.parametrize(
    ("before", "baseline"), [({"nova_baseline": {"values": {"slowest": 0.4}}}, 0.4), ({}, 0)]
)
def test_a_service_is_as_quick_as_before_the_first_restart_of_the_run(
    before: dict[str, Json], baseline: float
) -> None:
    """Each host of a batch compares with what its first host has kept; a play that only verifies has nothing kept."""
    play = {"ansible_play_batch": ["h1", "h2"], "hostvars": {"h1": before, "h2": {}}}
    templar = Templar(DataLoader(), variables={**templates("nova"), **play})
    [quick] = [each for each in _verify_claims() if each["claim"] == "nova.rpc_quick"]
    assert templar.template(trust_as_template(quick["baseline"])) == baseline


@pytest.mark.parametrize("layer", ["conductor", "api", "compute"])
@pytest.mark.parametrize(
    ("counted", "asked"), [({"waiting": 3}, [{"waiting": 3}]), ({}, []), (None, [])]
)
def test_the_broker_carries_no_more_than_before_the_first_restart_of_nova(
    layer: str, counted: dict[str, int] | None, asked: list[Json]
) -> None:
    """Also in a window; where nothing was counted, and in a play that only verifies, nothing is compared."""
    kept = {} if counted is None else {"nova_baseline": {"values": {"backlog": counted}}}
    play = {"ansible_play_batch": ["h1", "h2"], "hostvars": {"h1": kept, "h2": {}}}
    given = {
        "nova_layer": layer,
        "_nova_stays_up": [],
        "_nova_quiet_log": [],
        "nova_backlog_slack": 7,
    }
    own = {"_nova_rpc_answers": [], "_nova_http_answers": {"api": []}}
    templar = Templar(DataLoader(), variables={**templates("nova"), **play, **given, **own})
    claims = templar.template(trust_as_template("{{ _nova_verify_claims }}"))
    values = [templar.template(trust_as_template(each["baseline"])) for each in claims]
    assert values == asked
    assert {each["claim"] for each in claims} <= {"rabbitmq.backlog_at_baseline"}


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({}, ["rabbitmq.backlog_known"]),
        ({"nova_recovering": True}, []),
        ({"nova_broker_claims": []}, []),
        ({"groups": {}}, []),
        ({"hostvars": {"h1": {"rabbitmq_management_enabled": False}}}, []),
    ],
)
def test_what_the_broker_carries_is_counted_where_it_can_be(
    changed: dict[str, Json], asked: list[str]
) -> None:
    site: dict[str, Json] = {"groups": {"rabbitmq": ["h1"]}, "hostvars": {"h1": {}}}
    usual: dict[str, Json] = {
        "nova_recovering": False,
        "nova_broker_claims": ["rabbitmq.no_alarms"],
    }
    templar = Templar(DataLoader(), variables={**templates("nova"), **site, **usual, **changed})
    assert templar.template(trust_as_template("{{ _nova_backlog_claims }}")) == asked


def _verify_claims() -> list[dict[str, Json]]:
    """Return what the role asks of a service that it calls, after its restart."""
    found: list[dict[str, Json]] = yaml_of(ROOT / "roles/nova/vars/main.yml")["_nova_rpc_answers"]
    return found


def templates(role: str) -> dict[str, Json]:
    """Return the role's variables that are about turns."""
    variables = yaml_of(ROOT / f"roles/{role}/vars/main.yml")
    return {
        name: trust_as_template(value) if isinstance(value, str) else value
        for name, value in variables.items()
        if name.startswith((f"_{role}_", "_systemd_unit_"))
    }


def asked(role: str, hosts: list[str], batch: list[str], rounds: int) -> list[str]:
    """Return the hosts that are asked before a batch; all is all of them, however it is said."""
    about = {HOSTS: hosts, "groups": {"nova_compute": hosts}}
    play = {"ansible_play_batch": batch, "holdfast_rounds": rounds}
    templar = Templar(DataLoader(), variables={**templates(role), **about, **play})
    name = "_nova_called" if role == "nova" else "_systemd_unit_asked"
    return list(templar.template(trust_as_template(f"{{{{ {name} }}}}"))) or hosts


def batches(hosts: list[str], size: int) -> Iterator[list[str]]:
    left = iter(hosts)
    while batch := list(islice(left, size)):
        yield batch


@pytest.mark.parametrize("role", ["nova", "systemd_unit"])
@pytest.mark.parametrize(("count", "size"), [(21, 1), (25, 5), (26, 5), (61, 1), (242, 5)])
def test_what_a_batch_asks_does_not_grow_and_each_host_has_its_turn(
    role: str, count: int, size: int
) -> None:
    """All before the first batch; of a small group always all. In count / 20 batches each is asked."""
    hosts = [f"h{number}" for number in range(count)]
    whole = list(batches(hosts, size))[: -(-2 * count // SWEEP_AT_LEAST) + 2]
    rounds = [asked(role, hosts, batch, number) for number, batch in enumerate(whole)]
    assert rounds[0] == hosts
    assert all({*batch} <= {*them} for batch, them in zip(whole, rounds, strict=True))
    assert all(len(them) == len({*them}) for them in rounds)
    if count <= SWEEP_AT_LEAST + size:
        assert all(them == hosts for them in rounds)
        return
    assert max(map(len, rounds[1:])) <= SWEEP_AT_LEAST + size
    cycle = -(-count // SWEEP_AT_LEAST)
    for first in range(1, len(rounds) - cycle + 1):
        assert {each for them in rounds[first : first + cycle] for each in them} == {*hosts}


def test_both_roles_ask_as_many_as_a_sweep() -> None:
    for role in ("nova", "systemd_unit"):
        assert templates(role)[f"_{role}_in_turn"] == SWEEP_AT_LEAST
