"""Mark hosts with the play's run, remove its marks, or list all (modules/holdfast_mark.py, docs/adr/0023)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import ClassVar

from ansible.errors import AnsibleError

from holdfast.action_plugin import ArgumentSpec, HostShells, open_state
from holdfast.errors import CannotTell, LeaseHeld
from holdfast.journal.events import BaselineTaken
from holdfast.mark_action import MarkAction
from holdfast.marking import list_marks, remove_marks
from holdfast.marks import FRESH, has_shell, meeting_hosts
from holdfast.model import Holder, Json
from holdfast.play_context import PlayContext, Variables, require_lease
from holdfast.policy import PlaybookPolicy


class ActionModule(MarkAction):
    """Calls ``holdfast.marking`` over connections to the hosts, which need not be in the play."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "state": {"type": "str", "choices": ["present", "absent", "listed"], "default": "present"},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "groups": {"type": "list", "elements": "str", "default": []},
        "run": {"type": "str", "default": ""},
    }

    ACTS = False
    _requires_connection = True

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return what was marked, is still marked, or was found."""
        hosts, groups = list(arguments["hosts"]), arguments["groups"]
        meeting = meeting_hosts(variables["groups"], groups)
        reach = HostShells(self, variables)
        if arguments["state"] == "listed":
            return self._list(reach, hosts, variables)
        run = PlayContext.of(variables)
        if arguments["state"] == "absent":
            every = dict.fromkeys([*meeting, *hosts])
            return self._remove(reach, list(every), run, arguments["run"])
        if self.check_mode:
            return self._would_mark(meeting, hosts, variables)
        run = require_lease(run)
        try:
            marked = self.place_marks(open_state(run.run), run, variables, groups, hosts)
        except (LeaseHeld, CannotTell) as error:
            return {"failed": True, "holdfast_refused": True, "msg": f"{self.failed()}: {error}"}
        return {
            "service": PlaybookPolicy.parse(variables["holdfast_policy"]).service,
            "run": run.run,
            "hosts": marked,
            "renew_at": time.time() + FRESH.total_seconds(),
            "msg": f"{', '.join(marked)}: marked",
        }

    def failed(self) -> str:
        """Return what was not done."""
        done = {"present": "made", "absent": "removed", "listed": "read"}[self.arguments["state"]]
        return f"no mark was {done}"

    def _would_mark(
        self, meeting: list[str], hosts: list[str], variables: Variables
    ) -> dict[str, Json]:
        """Look for other runs' marks and show what would be refused; in check mode a play has no run."""
        nobody = Holder("", "", "", "", "", 0, 0)
        marker = self.marker(open_state(), nobody, variables)
        try:
            marker.look(meeting, hosts)
        except (LeaseHeld, CannotTell) as error:
            self.show(f"would be refused: {error.message}")
            return {"msg": f"would be refused: {error.message}"}
        return {"msg": f"would mark {', '.join(dict.fromkeys([*meeting, *hosts]))}"}

    def _remove(
        self, reach: HostShells, hosts: list[str], context: PlayContext | None, named: str
    ) -> dict[str, Json]:
        """Remove the marks of the play's run while it holds its leases, or of a run that is named."""
        if self.check_mode:
            return {"msg": "in check mode no mark is removed"}
        if not named:
            run = require_lease(context)
            # Without its leases it may have been resumed: the marks are then those of the other process.
            open_state(run.run).check(run.grant)
            named = run.run
        left = remove_marks(reach, hosts, named)
        told = "; ".join(f"{host}: {why}" for host, why in left.items())
        return {
            "left": left,
            "msg": f"marks may be left, they expire: {told}" if left else "removed",
        }

    def _list(self, reach: HostShells, hosts: list[str], variables: Variables) -> dict[str, Json]:
        """Return and journal the valid marks of each host, and why one gave no answer or cannot be read.

        Hosts that can have none are left out and not contacted.
        """
        asked, unreadable = [], {}
        for host in hosts:
            try:
                known = self.variables_of(host, variables)
                kind = (
                    str(known.get("ansible_connection", "")),
                    str(known.get("ansible_shell_type", "")),
                )
            except AnsibleError as error:  # such as a vault of another team
                cause = str(error.message).splitlines()[0]
                unreadable[host] = {"error": f"its variables cannot be read: {cause}", "marks": {}}
                continue
            if has_shell(*kind):
                asked.append(host)
        found = {**list_marks(reach, asked), **unreadable}
        run = PlayContext.of(variables)
        if run:
            event = BaselineTaken(at=datetime.now(UTC), name="marks", values=found)
            open_state(run.run).append(run.run, event)
        return {"marks": found}
