"""The first event of a journal, for tests that write journals of their own."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.journal.events import RunOpened

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)


def opened(at: datetime = NOW) -> RunOpened:
    """Return the first event of a run by hand."""
    return RunOpened(
        at=at,
        runbook="",
        runbook_hash="",
        playbook="Restart the toys",
        site="lab",
        by="ada",
        reason="a test",
        controller="ctl",
        process=1,
    )
