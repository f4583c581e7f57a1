"""Disable a compute with a token of ours, enable it where the token is ours (modules/holdfast_nova_service.py).

One call to nova's API, never repeated: where its answer is lost, nova is asked what it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from pydantic import ValidationError

from holdfast.errors import CannotTell, HoldfastError, InvalidInput
from holdfast.judges.nova import SILENT_CELL
from holdfast.model import Json
from holdfast.probes.nova_api import OK, SERVICES, ApiSite, first, put

ARGUMENTS = {
    "state": {"type": "str", "choices": ["disabled", "enabled"], "required": True},
    "host": {"type": "str", "required": True},
    "token": {"type": "str", "required": True},
}
BINARY = "nova-compute"
# nova asks the compute itself before it answers, and waits `rpc_response_timeout` for it, 60 s by default.
ANSWER_SECONDS = 90.0
DEAF_SECONDS = 5.0


class ActionModule(ActionBase):
    """The skin over nova's ``PUT /os-services``."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer with ``changed``, ``ours``, ``status``, ``disabled_reason`` and ``seconds``."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(ARGUMENTS)
        name = (task_vars or {})["inventory_hostname"]
        try:
            compute = Compute(self._sites(task_vars or {}), args["host"], args["token"])
            return result | compute.become(args["state"], dry=self._task.check_mode)
        except HoldfastError as error:
            message = f"{name}: {BINARY} was not {args['state']}: {error}"
            raise AnsibleActionFail(message) from None

    def _sites(self, task_vars: dict[str, Any]) -> Mapping[str, ApiSite]:
        """The API hosts' variables, each as that host sees them."""
        hostvars, sites = task_vars["hostvars"], {}
        for host in task_vars["groups"].get("nova_api", ()):
            raw = {**hostvars.raw_get(host), "hostvars": hostvars}
            template = self._templar.copy_with_new_env(available_variables=raw).template
            given = {name: template(raw[name]) for name in ApiSite.needs() if name in raw}
            sites[host] = _site(host, given)
        if not sites:
            raise InvalidInput("the inventory's group nova_api has no hosts to ask")
        return sites


def _site(host: str, given: Mapping[str, Json]) -> ApiSite:
    try:
        return ApiSite.model_validate(given)
    except ValidationError as error:
        names = ", ".join(str(fault["loc"][0]) for fault in error.errors())
    raise InvalidInput(f"{host}: the site's variables do not serve: {names}")


@dataclass(frozen=True, slots=True)
class Compute:
    """One nova-compute as nova lists it, asked through the first API that answers."""

    sites: Mapping[str, ApiSite]
    host: str
    token: str

    def become(self, state: str, *, dry: bool) -> dict[str, Json]:
        """Disable it unless it is disabled; enable it only where the reason is our token.

        Raises:
            CannotTell: nova did not answer, or did not do it; the message says what it is now.
        """
        via, now = self._entry()
        ours = now.get("disabled_reason") == self.token
        if now["status"] == state or (state == "enabled" and not ours):
            return self._answer(now, 0.0, changed=False)
        wanted = {"status": state}
        if state == "disabled":
            wanted["disabled_reason"] = self.token
        if dry:
            return self._answer({**now, **wanted}, 0.0, changed=True)
        seconds = self._put(via, now["id"], wanted)
        _, now = self._entry()
        if now["status"] != state:
            raise CannotTell(f"nova was asked, and {self.host} is still {now['status']}")
        return self._answer(now, seconds, changed=True)

    def _entry(self) -> tuple[str, dict[str, Json]]:
        query = {"binary": BINARY, "host": self.host}
        via, body = first(self.sites, SERVICES, query)
        if not body["services"]:
            raise CannotTell(f"nova lists no {BINARY} on {self.host}; is nova_service_host right?")
        entry: dict[str, Json] = body["services"][0]
        if entry["status"] == SILENT_CELL:
            raise CannotTell("its cell's database does not answer")
        return via, entry

    def _put(self, via: str, service: str, wanted: Json) -> float:
        """Ask once. Without an answer the caller looks what came of it; a refusal is final."""
        try:
            answer = put(self.sites[via], f"{SERVICES}/{service}", wanted, ANSWER_SECONDS)
        except CannotTell:
            return ANSWER_SECONDS
        if answer.status != OK:
            raise CannotTell(f"nova-api on {via} answered {answer.status}: {answer.body}")
        return answer.seconds

    def _answer(self, now: Mapping[str, Json], seconds: float, *, changed: bool) -> dict[str, Json]:
        ours = now["status"] == "disabled" and now.get("disabled_reason") == self.token
        reason = now.get("disabled_reason") or ""
        words = f"{BINARY} on {self.host} is {now['status']}"
        if now["status"] == "disabled":
            words += (
                " by this run" if ours else f" by somebody else ({reason or 'no reason given'})"
            )
        answer = {
            "changed": changed,
            "ours": ours,
            "status": now["status"],
            "disabled_reason": reason,
            "seconds": round(seconds, 3),
            "msg": words,
        }
        if seconds >= DEAF_SECONDS:
            slow = f"nova took {seconds:.0f} s: {BINARY} on {self.host} hardly answers calls"
            answer["warnings"] = [slow]
        return answer
