"""Silence what a host's turn disturbs, and end that when the host is done (modules/holdfast_silence.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import ClassVar

from ansible.errors import AnsibleError

from holdfast.action_plugin import (
    ArgumentSpec,
    ConnectionShell,
    Forwards,
    HoldfastAction,
    open_state,
)
from holdfast.errors import CannotTell
from holdfast.journal.events import SilenceEnded, SilencePlaced
from holdfast.model import Json
from holdfast.play_context import PlayContext, Variables, require_lease
from holdfast.probes.base import ProbeContext
from holdfast.silencing import SILENCES, Placed, Silencer, needs, require_own
from holdfast.store.database import Store


class ActionModule(HoldfastAction):
    """Calls ``Silencer`` and journals what it did."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "state": {"type": "str", "choices": ["placed", "ended"], "required": True},
    }

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return a message, and ``warnings`` for what could not be ended: it ends by itself."""
        run = PlayContext.of(variables)
        silencer = self._silencer(variables, run.run if run else "")
        if not silencer.selected:
            return {"msg": f"{self.host}: nothing is silenced: the site names nothing"}
        if self.check_mode:
            return {"msg": f"{self.host}: would be silenced in {silencer.where}"}
        held = require_lease(run)
        store = open_state(held.run)
        if arguments["state"] == "ended":
            return self._end(silencer, held.run, store)
        require_own(self.host, silencer.selected, self._of_others(variables))
        store.check(held.grant)
        placed = silencer.place(datetime.now(UTC))
        store.append_guarded(held.grant, *(self._placed(each) for each in placed))
        until = "; ".join(
            f"in {each.service} until {each.until:%H:%M} UTC at the latest" for each in placed
        )
        return {"changed": True, "msg": f"{self.host}: silenced {until}"}

    def failed(self) -> str:
        """Return what was not done."""
        if self.arguments["state"] == "ended":
            return f"{self.host}: its silence may still be in effect"
        return f"{self.host}: could not be silenced, and nothing was touched"

    def _end(self, silencer: Silencer, run: str, store: Store) -> dict[str, Json]:
        """Return a message. A host that is done stays done where its silence cannot be ended: that ends by itself."""
        left = []
        for service, names in silencer.end():
            if isinstance(names, CannotTell):
                left.append(f"{self.host}: its silence in {service} ends by itself: {names}")
                continue
            event = SilenceEnded(
                at=datetime.now(UTC), host=self.host, service=service, names=list(names)
            )
            store.append(run, event)
        said = "; ".join(left) or f"{self.host}: no longer silenced"
        return {"changed": True, "msg": said, **({"warnings": left} if left else {})}

    def _silencer(self, variables: Variables, run: str) -> Silencer:
        comment = f"holdfast: run {run}, {self.host}"
        given = {name: variables[name] for name in needs() if name in variables.raw}
        return Silencer(self._context(self.host, variables, given), comment)

    def _context(self, host: str, variables: Variables, given: dict[str, Json]) -> ProbeContext:
        forwards = Forwards(self, variables)
        shell = ConnectionShell(self, self.host)
        return ProbeContext(host, variables["groups"], {host: given}, shell, look_from=forwards)

    def _of_others(self, variables: Variables) -> Iterator[tuple[str, Mapping[str, Json]]]:
        """Yield the other hosts of the play's group, or of the inventory for one that is alone in it."""
        groups = variables["groups"]
        for group in (variables["holdfast_policy"]["group"], "all"):
            if others := [each for each in groups[group] if each != self.host]:
                yield from ((each, self._selected_by(each, variables)) for each in others)
                return

    def _selected_by(self, host: str, variables: Variables) -> Mapping[str, Json]:
        """Return what another host would silence, without what its variables do not give a value."""
        of_host, given = self.variables_of(host, variables), dict[str, Json]()
        for name in SILENCES:
            if name in of_host.raw:
                with suppress(AnsibleError):
                    given[name] = of_host[name]
        return Silencer(self._context(host, variables, given), "").selected

    def _placed(self, each: Placed) -> SilencePlaced:
        return SilencePlaced(
            at=datetime.now(UTC),
            host=self.host,
            service=each.service,
            names=list(each.names),
            until=each.until,
            undo=each.undo,
        )
