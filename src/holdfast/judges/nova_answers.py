"""Judges of answers: calls over the broker, nova's API and metadata, and whether a peer remains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.evidence import HEALTHY
from holdfast.judges.base import Observation, Unanswered, first_few, unknown
from holdfast.model import Outcome, Verdict

OK, BAD_REQUEST, FORBIDDEN, NOT_FOUND = 200, 400, 403, 404
VERSIONS = {OK, 300}  # nova answers either with its list of versions
LOGIN_REFUSED = {401, FORBIDDEN}
NAMED = 10  # so many are named in a message


@dataclass(frozen=True, slots=True)
class Pinged:
    """So many pings were sent to one service on one host, and so many came back."""

    service: str
    host: str
    sent: int
    answered: int
    no_queue: bool = False
    error: str = ""

    @property
    def fault(self) -> str:
        """What is wrong, or "": every one of a host's workers takes its turn, so all must answer."""
        if self.no_queue:
            return f"nova-{self.service} on {self.host} has no queue on the broker"
        if self.error:
            return f"nova-{self.service} on {self.host} answered with an error: {self.error}"
        if self.answered < self.sent:
            count = f"{self.answered} of {self.sent} calls"
            return f"nova-{self.service} on {self.host} answered {count}"
        return ""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """``status`` 0: no answer at all, and ``said`` tells why."""

    status: int
    said: str = ""

    @property
    def words(self) -> str:
        """For messages."""
        return f"answered {self.status}" if self.status else f"gave no answer: {self.said}"


@dataclass(frozen=True, slots=True)
class ApiAsked:
    """One host's nova-api: its root, and a call with a token unless there was ``no_token``."""

    root: HttpReply
    call: HttpReply | None
    no_token: str = ""


@dataclass(frozen=True, slots=True)
class MetadataAsked:
    """One host's nova-metadata: root, a request without headers, one signed as neutron signs it.

    ``signed`` is None where the site names no shared secret; ``known``: for a real instance.
    """

    root: HttpReply
    unsigned: HttpReply | None
    signed: HttpReply | None
    known: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One host's answer judged: the outcome, and what to say of it."""

    outcome: Outcome
    words: str


def rpc_answers(claim: str, history: Sequence[Observation]) -> Verdict:
    """Every service took every call off its own queue and answered it.

    The only proof that messages flow: with a frozen nova-compute, nova still said "up" and the
    broker still counted a consumer (seen on nova 26).
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    faults = [each.fault for each in seen if each.fault]
    hosts = {
        host: {HEALTHY: not any(each.fault for each in seen if each.host == host)}
        for host in sorted({each.host for each in seen})
    }
    evidence = {"asked": len(seen), "silent": faults[:NAMED]}
    if faults:
        message = f"{first_few(faults)} ({len(seen) - len(faults)} of {len(seen)} services answer)"
        return Verdict(claim, Outcome.FAIL, "no_answer", message, evidence, hosts)
    message = f"all {len(seen)} services answer"
    return Verdict(claim, Outcome.PASS, "answers", message, evidence, hosts)


def api_answers(claim: str, history: Sequence[Observation]) -> Verdict:
    """Every host's nova-api lists its versions and answers a request that needs a token."""
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    return _of_all(claim, "nova-api", {host: of_api(asked) for host, asked in seen.items()})


def metadata_answers(claim: str, history: Sequence[Observation]) -> Verdict:
    """Every host's metadata service answers, through the database where the site can sign."""
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    found = {host: of_metadata(asked) for host, asked in seen.items()}
    return _of_all(claim, "nova-metadata", found)


def peer_remains(
    claim: str, history: Sequence[Observation], service: str, host: str, minimum: int
) -> Verdict:
    """Without this host so many others still serve: asked before its restart.

    A host that gives no answer itself is out already: restarting it takes nothing more away.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    others: Mapping[str, Finding] = {each: seen[each] for each in seen if each != host}
    good = [each for each, finding in others.items() if finding.outcome is Outcome.PASS]
    maybe = [each for each, finding in others.items() if finding.outcome is Outcome.UNKNOWN]
    faults = {each: finding.words for each, finding in others.items() if each not in good}
    evidence = {"minimum": minimum, "serving": good[:NAMED], "not_serving": faults}
    words = f"without {host}, {len(good)} of {len(others)} other {service} hosts serve"
    if len(good) >= minimum:
        return Verdict(claim, Outcome.PASS, "peer_serves", words, evidence)
    if seen[host].outcome is Outcome.FAIL:
        words = f"{words}, and {host} does not serve either: {seen[host].words}"
        return Verdict(claim, Outcome.PASS, "out_already", words, evidence)
    why = first_few([f"{each}: {said}" for each, said in faults.items()])
    message = f"{words}, {minimum} must: {why or 'the inventory has no other'}"
    if len(good) + len(maybe) >= minimum:
        return Verdict(claim, Outcome.UNKNOWN, "peer_unknown", message, evidence)
    return Verdict(claim, Outcome.FAIL, "no_peer", message, evidence)


def of_ping(asked: Pinged) -> Finding:
    """One service over the broker."""
    return Finding(Outcome.FAIL, asked.fault) if asked.fault else Finding(Outcome.PASS, "answers")


def of_api(asked: ApiAsked) -> Finding:
    """One host's nova-api: a refused login says nothing of nova, anything else does."""
    if asked.root.status not in VERSIONS:
        return Finding(Outcome.FAIL, f"GET / {asked.root.words}")
    if asked.call is None:
        return Finding(Outcome.UNKNOWN, asked.no_token)
    words = f"GET /servers {asked.call.words}"
    if asked.call.status in LOGIN_REFUSED:
        return Finding(Outcome.UNKNOWN, f"{words}: our login may not ask it")
    if asked.call.status != OK:
        return Finding(Outcome.FAIL, words)
    return Finding(Outcome.PASS, "answers a request with a token")


def of_metadata(asked: MetadataAsked) -> Finding:
    """One host's metadata service.

    ``GET /`` proves the process. A signed request for an instance that does not exist is answered
    404 only after the API's and the cell's database were searched; with the database stopped it is
    500 (both seen on nova 26). The unsigned request tells whether signatures are read at all:
    without ``service_metadata_proxy`` a 404 would prove nothing.
    """
    if asked.root.status != OK:
        return Finding(Outcome.FAIL, f"GET / {asked.root.words}")
    if asked.signed is None or asked.unsigned is None:
        words = "answers; its database was not asked (nova_metadata_shared_secret is not set)"
        return Finding(Outcome.PASS, words)
    if asked.unsigned.status != BAD_REQUEST:
        words = f"an unsigned request was {asked.unsigned.words}, not refused: not behind the proxy"
        return Finding(Outcome.UNKNOWN, words)
    words = f"a signed request {asked.signed.words}"
    if asked.signed.status == FORBIDDEN:
        return Finding(Outcome.UNKNOWN, f"{words}: nova_metadata_shared_secret is not nova's")
    if asked.signed.status != (OK if asked.known else NOT_FOUND):
        return Finding(Outcome.FAIL, words)
    return Finding(Outcome.PASS, "answers a signed request through the database")


def _of_all(claim: str, service: str, found: Mapping[str, Finding]) -> Verdict:
    bad = {h: f for h, f in found.items() if f.outcome is not Outcome.PASS}
    evidence = {"hosts": {host: finding.words for host, finding in list(found.items())[:NAMED]}}
    hosts = {
        host: {HEALTHY: finding.outcome is Outcome.PASS}
        for host, finding in found.items()
        if finding.outcome is not Outcome.UNKNOWN
    }
    if not bad:
        return Verdict(claim, Outcome.PASS, "answers", _by_words(service, found), evidence, hosts)
    message = _by_words(service, bad)
    if any(finding.outcome is Outcome.FAIL for finding in bad.values()):
        return Verdict(claim, Outcome.FAIL, "no_answer", message, evidence, hosts)
    return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence, hosts)


def _by_words(service: str, found: Mapping[str, Finding]) -> str:
    """Hosts of which the same is to be said, together."""
    alike: dict[str, list[str]] = {}
    for host, finding in found.items():
        alike.setdefault(finding.words, []).append(host)
    return first_few(
        [f"{service} on {', '.join(hosts)}: {words}" for words, hosts in alike.items()]
    )
