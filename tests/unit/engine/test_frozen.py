"""A freeze is named where the run stops; how to undo it only where the run has ended."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from holdfast.engine.hold_report import aborted_event, held_event
from holdfast.journal import events as ev
from holdfast.journal.events import Recorded
from holdfast.journal.fold import fold
from holdfast.journal.run_state import Failure
from holdfast.model import Act
from holdfast.report.stop_message import stop_message

AT = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
UNDO = "holdfast run puppet-release --site east --input run=r --reason '…'"


def test_frozen_hosts_are_named_and_only_an_abort_says_how_to_enable_them() -> None:
    events = [
        ev.ActIntended(at=AT, host=host, act=Act.FREEZE, unit="u", invocation_id="", undo=UNDO)
        for host in ("cmp1", "cmp2")
    ]
    journal = [Recorded(run="r", seq=n, event=event) for n, event in enumerate(events, 1)]
    state = fold(journal)
    held = held_event(state, Failure(1, "cmp1", "", "why"), AT)
    aborted = aborted_event(state, "ada", AT)
    what = "what changes it by itself was disabled by this run, which has not enabled it"
    sentence = f"{what}: cmp1, cmp2"
    assert sentence in held.left
    assert sentence in aborted.left
    assert UNDO not in held.next_commands, "it would let a change that failed spread"
    assert aborted.next_commands.count(UNDO) == 1
    ended = fold([*journal, Recorded(run="r", seq=3, event=aborted)])
    console = Console(width=200, file=StringIO())
    console.print(stop_message(ended))
    assert isinstance(console.file, StringIO)
    assert f"to undo       {UNDO}" in console.file.getvalue()
