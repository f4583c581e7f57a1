"""Given who answered what, which verdict: calls over the broker, API, metadata, peers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from holdfast.judges.base import Unanswered
from holdfast.judges.nova_answers import (
    ApiAsked,
    Finding,
    HttpReply,
    MetadataAsked,
    Pinged,
    api_answers,
    metadata_answers,
    of_api,
    of_metadata,
    of_ping,
    peer_remains,
    rpc_answers,
)
from holdfast.model import Outcome, Verdict

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
SILENT = Unanswered("no broker serves")
REFUSED = HttpReply(0, "[Errno 111] Connection refused")


def said(verdict: Verdict) -> tuple[Outcome, str]:
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (Pinged("compute", "cmp1", sent=3, answered=3), PASS),
        (Pinged("compute", "cmp1", sent=3, answered=0), FAIL),
        # One worker of three hangs.
        (Pinged("conductor", "ctl1", sent=3, answered=2), FAIL),
        (Pinged("compute", "cmp1", sent=3, answered=0, no_queue=True), FAIL),
        (Pinged("compute", "cmp1", sent=3, answered=0, error="UnsupportedVersion"), FAIL),
    ],
)
def test_a_ping(asked: Pinged, outcome: Outcome) -> None:
    assert of_ping(asked).outcome is outcome


def test_rpc_answers_takes_every_service() -> None:
    good = Pinged("conductor", "ctl1", 3, 3)
    bad = Pinged("scheduler", "ctl1", 3, 1)
    other = Pinged("compute", "cmp1", 3, 3)
    assert said(rpc_answers("c", [[good, other]])) == (PASS, "answers")
    verdict = rpc_answers("c", [[good, bad, other]])
    assert said(verdict) == (FAIL, "no_answer")
    assert "nova-scheduler on ctl1 answered 1 of 3 calls" in verdict.message
    assert verdict.hosts == {"cmp1": {"healthy": True}, "ctl1": {"healthy": False}}
    assert said(rpc_answers("c", [[good], SILENT])) == (UNKNOWN, "unanswered")


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (ApiAsked(HttpReply(200), HttpReply(200)), PASS),
        (ApiAsked(HttpReply(300), HttpReply(200)), PASS),
        (ApiAsked(REFUSED, None), FAIL),
        (ApiAsked(HttpReply(503), HttpReply(200)), FAIL),
        (ApiAsked(HttpReply(200), HttpReply(500)), FAIL),
        (ApiAsked(HttpReply(200), REFUSED), FAIL),
        (ApiAsked(HttpReply(200), HttpReply(401)), UNKNOWN),
        (ApiAsked(HttpReply(200), HttpReply(403)), UNKNOWN),
        (ApiAsked(HttpReply(200), None, "no token"), UNKNOWN),
    ],
)
def test_an_api(asked: ApiAsked, outcome: Outcome) -> None:
    assert of_api(asked).outcome is outcome


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        # 404 comes only after both databases were searched.
        (MetadataAsked(HttpReply(200), HttpReply(400), HttpReply(404)), PASS),
        (MetadataAsked(HttpReply(200), HttpReply(400), HttpReply(200), known=True), PASS),
        (MetadataAsked(HttpReply(200), HttpReply(400), HttpReply(404), known=True), FAIL),
        (MetadataAsked(HttpReply(200), HttpReply(400), HttpReply(200)), FAIL),
        (MetadataAsked(HttpReply(200), HttpReply(400), HttpReply(500)), FAIL),
        (MetadataAsked(HttpReply(200), HttpReply(400), REFUSED), FAIL),
        (MetadataAsked(REFUSED, None, None), FAIL),
        (MetadataAsked(HttpReply(500), HttpReply(400), HttpReply(404)), FAIL),
        (MetadataAsked(HttpReply(200), HttpReply(400), HttpReply(403)), UNKNOWN),
        # Not behind the proxy signatures are not read, so a 404 proves nothing.
        (MetadataAsked(HttpReply(200), HttpReply(404), HttpReply(404)), UNKNOWN),
        (MetadataAsked(HttpReply(200), None, None), PASS),
    ],
)
def test_a_metadata_service(asked: MetadataAsked, outcome: Outcome) -> None:
    assert of_metadata(asked).outcome is outcome


def test_metadata_without_a_secret_says_what_was_not_proved() -> None:
    assert (
        "its database was not asked" in of_metadata(MetadataAsked(HttpReply(200), None, None)).words
    )


GOOD = ApiAsked(HttpReply(200), HttpReply(200))
BAD = ApiAsked(REFUSED, None)
NOT_TOLD = ApiAsked(HttpReply(200), None, "no token from keystone: timed out")


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ({"ctl1": GOOD, "ctl2": GOOD}, (PASS, "answers")),
        ({"ctl1": GOOD, "ctl2": BAD}, (FAIL, "no_answer")),
        ({"ctl1": GOOD, "ctl2": NOT_TOLD}, (UNKNOWN, "unanswered")),
        # A service that is known to be out weighs more than one that is not known.
        ({"ctl1": BAD, "ctl2": NOT_TOLD}, (FAIL, "no_answer")),
    ],
)
def test_api_answers(asked: Mapping[str, ApiAsked], verdict: tuple[Outcome, str]) -> None:
    assert said(api_answers("c", [asked])) == verdict


def test_api_answers_tells_ordering_only_what_it_knows() -> None:
    verdict = api_answers("c", [{"ctl1": GOOD, "ctl2": BAD, "ctl3": NOT_TOLD}])
    assert verdict.hosts == {"ctl1": {"healthy": True}, "ctl2": {"healthy": False}}


def test_metadata_answers_judges_every_host() -> None:
    good = MetadataAsked(HttpReply(200), HttpReply(400), HttpReply(404))
    assert metadata_answers("c", [{"ctl1": good}]).passed
    bad = MetadataAsked(HttpReply(200), HttpReply(400), HttpReply(500))
    assert said(metadata_answers("c", [{"ctl1": good, "ctl2": bad}])) == (FAIL, "no_answer")
    assert said(metadata_answers("c", [SILENT])) == (UNKNOWN, "unanswered")


SERVES, OUT, DARK = Finding(PASS, "answers"), Finding(FAIL, "silent"), Finding(UNKNOWN, "dark")


@pytest.mark.parametrize(
    ("found", "minimum", "verdict"),
    [
        ({"ctl1": SERVES, "ctl2": SERVES}, 1, (PASS, "peer_serves")),
        ({"ctl1": OUT, "ctl2": SERVES}, 1, (PASS, "peer_serves")),
        ({"ctl1": SERVES, "ctl2": OUT, "ctl3": SERVES}, 1, (PASS, "peer_serves")),
        ({"ctl1": SERVES, "ctl2": OUT, "ctl3": SERVES}, 2, (FAIL, "no_peer")),
        # The last healthy one is never restarted.
        ({"ctl1": SERVES, "ctl2": OUT, "ctl3": OUT}, 1, (FAIL, "no_peer")),
        ({"ctl1": SERVES}, 1, (FAIL, "no_peer")),
        ({"ctl1": DARK, "ctl2": OUT}, 1, (FAIL, "no_peer")),
        ({"ctl1": SERVES, "ctl2": DARK}, 1, (UNKNOWN, "peer_unknown")),
        # Where nobody serves, the restart takes nothing away.
        ({"ctl1": OUT, "ctl2": OUT}, 1, (PASS, "out_already")),
        ({"ctl1": SERVES}, 0, (PASS, "peer_serves")),
    ],
)
def test_peer_remains(
    found: Mapping[str, Finding], minimum: int, verdict: tuple[Outcome, str]
) -> None:
    assert said(peer_remains("c", [found], "conductor", "ctl1", minimum)) == verdict


def test_peer_remains_is_not_told_without_an_answer() -> None:
    verdict = peer_remains("c", [{"ctl1": SERVES, "ctl2": SERVES}, SILENT], "api", "ctl1", 1)
    assert said(verdict) == (UNKNOWN, "unanswered")
