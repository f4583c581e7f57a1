"""What is read of a unit at the word, for the act that follows: for that act alone, and for a moment."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.prepared_read import FRESH_SECONDS, PREPARED, PreparedRead, prepared
from holdfast.probes.base import CommandResult
from holdfast.word import PARK, WORD

ACT = {"act": "restart", "unit": "cron", "log": ""}
PRINTED = """\
[clock]
boot=b
seconds=4200
[before]
Id=cron.service
ActiveState=active
InvocationID=start0
message=
end=read
"""


class Host:
    """A shell that answers, or does not."""

    def __init__(self, answer: str | CannotTell) -> None:
        self.answer, self.asked = answer, 0

    def run(self, argv: Sequence[str]) -> CommandResult:
        self.asked += 1
        if isinstance(self.answer, CannotTell):
            raise self.answer
        return CommandResult(0, self.answer, "")


def read(act: Json, answer: str | CannotTell = PRINTED) -> dict[str, Json]:
    with PreparedRead(act, Host(answer)) as reading:
        pass
    return reading.found()


def of_play(found: Json, park: str = "p1", word: str = "p1") -> dict[str, Json]:
    return {PARK: park, "ansible_facts": {WORD: {PARK: word, PREPARED: found}}}


def test_the_act_goes_on_from_what_was_read_at_its_word() -> None:
    answer = prepared(of_play(read(ACT)), {**ACT, "timeout_seconds": 900})
    assert answer is not None
    assert answer.before is not None
    assert (answer.before.invocation_id, answer.clock.hundredths) == ("start0", 4200)


@pytest.mark.parametrize("other", [{"act": "drain"}, {"unit": "ssh"}, {"log": "/var/log/x"}])
def test_another_act_reads_its_unit_itself(other: dict[str, str]) -> None:
    assert prepared(of_play(read(ACT)), {**ACT, **other}) is None


def test_what_is_old_or_of_another_play_does_not_count() -> None:
    found = read(ACT)
    late = {**found, "at": time.monotonic() - FRESH_SECONDS - 1}
    assert prepared(of_play(late), ACT) is None
    assert prepared(of_play({**found, "at": time.monotonic() + 60}), ACT) is None, "another boot's"
    assert prepared(of_play(found, word="an earlier play's"), ACT) is None
    assert prepared({}, ACT) is None


@pytest.mark.parametrize(
    "answer",
    [CannotTell("a is unreachable"), "", PRINTED.replace("end=read\n", ""), "end=not_begun\n"],
)
def test_an_answer_that_says_nothing_of_the_unit_is_none(answer: str | CannotTell) -> None:
    assert prepared(of_play(read(ACT, answer)), ACT) is None


def test_where_nothing_is_to_be_read_no_host_is_asked() -> None:
    host = Host(PRINTED)
    with PreparedRead({}, host) as reading:
        pass
    assert (reading.found(), host.asked) == ({}, 0)
