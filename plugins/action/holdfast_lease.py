"""Take the play's leases, or check those of the engine; release them (modules/holdfast_lease.py)."""

from __future__ import annotations

import getpass
import multiprocessing
import os
from datetime import UTC, datetime
from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, HoldfastAction, open_state
from holdfast.errors import InvalidInput
from holdfast.model import Holder, Json
from holdfast.play_context import (
    LeaseRequest,
    PlayContext,
    Variables,
    dead_holders,
    release_by_hand,
    require_no_failure_beside,
    take_by_hand,
    would_take,
)
from holdfast.policy import PlaybookPolicy
from holdfast.settings import load_settings
from holdfast.store.database import Store, open_store
from holdfast.store.processes import holder_for


class ActionModule(HoldfastAction):
    """Calls the functions for leases in ``holdfast.play_context``."""

    ACTS = False
    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "state": {"type": "str", "choices": ["held", "released"], "default": "held"}
    }

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``run``, ``grant`` and ``by_hand``."""
        if arguments["state"] == "held":
            self._require_one_site(variables)
        change = _hold if arguments["state"] == "held" else _release
        result = change(variables, self.check_mode)
        if result.get("by_hand"):
            self.show(result["msg"])
        return result

    def _require_one_site(self, variables: Variables) -> None:
        """Refuse a play over hosts of several sites: its leases would exclude nobody at the others."""
        names: dict[str, str] = {}
        for host in variables.get("ansible_play_hosts_all", ()):
            of_host = self.variables_of(host, variables)
            names.setdefault(str(of_host.get("holdfast_site", "")), host)
        if len(names) > 1:
            found = ", ".join(f"{name or 'none'} ({host})" for name, host in names.items())
            raise InvalidInput(
                f"the hosts of this play have several names of a site (holdfast_site): {found}",
                remedy="use one name, or --limit to the hosts of one",
            )


def _hold(variables: Variables, check_mode: bool) -> dict[str, Json]:
    run = PlayContext.of(variables)
    store = open_state(run.run if run else "")
    if run and not run.by_hand:
        store.check(run.grant)
        require_no_failure_beside(store, run.run, variables)
        return _result(run, "holds its leases")
    request = _request(variables)
    holder = _this_play(store, variables, request)
    if check_mode:
        message = would_take(store, request, holder, _now)
        return {"msg": message, "run": "", "grant": {}, "by_hand": True}
    all_leases = open_store(load_settings(os.environ), gone=lambda _: False)
    dead = dead_holders(store, all_leases, request)
    run = take_by_hand(store, request, holder, _now)
    held = f"holds {', '.join(sorted(run.grant.tokens))} by hand"
    warning = load_settings(os.environ).warning
    notes = [*(_taken_over_from(holder) for holder in dead), *([f"; {warning}"] if warning else [])]
    return _result(run, "".join([held, *notes]))


def _release(variables: Variables, check_mode: bool) -> dict[str, Json]:
    run = PlayContext.of(variables)
    if run is None or check_mode:
        return {"msg": "nothing to release: this play took no lease"}
    if release_by_hand(open_state(run.run), run, _now()):
        return _result(run, "is finished; its leases are released")
    return {"msg": f"run {run.run} continues; the engine ends it"}


def _taken_over_from(dead: Holder) -> str:
    return (
        f"; taken over from run {dead.run} of {dead.by}: its process {dead.process} died before the"
        f" run was finished. See what it left: holdfast status {dead.run}"
    )


def _result(run: PlayContext, state: str) -> dict[str, Json]:
    return {
        "msg": f"run {run.run} {state}",
        "run": run.run,
        "grant": dict(run.grant.tokens),
        "by_hand": run.by_hand,
    }


def _request(variables: Variables) -> LeaseRequest:
    for name, remedy in (
        ("holdfast_site", "name the site in the inventory's group_vars/all.yml"),
        ("holdfast_policy", "declare the policy in the play's vars"),
    ):
        if not variables.get(name):
            raise InvalidInput(f"{name} is not set, so the leases have no names", remedy=remedy)
    return LeaseRequest(
        site=str(variables["holdfast_site"]),
        policy=PlaybookPolicy.parse(variables["holdfast_policy"]),
        title=str(variables["ansible_play_name"]),
    )


def _this_play(store: Store, variables: Variables, request: LeaseRequest) -> Holder:
    """Return a holder for this ansible-playbook process: the parent of the worker that runs the action."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        raise InvalidInput("only a task of ansible-playbook can take a lease by hand")
    # Raw, because a template in a person's text must not be evaluated.
    by = variables.raw.get("holdfast_by") or os.environ.get("SUDO_USER") or getpass.getuser()
    reason = variables.raw.get("holdfast_reason") or f"by hand: {request.title}"
    run = store.new_run(f"{request.policy.service}-by-hand", _now())
    return holder_for(run, str(by), str(reason), parent.pid)


def _now() -> datetime:
    return datetime.now(UTC)
