"""Judge whether a node runs on the host that the inventory says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.rabbitmq import NodePlace

ELSEWHERE = "elsewhere"


def tools_present(claim: str, tools: Mapping[str, Sequence[str] | Unanswered]) -> Verdict:
    """PASS where every broker's host has the command-line tools that a restart uses after its drain."""
    silent = [each.cause for each in tools.values() if isinstance(each, Unanswered)]
    lacking = [
        f"{host} has no {', '.join(each)} in its PATH"
        for host, each in tools.items()
        if each and not isinstance(each, Unanswered)
    ]
    if lacking:
        return Verdict(claim, Outcome.FAIL, "missing", first_few([*lacking, *silent]))
    if silent or not tools:
        message = first_few(silent) or "the inventory has no broker"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message)
    return Verdict(claim, Outcome.PASS, "present", f"{len(tools)} hosts have the broker's tools")


def node_is_local(claim: str, place: NodePlace) -> Verdict:
    """PASS where the node of this host's name runs in this host's unit.

    A drain goes to a node by its name and a restart to a unit by its host's address. Where the inventory has two
    addresses exchanged, one would be drained and another restarted.
    """
    evidence = {"node": place.node, "runs_in": place.runs_in, "unit_start": place.unit_start}
    if place.container:
        return _container_is_local(claim, place, evidence)
    if not place.runs_in:
        message = (
            f"{place.node} does not report in which start of a unit it runs"
            " (its process has no INVOCATION_ID in its environment); does it run in a container?"
            " Then set rabbitmq_command_prefix"
        )
        return Verdict(claim, Outcome.UNKNOWN, "not_reported", message, evidence)
    if place.runs_in != place.unit_start:
        message = (
            f"{place.node} does not run in {place.unit} on the host that is reached as {place.host}:"
            f" the node reports the start {place.runs_in}, the unit has"
            f" {place.unit_start or 'none'}; compare ansible_host and rabbitmq_node_name of"
            f" {place.host} in the inventory"
        )
        return Verdict(claim, Outcome.FAIL, ELSEWHERE, message, evidence)
    message = f"{place.node} runs in {place.unit} on {place.host}"
    return Verdict(claim, Outcome.PASS, "local", message, evidence)


def _container_is_local(claim: str, place: NodePlace, evidence: dict[str, Json]) -> Verdict:
    """Return whether the node runs in the container of this host, and the unit starts that container."""
    if not place.runs_in or place.runs_in != place.unit_start:
        message = (
            f"{place.node} does not run in the container {place.container} on the host that is reached as {place.host}:"
            f" the node reports {place.runs_in or 'nothing'}, the container {place.unit_start or 'nothing'}; compare"
            f" ansible_host, rabbitmq_node_name and rabbitmq_command_prefix of {place.host} in the inventory"
        )
        return Verdict(claim, Outcome.FAIL, ELSEWHERE, message, evidence)
    if not re.search(rf"(?<![\w.-]){re.escape(place.container)}(?![\w.-])", place.unit_command):
        message = (
            f"{place.node} runs in the container {place.container} on {place.host}; whether {place.unit} starts it"
            f" cannot be told: its command does not name it ({place.unit_command or 'it has none'}). Which unit does"
            " (rabbitmq_unit)?"
        )
        return Verdict(claim, Outcome.UNKNOWN, "other_command", message, evidence)
    message = (
        f"{place.node} runs in the container {place.container} of {place.unit} on {place.host}"
    )
    return Verdict(claim, Outcome.PASS, "local", message, evidence)
