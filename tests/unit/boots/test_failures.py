"""Each failure has the kind that its text says, and no other."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.boots.failures import MAX_FAULT, classify, fault_text
from holdfast.boots.model import FailureKind

DEADLOCK = "Deadlock found when trying to get lock; try restarting transaction"
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/usr/lib/python3/dist-packages/nova/conductor/manager.py", line 1, in schedule\n'
    f"oslo_db.exception.DBDeadlock: (pymysql.err.OperationalError) (1213, '{DEADLOCK}')\n"
    "[SQL: ROLLBACK TO SAVEPOINT a]\n"
    "[parameters: {'user_data': 'not-for-a-report'}]\n"
    "(Background on this error at: https://sqlalche.me/e/14/e3q8)\n"
)


@pytest.mark.parametrize(
    ("message", "details", "kind"),
    [
        ("DBDeadlock", TRACEBACK, FailureKind.DEADLOCK),
        (f"(pymysql.err.OperationalError) (1213, '{DEADLOCK}')", "", FailureKind.DEADLOCK),
        (
            "(1213, 'WSREP detected deadlock/conflict and aborted the transaction.')",
            "",
            FailureKind.CERTIFICATION,
        ),
        (
            "MessagingTimeout",
            "oslo_messaging.exceptions.MessagingTimeout: Timed out waiting for a reply to message ID 1213\n",
            FailureKind.RPC_TIMEOUT,
        ),
        (
            "No valid host was found. There are not enough hosts available.",
            "",
            FailureKind.NO_VALID_HOST,
        ),
        (
            "No valid host was found. Exceeded max scheduling attempts 3. Last exception: DBDeadlock",
            "",
            FailureKind.DEADLOCK,
        ),
        (
            "http://ctl1 answered 403: Quota exceeded for instances: Requested 1",
            "",
            FailureKind.QUOTA,
        ),
        (
            "Build of instance a aborted: Failed to allocate the network(s), not rescheduling.",
            "",
            FailureKind.NETWORK,
        ),
        ("http://ctl1 answered 400: Network 5a3d could not be found.", "", FailureKind.NETWORK),
        ("Binding failed for port 7, please check neutron logs", "", FailureKind.NETWORK),
        (
            "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures",
            "",
            FailureKind.OTHER,
        ),
        ("", "", FailureKind.OTHER),
    ],
)
def test_the_kind_is_what_the_text_says(message: str, details: str, kind: FailureKind) -> None:
    assert classify(message, details) is kind


def test_the_cause_at_the_end_of_a_traceback_counts_before_what_came_before_it() -> None:
    chained = (
        "neutronclient.common.exceptions.Conflict: in use\n"
        "During handling of the above exception, another exception occurred:\n"
        "oslo_messaging.exceptions.MessagingTimeout: Timed out waiting for a reply\n"
    )
    assert classify("MessagingTimeout", chained) is FailureKind.RPC_TIMEOUT
    assert classify("", chained) is FailureKind.RPC_TIMEOUT


@given(st.uuids(version=4))
def test_an_instances_id_is_never_a_deadlock(some: uuid.UUID) -> None:
    parts = str(some).split("-")
    with_number = "-".join([parts[0], "1213", *parts[2:]])
    assert classify(f"Build of instance {with_number} aborted: 1213") is FailureKind.OTHER


@given(st.text(), st.text())
def test_a_fault_is_one_short_line_without_the_values_of_a_statement(
    message: str, before: str
) -> None:
    text = fault_text(message, f"{before}\n[SQL: SELECT 1]\n[parameters: {{'a': 'zq-planted-zq'}}]")
    assert len(text) <= MAX_FAULT
    assert "\n" not in text
    assert "zq-planted-zq" not in text


def test_a_fault_has_the_message_and_the_cause() -> None:
    text = fault_text("DBDeadlock", TRACEBACK)
    assert text == (
        f"oslo_db.exception.DBDeadlock: (pymysql.err.OperationalError) (1213, '{DEADLOCK}')"
    )
    said = "No valid host was found."
    assert fault_text(said) == said
    assert fault_text(said, f"Traceback:\nnova.exception.NoValidHost: {said}\n") == said
    assert (
        fault_text("Build aborted", "Traceback:\nOSError: full\n") == "Build aborted; OSError: full"
    )
    assert fault_text("", "Traceback:\nOSError: full\n") == "OSError: full"
