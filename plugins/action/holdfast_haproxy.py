"""Take a database node out of haproxy, or give every server the state that it had (modules/holdfast_haproxy.py).

If the node is the writer, another one is made the writer first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic
from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, ConnectionShell, Forwards, HostShells, open_state
from holdfast.errors import CannotTell, LeaseLost
from holdfast.journal.events import ActDone, ActIntended, BaselineTaken
from holdfast.mark_action import MarkAction
from holdfast.model import Act, Json
from holdfast.observations.haproxy import WriterViews
from holdfast.play_context import (
    PlayContext,
    Variables,
    baseline,
    require_lease,
    require_no_failure_beside,
)
from holdfast.probes.base import ProbeContext
from holdfast.probes.galera.site import GROUP as NODES
from holdfast.probes.galera.site import GaleraSite
from holdfast.probes.haproxy import GROUP, HaproxySite, haproxies_of, probe_writer
from holdfast.store.database import Store
from holdfast.writer_move import Moved, Mover, States, as_noted, states_in, without, writer_in
from holdfast.writer_undo import undo_command

ACTS = {"drained": Act.DRAIN, "given_back": Act.UNDRAIN}
NOTED = "haproxy"
"""The baseline with every server's state before the first act of the run."""


class ActionModule(MarkAction):
    """Calls ``holdfast.writer_move.Mover``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "state": {"type": "str", "choices": ["drained", "given_back"], "required": True},
        "unit": {"type": "str", "required": True},
    }

    _requires_connection = True
    _begun = False

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``changed``, ``writer``, ``seconds`` and ``msg``; journal intent and outcome."""
        context, act = self._context(variables), ACTS[arguments["state"]]
        views = probe_writer(context)
        if self.check_mode:
            return would(act, self.host, views)
        run = require_lease(PlayContext.of(variables))
        store = open_state(run.run)
        if act is Act.UNDRAIN and not is_drained_by(store, run.run, self.host):
            message = (
                f"{self.host}: this run has not taken it out of haproxy, which is left as it is"
            )
            return {"changed": False, "writer": "", "seconds": 0.0, "msg": message}
        noted = self._noted(store, run.run, views)
        if act is Act.DRAIN:
            require_no_failure_beside(store, run.run, variables)
            self.renew_marks(store, run, variables)
            require_unchanged(views, noted)
            target = without(views, self.host)
        else:
            target = as_noted(views, noted)
        what = {"host": self.host, "act": act, "unit": arguments["unit"], "invocation_id": ""}
        undo = ""
        if act is Act.DRAIN:
            server = views.servers[self.host]
            undo = undo_command(
                haproxies_of(context),
                noted,
                server,
                writes=writer_in(views) == server,
                inventory=str(variables["inventory_dir"]),
            )
        store.append_guarded(run.grant, ActIntended(at=datetime.now(UTC), undo=undo, **what))
        self._begun = True
        mover = Mover(
            haproxies_of(context),
            lambda: probe_writer(context),
            lambda: _prove_lease(store, run),
            monotonic,
            Event().wait,
        )
        began = monotonic()
        moved = mover.move(views, target)
        took = round(monotonic() - began, 3)
        done = ActDone(at=datetime.now(UTC), seconds=took, changed=moved.changed, **what)
        store.append_guarded(run.grant, done)
        return self._result(views.host_of(target.writer), moved)

    def failed(self) -> str:
        """Return what is not known to be true; before the intent, what was not done."""
        if self._begun:
            return f"{self.host}: it is not known to be {self.arguments['state'].replace('_', ' ')} in haproxy"
        return (
            f"{self.host}: may not {ACTS[self.arguments['state']]} in haproxy, nothing was touched"
        )

    def _context(self, variables: Variables) -> ProbeContext:
        """Return what probes are given, with the variables of nodes and load balancers as those hosts have them."""
        groups, given = variables["groups"], {}
        needed = {*GaleraSite.needs(), *HaproxySite.needs()}
        for host in dict.fromkeys([*groups.get(NODES, ()), *groups.get(GROUP, ())]):
            of_host = self.variables_of(host, variables)
            given[host] = {name: of_host[name] for name in needed if name in of_host.raw}
        return ProbeContext(
            self.host,
            groups,
            given,
            ConnectionShell(self, self.host),
            reach=HostShells(self, variables, once=True),
            look_from=Forwards(self, variables),
        )

    def _noted(self, store: Store, run: str, views: WriterViews) -> States:
        """Return every server's state from before the first act of the run; the present ones where there is none."""
        present = BaselineTaken(at=datetime.now(UTC), name=NOTED, values=states_in(views))
        return baseline(store, run, present).values

    def _result(self, writer: str, moved: Moved) -> dict[str, Json]:
        gap = f", after {moved.seconds:.1f} s in which nobody took writes" if moved.seconds else ""
        return {
            "changed": moved.changed,
            "writer": writer,
            "seconds": moved.seconds,
            "msg": f"{self.host}: the writer is {writer}{gap}",
        }


def would(act: Act, host: str, views: WriterViews) -> dict[str, Json]:
    """Return the result of a task in check mode: who would write; "" for the act that restores what was before."""
    writer = views.host_of(without(views, host).writer) if act is Act.DRAIN else ""
    said = (
        f"the writer would be {writer}"
        if writer
        else "every server of haproxy would get the state from before the first act"
    )
    return {"changed": True, "writer": writer, "seconds": 0.0, "msg": f"{host}: {said}"}


def is_drained_by(store: Store, run: str, host: str) -> bool:
    """Return whether the run has begun to take the host out of haproxy, and has not given it back since.

    What somebody else has changed is not the run's to restore.
    """
    for recorded in store.newest(run, "act_intended", "act_done"):
        match recorded.event:
            case ActIntended(host=name, act=Act.DRAIN) if name == host:
                return True
            case ActDone(host=name, act=Act.UNDRAIN) if name == host:
                return False
    return False


def require_unchanged(views: WriterViews, noted: States) -> None:
    """Return only if every server has the state from before the first act: what is given back at the end is that.

    Raises:
        CannotTell: somebody else, or a reload, has changed one since.
    """
    now: Mapping[str, Mapping[str, str]] = states_in(views)
    changed = [
        f"{server} in haproxy on {haproxy} was {word} and is {now.get(haproxy, {}).get(server, 'not there')}"
        for haproxy, states in noted.items()
        for server, word in states.items()
        if now.get(haproxy, {}).get(server) != word
    ]
    changed += [f"haproxy on {haproxy} was not there" for haproxy in now if haproxy not in noted]
    if changed:
        raise CannotTell(f"somebody changed haproxy since this run began: {'; '.join(changed)}")


def _prove_lease(store: Store, run: PlayContext) -> None:
    """Return only while every lease of the play is valid.

    Raises:
        LeaseLost: one of them expired or was taken.
    """
    if store.check(run.grant) <= timedelta(0):
        raise LeaseLost(f"run {run.run} holds no lease", remedy=f"holdfast status {run.run}")
