"""From ansible-runner's events to what a play came to."""

from __future__ import annotations

import pytest

from holdfast.ansible.interfaces import PlayResult, Progress
from holdfast.ansible.play_outcome import PlayOutcome
from holdfast.model import Json


def event(kind: str, /, stdout: str = "", **data: Json) -> Json:
    return {"event": kind, "event_data": data, "stdout": stdout}


def stats(**hosts: str) -> Json:
    """The final statistics: ``h1="ok"``, ``h2="failures"``, ``h3="dark"``."""
    data: Json = {"processed": dict.fromkeys(hosts, 1)}
    for host, how in hosts.items():
        data.setdefault(how, {})[host] = 1
    return event("playbook_on_stats", **data)


def failed(host: str, /, kind: str = "failed", **res: Json) -> Json:
    return event(f"runner_on_{kind}", host=host, res=res)


def result(
    *events: Json, expected: tuple[str, ...] = ("h1",), well: bool = True, stopped: bool = False
) -> PlayResult:
    outcome = PlayOutcome(expected)
    for entry in events:
        list(outcome.add(entry))
    return outcome.result(exited_ok=well, interrupted=stopped)


@pytest.mark.parametrize(
    ("events", "well", "status", "hosts"),
    [
        ((stats(h1="ok"),), True, "ok", {"h1": "ok"}),
        ((stats(h1="ok"),), False, "failed", {"h1": "ok"}),
        ((stats(h1="failures"),), False, "failed", {"h1": "failed"}),
        ((stats(h1="failures"),), True, "failed", {"h1": "failed"}),
        ((stats(h1="dark"),), True, "failed", {"h1": "unreachable"}),
        ((stats(),), True, "failed", {"h1": "absent"}),
        ((), True, "failed", {"h1": "absent"}),
        ((stats(h2="ok"),), True, "failed", {"h1": "absent", "h2": "ok"}),
        ((stats(h1="ok", h2="failures"),), True, "failed", {"h1": "ok", "h2": "failed"}),
    ],
)
def test_a_play_succeeded_only_if_every_host_did(
    events: tuple[Json, ...], well: bool, status: str, hosts: dict[str, str]
) -> None:
    ended = result(*events, well=well)

    assert (ended.status, dict(ended.hosts)) == (status, hosts)


def test_a_rescued_failure_is_no_failure() -> None:
    assert result(failed("h1", msg="x"), stats(h1="ok")) == PlayResult("ok", {"h1": "ok"})


def test_a_play_without_hosts_has_none() -> None:
    assert result(stats(), expected=()).status == "no_hosts"
    assert result(expected=(), well=False).status == "failed"


def test_an_interrupted_play_has_the_status_interrupted() -> None:
    assert result(stats(h1="ok"), stopped=True).status == "interrupted"


@pytest.mark.parametrize(
    ("res", "words"),
    [
        ({"msg": "no quorum"}, "no quorum"),
        ({"msg": "it failed", "stderr": "why"}, "it failed\nwhy"),
        ({"msg": "\x1b[0;31mred\x1b[0m"}, "red"),
        ({}, "failed, no output"),
        (
            {
                "msg": "One or more items failed",
                "results": [{"msg": "fine"}, {"failed": True, "msg": "a died"}],
            },
            "a died",
        ),
        ({"msg": "x" * 5000}, "x" * 2000),
    ],
)
def test_the_message_is_the_output_of_the_failed_task(res: Json, words: str) -> None:
    ended = result(failed("h1", **res), stats(h1="failures"), well=False)

    assert ended.messages == {"h1": words}


def test_a_changed_host_key_has_our_advice_and_not_that_of_ssh() -> None:
    ssh = (
        "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n  ssh-keygen -f known_hosts -R cmp2"
    )
    unreachable = event("runner_on_unreachable", host="h1", res={"msg": ssh, "unreachable": True})

    ended = result(unreachable, stats(h1="dark"), well=False)

    assert "its SSH host key is not the one in known_hosts" in ended.messages["h1"]
    assert "Compare the key at the host's console" in ended.messages["h1"]
    assert "-R" not in ended.messages["h1"]


def test_an_ignored_failure_has_no_message() -> None:
    ignored = event("runner_on_failed", host="h1", ignore_errors=True, res={"msg": "never mind"})

    assert result(ignored, stats(h1="dark"), well=False).messages == {}


def test_without_messages_of_hosts_the_end_of_the_output_is_kept() -> None:
    lines = [event("verbose", stdout=f"line {number}\r\n") for number in range(20)]

    ended = result(*lines, event("verbose", stdout="[ERROR]: no such role"), well=False)

    assert ended.messages[""].endswith("line 19\n[ERROR]: no such role")
    assert "line 3\n" not in ended.messages[""]


def test_progress_is_hosts_tasks_and_live_readings() -> None:
    outcome = PlayOutcome(("h1",))
    heard = [
        list(outcome.add(entry))
        for entry in (
            event("playbook_on_task_start", name="The unit is active"),
            event("runner_on_start", host="h1"),
            event(
                "verbose", stdout="\x1b[0mgate h1 systemd.active FAIL 1/1: down (2 s of 9 s)\r\n"
            ),
            event("verbose", stdout="gated community"),
        )
    ]

    reading = "gate h1 systemd.active FAIL 1/1: down (2 s of 9 s)"
    assert heard == [
        [],
        [Progress("h1", "The unit is active", "")],
        [Progress("h1", "The unit is active", reading)],
        [],
    ]


def done(host: str) -> Json:
    return event("runner_on_ok", host=host, res={"holdfast_host_done": True})


@pytest.mark.parametrize(
    ("events", "over"),
    [
        ((done("h1"),), False),
        ((done("h1"), done("h2")), True),
        ((event("runner_on_ok", host="h1", res={}), done("h2")), False),
        (
            (event("runner_on_failed", host="h1", res={"holdfast_host_done": True}), done("h2")),
            False,
        ),
        ((done("h1"), done("h2"), failed("h2", msg="x")), False),
        ((failed("h2", kind="unreachable", msg="x"), done("h1"), done("h2")), False),
    ],
)
def test_all_are_done_when_each_is_journaled_and_nothing_has_failed(
    events: tuple[Json, ...], over: bool
) -> None:
    outcome = PlayOutcome(("h1", "h2"))
    for entry in events:
        list(outcome.add(entry))

    assert outcome.all_done is over
