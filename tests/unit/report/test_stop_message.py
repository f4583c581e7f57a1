"""The message of a stopped run: host, step, claim, evidence, state of hosts, commands to type."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from holdfast.journal import events
from holdfast.journal.fold import fold
from holdfast.report.stop_message import stop_message
from tests.unit.cli.test_progress import half_done_journal
from tests.unit.report.journals import at


def printed(*, after: events.Event) -> str:
    state = fold(half_done_journal().add(after).recorded)
    console = Console(file=StringIO(), width=110)
    console.print(stop_message(state))
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # it is the StringIO from above


HELD = events.Held(
    at=at(90),
    host="ctl3",
    step=2,
    claim="rabbitmq.booted",
    evidence="FAIL not_running: [b]ctl3[/b] is not running\x1b[2J\nsaid by ctl1",
    left=["ctl3: restarted, not yet proved healthy", "done and proved healthy: ctl2"],
    next_commands=["holdfast resume R --reason '…'", "ssh ctl3 rabbitmq-upgrade revive"],
)


def test_hold_prints_host_step_claim_evidence_state_and_commands() -> None:
    output = printed(after=HELD)
    assert "HELD, nothing more is touched  rabbitmq-restart at lab, run 20261121-2304" in output
    for row in (
        "host         ctl3",
        "step         2. Restart",
        "claim        rabbitmq.booted",
        "evidence     FAIL not_running: [b]ctl3[/b] is not running",
        "state        ctl3: restarted, not yet proved healthy",
        "               done and proved healthy: ctl2",  # with no second "state" before it
        "see also     holdfast show rabbitmq-restart#if-it-holds",
        "to continue  holdfast resume R --reason '…'",
        "only if you abandon the run",
        "to undo      ssh ctl3 rabbitmq-upgrade revive",
    ):
        assert row in output
    assert "\x1b" not in output


def test_a_cause_that_is_known_comes_with_what_to_do() -> None:
    """A run says what a check of the same site says: which account is refused, and which variable is wrong."""
    refused = (
        "ctl1: login: ACCESS_REFUSED - refused (rabbitmq_probe_user 'holdfast' in virtual host '/')"
    )
    for event in (
        events.RunRefused(at=at(1), evidence=refused),
        HELD.model_copy(update={"evidence": refused}),
    ):
        output = printed(after=event)
        assert "what to do" in output
        assert "rabbitmqctl authenticate_user holdfast; then correct" in output
    assert "what to do" not in printed(after=HELD)


def test_refusal_says_that_nothing_was_touched() -> None:
    event = events.RunRefused(
        at=at(1),
        evidence="lab/rabbitmq is held by bob since 22:00: upgrade",
        next_commands=["holdfast status X", "holdfast run rabbitmq-restart"],
    )
    output = printed(after=event)
    assert "REFUSED, nothing was touched" in output
    assert "for details   holdfast status X" in output
    assert "to try again  holdfast run rabbitmq-restart" in output


def test_abort_shows_who_requested_it_and_the_state_of_hosts() -> None:
    output = printed(after=events.Aborted(at=at(1), by="bob", left=["not touched in step 2: ctl1"]))
    assert "ABORTED, on request" in output
    assert "requested by  bob" in output
    assert "state         not touched in step 2: ctl1" in output


def test_finished_run_names_the_report() -> None:
    assert "holdfast report 20261121-2304" in printed(after=events.Finished(at=at(1)))
