"""Judge what nova's services answer: over the broker, the API, metadata; and whether peers remain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from holdfast.evidence import ABSENT, HEALTHY, MUTE, SLOWEST
from holdfast.judges.base import first_few
from holdfast.judges.nova.services import absences, left_out
from holdfast.model import Outcome, Verdict
from holdfast.observations.nova import (
    ApiReplies,
    HttpReply,
    MetadataReplies,
    PeerReplies,
    RpcAnswers,
    RpcReplies,
    ServiceList,
)

OK, BAD_REQUEST, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 200, 400, 403, 404, 500
VERSIONS = {OK, 300}  # nova answers with either status to a request for its list of versions
LOGIN_REFUSED = {401, FORBIDDEN}
MAX_NAMED = 10  # hosts or faults named in evidence
NONE_ASKED = "none_asked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One host's answer judged: the outcome and the reason, for a message."""

    outcome: Outcome
    text: str


def rpc_answers(claim: str, answers: RpcAnswers) -> Verdict:
    """PASS where every conductor, scheduler and compute answers calls over the broker.

    Each takes every ping from its own queue and answers it. Only this proves that messages flow: with a
    frozen nova-compute, nova still listed it as up and the broker still counted a consumer (nova 26). One that people
    disabled before and that is down is left out and named, as in ``services_up``.
    """
    absent = absences(answers.listed) if isinstance(answers.listed, ServiceList) else {}
    judged = {each: reply for each, reply in answers.replies.items() if each.name not in absent}
    faults = {each: _rpc_fault(reply) for each, reply in judged.items()}
    silent = [f"{each.name} {fault}" for each, fault in faults.items() if fault]
    ill = {each.host for each, fault in faults.items() if fault}
    hosts = {host: {HEALTHY: host not in ill} for host in sorted({each.host for each in faults})}
    mute = {
        each.name: {"host": each.host, "no_queue": judged[each].no_queue, "text": fault}
        for each, fault in faults.items()
        if fault
    }
    evidence = {
        "asked": len(faults),
        ABSENT: absent,
        "silent": silent[:MAX_NAMED],
        MUTE: dict(list(mute.items())[:MAX_NAMED]),
        SLOWEST: _slowest(answers),
    }
    if silent:
        answering = len(faults) - len(silent)
        message = f"{first_few(silent)} ({answering} of {len(faults)} services answer)"
        return Verdict(claim, Outcome.FAIL, "no_answer", message, evidence, hosts)
    if not faults:
        message = f"no service was asked; {left_out(absent) or 'the inventory has none'}"
        return Verdict(claim, Outcome.UNKNOWN, NONE_ASKED, message, evidence)
    message = f"all {len(faults)} services answer"
    message += f"; left out: {left_out(absent)}" if absent else ""
    return Verdict(claim, Outcome.PASS, "answers", message, evidence, hosts)


def rpc_quick(
    claim: str, answers: RpcAnswers, baseline: float, factor: float, slack: float
) -> Verdict:
    """PASS where each service that is called answers about as fast as before, at least once.

    Of several calls to a service the quickest counts: a worker may be busy. A healthy one takes 5 to 25 ms; a broker
    or a conductor that is flooded answers late long before it answers not at all. Whether all calls are answered is
    ``nova.rpc_answers``.
    """
    limit = max(slack, baseline * factor)
    times = {
        each.name: replies.quickest for each, replies in answers.replies.items() if replies.answered
    }
    late = sorted((name for name in times if times[name] > limit), key=lambda name: -times[name])
    slowest = _slowest(answers)
    evidence = {SLOWEST: slowest, "limit": limit, "late": late[:MAX_NAMED]}
    if late:
        message = first_few([f"{name} took {times[name]:.2f} s" for name in late])
        message += f"; up to {limit:.2f} s is expected"
        return Verdict(claim, Outcome.FAIL, "late", message, evidence)
    if not times or len(times) < len(answers.replies):
        message = (
            f"{len(answers.replies) - len(times)} of {len(answers.replies)} services gave no answer"
        )
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    message = (
        f"{len(times)} services answer within {slowest:.3f} s; up to {limit:.2f} s is expected"
    )
    return Verdict(claim, Outcome.PASS, "quick", message, evidence)


def _slowest(answers: RpcAnswers) -> float:
    """Return how long the slowest of the services that answered took, each by its quickest answer."""
    times = (each.quickest for each in answers.replies.values() if each.answered)
    return round(max(times, default=0.0), 3)


def api_answers(claim: str, replies: Mapping[str, ApiReplies]) -> Verdict:
    """PASS where every host's nova-api answers, also a request with a token."""
    return _judge_hosts(claim, "nova-api", replies)


def metadata_answers(claim: str, replies: Mapping[str, MetadataReplies]) -> Verdict:
    """PASS where every host's metadata service answers, through the database where the site can sign."""
    return _judge_hosts(claim, "nova-metadata", replies)


def metadata_from_computes(claim: str, replies: Mapping[str, MetadataReplies]) -> Verdict:
    """PASS where each metadata service answers each compute that is asked from, with a signed request.

    From the controller the way is another one: on 2015-08-12 the metadata service was away for instances.
    """
    verdict = _judge_hosts(claim, "the metadata service", replies)
    return replace(verdict, hosts={})  # the names are of pairs


def peer_remains(
    claim: str, replies: PeerReplies, service: str, host: str, minimum: int
) -> Verdict:
    """PASS where without this host, another conductor, scheduler, API or metadata service serves.

    At least ``minimum`` others must; ask before the restart. A host that does not serve itself may be
    restarted in any case: that takes nothing more away.
    """
    findings = {each: _find(answer) for each, answer in replies.items()}
    if host not in findings:
        message = f"{host} is not among the {service} hosts that were asked"
        return Verdict(claim, Outcome.UNKNOWN, NONE_ASKED, message)
    others = {each: finding for each, finding in findings.items() if each != host}
    serving = [each for each, finding in others.items() if finding.outcome is Outcome.PASS]
    maybe = [each for each, finding in others.items() if finding.outcome is Outcome.UNKNOWN]
    faults = {each: finding.text for each, finding in others.items() if each not in serving}
    evidence = {"minimum": minimum, "serving": serving[:MAX_NAMED], "not_serving": faults}
    text = f"without {host}, {len(serving)} of {len(others)} other {service} hosts serve"
    if len(serving) >= minimum:
        return Verdict(claim, Outcome.PASS, "peer_serves", text, evidence)
    own = findings[host]
    if own.outcome is Outcome.FAIL:
        message = f"{text}, and {host} does not serve either: {own.text}"
        return Verdict(claim, Outcome.PASS, "out_already", message, evidence)
    why = first_few([f"{each}: {fault}" for each, fault in faults.items()])
    message = f"{text}, at least {minimum} must: {why or 'the inventory has no other'}"
    if len(serving) + len(maybe) >= minimum:
        return Verdict(claim, Outcome.UNKNOWN, "peer_unknown", message, evidence)
    return Verdict(claim, Outcome.FAIL, "no_peer", message, evidence)


def _find(replies: RpcReplies | ApiReplies | MetadataReplies) -> Finding:
    """Judge what one service on one host answered."""
    if isinstance(replies, RpcReplies):
        fault = _rpc_fault(replies)
        return Finding(Outcome.FAIL, fault) if fault else Finding(Outcome.PASS, "answers")
    if isinstance(replies, ApiReplies):
        return _find_api(replies)
    return _find_metadata(replies)


def _rpc_fault(replies: RpcReplies) -> str:
    """Return what is wrong, or "". A host's workers take turns at one queue, so all pings count."""
    if replies.no_queue:
        return "has no queue on the broker"
    if replies.error:
        return f"answered with an error: {replies.error}"
    if replies.answered < replies.sent:
        return f"answered {replies.answered} of {replies.sent} calls"
    return ""


def _find_api(replies: ApiReplies) -> Finding:
    """Judge one nova-api. A refused login is UNKNOWN: the fault may be in the login."""
    if replies.root.status not in VERSIONS:
        outcome = Outcome.UNKNOWN if replies.root.strange else Outcome.FAIL
        return Finding(outcome, f"GET / {_describe(replies.root)}")
    if replies.call is None:
        return Finding(Outcome.UNKNOWN, replies.no_token)
    text = f"GET /servers {_describe(replies.call)}"
    if replies.call.strange:
        return Finding(Outcome.UNKNOWN, text)
    if replies.call.status in LOGIN_REFUSED:
        return Finding(Outcome.UNKNOWN, f"{text}: {replies.call.cause}")
    if replies.call.status != OK:
        return Finding(Outcome.FAIL, text)
    return Finding(Outcome.PASS, "answers a request with a token")


def _find_metadata(replies: MetadataReplies) -> Finding:
    """Judge one metadata service.

    ``GET /`` proves the process. A signed request for an instance that does not exist is answered
    404 only after the API's and the cell's database were searched; with the database stopped it is
    500 (both seen on nova 26). The unsigned request shows whether signatures are read at all:
    without ``service_metadata_proxy`` a 404 would prove nothing.
    """
    if replies.root.status != OK or replies.root.strange:
        outcome = Outcome.UNKNOWN if replies.root.strange else Outcome.FAIL
        return Finding(outcome, f"GET / {_describe(replies.root)}")
    if replies.instance is None:
        text = "answers; its database was not asked (nova_metadata_shared_secret is not set)"
        return Finding(Outcome.PASS, text)
    unsigned, signed = replies.instance
    if unsigned.status != BAD_REQUEST:
        return _find_unsigned(unsigned)
    text = f"a signed request {_describe(signed)}"
    if signed.status == FORBIDDEN:
        return Finding(Outcome.UNKNOWN, f"{text}: nova_metadata_shared_secret is not nova's")
    if signed.status != (OK if replies.known else NOT_FOUND):
        return Finding(Outcome.FAIL, text)
    return Finding(Outcome.PASS, "answers a signed request through the database")


def _find_unsigned(reply: HttpReply) -> Finding:
    """Judge an unsigned request that was not refused: with no answer, or an error, it says nothing of signatures."""
    text = f"an unsigned request {_describe(reply)}, expected {BAD_REQUEST}"
    if not reply.status or reply.status >= SERVER_ERROR:
        return Finding(Outcome.FAIL, text)
    text += ": the service does not read signatures (service_metadata_proxy)"
    return Finding(Outcome.UNKNOWN, text)


def _describe(reply: HttpReply) -> str:
    if not reply.status:
        return f"had no answer: {reply.cause}"
    return f"was answered {reply.status}{f', {reply.strange}' if reply.strange else ''}"


def _judge_hosts(claim: str, service: str, replies: PeerReplies) -> Verdict:
    findings = {host: _find(each) for host, each in replies.items()}
    bad = {h: each for h, each in findings.items() if each.outcome is not Outcome.PASS}
    evidence = {"hosts": {h: each.text for h, each in list((bad | findings).items())[:MAX_NAMED]}}
    hosts = {
        host: {HEALTHY: each.outcome is Outcome.PASS}
        for host, each in findings.items()
        if each.outcome is not Outcome.UNKNOWN
    }
    message = _by_text(service, bad or findings)
    if not findings:
        message = f"no {service} was asked: the inventory has none"
        return Verdict(claim, Outcome.UNKNOWN, NONE_ASKED, message, evidence)
    if not bad:
        return Verdict(claim, Outcome.PASS, "answers", message, evidence, hosts)
    if any(each.outcome is Outcome.FAIL for each in bad.values()):
        return Verdict(claim, Outcome.FAIL, "no_answer", message, evidence, hosts)
    return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence, hosts)


def _by_text(service: str, findings: Mapping[str, Finding]) -> str:
    """Return a message that names hosts with the same finding together."""
    alike: dict[str, list[str]] = {}
    for host, finding in findings.items():
        alike.setdefault(finding.text, []).append(host)
    return first_few([f"{service} on {', '.join(hosts)}: {text}" for text, hosts in alike.items()])
