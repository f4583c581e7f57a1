"""Silences as tasks of a real play: what they journal, what they refuse, and that a host stays done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from holdfast.journal.events import SilenceEnded, SilencePlaced
from holdfast.model import Json, LeaseMode
from holdfast.store.processes import holder_for
from tests.unit.plugins.fake_hosts import FakeHosts
from tests.unit.probes.alerts.stand_ins import PASSWORD, FakeAlertmanager, FakeIcinga, serving

OF_HOST = {
    "holdfast_alertmanager_silence": ['instance=~"{{ inventory_hostname }}(:.*)?"'],
    "holdfast_icinga_downtime": {"filter": 'host.name == "{{ inventory_hostname }}"'},
}

NOTHING: dict[str, Json] = {"holdfast_alertmanager_silence": [], "holdfast_icinga_downtime": None}


@pytest.fixture
def services() -> Iterator[tuple[FakeAlertmanager, FakeIcinga]]:
    found = FakeAlertmanager(), FakeIcinga({"a": 0, "a!rabbitmq": 0})
    with ExitStack() as stack:
        for each in found:
            stack.enter_context(serving(each))
        yield found


@pytest.fixture
def run(hosts: FakeHosts, services: tuple[FakeAlertmanager, FakeIcinga]) -> dict[str, Json]:
    """Return the variables of an engine's run at a site that silences."""
    alertmanager, icinga = services
    hosts.set_variables(**alertmanager.variables(), **icinga.variables(), **OF_HOST)
    hosts.open_run("r1")
    holder = holder_for("r1", "ada", "why", os.getpid())
    grant = hosts.store().take(holder, {"east/cron": LeaseMode.EXCLUSIVE}, timedelta(minutes=5))
    policy = {"service": "cron", "group": "web", "batch_max": 1, "batch_max_reason": "a test"}
    return {"holdfast_run": "r1", "holdfast_grant": dict(grant.tokens), "holdfast_policy": policy}


def task(state: str, name: str, run: dict[str, Json], **more: Json) -> Json:
    given = {"vars": {**run, **more}, "register": name, "ignore_errors": True}
    return {"holdfast_silence": {"state": state}, **given}


def test_a_turn_is_silenced_for_as_long_as_it_lasts(
    hosts: FakeHosts, run: dict[str, Json], services: tuple[FakeAlertmanager, FakeIcinga]
) -> None:
    alertmanager, icinga = services
    played = hosts.run_tasks(
        task("placed", "everything", run, holdfast_alertmanager_silence=['job=~".*"']),
        task("placed", "refused", run, holdfast_icinga_user="nobody"),
        task("placed", "no_lease", {**run, "holdfast_grant": {"east/cron": 9}}),
        task("placed", "nothing", run, **NOTHING),
        task("ended", "nothing_ended", run, **NOTHING),
        task("placed", "placed", run),
        task("ended", "ended", run, holdfast_alertmanager_url="http://127.0.0.1:1"),
    )
    said = {name: result["msg"] for name, result in played.results.items()}
    assert PASSWORD not in played.output
    assert "Alertmanager refused the silence with 400" in said["everything"]
    assert said["refused"].startswith(
        "a: could not be silenced, and nothing was touched: Icinga refused"
    )
    assert "holds no" in said["no_lease"] or "lease" in said["no_lease"]
    for name in ("nothing", "nothing_ended"):
        assert not played.results[name]["failed"]
        assert not played.results[name]["changed"]
        assert said[name] == "a: nothing is silenced: the site names nothing"
    assert said["placed"].startswith("a: silenced in Alertmanager until ")

    # Alertmanager is away when the host is done: a warning, and the host stays done.
    assert not played.results["ended"]["failed"]
    assert "its silence in Alertmanager ends by itself" in played.results["ended"]["warnings"][0]
    assert (alertmanager.active, icinga.downtimes) == (["a(:.*)?"], {})
    first, second, ended = hosts.journal("r1")
    assert isinstance(first, SilencePlaced)
    assert isinstance(second, SilencePlaced)
    assert isinstance(ended, SilenceEnded)
    assert (first.host, first.service, second.service) == ("a", "Alertmanager", "Icinga")
    assert second.names == ended.names == ["a!08dc4935-0", "a!rabbitmq!08dc4935-0"]
    assert "--request DELETE" in first.undo


def test_what_would_silence_another_host_too_is_refused(
    hosts: FakeHosts, run: dict[str, Json], services: tuple[FakeAlertmanager, FakeIcinga]
) -> None:
    """A host that is alone in its group is compared with all others, and what has no value there selects nothing."""
    of_a = """instance="{{ {'a': 'a'}[inventory_hostname] }}\""""
    constant = {"filter": 'host.name == "a"'}
    hosts.set_variables(holdfast_alertmanager_silence=[of_a], holdfast_icinga_downtime=constant)
    alone = {**run, "holdfast_policy": {**run["holdfast_policy"], "group": "rabbitmq"}}
    played = hosts.run_tasks(
        task("placed", "of_group", run),
        task("placed", "of_all", alone),
        task("placed", "own", alone, holdfast_icinga_downtime=None),
    )
    of_group, of_all, own = (played.results[name] for name in ("of_group", "of_all", "own"))
    assert "holdfast_icinga_downtime is the same for a and b" in of_group["msg"]
    assert "holdfast_icinga_downtime is the same for a and " in of_all["msg"]
    assert own["changed"], own
    assert (services[0].active, services[1].downtimes) == (["a"], {})


def test_none_of_a_batch_stays_silenced_where_one_is_refused(
    hosts: FakeHosts, run: dict[str, Json], services: tuple[FakeAlertmanager, FakeIcinga]
) -> None:
    """The host whose silence was placed is not touched either: its alerts would be missed for half an hour."""
    refused = {
        "holdfast_icinga_user": "{{ {'b': 'nobody'}[inventory_hostname] | default('holdfast') }}"
    }
    role = {"name": "holdfast_silence", "tasks_from": "place", "rolespec_validate": False}
    play = {
        "hosts": "web", "gather_facts": False, "max_fail_percentage": 0, "vars": {**run, **refused},
        "tasks": [
            {"name": "Silence", "ansible.builtin.include_role": role},
            {"name": "Drain", "ansible.builtin.command": "true"},
        ],
    }  # fmt: skip
    done = hosts.run(hosts.playbook_command([play]))
    assert done.returncode != 0
    assert "Another host of the batch could not be silenced: b; nothing was touched" in done.stdout
    assert "b: could not be silenced, and nothing was touched: Icinga refused" in done.stdout
    assert "Drain" not in done.stdout
    assert (services[0].active, services[1].downtimes) == ([], {})
    kinds = [SilencePlaced] * 2 + [SilenceEnded] * 2
    assert [type(each) for each in hosts.journal("r1")] == kinds
