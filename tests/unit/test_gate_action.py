"""What probes are given of the site."""

from __future__ import annotations

from functools import partial

from holdfast.action_plugin import OneAtATime
from holdfast.gate_action import SiteValues, _not_waited, beside
from holdfast.gate_loop import GateResult
from holdfast.model import Json
from holdfast.play_context import Variables
from holdfast.probes.base import ProbeContext, SiteVariables, ask_all
from tests.unit.probes.shells import UnreachableShell


class Name(SiteVariables):
    known_as: str = ""


class Url(SiteVariables):
    url: str


def test_a_variable_is_resolved_when_it_is_read_and_only_once() -> None:
    """Of 242 computes only some are called, and the template of a transport URL takes 10 ms and more."""
    resolved: list[Json] = []

    def template(value: Json) -> Json:
        resolved.append(value)
        return f"resolved {value}"

    hosts = [f"cmp{number}" for number in range(242)]
    values = {
        host: SiteValues(
            ("known_as", "url", "missing"),
            partial(Variables, {"known_as": host, "url": "u", "other": "o"}, template),
            OneAtATime(),
        )
        for host in hosts
    }
    context = ProbeContext("ctl1", {}, values, UnreachableShell())
    targets = {host: host for host in hosts}
    names = ask_all(targets, lambda host: context.site(host, Name))
    assert ask_all(targets, lambda host: context.site(host, Name)) == names
    assert names["cmp7"].known_as == "resolved cmp7"
    assert sorted(map(str, resolved)) == sorted(hosts)
    assert context.site("cmp7", Url).url == "resolved u"
    assert resolved.count("u") == 1
    assert dict(values["cmp7"]) == {"known_as": "resolved cmp7", "url": "resolved u"}


def test_of_a_host_in_hand_only_what_is_rolled_is_not_asked() -> None:
    """Where computes are controllers too, the broker beside one is no less a member of its cluster."""
    groups = {"nova_compute": ["a", "b", "c"], "rabbitmq": ["a", "b", "c"]}
    context = ProbeContext("b", groups, {}, UnreachableShell())
    policy = {"holdfast_policy": {"group": "nova_compute"}}

    asked = beside(context, {"holdfast_in_hand": ["a"], **policy})

    assert [asked.members(group) for group in groups] == [("b", "c"), ("a", "b", "c")]
    assert beside(asked, {}).members("nova_compute") == ("a", "b", "c")


def test_a_gate_that_was_given_up_before_its_deadline_says_why() -> None:
    assert _not_waited(GateResult((), 11, 20.0)) == ""
    assert "refused in every reading for 20 s" in _not_waited(
        GateResult((), 11, 20.0, login_refused=True)
    )
    assert _not_waited(GateResult((), 4, 6.0, ("ctl1",))).startswith(" ctl1: proved healthy")
