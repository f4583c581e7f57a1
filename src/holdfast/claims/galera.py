"""The claims about a Galera cluster: what its nodes must be like around a restart."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges.galera import load, nodes, quorum
from holdfast.model import Json
from holdfast.probes.galera.nodes import probe_nodes, probe_return, probe_rounds
from holdfast.probes.galera.site import ACCOUNT, GROUP, GaleraSite

SHOW_STATUS = "on the node: mariadb -e \"SHOW GLOBAL STATUS LIKE 'wsrep%'\""


class ReceiveQueueParameters(Parameters):
    """``entries``: so many transactions a receive queue may have."""

    entries: int = Field(default=100, ge=0)


class RoundParameters(Parameters):
    """``seconds``: how long all members may take to acknowledge a message."""

    seconds: float = Field(default=1, gt=0)


class QuickParameters(Parameters):
    """``seconds``: how long a node may take to log in and to answer."""

    seconds: float = Field(default=0.5, gt=0)


class FlowParameters(Parameters):
    """``share``: for how much of the time writes may wait. ``window_seconds``: how far back is looked."""

    share: float = Field(default=0.05, ge=0, le=1)
    window_seconds: float = Field(default=10, gt=0)


class QuietParameters(Parameters):
    """``conflicts``: so many there may be. ``window_seconds``: how far back is looked."""

    conflicts: int = Field(default=2, ge=0)
    window_seconds: float = Field(default=10, gt=0)


class ConflictParameters(Parameters):
    """``before``: per host its counters before the first restart. ``conflicts``: so many more there may be."""

    before: dict[str, dict[str, Json]] = Field(min_length=1)
    conflicts: int = Field(default=10, ge=0)


class AwayParameters(Parameters):
    """``host``: whose node. ``accepted``: why a person takes the loss of a majority; never covers an unknown."""

    host: str = Field(min_length=1)
    accepted: str = ""


class ReturnParameters(Parameters):
    """``host``: whose node; the task's own by default. ``seconds``: how long it may be away.

    ``accepted``: why a person takes a whole copy of the state while fewer than two other nodes are Synced.
    """

    host: str = ""
    seconds: float = Field(default=300, gt=0)
    accepted: str = ""


_claim = partial(
    Claim,
    group=GROUP,
    needs=GaleraSite.needs(),
    probe=probe_nodes,
    standing_with=(GROUP, ACCOUNT),
)

CLAIMS: tuple[Claim, ...] = (
    _claim(
        name="galera.nodes_synced",
        remedy=SHOW_STATUS,
        judge=nodes.nodes_synced,
        final=(nodes.DESYNCED,),
        standing=True,
    ),
    _claim(
        name="galera.members_agree",
        remedy=SHOW_STATUS,
        judge=nodes.members_agree,
        final=(nodes.ONE_SERVER,),
        standing=True,
    ),
    _claim(
        name="galera.members_answer",
        remedy=SHOW_STATUS,
        probe=probe_rounds,
        judge=nodes.members_answer,
        parameters=RoundParameters,
        standing=True,
    ),
    _claim(
        name="galera.queues_short",
        remedy=SHOW_STATUS,
        judge=load.queues_short,
        parameters=ReceiveQueueParameters,
        standing=True,
    ),
    _claim(
        name="galera.answers_quick",
        remedy=SHOW_STATUS,
        judge=load.answers_quick,
        parameters=QuickParameters,
    ),
    _claim(
        name="galera.flow_quiet",
        remedy=SHOW_STATUS,
        judge=load.flow_quiet,
        judges_history=True,
        in_time=(load.TOO_FEW_SAMPLES,),
        parameters=FlowParameters,
    ),
    _claim(
        name="galera.conflicts_quiet",
        remedy=SHOW_STATUS,
        judge=load.conflicts_quiet,
        judges_history=True,
        in_time=(load.TOO_FEW_SAMPLES,),
        parameters=QuietParameters,
    ),
    _claim(
        name="galera.conflicts_known",
        remedy=SHOW_STATUS,
        judge=load.conflicts_known,
    ),
    _claim(
        name="galera.conflicts_at_baseline",
        remedy=SHOW_STATUS,
        judge=load.conflicts_at_baseline,
        parameters=ConflictParameters,
    ),
    _claim(
        name="galera.quorum_holds_without",
        remedy=SHOW_STATUS,
        judge=quorum.quorum_holds_without,
        parameters=AwayParameters,
    ),
    _claim(
        name="galera.returns_by_increment",
        remedy=SHOW_STATUS,
        probe=probe_return,
        judge=quorum.returns_by_increment,
        judges_history=True,
        in_time=(quorum.TOO_FEW_SAMPLES,),
        final=(quorum.WHOLE_COPY,),
        parameters=ReturnParameters,
    ),
)
