"""Messages fit their platform: without secrets, with run ids and next commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.chat.messages import by_name, fit, log_line, stopped_message
from holdfast.chat.secrets import Scrubber
from holdfast.chat.transport import Message
from holdfast.journal import events
from holdfast.journal.fold import fold
from tests.unit.report.journals import JournalBuilder, at

RUN = "20261121-2304-rabbitmq-restart-k3f9"
SCRUB = Scrubber({"planted-secret-4711"})


def held(evidence: str = "FAIL not_running", reason: str = "openssl update") -> JournalBuilder:
    scenario = JournalBuilder(RUN, plan={}, reason=reason)
    return scenario.add(
        events.Held(
            at=at(90),
            host="ctl3",
            step=2,
            claim="rabbitmq.booted",
            evidence=evidence,
            left=["ctl3: restarted, not yet proved healthy"],
            next_commands=[f"holdfast resume {RUN} --reason '…'", "ssh ctl3 revive"],
        )
    )


@given(st.text(max_size=3000), st.integers(200, 4000))
def test_a_hold_keeps_its_run_and_its_next_command(evidence: str, limit: int) -> None:
    message = fit(stopped_message(fold(held(evidence).recorded)), limit, SCRUB)
    assert len(message.text) + len(message.code) <= limit
    first, *_, last = message.text.split("\n")
    assert f"[{RUN}]" in first
    assert last == f"next: holdfast resume {RUN} --reason '…'"


@given(st.text(max_size=2000), st.integers(400, 4000))
def test_log_lines_keep_their_run(text: str, limit: int) -> None:
    scenario = held(text, text or "x")
    state = fold(scenario.recorded)
    for recorded in scenario.recorded:
        message = fit(Message(log_line(state, recorded.event, "ada (slack:T1/U2)")), limit, SCRUB)
        assert f"[{RUN}]" in message.text
        assert "\n" not in message.text
        assert len(message.text) <= limit


@given(st.text(max_size=500), st.text(max_size=3000), st.integers(200, 4000))
def test_no_message_is_too_long(text: str, code: str, limit: int) -> None:
    message = fit(Message(text, code), limit, SCRUB)
    assert len(message.text) + len(message.code) <= limit


def test_code_is_cut_by_whole_lines_with_their_number() -> None:
    message = fit(Message("head", "\n".join(f"line {n}" for n in range(100))), 200, SCRUB)
    lines = message.code.split("\n")
    assert lines[0] == "line 0"
    assert lines[-1] == f"… {100 - len(lines) + 1} more lines"


@pytest.mark.parametrize("where", ["text", "code"])
def test_secrets_are_removed_before_a_message_is_cut(where: str) -> None:
    long = "x " * 60 + "planted-secret-4711"
    message = fit(Message(long) if where == "text" else Message("a", long), 165, SCRUB)
    assert "planted" not in message.text + message.code


def test_a_log_line_has_start_or_end_what_who_why_and_run() -> None:
    scenario = held()
    state = fold(scenario.recorded)
    assert log_line(state, scenario.recorded[0].event, "ada") == (
        f"START - rabbitmq-restart lab by ada: openssl update [{RUN}]"
    )
    assert log_line(state, scenario.recorded[-1].event, "") == (
        f"END (HELD) - rabbitmq-restart lab [{RUN}]: FAIL not_running"
    )


def test_a_next_command_names_the_site_as_chat_does() -> None:
    scenario = JournalBuilder(
        RUN, plan={"inventory": "/srv/x y/inventories/lab", "site": "lab", "steps": []}
    )
    again = "holdfast run r-1 --site '/srv/x y/inventories/lab' --reason '…'"
    scenario.add(events.RunRefused(at=at(9), evidence="FAIL", next_commands=[again]))
    message = stopped_message(fold(scenario.recorded))
    assert message.text.endswith("next: holdfast run r-1 --site lab --reason '…'")
    assert "/srv" not in message.text + message.code


def test_a_check_names_the_site_but_in_commands_of_ansible() -> None:
    """A person types them on the controller, where the name is no inventory."""
    place = Path("/srv/h/inventories/prod")
    ping = f"ansible -i {place} ctl1 -m ansible.builtin.ping"
    said = by_name(f"{place}: broken\nnext: {ping}", place, "eqiad")
    assert said == f"eqiad: broken\nnext: {ping}"
