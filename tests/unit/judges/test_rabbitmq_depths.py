"""The verdict on consumers and waiting messages."""

from __future__ import annotations

import pytest

from holdfast.judges.rabbitmq import depths as judges
from holdfast.model import Outcome, Verdict
from holdfast.observations.base import Unanswered
from holdfast.observations.rabbitmq import QueueDepth, QueueDepths
from tests.unit.judges.verdicts import cases, outcome_and_reason

CAUSE = Unanswered("no broker answers")


def depths(at: float = 0.0, wanted: int = 2, **queues: QueueDepth) -> QueueDepths:
    names = dict.fromkeys(queues or ("conductor",), wanted)
    return QueueDepths(host="ctl1", vhost="/", at=at, wanted=names, queues=queues)


CONSUMED = [
    ("enough", depths(conductor=QueueDepth(consumers=3)), "PASS", "consumed"),
    ("too few", depths(conductor=QueueDepth(consumers=1)), "FAIL", "too_few_consumers"),
    ("no such queue", depths(), "FAIL", "too_few_consumers"),
    ("not counted yet", depths(conductor=QueueDepth()), "UNKNOWN", "not_counted"),
    (
        "one not counted, another too few",
        depths(conductor=QueueDepth(), scheduler=QueueDepth(consumers=0)),
        "FAIL",
        "too_few_consumers",
    ),
]


@pytest.mark.parametrize(("observed", "outcome", "reason"), cases(CONSUMED))
def test_consumers_expected(observed: QueueDepths, outcome: str, reason: str) -> None:
    assert outcome_and_reason(judges.consumers_expected("c", [observed])) == (outcome, reason)


def test_present_consumers_are_the_evidence_for_a_baseline() -> None:
    observed = depths(
        conductor=QueueDepth(consumers=8),
        scheduler=QueueDepth(consumers=1),
        idle=QueueDepth(consumers=0),
    )
    verdict = judges.consumers_known("c", [observed])
    assert outcome_and_reason(verdict) == ("PASS", "known")
    assert verdict.evidence == {
        "consumers": {"conductor": 2, "scheduler": 1},  # no more than wanted
        "missing": ["scheduler", "idle"],
    }


def test_a_queue_that_is_missing_already_is_reported_and_passes() -> None:
    verdict = judges.consumers_known("c", [depths()])
    assert outcome_and_reason(verdict) == ("PASS", "known")
    assert verdict.message == "0 of 1 queues have their consumers; missing already: conductor"


def test_consumers_that_are_not_counted_yet_are_unknown() -> None:
    assert outcome_and_reason(judges.consumers_known("c", [depths(conductor=QueueDepth())])) == (
        "UNKNOWN",
        "not_counted",
    )


def ready(*samples: tuple[float, int | None]) -> list[QueueDepths | Unanswered]:
    """Return samples of one queue: its waiting messages at these times."""
    return [depths(at=at, conductor=QueueDepth(ready=count)) for at, count in samples]


BACKLOG = [
    ("one sample", ready((0, 5)), "UNKNOWN", "too_few_samples"),
    ("three, too close", ready((0, 1), (1, 2), (2, 3)), "UNKNOWN", "too_few_samples"),
    ("it grows", ready((0, 1), (5, 2), (10, 3)), "FAIL", "growing"),
    ("it does not change", ready((0, 3), (5, 3), (10, 3)), "PASS", "not_growing"),
    ("a burst", ready((0, 1), (5, 9), (10, 2)), "PASS", "not_growing"),
    ("it grew once", ready((0, 1), (5, 2), (10, 2)), "PASS", "not_growing"),
    ("samples too close are skipped", ready((0, 1), (3, 9), (5, 2), (8, 0), (10, 3)), "FAIL", "growing"),
    ("the newest three count", ready((0, 9), (5, 1), (10, 2), (15, 3)), "FAIL", "growing"),
    ("not counted", ready((0, 1), (5, None), (10, 3)), "UNKNOWN", "not_counted"),
    ("the last reading has no answer", [*ready((0, 1), (5, 1), (10, 1)), CAUSE], "UNKNOWN", "unanswered"),
    ("a reading between has no answer", [*ready((0, 1), (5, 2)), CAUSE, *ready((10, 3))], "FAIL", "growing"),
]  # fmt: skip


@pytest.mark.parametrize(("history", "outcome", "reason"), cases(BACKLOG))
def test_queues_drain(history: list[QueueDepths | Unanswered], outcome: str, reason: str) -> None:
    assert outcome_and_reason(judges.queues_drain("c", history, 5.0)) == (outcome, reason)


@pytest.mark.parametrize(
    "verdict",
    [
        judges.consumers_expected("c", [CAUSE]),
        judges.consumers_known("c", [CAUSE]),
        judges.queues_drain("c", [CAUSE], 5.0),
    ],
)
def test_without_an_answer_the_verdict_is_unknown(verdict: Verdict) -> None:
    assert verdict.outcome is Outcome.UNKNOWN
