"""Take the play's leases, or prove the ones the engine took; give them back (modules/holdfast_lease.py)."""

from __future__ import annotations

import getpass
import multiprocessing
import os
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from holdfast.errors import HoldfastError, InvalidInput
from holdfast.model import Holder, Json
from holdfast.play_context import (
    LeaseRequest,
    PlayContext,
    Variables,
    dead_holders,
    release_by_hand,
    take_by_hand,
    would_take,
)
from holdfast.policy import PlaybookPolicy
from holdfast.settings import load_settings
from holdfast.store import Store, holder_for, open_store

ARGUMENTS = {"state": {"type": "str", "choices": ["held", "released"], "default": "held"}}


class ActionModule(ActionBase):
    """The skin over ``holdfast.play_context``'s leases."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer with ``run``, ``grant`` and ``by_hand``."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(ARGUMENTS)
        variables = Variables(task_vars or {}, self._templar.template)
        act = _held if args["state"] == "held" else _released
        try:
            answer = act(variables, self._task.check_mode)
        except HoldfastError as error:
            raise AnsibleActionFail(str(error)) from None
        if answer.get("by_hand"):
            # Ansible shows no message of a task that went well.
            self._display.display(answer["msg"])
        return result | {"changed": False} | answer


def _held(variables: Variables, check_mode: bool) -> dict[str, Json]:
    now, run = datetime.now(UTC), PlayContext.of(variables)
    store = open_store(load_settings(os.environ))
    if run and not run.by_hand:
        store.check(run.grant, now)
        return _answer(run, "holds its leases")
    wanted = _wanted(variables)
    me = _this_play(store, variables, wanted, now)
    if check_mode:
        return {"msg": would_take(store, wanted, me, now), "run": "", "grant": {}, "by_hand": True}
    everyone = open_store(load_settings(os.environ), gone=lambda _: False)
    before = dead_holders(store, everyone, wanted, now)
    run = take_by_hand(store, wanted, me, now)
    words = f"holds {', '.join(sorted(run.grant.tokens))} by hand"
    return _answer(run, "".join([words, *(_took_over(holder) for holder in before)]))


def _released(variables: Variables, check_mode: bool) -> dict[str, Json]:
    run = PlayContext.of(variables)
    if run is None or check_mode:
        return {"msg": "nothing to give back: this play took no lease"}
    if release_by_hand(open_store(load_settings(os.environ)), run, datetime.now(UTC)):
        return _answer(run, "is finished and has given its leases back")
    return {"msg": f"run {run.run} goes on; the engine ends it"}


def _took_over(holder: Holder) -> str:
    return (
        f"; taken over from run {holder.run} of {holder.by}, whose process {holder.process} died"
        f" without an end. See what it left: holdfast status {holder.run}"
    )


def _answer(run: PlayContext, words: str) -> dict[str, Json]:
    return {
        "msg": f"run {run.run} {words}",
        "run": run.run,
        "grant": dict(run.grant.tokens),
        "by_hand": run.by_hand,
    }


def _wanted(variables: Variables) -> LeaseRequest:
    for name, remedy in (
        ("holdfast_site", "name the site in the inventory's group_vars/all.yml"),
        ("holdfast_policy", "declare the policy in the play's vars"),
    ):
        if not variables.get(name):
            raise InvalidInput(f"{name} is not set, so no lease can be named", remedy=remedy)
    return LeaseRequest(
        site=str(variables["holdfast_site"]),
        policy=PlaybookPolicy.parse(variables["holdfast_policy"]),
        title=str(variables["ansible_play_name"]),
    )


def _this_play(store: Store, variables: Variables, wanted: LeaseRequest, now: datetime) -> Holder:
    """This ansible-playbook: the parent of the worker that runs the action."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        raise InvalidInput("a lease by hand is taken by a task of ansible-playbook, not otherwise")
    # Untemplated on purpose: both are words of a person, and stay what that person typed.
    by = variables.raw.get("holdfast_by") or os.environ.get("SUDO_USER") or getpass.getuser()
    reason = variables.raw.get("holdfast_reason") or f"by hand: {wanted.title}"
    run = store.new_run(f"{wanted.policy.service}-by-hand", now)
    return holder_for(run, str(by), str(reason), parent.pid)
