"""A unit that is started again and again, from what its host prints to the verdict."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from holdfast.claims import bind_claim
from holdfast.errors import CannotTell
from holdfast.model import Verdict
from holdfast.probes.base import CommandResult, ProbeContext
from tests.unit.claims.whole_site import reading

STATE = """Now=Fri 2026-11-27 09:00:00 UTC
Hostname=ctl1

Id=cron.service
LoadState=loaded
ActiveState=active
SubState=running
Type=simple
Result=success
InvocationID=abc
NRestarts=0
ActiveEnterTimestamp=Fri 2026-11-27 {} UTC
"""


class Host:
    """Prints the unit's state, active since a moment, and so many starts of its journal."""

    def __init__(self, since: str, starts: int, rc: int = 0) -> None:
        self._state = STATE.format(since).replace("\n\n", "\n")
        self._journal = CommandResult(
            rc, "Started cron.service.\n" * starts, "No journal files were found."
        )
        self.asked: list[list[str]] = []

    def run(self, argv: Sequence[str]) -> CommandResult:
        if argv[0] != "journalctl":
            return CommandResult(0, self._state, "")
        self.asked.append(list(argv))
        return self._journal


def judged(*away: str, **hosts: Host) -> Verdict:
    def reach(host: str) -> Host:
        if host not in hosts:
            raise CannotTell(f"{host} is unreachable: no route")
        return hosts[host]

    entry = {"claim": "systemd.none_flapping", "unit": "crond", "hosts": [*hosts, *away]}
    first = next(iter(hosts))
    return reading(bind_claim(entry), ProbeContext(first, {}, {}, hosts[first], reach=reach))


def test_a_unit_that_runs_for_longer_than_the_window_needs_no_journal() -> None:
    host = Host("08:00:00", 0)
    assert judged(ctl1=host).message == "none of 1 units was started 3 times in 30 min"
    assert host.asked == []


def test_a_unit_that_comes_up_again_and_again_fails_although_it_is_up() -> None:
    """Also where that was before the gate: the journal has it."""
    host = Host("08:59:00", 4)
    found = judged(ctl1=host, ctl2=Host("08:50:00", 2))
    assert (found.outcome, found.reason) == ("FAIL", "flapping")
    assert found.message == "crond on ctl1 was started 4 times in 30 min"
    assert found.hosts == {"ctl1": {"healthy": False}}
    assert host.asked[0][-4:-1] == ["--since=-1800s", "_PID=1", "UNIT=cron.service"]


def test_one_restart_is_no_flapping() -> None:
    assert judged(ctl1=Host("08:59:00", 1)).passed


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (Host("08:59:00", 0), "crond on ctl1 was started lately, and the journal of its host does not have that"),
        (Host("08:59:00", 0, rc=1), "the starts of cron.service cannot be told: No journal files were found."),
    ],
)  # fmt: skip
def test_a_journal_that_does_not_tell_is_unknown(host: Host, said: str) -> None:
    found = judged(ctl1=host)
    assert found.outcome == "UNKNOWN"
    assert said in found.message


def test_a_host_that_does_not_answer_is_unknown() -> None:
    found = judged("ctl9", ctl1=Host("08:00:00", 0))
    assert (found.outcome, found.message) == ("UNKNOWN", "ctl9 is unreachable: no route")
