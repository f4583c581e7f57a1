"""Disable a nova-compute with the run's token; enable it only where the token is the run's.

The task's documentation is modules/holdfast_nova_service.py.

One request to nova's API, never repeated: where its answer is lost, nova is asked for the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, ConnectionShell, Forwards, open_state
from holdfast.errors import CannotTell, InvalidInput, LeaseLost
from holdfast.journal.events import ActDone, ActIntended
from holdfast.mark_action import MarkAction
from holdfast.model import Act, Json
from holdfast.observations.nova import SILENT_CELL
from holdfast.play_context import (
    PlayContext,
    Variables,
    require_lease,
    require_no_failure_beside,
)
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova.api_answers import SERVICES
from holdfast.probes.nova.api_client import OK, get_from_first, put
from holdfast.probes.nova.site import ApiSite, api_sites

BINARY = "nova-compute"
ACTS = {"disabled": Act.DRAIN, "enabled": Act.UNDRAIN}
# nova asks the compute before it answers, and waits `rpc_response_timeout` for it, 60 s by default.
ANSWER_SECONDS = 90.0
SLOW_SECONDS = 5.0


class ActionModule(MarkAction):
    """Calls nova's ``PUT /os-services`` through ``ComputeService``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "state": {"type": "str", "choices": ["disabled", "enabled"], "required": True},
        "host": {"type": "str", "required": True},
        "token": {"type": "str", "required": True},
        "unit": {"type": "str", "required": True},
    }

    _begun = False

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``changed``, ``ours``, ``status``, ``disabled_reason`` and ``seconds``; journal intent and outcome."""
        compute = ComputeService(
            self._sites(variables),
            arguments["host"],
            arguments["token"],
            lambda: _prove_lease(PlayContext.of(variables)),
        )
        if self.check_mode:
            return compute.set_state(arguments["state"], check_mode=True)
        run = require_lease(PlayContext.of(variables))
        store, act = open_state(run.run), ACTS[arguments["state"]]
        if act is Act.DRAIN:
            require_no_failure_beside(store, run.run, variables)
        what = {"host": self.host, "act": act, "unit": arguments["unit"], "invocation_id": ""}
        if act is Act.DRAIN:  # what is given back needs no mark: it is done whatever other runs do
            self.renew_marks(store, run, variables)
        back = "--enable" if act is Act.DRAIN else "--disable"
        undo = f"openstack compute service set {back} {arguments['host']} {BINARY}"
        store.append_guarded(run.grant, ActIntended(at=datetime.now(UTC), undo=undo, **what))
        self._begun = True
        result = compute.set_state(arguments["state"], check_mode=False)
        # A compute that this run has disabled before, and finds disabled, is its own to give back.
        changed = result["ours"] if act is Act.DRAIN else result["changed"]
        done = ActDone(at=datetime.now(UTC), seconds=result["seconds"], changed=changed, **what)
        store.append_guarded(run.grant, done)
        return result

    def failed(self) -> str:
        """Return what is not known to be true, and the error says what was done; before the intent, what was not."""
        if self._begun:
            return f"{self.host}: {BINARY} is not known to be {self.arguments['state']}"
        return f"{self.host}: may not {ACTS[self.arguments['state']]} {BINARY}, nothing was touched"

    def _sites(self, variables: Variables) -> Mapping[str, ApiSite]:
        """Return the API hosts' variables, each resolved as that host has them."""
        groups, given = variables["groups"], {}
        for host in groups.get("nova_api", ()):
            of_host = self.variables_of(host, variables)
            given[host] = {name: of_host[name] for name in ApiSite.needs() if name in of_host.raw}
        shell, look_from = ConnectionShell(self, self.host), Forwards(self, variables)
        sites = api_sites(ProbeContext(self.host, groups, given, shell, look_from=look_from))
        if not sites:
            raise InvalidInput("the inventory's group nova_api has no hosts to ask")
        return sites


def _prove_lease(context: PlayContext | None) -> None:
    """Return only while every lease of the play is valid.

    Raises:
        LeaseLost: one of them expired or was taken, or the play has none.
    """
    run = require_lease(context)
    if open_state(run.run).check(run.grant) <= timedelta(0):
        raise LeaseLost(f"run {run.run} holds no lease", remedy=f"holdfast status {run.run}")


@dataclass(frozen=True, slots=True)
class ComputeService:
    """One nova-compute as nova lists it, read through the first API that answers.

    ``prove_lease`` is called right before a change, and raises where it must not be made any more: the
    play may have been frozen since its intent (docs/adr/0022).
    """

    sites: Mapping[str, ApiSite]
    host: str
    token: str
    prove_lease: Callable[[], None]

    def set_state(self, state: str, *, check_mode: bool) -> dict[str, Json]:
        """Disable it unless it is disabled; enable it only where the disabled reason is our token.

        Raises:
            CannotTell: nova did not answer, or did not do it; the message says what was sent and the present
                state, or that this is not known.
            LeaseLost: another run may act; nothing was sent.
        """
        via, now = self._entry()
        ours = now.get("disabled_reason") == self.token
        if now["status"] == state or (state == "enabled" and not ours):
            return self._result(now, 0.0, changed=False)
        wanted = {"status": state}
        if state == "disabled":
            wanted["disabled_reason"] = self.token
        if check_mode:
            return self._result({**now, **wanted}, 0.0, changed=True)
        said, seconds = self._put(via, now["id"], wanted)
        try:
            _, now = self._entry()
        except (CannotTell, InvalidInput) as error:
            raise CannotTell(
                f"the request was sent, and {said}. Whether it took effect is not known: {error.message}",
                remedy=f"openstack compute service list --service {BINARY} --host {self.host}",
            ) from None
        if now["status"] != state:
            raise CannotTell(f"the request was sent, and {said}; {self.host} is {now['status']}")
        return self._result(now, seconds, changed=True)

    def _entry(self) -> tuple[str, dict[str, Json]]:
        query = {"binary": BINARY, "host": self.host}
        via, body = get_from_first(self.sites, SERVICES, query)
        if not body["services"]:
            raise CannotTell(f"nova lists no {BINARY} on {self.host}; is nova_service_host right?")
        if len(body["services"]) > 1:
            ids = ", ".join(str(each["id"]) for each in body["services"])
            raise InvalidInput(
                f"nova lists {BINARY} on {self.host} more than once (ids {ids}), so which one to change is not known",
                remedy="delete the stale one: openstack compute service delete ID",
            )
        entry: dict[str, Json] = body["services"][0]
        if entry["status"] == SILENT_CELL:
            raise CannotTell("its cell's database does not answer")
        return via, entry

    def _put(self, via: str, service: str, wanted: Json) -> tuple[str, float]:
        """Send the request once; return what nova-api answered and after how many seconds.

        The answer is evidence: the caller reads the state to learn what happened.
        """
        began = monotonic()
        self.prove_lease()
        try:
            answer = put(self.sites[via], f"{SERVICES}/{service}", wanted, ANSWER_SECONDS)
        except CannotTell as error:
            return f"nova-api on {via} gave no answer ({error.message})", monotonic() - began
        said = f"nova-api on {via} answered {answer.status}"
        return said if answer.status == OK else f"{said}: {answer.body}", answer.seconds

    def _result(self, now: Mapping[str, Json], seconds: float, *, changed: bool) -> dict[str, Json]:
        ours = now["status"] == "disabled" and now.get("disabled_reason") == self.token
        reason = now.get("disabled_reason") or ""
        message = f"{BINARY} on {self.host} is {now['status']}"
        if now["status"] == "disabled":
            message += (
                " by this run" if ours else f" by somebody else ({reason or 'no reason given'})"
            )
        result = {
            "changed": changed,
            "ours": ours,
            "status": now["status"],
            "disabled_reason": reason,
            "seconds": round(seconds, 3),
            "msg": message,
        }
        if seconds >= SLOW_SECONDS:
            slow = f"nova took {seconds:.0f} s: {BINARY} on {self.host} is slow to answer calls"
            result["warnings"] = [slow]
        return result
