"""Refuse to restart the cluster that keeps Holdfast's own state (modules/holdfast_state_apart.py)."""

from __future__ import annotations

from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, HoldfastAction, open_state
from holdfast.errors import Refused
from holdfast.model import Json
from holdfast.play_context import PlayContext, Variables


class ActionModule(HoldfastAction):
    """Calls ``Store.galera_cluster``."""

    ACTS = False
    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "cluster": {"type": "str", "required": True},
        "accepted": {"type": "str", "default": ""},
    }

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``inside``: whether the state is in the cluster, which was accepted then."""
        run = PlayContext.of(variables)
        if run is None:  # --check by hand, which keeps no journal
            return {"inside": False, "msg": "where the state is kept is asked in a run"}
        kept_in = open_state(run.run).galera_cluster()
        return {"inside": False} | apart(kept_in, arguments["cluster"], arguments["accepted"])


def apart(kept_in: str, cluster: str, accepted: str) -> dict[str, Json]:
    """Return what the task reports, where the state is elsewhere or a person has said why it may be there.

    ``kept_in`` is the cluster that keeps the state, "" where none does.

    Raises:
        Refused: it is in the cluster, and nobody has accepted that.
    """
    if kept_in != cluster:
        return {"msg": "the state of Holdfast is not in this cluster"}
    if accepted:
        return {"inside": True, "msg": f"the state of Holdfast is in this cluster: {accepted}"}
    raise Refused(
        "Holdfast keeps its journal and leases in this cluster (state_url): a change of the writer would end the"
        " run in the middle of a host's turn; nothing was touched",
        remedy="set state_url to another database, or galera_accepted_state to the reason why it is taken",
    )
