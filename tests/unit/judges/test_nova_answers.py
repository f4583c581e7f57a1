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
    rpc_quick,
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


STRANGE = HttpReply(200, strange="in another shape than expected")
HTTP = {code: HttpReply(code) for code in (200, 300, 400, 401, 403, 404, 499, 500, 503)}
GOOD = ApiReplies(HttpReply(200), HttpReply(200))
BAD = ApiReplies(REFUSED, None)
NO_TOKEN = ApiReplies(HttpReply(200), None, "no token from keystone: timed out")
NO_ANSWER = "had no answer: [Errno 111] Connection refused"


@pytest.mark.parametrize(
    ("replies", "outcome", "said"),
    [
        (RpcReplies(sent=3, answered=3), PASS, "all 1 services answer"),
        (RpcReplies(sent=3, answered=0), FAIL, "answered 0 of 3 calls (0 of 1 services answer)"),
        # One worker of three hangs.
        (RpcReplies(sent=3, answered=2), FAIL, "answered 2 of 3 calls (0 of 1 services answer)"),
        (RpcReplies(3, no_queue=True), FAIL, "has no queue on the broker (0 of 1 services answer)"),
        (RpcReplies(3, error="Old"), FAIL, "answered with an error: Old (0 of 1 services answer)"),
        (ApiReplies(HTTP[200], HTTP[200]), PASS, ": answers a request with a token"),
        (ApiReplies(HTTP[300], HTTP[200]), PASS, ": answers a request with a token"),
        (ApiReplies(REFUSED, None), FAIL, f": GET / {NO_ANSWER}"),
        (ApiReplies(HTTP[503], HTTP[200]), FAIL, ": GET / was answered 503"),
        (ApiReplies(HTTP[200], HTTP[500]), FAIL, ": GET /servers was answered 500"),
        (ApiReplies(HTTP[200], REFUSED), FAIL, f": GET /servers {NO_ANSWER}"),
        (
            ApiReplies(HTTP[200], HttpReply(401, "observer may not")),
            UNKNOWN,
            "401: observer may not",
        ),
        (
            ApiReplies(HTTP[200], HttpReply(403, "observer may not")),
            UNKNOWN,
            "403: observer may not",
        ),
        (ApiReplies(HTTP[200], None, "no token"), UNKNOWN, ": no token"),
        # A proxy's login page is answered with 200 too.
        (ApiReplies(HTTP[200], STRANGE), UNKNOWN, f"was answered 200, {STRANGE.strange}"),
        (
            MetadataReplies(STRANGE, (HTTP[400], HTTP[404])),
            UNKNOWN,
            f"GET / was answered 200, {STRANGE.strange}",
        ),
        # 404 comes only after both databases were searched.
        (MetadataReplies(HTTP[200], (HTTP[400], HTTP[404])), PASS, "through the database"),
        (
            MetadataReplies(HTTP[200], (HTTP[400], HTTP[200]), known=True),
            PASS,
            "through the database",
        ),
        (MetadataReplies(HTTP[200], (HTTP[400], HTTP[404]), known=True), FAIL, "was answered 404"),
        (
            MetadataReplies(HTTP[200], (HTTP[400], HTTP[200])),
            FAIL,
            "signed request was answered 200",
        ),
        (
            MetadataReplies(HTTP[200], (HTTP[400], HTTP[500])),
            FAIL,
            "signed request was answered 500",
        ),
        (MetadataReplies(HTTP[200], (HTTP[400], REFUSED)), FAIL, f": a signed request {NO_ANSWER}"),
        (MetadataReplies(REFUSED, None), FAIL, f": GET / {NO_ANSWER}"),
        (MetadataReplies(HTTP[500], (HTTP[400], HTTP[404])), FAIL, ": GET / was answered 500"),
        (
            MetadataReplies(HTTP[200], (HTTP[400], HTTP[403])),
            UNKNOWN,
            "shared_secret is not nova's",
        ),
        # Without service_metadata_proxy signatures are not read, so a 404 proves nothing.
        (MetadataReplies(HTTP[200], (HTTP[404], HTTP[404])), UNKNOWN, "(service_metadata_proxy)"),
        (MetadataReplies(HTTP[200], (HTTP[499], HTTP[404])), UNKNOWN, "(service_metadata_proxy)"),
        # No answer, or an error of the service itself, says nothing of signatures.
        (MetadataReplies(HTTP[200], (REFUSED, HTTP[404])), FAIL, f"{NO_ANSWER}, expected 400"),
        (MetadataReplies(HTTP[200], (HTTP[500], HTTP[404])), FAIL, "answered 500, expected 400"),
        (MetadataReplies(HTTP[200], None), PASS, "(nova_metadata_shared_secret is not set)"),
    ],
)
def test_what_one_host_answers(
    replies: RpcReplies | ApiReplies | MetadataReplies, outcome: Outcome, said: str
) -> None:
    judges: Mapping[type, Callable[..., Verdict]] = {
        RpcReplies: lambda claim, replies: rpc_answers(claim, RpcAnswers(replies)),
        ApiReplies: api_answers,
        MetadataReplies: metadata_answers,
    }
    asked = COMPUTE if isinstance(replies, RpcReplies) else "cmp1"
    verdict = judges[type(replies)]("c", {asked: replies})
    assert verdict.outcome is outcome
    assert verdict.message.endswith(said)


def test_rpc_answers_needs_every_service() -> None:
    good = {ExpectedService("conductor", "ctl1", "ctl1"): RpcReplies(3, 3)}
    bad = {ExpectedService("scheduler", "ctl1", "ctl1"): RpcReplies(3, 1)}
    other = {COMPUTE: RpcReplies(3, 3)}
    assert outcome_and_reason(rpc_answers("c", RpcAnswers(good | other))) == (PASS, "answers")
    verdict = rpc_answers("c", RpcAnswers(good | bad | other))
    assert outcome_and_reason(verdict) == (FAIL, "no_answer")
    assert verdict.message == (
        "nova-scheduler on ctl1 answered 1 of 3 calls (2 of 3 services answer)"
    )
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


def test_where_no_service_was_asked_it_says_whether_people_took_them_out() -> None:
    none = rpc_answers("c", RpcAnswers({}))
    assert outcome_and_reason(none) == (UNKNOWN, "none_asked")
    assert none.message == "no service was asked; the inventory has none"
    fenced = ListedService("nova-compute", "cmp1", "disabled", "down", "", "", forced_down=True)
    answers = RpcAnswers({COMPUTE: RpcReplies(3)}, ServiceList([COMPUTE], [fenced]))
    out = rpc_answers("c", answers)
    assert outcome_and_reason(out) == (UNKNOWN, "none_asked")
    assert "asked; nova-compute on cmp1: disabled (no reason), forced down" in out.message


MANY = [f"h{number}" for number in range(10, 22)]


def test_evidence_of_many_hosts_has_ten_of_them_and_the_faulty_ones_first() -> None:
    computes = {ExpectedService("compute", host, host): RpcReplies(3) for host in reversed(MANY)}
    verdict = rpc_answers("c", RpcAnswers(computes))
    assert verdict.evidence["asked"] == 12
    assert len(verdict.evidence["silent"]) == 10
    assert list(verdict.hosts) == MANY
    judged = api_answers("c", {**dict.fromkeys(MANY, GOOD), "h21": BAD})
    assert list(judged.evidence["hosts"]) == ["h21", *MANY[:9]]
    assert judged.message == f"nova-api on h21: GET / {NO_ANSWER}"
    serving = peer_remains("c", dict.fromkeys(["ctl1", *MANY], GOOD), "api", "ctl1", 1)
    assert serving.evidence == {"minimum": 1, "serving": MANY[:10], "not_serving": {}}


def test_without_a_host_to_ask_nothing_is_proved() -> None:
    verdict = api_answers("c", {})
    assert outcome_and_reason(verdict) == (UNKNOWN, "none_asked")
    assert verdict.message == "no nova-api was asked: the inventory has none"
    other = peer_remains("c", {"ctl2": GOOD}, "api", "ctl1", 1)
    assert outcome_and_reason(other) == (UNKNOWN, "none_asked")


@pytest.mark.parametrize(
    ("replies", "why"),
    [({"ctl1": GOOD}, "the inventory has no other"), ({"ctl1": GOOD, "ctl2": BAD}, "ctl2: GET / ")],
)
def test_a_missing_peer_is_told_with_the_reason(
    replies: Mapping[str, ApiReplies], why: str
) -> None:
    verdict = peer_remains("c", replies, "api", "ctl1", 1)
    others = len(replies) - 1
    assert f"0 of {others} other api hosts serve, at least 1 must: {why}" in verdict.message


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
    good = MetadataReplies(HttpReply(200), (HttpReply(400), HttpReply(404)))
    bad = MetadataReplies(HttpReply(200), (HttpReply(400), HttpReply(500)))
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
        "ctl1": MetadataReplies(REFUSED, None),
        "ctl2": MetadataReplies(HttpReply(200), None),
    }
    assert peer_remains("c", metadata, "metadata", "ctl1", 1).passed


def test_a_service_that_answers_late_fails_and_is_named() -> None:
    """Of several calls the quickest counts; a worker may be busy."""
    ctl1, ctl2 = (ExpectedService("conductor", host, host) for host in ("ctl1", "ctl2"))
    quick, late = RpcReplies(3, 3, quickest=0.02), RpcReplies(3, 3, quickest=2.5)

    def judged(*replies: RpcReplies) -> Verdict:
        given = dict(zip((ctl1, ctl2), replies, strict=True))
        return rpc_quick("nova.rpc_quick", RpcAnswers(given), 0.05, 10, 1.0)

    assert judged(quick, quick).message == (
        "2 services answer within 0.020 s; up to 1.00 s is expected"
    )
    found = judged(quick, late)
    assert (found.outcome, found.reason) == ("FAIL", "late")
    assert found.message == "nova-conductor on ctl2 took 2.50 s; up to 1.00 s is expected"
    assert judged(quick, RpcReplies(3)).reason == "unanswered"
