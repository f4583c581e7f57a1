"""Roles and playbooks read verdicts by name: claims, keys of evidence, reason codes.

Each name that they read must be one that the judge of that claim writes, and none may have a fallback: with one, a key
renamed in Python would be a check left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from holdfast import evidence
from holdfast.claims import bind_claim
from holdfast.model import Verdict
from holdfast.observations.galera import GaleraViews
from holdfast.observations.nova import RpcAnswers, ServiceList
from holdfast.observations.placement import TableFigures, TableSet, TwoSets
from holdfast.observations.puppet import Agent, HostReports, PuppetReport
from holdfast.observations.rabbitmq import (
    BrokerLoad,
    ClientLoad,
    ClusterViews,
    NodeView,
    QueueDepth,
    QueueDepths,
    QueueId,
)
from holdfast.observations.systemd import StopTimeout, UnitState
from tests.content.repository import assert_no_faults, files, strings, yaml_of
from tests.unit.judges.test_galera import node as galera_node
from tests.unit.judges.test_haproxy_service import service as haproxy_service

READERS = files("roles/*/tasks/*.yml", "roles/*/vars/*.yml", "roles/*/defaults/*.yml", "playbooks/*.yml")  # fmt: skip

# The one form in which evidence is read, so that the claim of each key is known.
EVIDENCE_OF = re.compile(
    r"selectattr\('claim', 'equalto', '([\w.]+)'\) \| first\)\.evidence\.(\w+)"
)
REASON = re.compile(r"'reason', 'equalto', '(\w+)'")
FALLBACK = re.compile(r"\b(?:default|d)\(|\bis (?:not )?(?:un)?defined\b")
VERDICTS = re.compile(r"\bevidence\b|\bholdfast\.verdicts\b")

NODES = {"ctl1": "rabbit@ctl1"}
VIEW = NodeView.model_validate(
    {
        "members": ["rabbit@ctl1"],
        "running": ["rabbit@ctl1"],
        "load": ClientLoad(connections=3, churn=0.5),
    }
)
QUEUES = {
    "host": "ctl1",
    "at": 1.0,
    "vhosts": ["/"],
    "wanted": {QueueId("/", "orders"): 1},
    "queues": {QueueId("/", "orders"): QueueDepth(consumers=2)},
}
UNIT = UnitState("ctl1", "cron", "loaded", "active", "running", "simple", "success", "start0", 0)
AGENT = Agent("ctl1", 9.0, "holdfast:r1: why", None, None, disabled_at=1.0)
PREVIEW = PuppetReport(2.0, True, True, "not_used", "unchanged", "t1", {}, frozenset())
REPORTS = HostReports(AGENT, PREVIEW, None)
USERS = TableSet("nova_api", ("users",), ("users",), {"users": TableFigures(1, 1, "7")})
# Per claim whose evidence or reason is read, an observation and the parameters to judge it with.
SAMPLES: Mapping[str, tuple[Any, Mapping[str, object]]] = {
    "rabbitmq.load_known": (ClusterViews(expected=NODES, views={"ctl1": VIEW}), {}),
    "rabbitmq.backlog_known": (
        BrokerLoad(expected=NODES, host="ctl1", rooms={}, reply_queues=0, ready=1),
        {},
    ),
    "rabbitmq.consumers_known": (
        QueueDepths.model_validate(QUEUES),
        {"queues": {"orders": 1}},
    ),
    "galera.members_agree": (GaleraViews(at=0, nodes={"ctl1": galera_node()}), {}),
    "galera.conflicts_known": (GaleraViews(at=0, nodes={"ctl1": galera_node()}), {}),
    "haproxy.figures_known": (haproxy_service(), {}),
    "nova.services_up": (ServiceList([], []), {}),
    "nova.rpc_answers": (RpcAnswers({}, ServiceList([], [])), {}),
    "puppet.previewed": ({"ctl1": REPORTS}, {}),
    "puppet.ran_as_previewed": ({"ctl1": REPORTS}, {}),
    "placement.source_whole": (USERS, {"directory": "x", "source": "nova_api"}),
    "placement.copy_agrees": (
        TwoSets(USERS, USERS),
        {"directory": "x", "source": "a", "target": "b"},
    ),
    "systemd.active": (UNIT, {"unit": "cron"}),
    "systemd.stays_up": (UNIT, {"unit": "cron"}),
    "nova.stop_timeout_covers": (StopTimeout("ctl1", "nova-api", 15), {"unit": "nova-api"}),
}


def verdict_on(name: str) -> Verdict:
    """Return the verdict of a claim's own judge on the claim's sample."""
    observation, parameters = SAMPLES[name]
    return bind_claim({"claim": name, **parameters}).judge([observation])


def written() -> set[str]:
    """Return the reason codes of the samples' verdicts."""
    return {verdict_on(name).reason for name in SAMPLES}


def reads(text: str) -> Iterator[tuple[str, str]]:
    """Yield the (claim, key of its evidence) pairs that a template reads."""
    yield from EVIDENCE_OF.findall(text)


def faults(texts: Sequence[str]) -> list[str]:
    """Return what is wrong with how templates read verdicts."""
    found = []
    for text in texts:
        pairs = list(reads(text))
        if len(pairs) != len(re.findall(r"\bevidence\b", text)):
            found.append(f"evidence is read without naming its claim: {text}")
        if VERDICTS.search(text) and FALLBACK.search(text):
            found.append(f"a verdict that is missing would be passed over: {text}")
        found += [
            f"the evidence of {claim} has no {key}"
            for claim, key in pairs
            if claim not in SAMPLES or key not in verdict_on(claim).evidence
        ]
        found += [
            f"no claim has the reason {r}" for r in REASON.findall(text) if r not in written()
        ]
    return found


def test_every_name_that_is_read_from_a_verdict_is_written_by_the_claim_s_judge() -> None:
    assert_no_faults(READERS, lambda path: faults(list(strings(yaml_of(path)))))


def test_the_names_that_yaml_reads_are_those_that_python_declares() -> None:
    texts = [text for path in READERS for text in strings(yaml_of(path))]
    read = {key for text in texts for _, key in reads(text)}
    read |= {reason for text in texts for reason in REASON.findall(text)}
    declared = {value for name, value in vars(evidence).items() if name.isupper()}
    assert read == declared - {
        evidence.HEALTHY,
        evidence.LEADERS,  # facts that the plan reads
        evidence.TURN,  # likewise
        evidence.ALONE,  # likewise
        evidence.HOSTS,  # read by the fold
        evidence.LEFT,  # read by `holdfast check`
        evidence.UNSEEN,  # likewise
        evidence.TOLD,  # shown while a run is watched
        evidence.QUEUE,  # likewise
        evidence.CAUSES,  # read by a diagnosis
        evidence.UNREACHED,  # likewise
        evidence.WAITING,  # likewise
        evidence.FIGURES,  # likewise
        evidence.DOWN,  # likewise
        evidence.MUTE,  # likewise
    }


KNOWN = "{{ (v | selectattr('claim', 'equalto', 'rabbitmq.load_known') | first).evidence.churn }}"


@pytest.mark.parametrize(
    "text",
    [
        KNOWN.replace("churn", "turnover"),
        KNOWN.replace("load_known", "load_gone"),
        KNOWN.replace(" }}", " | default(0) }}"),
        "{{ gate.holdfast.verdicts | default([]) }}",
        "{{ gate.holdfast.verdicts[0].evidence.churn }}",
        "{{ v | selectattr('reason', 'equalto', 'stop_timeout_short') }}",
    ],
)
def test_a_name_that_no_judge_writes_and_a_fallback_are_seen(text: str) -> None:
    assert faults([KNOWN]) == []
    assert len(faults([text])) == 1
