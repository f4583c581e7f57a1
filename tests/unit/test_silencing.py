"""What a host's turn disturbs is silenced in each service or in none, and what others silenced is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json
from holdfast.probes.base import ProbeContext
from holdfast.silencing import Silencer, require_own
from tests.unit.probes.alerts.stand_ins import PASSWORD, FakeAlertmanager, FakeIcinga, serving
from tests.unit.probes.shells import NoShell

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
OURS = "holdfast: run r1, ctl1"


class Services(NamedTuple):
    alertmanager: FakeAlertmanager
    icinga: FakeIcinga

    def silencer(self, comment: str = OURS, **more: Json) -> Silencer:
        site = {
            **self.alertmanager.variables(),
            **self.icinga.variables(),
            "holdfast_alertmanager_silence": ['instance=~"ctl1(:.*)?"'],
            "holdfast_icinga_downtime": {"type": "Host", "filter": 'host.name == "ctl1"'},
            **more,
        }
        return Silencer(ProbeContext("ctl1", {}, {"ctl1": site}, NoShell()), comment)


@pytest.fixture
def services() -> Iterator[Services]:
    found = Services(FakeAlertmanager(), FakeIcinga())
    with ExitStack() as stack:
        for each in found:
            stack.enter_context(serving(each))
        yield found


def test_a_host_is_silenced_and_that_is_ended(services: Services) -> None:
    silencer = services.silencer(holdfast_silence_minutes=20)
    placed = silencer.place(NOW)
    assert [each.service for each in placed] == ["Alertmanager", "Icinga"]
    assert {each.until - NOW for each in placed} == {placed[0].until - NOW}
    assert (placed[0].until - NOW).total_seconds() == 1200
    assert services.alertmanager.active == ["ctl1(:.*)?"]
    assert set(services.icinga.downtimes) == {"ctl1!08dc4935-0", "ctl1!rabbitmq!08dc4935-0"}

    ended = dict(silencer.end())

    assert ended == {"Alertmanager": ["423dcfa9-0"], "Icinga": list(placed[1].names)}
    assert (services.alertmanager.active, services.icinga.downtimes) == ([], {})


def test_what_a_run_placed_before_it_held_is_replaced_without_a_gap(services: Services) -> None:
    services.silencer().place(NOW)
    services.silencer().place(NOW)
    assert services.alertmanager.active == ["ctl1(:.*)?"]
    assert list(services.alertmanager.silences) == ["423dcfa9-0", "423dcfa9-1"]
    assert len(services.icinga.downtimes) == 2


def test_silences_of_others_are_left_alone(services: Services) -> None:
    services.silencer("holdfast: run r2, ctl1").place(NOW)
    services.silencer().place(NOW)
    list(services.silencer().end())
    assert len(services.alertmanager.active) == 1
    assert {d["comment"] for d in services.icinga.downtimes.values()} == {"holdfast: run r2, ctl1"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"holdfast_icinga_downtime": {"filter": 'host.name == "nobody"'}}, "has no Host for 'host.name == "),
        ({"holdfast_icinga_downtime": {"filter": "host.name =="}}, "or cannot read it"),
        ({"holdfast_icinga_password": "wrong-one"}, "Icinga refused holdfast_icinga_user 'holdfast' (401"),
        ({"holdfast_icinga_url": "http://127.0.0.1:1"}, "Connection refused"),
        ({"holdfast_icinga_url": ""}, "holdfast_icinga_url is not set"),
    ],
)  # fmt: skip
def test_where_one_service_refuses_nothing_stays_silenced(
    services: Services, wrong: dict[str, Json], said: str
) -> None:
    with pytest.raises(CannotTell) as refused:
        services.silencer(**wrong).place(NOW)
    assert said in str(refused.value)
    assert "may be silenced" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert (services.alertmanager.active, services.icinga.downtimes) == ([], {})


@pytest.mark.parametrize("places", [False, True])
def test_an_icinga_that_allows_only_some_is_a_refusal(services: Services, places: bool) -> None:
    """One result of several that was refused leaves the downtimes of the others, which the run does not know yet."""
    services.icinga.refuses, services.icinga.refuses_one = not places, places
    with pytest.raises(CannotTell, match=r"Icinga refused the downtime: Not allowed\.$"):
        services.silencer().place(NOW)
    assert (services.alertmanager.active, services.icinga.downtimes) == ([], {})


def test_a_silence_whose_answer_was_lost_is_ended(services: Services) -> None:
    services.alertmanager.lost = (504, "Gateway Timeout")
    with pytest.raises(CannotTell, match=r"refused the silence with 504: Gateway Timeout$"):
        services.silencer().place(NOW)
    assert services.alertmanager.silences
    assert services.alertmanager.active == []


def test_what_cannot_be_taken_back_is_named(services: Services) -> None:
    services.icinga.refuses = True
    services.alertmanager.fails_after_post = (503, "overloaded")
    with pytest.raises(CannotTell) as refused:
        services.silencer().place(NOW)
    said = refused.value.message
    assert said.startswith("Icinga refused the downtime: Not allowed.; it may be silenced in")
    assert (
        f"silenced in Alertmanager until 08:30 UTC, comment '{OURS}': that could not be ended:"
        in said
    )
    assert "503: overloaded; to end it: curl " in said
    assert said.endswith("/api/v2/silence/423dcfa9-0")


@pytest.mark.parametrize("service", ["alertmanager", "icinga"])
def test_an_address_with_a_password_in_it_is_refused_without_showing_it(
    services: Services, service: str
) -> None:
    """The command that ends a silence has the address, and is journaled."""
    with pytest.raises(InvalidInput, match="a user or a password in it") as refused:
        services.silencer(**{f"holdfast_{service}_url": f"http://holdfast:{PASSWORD}@127.0.0.1:1"})
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("matchers", "error", "said"),
    [
        (['instance=~".*"'], CannotTell, "must not match the empty string"),
        (["instance=ctl1"], InvalidInput, "is no matcher"),
    ],
)
def test_a_silence_of_everything_is_refused(
    services: Services, matchers: list[str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        services.silencer(holdfast_alertmanager_silence=matchers).place(NOW)
    assert services.icinga.downtimes == {}


def test_what_cannot_be_ended_is_named_and_the_other_is_ended(services: Services) -> None:
    services.silencer().place(NOW)
    services.alertmanager.fails = (503, "overloaded")
    ended = dict(services.silencer().end())
    assert "503: overloaded" in str(ended["Alertmanager"])
    assert services.icinga.downtimes == {}


def test_the_undo_works_as_typed_and_has_no_password(services: Services, tmp_path: Path) -> None:
    """Curl asks for the password, and is given the CA and the name that the run itself uses."""
    ca_file = tmp_path / "ca.crt"
    ca_file.touch()
    silencer = services.silencer(holdfast_icinga_ca_file=str(ca_file))
    ours, of_icinga = (each.undo for each in silencer.place(NOW))
    curl = "curl --fail-with-body --user holdfast"
    assert ours == f"{curl} --request DELETE {services.alertmanager.url}/api/v2/silence/423dcfa9-0"
    assert of_icinga.startswith(f"{curl} --cacert {ca_file} --header 'Accept: application/json'")
    assert of_icinga.endswith(f" {services.icinga.url}/v1/actions/remove-downtime")
    assert OURS in of_icinga
    assert PASSWORD not in ours + of_icinga


def test_the_undo_asks_for_the_name_on_the_certificate(services: Services) -> None:
    port = services.icinga.url.rpartition(":")[2]
    undo = services.silencer(holdfast_icinga_tls_name="icinga.example.org").place(NOW)[1].undo
    assert f" --connect-to icinga.example.org:{port}:127.0.0.1:{port} " in undo
    assert undo.endswith(f" http://icinga.example.org:{port}/v1/actions/remove-downtime")


def test_a_service_that_is_slow_ends_the_turn_before_its_act(services: Services) -> None:
    """What was proved before would be as old as that."""
    silencer = services.silencer()
    silencer._clock = iter([0.0, 11.0]).__next__
    with pytest.raises(CannotTell, match="Alertmanager and Icinga took 11 s to silence it"):
        silencer.place(NOW)
    assert (services.alertmanager.active, services.icinga.downtimes) == ([], {})


def test_what_any_other_host_would_silence_too_is_refused() -> None:
    """A matcher for each rack differs from that of the first host beside this one, and selects the rack."""
    rack = "holdfast_alertmanager_silence"
    others = {"ctl2": {rack: ('rack="b"',)}, "ctl3": {rack: ('rack="a"',)}}
    with pytest.raises(InvalidInput, match=f"{rack} is the same for ctl1 and ctl3"):
        require_own("ctl1", {rack: ('rack="a"',)}, others.items())
    require_own("ctl1", {rack: ('instance="ctl1"',)}, others.items())
