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
        {"ansible.builtin.assert": {"that": True}},
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
    assert "silence expire" in first.undo


def test_what_would_silence_another_host_too_is_refused(
    hosts: FakeHosts, run: dict[str, Json], services: tuple[FakeAlertmanager, FakeIcinga]
) -> None:
    """Of a password in a vault nothing is shown either."""
    hosts.set_variables(holdfast_alertmanager_silence=['job="rabbitmq"'])
    played = hosts.run_tasks(task("placed", "placed", run))
    assert (
        "holdfast_alertmanager_silence is the same for a and b" in played.results["placed"]["msg"]
    )
    assert (services[0].silences, hosts.journal("r1")) == ({}, [])


def test_a_site_that_sets_the_variables_and_silences_nothing_goes_on(
    hosts: FakeHosts, run: dict[str, Json]
) -> None:
    nothing: dict[str, Json] = {
        "holdfast_alertmanager_silence": [],
        "holdfast_icinga_downtime": None,
    }
    played = hosts.run_tasks(
        task("placed", "placed", run, **nothing), task("ended", "ended", run, **nothing)
    )
    for result in played.results.values():
        assert (result["failed"], result["changed"]) == (False, False), result
        assert result["msg"] == "a: nothing is silenced: the site names nothing"
    assert hosts.journal("r1") == []
