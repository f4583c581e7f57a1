"""The verdicts on one haproxy around its reload."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.judges.haproxy_service import (
    configuration_valid,
    figures_known,
    replaced,
    serves_as_before,
    state_as_before,
)
from holdfast.model import Json, Unanswered
from holdfast.observations.haproxy_service import (
    ConfigurationCheck,
    ConfigurationChecks,
    HaproxyService,
    ProxyServer,
)
from tests.unit.judges.verdicts import cases, outcome_and_reason


def proxied(name: str, **changed: Json) -> ProxyServer:
    values: dict[str, Json] = {
        "backend": "db",
        "name": name,
        "up": True,
        "admin": 0,
        "weight": 1,
        "configured_weight": 1,
    }
    return ProxyServer(**{**values, **changed})


def service(*servers: ProxyServer, **changed: Json) -> HaproxyService:
    values: dict[str, Json] = {
        "host": "lb1",
        "pid": 20,
        "uptime": 3,
        "sessions": 1,
        "frontends": {"db": True, "api": True, "off": False},
        "servers": servers or (proxied("one"), proxied("two", admin=1, up=False)),
        "old": {10: 2},
    }
    return HaproxyService(**{**values, **changed})


BEFORE = service(pid=10, uptime=900, sessions=3).figures
FILES = ("/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d")
ALERT = "[ALERT] (12) : config : parsing [/etc/haproxy/haproxy.cfg:7] : unknown keyword 'user admin password hunter2'"


def check(**changed: Any) -> ConfigurationCheck:
    return ConfigurationCheck(
        **{"files": FILES, "rc": 0, "output": "", "can_reload": True, **changed}
    )


SILENT = Unanswered("lb2 is unreachable")
CONFIGURATIONS = [
    ("valid", {"lb1": check(), "lb2": check()}, "PASS", "valid"),
    ("not asked whether it can reload", {"lb1": check(can_reload=None)}, "PASS", "valid"),
    ("refused", {"lb1": check(), "lb2": check(rc=1, output=ALERT)}, "FAIL", "refused"),
    ("cannot reload", {"lb1": check(can_reload=False)}, "FAIL", "no_reload"),
    ("one is silent", {"lb1": check(), "lb2": SILENT}, "UNKNOWN", "unanswered"),
    ("one refuses and one is silent", {"lb1": check(rc=1), "lb2": SILENT}, "FAIL", "refused"),
    ("none", {}, "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(CONFIGURATIONS))
def test_configuration_valid(seen: ConfigurationChecks, outcome: str, reason: str) -> None:
    assert outcome_and_reason(configuration_valid("c", seen)) == (outcome, reason)


def test_a_configuration_that_is_refused_is_told_by_its_places_and_never_by_its_lines() -> None:
    verdict = configuration_valid("c", {"lb1": check(rc=1, output=ALERT)})
    assert "at /etc/haproxy/haproxy.cfg:7 (exit status 1)" in verdict.message
    assert "haproxy -c -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/conf.d" in verdict.message
    assert "hunter2" not in str(verdict)


def test_what_a_baseline_has_of_a_haproxy() -> None:
    servers = (
        proxied("one"),
        proxied("two", admin=1, up=False),
        proxied("three", admin=4, up=False),  # by the configuration, which a reload keeps
        proxied("four", admin=8, weight=10, configured_weight=100),
        proxied("five", up=False),
    )
    assert service(*servers).figures.model_dump(mode="json") == {
        "pid": 20,
        "uptime": 3,
        "sessions": 1,
        "open": ["api", "db"],
        "up": ["db/four", "db/one"],
        "restore": [
            "set server db/two state maint",
            "set server db/four state drain",
            "set server db/four weight 10",
        ],
    }


def test_a_haproxy_that_leads_nowhere_is_no_baseline() -> None:
    assert outcome_and_reason(figures_known("c", service())) == ("PASS", "known")
    nothing = service(frontends={"db": False})
    assert outcome_and_reason(figures_known("c", nothing)) == ("FAIL", "nothing")


REPLACED = [
    ("another process", service(), "PASS", "replaced"),
    ("the same number, started anew", service(pid=10, uptime=3), "PASS", "replaced"),
    ("the one from before", service(pid=10, uptime=901), "FAIL", "same_process"),
    ("the one from before, in the same second", service(pid=10, uptime=900), "FAIL", "same_process"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(REPLACED))
def test_replaced(seen: HaproxyService, outcome: str, reason: str) -> None:
    assert outcome_and_reason(replaced("c", seen, BEFORE)) == (outcome, reason)


def test_old_sessions_are_counted_or_said_not_to_be_told() -> None:
    kept = replaced("c", service(), BEFORE)
    assert kept.message.endswith("of 3 old sessions are left: 2 in process 10")
    assert kept.evidence["old_sessions"] == {"10": 2}
    untold = replaced("c", service(old=Unanswered("its master has no socket")), BEFORE)
    assert untold.message.endswith(
        "how many old sessions are left is not told: its master has no socket"
    )
    assert untold.evidence["old_sessions"] is None


DOWN = service(proxied("one", up=False), proxied("two"))
GONE = service(proxied("two"), proxied("three"))
SERVED = [
    ("as before", service(), "", "PASS", "as_before"),
    ("more than before", service(proxied("one"), proxied("two")), "", "PASS", "as_before"),
    ("a server is down", DOWN, "", "FAIL", "not_as_before"),
    ("that is never accepted", DOWN, "why", "FAIL", "not_as_before"),
    ("a frontend takes no sessions", service(frontends={"db": False, "api": True}), "why", "FAIL", "not_as_before"),
    ("a server is gone", GONE, "", "FAIL", "gone"),
    ("as somebody wanted", GONE, "why", "PASS", "accepted"),
    ("a frontend is gone", service(frontends={"db": True}), "", "FAIL", "gone"),
    ("all are gone", service(proxied("two", up=False), frontends={}), "why", "FAIL", "nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "accepted", "outcome", "reason"), cases(SERVED))
def test_serves_as_before(seen: HaproxyService, accepted: str, outcome: str, reason: str) -> None:
    assert outcome_and_reason(serves_as_before("c", seen, BEFORE, accepted)) == (outcome, reason)


FORGOTTEN = service(proxied("one"), proxied("two"))
STATES = [
    ("kept, or given back", service(), "PASS", "as_before"),
    ("forgotten", FORGOTTEN, "FAIL", "lost"),
    ("drains instead", service(proxied("one"), proxied("two", admin=8)), "FAIL", "lost"),
    ("its server is gone", service(proxied("one")), "PASS", "as_before"),
    ("somebody changed another", service(proxied("one", admin=1), proxied("two", admin=1)), "PASS", "as_before"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "outcome", "reason"), cases(STATES))
def test_state_as_before(seen: HaproxyService, outcome: str, reason: str) -> None:
    assert outcome_and_reason(state_as_before("c", seen, BEFORE)) == (outcome, reason)


def test_what_was_forgotten_is_named_with_what_to_type() -> None:
    said = state_as_before("c", FORGOTTEN, BEFORE).message
    assert "on its socket: set server db/two state maint" in said
