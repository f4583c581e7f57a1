"""The moments at which the lab's faults are planted are what a run prints."""

from __future__ import annotations

import pytest

from holdfast.journal.events import ActDone, ActIntended, BatchStarted, Event
from holdfast.model import ALL_PHASES, Act
from holdfast.report.event_text import describe_event
from tests.fakes.journal import NOW
from tests.lab.galera_faults import FAULTS, MOMENTS, NODES, Fault, stopped_by

UNIT = {"at": NOW, "host": "ctl2", "unit": "mariadb", "invocation_id": ""}
PRINTED: dict[str, list[Event]] = {
    "preflight": [BatchStarted(at=NOW, step=2, hosts=["ctl2"], phases=list(ALL_PHASES), why="")],
    "drain": [ActIntended(act=Act.DRAIN, **UNIT)],
    "restart": [ActIntended(act=Act.RESTART, **UNIT)],
    "verify": [ActDone(act=Act.RESTART, **UNIT), ActDone(act=Act.RESTART, seconds=7.5, **UNIT)],
    "undrain": [ActIntended(act=Act.UNDRAIN, **UNIT)],
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_each_moment_is_recognised_and_no_other(moment: str) -> None:
    for event in PRINTED[moment]:
        text = describe_event(event)
        line = f"16:21:39 {f'{text.host} ' if text.host else ''}{text.text}"
        found = {name: each.search(line) for name, each in MOMENTS.items()}
        assert [name for name, each in found.items() if each] == [moment], line
        assert [each[1] for each in found.values() if each] == ["ctl2"]


def test_the_writer_is_no_other_host_that_something_happens_to() -> None:
    """The writer is the first node; it is restarted last."""
    for in_hand in NODES[1:]:
        assert Fault("off", "own", "drain").victim(in_hand) == in_hand
        assert Fault("off", "other", "drain").victim(in_hand) not in {in_hand, NODES[0]}


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_what_a_run_stopped_at_is_its_last_claim() -> None:
    output = "16:00 ctl2 FAIL\n  host   ctl2\n  claim          haproxy.one_writer   \n  state  x\n"
    assert stopped_by(output) == "haproxy.one_writer"
    assert stopped_by("Finished: every step ended well.") == ""
