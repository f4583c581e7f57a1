"""Nova's units and logs, asked on every host of its groups; and who is left out."""

from __future__ import annotations

from dataclasses import replace

from holdfast.judges.nova.host import logs_can_be_told, units_stay_up
from holdfast.model import Json, Outcome
from holdfast.observations.systemd import UnitState
from holdfast.probes.base import CommandResult, ProbeContext, Shell
from holdfast.probes.nova.fleet import UnitSite, probe_fleet_logs, probe_fleet_units
from tests.content.repository import ROOT, yaml_of
from tests.unit.probes.fake_nova import FakeNova, running_nova
from tests.unit.probes.shells import NoShell, ScriptedShell, UnreachableShell

UP = "Id=x.service\nLoadState=loaded\nActiveState=active\nSubState=running\nInvocationID=a\nNRestarts=0\n"
TAKEN_OUT = {
    "status": "disabled",
    "disabled_reason": "broken DIMM",
    "state": "down",
    "forced_down": True,
}


def site(nova: FakeNova, cmp1: Shell) -> ProbeContext:
    entry: Json = {
        "id": "1",
        "binary": "nova-compute",
        "host": "cmp1",
        "updated_at": None,
        **TAKEN_OUT,
    }
    nova.routes["/v2.1/os-services"] = (200, {"services": [entry]})
    variables = {**nova.login(), "nova_api_url": nova.url}
    groups = {"nova_api": ["ctl1"], "nova_compute": ["cmp1"]}
    shells: dict[str, Shell] = {"ctl1": ScriptedShell(CommandResult(0, UP, "")), "cmp1": cmp1}
    hosts = {host: {**variables, "nova_api_unit": "httpd"} for host in shells}
    return ProbeContext("ctl1", groups, hosts, NoShell(), reach=lambda host: shells[host])


def test_every_unit_is_asked_on_its_own_host_by_the_name_that_the_site_gives_it() -> None:
    cmp1 = ScriptedShell(CommandResult(0, UP, ""))
    with running_nova() as nova:
        found = probe_fleet_units(site(nova, cmp1))
    assert set(found.units) == {"nova-api on ctl1", "nova-compute on cmp1"}
    assert all(isinstance(each, UnitState) for each in found.units.values())
    assert found.listed is None
    assert cmp1.commands[0][-1] == "nova-compute"


def test_a_compute_that_people_took_out_is_left_out_and_named() -> None:
    with running_nova() as nova:
        asked = site(nova, UnreachableShell())
        units, logs = probe_fleet_units(asked), probe_fleet_logs(asked)
    verdict = units_stay_up("c", [units], 120)
    assert verdict.outcome is Outcome.PASS
    assert "left out: nova-compute on cmp1: disabled (broken DIMM), forced down" in verdict.message
    assert "nova-compute on cmp1" not in logs_can_be_told("c", logs).message


def test_a_log_that_verify_could_not_tell_is_found_out_by_a_check() -> None:
    cmp1 = ScriptedShell(CommandResult(4, "", "/var/log/nova/nova-compute.log cannot be read"))
    with running_nova() as nova:
        logs = probe_fleet_logs(site(nova, cmp1))
    verdict = logs_can_be_told("c", replace(logs, listed=None))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, "cannot_be_told")
    assert "nova-compute on cmp1: cmp1: the log of nova-compute cannot be read" in verdict.message


def test_units_and_logs_are_by_default_those_of_the_role() -> None:
    defaults = yaml_of(ROOT / "roles/nova/defaults/main.yml")
    assert {name: defaults[name] for name in UnitSite.needs()} == UnitSite().model_dump(mode="json")
