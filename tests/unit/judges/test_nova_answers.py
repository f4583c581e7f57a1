"""The verdict on what services answered: over the broker, the API, metadata; and on peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from holdfast.judges.nova.answers import (
    api_answers,
    metadata_answers,
    peer_remains,
    rpc_answers,
)
from holdfast.model import Outcome, Unanswered, Verdict
from holdfast.observations.nova import (
    ApiReplies,
    ExpectedService,
    HttpReply,
    ListedService,
    MetadataReplies,
    RpcAnswers,
    RpcReplies,
    ServiceList,
)
from tests.unit.judges.verdicts import outcome_and_reason

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
COMPUTE = ExpectedService("compute", "cmp1", "cmp1")
REFUSED = HttpReply(0, "[Errno 111] Connection refused")


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        (RpcReplies(sent=3, answered=3), PASS),
        (RpcReplies(sent=3, answered=0), FAIL),
        # One worker of three hangs.
        (RpcReplies(sent=3, answered=2), FAIL),
        (RpcReplies(sent=3, answered=0, no_queue=True), FAIL),
        (RpcReplies(sent=3, answered=0, error="UnsupportedVersion"), FAIL),
        (ApiReplies(HttpReply(200), HttpReply(200)), PASS),
        (ApiReplies(HttpReply(300), HttpReply(200)), PASS),
        (ApiReplies(REFUSED, None), FAIL),
        (ApiReplies(HttpReply(503), HttpReply(200)), FAIL),
        (ApiReplies(HttpReply(200), HttpReply(500)), FAIL),
        (ApiReplies(HttpReply(200), REFUSED), FAIL),
        (ApiReplies(HttpReply(200), HttpReply(401)), UNKNOWN),
        (ApiReplies(HttpReply(200), HttpReply(403)), UNKNOWN),
        (ApiReplies(HttpReply(200), None, "no token"), UNKNOWN),
        # 404 comes only after both databases were searched.
        (MetadataReplies(HttpReply(200), HttpReply(400), HttpReply(404)), PASS),
        (MetadataReplies(HttpReply(200), HttpReply(400), HttpReply(200), known=True), PASS),
        (MetadataReplies(HttpReply(200), HttpReply(400), HttpReply(404), known=True), FAIL),
        (MetadataReplies(HttpReply(200), HttpReply(400), HttpReply(200)), FAIL),
        (MetadataReplies(HttpReply(200), HttpReply(400), HttpReply(500)), FAIL),
        (MetadataReplies(HttpReply(200), HttpReply(400), REFUSED), FAIL),
        (MetadataReplies(REFUSED, None, None), FAIL),
        (MetadataReplies(HttpReply(500), HttpReply(400), HttpReply(404)), FAIL),
        (MetadataReplies(HttpReply(200), HttpReply(400), HttpReply(403)), UNKNOWN),
        # Without service_metadata_proxy signatures are not read, so a 404 proves nothing.
        (MetadataReplies(HttpReply(200), HttpReply(404), HttpReply(404)), UNKNOWN),
        (MetadataReplies(HttpReply(200), None, None), PASS),
    ],
)
def test_what_one_host_answers(
    replies: RpcReplies | ApiReplies | MetadataReplies, outcome: Outcome
) -> None:
    judges: Mapping[type, Callable[..., Verdict]] = {
        RpcReplies: lambda claim, replies: rpc_answers(claim, RpcAnswers(replies)),
        ApiReplies: api_answers,
        MetadataReplies: metadata_answers,
    }
    asked = COMPUTE if isinstance(replies, RpcReplies) else "cmp1"
    assert judges[type(replies)]("c", {asked: replies}).outcome is outcome


def test_rpc_answers_needs_every_service() -> None:
    good = {ExpectedService("conductor", "ctl1", "ctl1"): RpcReplies(3, 3)}
    bad = {ExpectedService("scheduler", "ctl1", "ctl1"): RpcReplies(3, 1)}
    other = {COMPUTE: RpcReplies(3, 3)}
    assert outcome_and_reason(rpc_answers("c", RpcAnswers(good | other))) == (PASS, "answers")
    verdict = rpc_answers("c", RpcAnswers(good | bad | other))
    assert outcome_and_reason(verdict) == (FAIL, "no_answer")
    assert "nova-scheduler on ctl1 answered 1 of 3 calls" in verdict.message
    assert verdict.hosts == {"cmp1": {"healthy": True}, "ctl1": {"healthy": False}}


def test_services_of_one_name_in_two_cells_are_judged_apart() -> None:
    """Two cells may each have a host that nova knows by the same name."""
    first, second = (ExpectedService("compute", host, "cmp") for host in ("cmp1", "cmp2"))
    replies = {first: RpcReplies(sent=3, answered=0), second: RpcReplies(sent=3, answered=3)}
    verdict = rpc_answers("c", RpcAnswers(replies))
    assert verdict.outcome is FAIL
    assert "cmp1" in verdict.message
    assert "cmp2" not in verdict.message


def test_a_silent_compute_that_people_took_out_is_named_and_left_out() -> None:
    conductor = ExpectedService("conductor", "ctl1", "ctl1")
    replies = {conductor: RpcReplies(3, 3), COMPUTE: RpcReplies(3, no_queue=True)}
    fenced = ListedService(
        "nova-compute", "cmp1", "disabled", "down", "", "broken DIMM", forced_down=True
    )
    listed = ServiceList([conductor, COMPUTE], [fenced])
    verdict = rpc_answers("c", RpcAnswers(replies, listed))
    assert outcome_and_reason(verdict) == (PASS, "answers")
    assert "left out: nova-compute on cmp1: disabled (broken DIMM)" in verdict.message
    # Nobody took it out, or nova could not be asked.
    enabled = ServiceList([conductor, COMPUTE], [replace(fenced, status="enabled")])
    for known in (enabled, Unanswered("no token"), None):
        verdict = rpc_answers("c", RpcAnswers(replies, known))
        assert outcome_and_reason(verdict) == (FAIL, "no_answer")


STRANGE = HttpReply(200, strange="in another shape than expected")


@pytest.mark.parametrize(
    "verdict",
    [
        api_answers("c", {"ctl1": ApiReplies(HttpReply(200), STRANGE)}),
        metadata_answers("c", {"ctl1": MetadataReplies(STRANGE, None, None)}),
    ],
    ids=["api", "metadata"],
)
def test_a_good_status_with_another_body_proves_nothing(verdict: Verdict) -> None:
    """A proxy's login page is answered with 200 too."""
    assert outcome_and_reason(verdict) == (UNKNOWN, "unanswered")
    assert "in another shape than expected" in verdict.message


def test_metadata_without_a_secret_reports_what_was_not_proved() -> None:
    verdict = metadata_answers("c", {"ctl1": MetadataReplies(HttpReply(200), None, None)})
    assert "its database was not asked" in verdict.message


GOOD = ApiReplies(HttpReply(200), HttpReply(200))
BAD = ApiReplies(REFUSED, None)
NO_TOKEN = ApiReplies(HttpReply(200), None, "no token from keystone: timed out")


@pytest.mark.parametrize(
    ("replies", "verdict"),
    [
        ({"ctl1": GOOD, "ctl2": GOOD}, (PASS, "answers")),
        ({"ctl1": GOOD, "ctl2": BAD}, (FAIL, "no_answer")),
        ({"ctl1": GOOD, "ctl2": NO_TOKEN}, (UNKNOWN, "unanswered")),
        # A service that does not answer decides, whatever is unknown.
        ({"ctl1": BAD, "ctl2": NO_TOKEN}, (FAIL, "no_answer")),
    ],
)
def test_api_answers(replies: Mapping[str, ApiReplies], verdict: tuple[Outcome, str]) -> None:
    assert outcome_and_reason(api_answers("c", replies)) == verdict


def test_api_answers_has_no_fact_about_a_host_that_is_unknown() -> None:
    verdict = api_answers("c", {"ctl1": GOOD, "ctl2": BAD, "ctl3": NO_TOKEN})
    assert verdict.hosts == {"ctl1": {"healthy": True}, "ctl2": {"healthy": False}}


def test_metadata_answers_judges_every_host() -> None:
    good = MetadataReplies(HttpReply(200), HttpReply(400), HttpReply(404))
    bad = MetadataReplies(HttpReply(200), HttpReply(400), HttpReply(500))
    verdict = metadata_answers("c", {"ctl1": good, "ctl2": bad})
    assert outcome_and_reason(verdict) == (FAIL, "no_answer")


@pytest.mark.parametrize(
    ("replies", "minimum", "verdict"),
    [
        ({"ctl1": GOOD, "ctl2": GOOD}, 1, (PASS, "peer_serves")),
        ({"ctl1": BAD, "ctl2": GOOD}, 1, (PASS, "peer_serves")),
        ({"ctl1": GOOD, "ctl2": BAD, "ctl3": GOOD}, 1, (PASS, "peer_serves")),
        ({"ctl1": GOOD, "ctl2": BAD, "ctl3": GOOD}, 2, (FAIL, "no_peer")),
        # The last healthy one is never restarted.
        ({"ctl1": GOOD, "ctl2": BAD, "ctl3": BAD}, 1, (FAIL, "no_peer")),
        ({"ctl1": GOOD}, 1, (FAIL, "no_peer")),
        ({"ctl1": NO_TOKEN, "ctl2": BAD}, 1, (FAIL, "no_peer")),
        ({"ctl1": GOOD, "ctl2": NO_TOKEN}, 1, (UNKNOWN, "peer_unknown")),
        # Where no host serves, the restart takes nothing away.
        ({"ctl1": BAD, "ctl2": BAD}, 1, (PASS, "out_already")),
        ({"ctl1": GOOD}, 0, (PASS, "peer_serves")),
    ],
)
def test_peer_remains(
    replies: Mapping[str, ApiReplies], minimum: int, verdict: tuple[Outcome, str]
) -> None:
    assert outcome_and_reason(peer_remains("c", replies, "api", "ctl1", minimum)) == verdict


def test_a_peer_over_the_broker_or_over_http_is_judged_alike() -> None:
    calls = {"ctl1": RpcReplies(3, 3), "ctl2": RpcReplies(3, 2)}
    verdict = peer_remains("c", calls, "conductor", "ctl1", 1)
    assert outcome_and_reason(verdict) == (FAIL, "no_peer")
    assert verdict.evidence["not_serving"] == {"ctl2": "answered 2 of 3 calls"}
    metadata = {
        "ctl1": MetadataReplies(REFUSED, None, None),
        "ctl2": MetadataReplies(HttpReply(200), None, None),
    }
    assert peer_remains("c", metadata, "metadata", "ctl1", 1).passed
