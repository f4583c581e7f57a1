"""Who may approve a run: approvals are bound to run and plan, counted, and expire."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.chat.approvals import approve
from holdfast.chat.bot import Bot
from holdfast.chat.permissions import Member
from holdfast.chat.transport import Button
from holdfast.engine.driver import run_opened
from holdfast.errors import Refused
from holdfast.journal import events
from holdfast.journal.events import Approved
from holdfast.model import Holder
from holdfast.people import Approvers
from holdfast.runbook.model import ApprovalPolicy
from tests.unit.chat.chat_harness import (
    ADA,
    BOB,
    CAT,
    DOT,
    EVE,
    FOX,
    RUN,
    ChatHarness,
    replace_dependencies,
)
from tests.unit.chat.test_commands import run_scenario
from tests.unit.cli.cli_harness import BLOCKS, HOSTS


@pytest.fixture
def harness(tmp_path: Path) -> ChatHarness:
    harness = ChatHarness(tmp_path)
    harness.config["approvals"] = [{"sites": ["lab"], "runbooks": ["broker-restart"]}]
    return harness


def approvals_in(harness: ChatHarness) -> list[Approved]:
    """Return the approvals in the newest run's journal."""
    events = [each.event for each in harness.store.read(harness.run)]
    return [event for event in events if isinstance(event, Approved)]


async def asked(harness: ChatHarness, bot: Bot, who: Any = ADA) -> None:
    await harness.ask(who, RUN, bot)
    await harness.until_posted("Approval needed")


def test_nothing_is_touched_before_somebody_approves(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        assert harness.restarts == []
        assert "Approved by bob: step 0" in await harness.press(BOB, "Approve", bot)
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert harness.restarts == list(HOSTS)
    (approval,) = approvals_in(harness)
    first: Any = harness.store.read(harness.run)[0].event
    assert (approval.by, approval.step) == ("memory:bob", 0)
    assert approval.plan_hash
    assert first.plan["steps"][0]["kind"] == "approve"
    (question,) = [
        m for m in harness.platform.messages if m.message.text.startswith("Approval needed")
    ]
    assert "given by bob (memory:bob)" in question.message.text
    assert question.message.buttons == ()


def test_a_command_approves_like_the_button(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        assert "Approved by fox" in await harness.ask(FOX, f"holdfast approve {harness.run}", bot)
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert [approval.by for approval in approvals_in(harness)] == ["memory:fox"]


@pytest.mark.parametrize("who", [ADA, CAT, EVE], ids=["operator", "viewer", "stranger"])
def test_only_approvers_can_approve(harness: ChatHarness, who: Any) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        assert "Approved" not in await harness.press(who, "Approve", bot)
        assert "Approved" not in await harness.ask(who, f"holdfast approve {harness.run}", bot)
        await harness.ask(ADA, f"holdfast abort {harness.run}", bot)

    run_scenario(harness, scenario)
    assert approvals_in(harness) == []
    assert harness.restarts == []


def test_who_asked_for_the_run_does_not_approve_it(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot, DOT)
        answer = await harness.press(DOT, "Approve", bot)
        assert "dot asked for run" in answer
        assert "one of: bob, fox" in answer
        await harness.ask(ADA, f"holdfast abort {harness.run}", bot)

    run_scenario(harness, scenario)
    assert approvals_in(harness) == []


def test_who_asked_for_the_run_in_a_terminal_does_not_approve_it_in_chat(
    harness: ChatHarness,
) -> None:
    """Dot started the run in a terminal, where the journal records her login."""
    harness.write("approve: really?", *BLOCKS)

    async def scenario(bot: Bot) -> None:
        from holdfast.chat.run_request import PlanRequest, StartRun  # noqa: PLC0415

        engine = harness.engine()
        plan_request = PlanRequest(runbook="broker-restart", site="lab")
        path, inventory = (
            harness.path / "runbooks/broker-restart.md",
            harness.path / "inventories/lab",
        )
        plan = plan_request.plan(engine.planner, path, inventory)
        start = StartRun(
            run=engine.new_run(plan.runbook),
            plan_request=plan_request,
            runbook_path=path,
            inventory=inventory,
            plan_hash=plan.hash,
            by="dot",
            reason="by hand",
            approvers=Approvers({"dot": ("login:dot", "memory:dot"), "bob": ("memory:bob",)}),
        )
        harness.launcher.launch(start)
        await harness.until_posted("Approval needed")
        assert "dot asked for run" in await harness.press(DOT, "Approve", bot)
        assert "Approved by bob" in await harness.press(BOB, "Approve", bot)
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert [approval.by for approval in approvals_in(harness)] == ["memory:bob"]


def test_who_asked_may_approve_where_the_rule_says_so(harness: ChatHarness) -> None:
    harness.config["approvals"] = [{"sites": ["lab"], "by_others": False}]

    async def scenario(bot: Bot) -> None:
        await asked(harness, bot, DOT)
        assert "Approved by dot" in await harness.press(DOT, "Approve", bot)
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert harness.restarts == list(HOSTS)


def test_two_approvals_are_from_two_people(harness: ChatHarness) -> None:
    harness.config["approvals"] = [{"sites": ["lab"], "count": 2}]

    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        assert "1 approval more needed" in await harness.press(BOB, "Approve", bot)
        assert "bob has approved" in await harness.press(BOB, "Approve", bot)
        assert harness.restarts == []
        assert "Approved by fox" in await harness.press(FOX, "Approve", bot)
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert [approval.by for approval in approvals_in(harness)] == ["memory:bob", "memory:fox"]


def test_approvals_at_the_same_time_start_the_run_once(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        answers = await asyncio.gather(
            harness.press(BOB, "Approve", bot, "p1"),
            harness.press(FOX, "Approve", bot, "p2"),
            harness.press(BOB, "Approve", bot, "p1"),
        )
        assert any("Approved by" in answer for answer in answers)
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert harness.restarts == list(HOSTS)
    answer = [approval.by for approval in approvals_in(harness)]
    assert len(answer) == len(set(answer)) <= 2


def test_an_approval_after_the_run_gave_up_is_refused(harness: ChatHarness) -> None:
    harness.config["approvals"] = [{"sites": ["lab"], "deadline_seconds": 5}]

    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        await harness.until_posted("REFUSED: ")
        answer = await harness.press(BOB, "Approve", bot)
        assert "does not wait for an approval" in answer

    run_scenario(harness, scenario)
    assert harness.restarts == []
    assert approvals_in(harness) == []
    assert "no longer needed" in harness.texts_with("Approval needed")[0]


def test_an_approval_after_the_deadline_is_refused_before_the_driver_notices(
    harness: ChatHarness,
) -> None:
    path, inventory = harness.path / "runbooks/broker-restart.md", harness.path / "inventories/lab"
    engine, now = harness.engine(), harness.clock()
    plan = engine.planner.plan(path, inventory, {}).begun_by_approval("May it?", ApprovalPolicy())
    holder = Holder("r-late", "memory:ada", "x", "ctl", "boot", 99, 99)
    grant = harness.store.take(holder, plan.leases, timedelta(days=2))
    harness.store.append("r-late", run_opened(plan, holder, now))
    for event in (
        events.LeaseTaken(at=now, tokens=dict(grant.tokens)),
        events.StepStarted(at=now, step=0, title="Approval"),
        events.ApprovalRequested(
            at=now,
            step=0,
            question="May it?",
            plan_hash=plan.hash,
            people={"bob": ["memory:bob"]},
            starter="ada",
        ),
    ):
        harness.store.append("r-late", event)
    dependencies = harness.bot().dependencies
    bob = Member("bob", "memory:bob")
    harness.clock.now += timedelta(hours=1)
    with pytest.raises(Refused, match="Too late"):
        approve(dependencies, bob, "r-late")
    assert approvals_in(harness) == []
    harness.clock.now -= timedelta(minutes=1)
    approve(dependencies, bob, "r-late")
    assert [approval.by for approval in approvals_in(harness)] == ["memory:bob"]


def test_approvals_count_only_for_the_question_they_answered(harness: ChatHarness) -> None:
    """Of two approvals one is given, the run is aborted; after a resume both are needed again."""
    harness.config["approvals"] = [{"sites": ["lab"], "count": 2}]

    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        assert "1 approval more needed" in await harness.press(BOB, "Approve", bot)
        await harness.ask(ADA, f"holdfast abort {harness.run}", bot)
        await harness.until_posted("ABORTED: ")
        await asyncio.to_thread(harness.launcher.join)
        await harness.ask(ADA, f"holdfast resume {harness.run} reason again", bot)
        await harness.until(lambda: len(harness.texts_with("Approval needed")) == 2, "asked anew")
        assert "1 approval more needed" in await harness.press(FOX, "Approve", bot)
        assert harness.restarts == []
        assert "Approved by bob" in await harness.press(BOB, "Approve", bot)
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert [approval.by for approval in approvals_in(harness)] == [
        "memory:bob",
        "memory:fox",
        "memory:bob",
    ]


def test_a_button_of_another_plan_is_refused(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        old = Button("Approve", f"approve:{harness.run}:0:0123456789abcdef", "good")
        assert "another question or plan" in await harness.press_token(BOB, old, bot)
        await harness.ask(ADA, f"holdfast abort {harness.run}", bot)

    run_scenario(harness, scenario)
    assert approvals_in(harness) == []


def test_a_plan_that_changed_since_it_was_shown_is_not_run(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        launch = harness.launcher.launch

        class Meanwhile:
            """Somebody edits the runbook between the plan and the run's process."""

            def __getattr__(self, name: str) -> Any:
                return getattr(harness.launcher, name)

            def launch(self, request: Any) -> None:
                harness.write("check: [fake.all_serve]", *BLOCKS)
                launch(request)

        replace_dependencies(bot, launcher=Meanwhile())
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("changed since it was shown")

    run_scenario(harness, scenario)
    assert list(harness.store.runs()) == []
    assert harness.restarts == []


def test_of_several_rules_the_strictest_applies(harness: ChatHarness) -> None:
    harness.config["approvals"] = [
        {"sites": ["*"], "count": 1, "deadline_seconds": 60},
        {"sites": ["lab"], "count": 2, "by_others": False, "deadline_seconds": 600},
    ]

    async def scenario(bot: Bot) -> None:
        answer = await harness.ask(ADA, "holdfast plan broker-restart", bot)
        assert "2 people, not the one who starts the run" in answer
        assert "deadline     1 min 00 s" in answer

    run_scenario(harness, scenario)


def test_who_asked_in_chat_does_not_approve_in_a_terminal_and_nobody_unknown_does(
    harness: ChatHarness,
) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot, DOT)
        engine = harness.engine()
        for login, expected in (("dot", "somebody else"), ("zoe", "nobody"), ("cat", "nobody")):
            with pytest.raises(Refused, match=expected):
                engine.approve(harness.run, login)
        engine.approve(harness.run, "bob")
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert [(each.person, each.by) for each in approvals_in(harness)] == [("bob", "bob")]
    assert "given by bob (bob)" in harness.texts_with("Approval needed")[0]


def test_approvers_and_the_starter_are_mentioned_when_they_are_needed(harness: ChatHarness) -> None:
    harness.config["approvals"] = [{"sites": ["lab"], "deadline_seconds": 900}]

    async def scenario(bot: Bot) -> None:
        await asked(harness, bot, DOT)
        assert "Rejected by fox: step 0" in await harness.ask(
            FOX, f"holdfast reject {harness.run} reason not tonight", bot
        )
        await harness.until_posted("REFUSED: ")

    run_scenario(harness, scenario)
    (question,) = [m for m in harness.platform.messages if "Approval needed" in m.message.text]
    first = (*question.before, question.message)[0]
    assert first.mentions == ("memory:bob", "memory:fox")
    assert " UTC), for plan" in first.text
    assert "rejected by fox (memory:fox): not tonight" in question.message.text
    (stopped,) = [m for m in harness.platform.messages if m.message.text.startswith("REFUSED: ")]
    assert stopped.message.mentions == ("memory:dot",)
    assert "rejected by fox (memory:fox): not tonight" in stopped.message.code
    assert harness.restarts == []


def test_an_approver_says_no_with_a_button_and_others_may_not(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        assert "is no approver" in await harness.press(CAT, "Reject", bot)
        assert "Rejected by bob" in await harness.press(BOB, "Reject", bot)
        await harness.until_posted("REFUSED: ")
        assert "does not wait" in await harness.press(BOB, "Reject", bot)

    run_scenario(harness, scenario)
    assert harness.restarts == []


def test_a_run_that_waits_says_so_everywhere_in_chat(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await asked(harness, bot)
        await harness.until_posted(f"waiting for approval [{harness.run}]")
        expected = "waits for approval of step 0 (May this run begin?): 1 of bob, dot, fox, until "
        for text in (f"holdfast status {harness.run}",):
            answer = await harness.ask(CAT, text, bot)
            assert answer.startswith("waiting ")
            assert expected in answer
            assert f"holdfast approve {harness.run}" in answer
        assert "  waiting  " in await harness.ask(CAT, "holdfast status", bot)
        (progress,) = [m for m in harness.platform.messages if m.key.endswith("/progress")]
        assert expected in progress.message.code
        await harness.ask(ADA, f"holdfast abort {harness.run}", bot)

    run_scenario(harness, scenario)
