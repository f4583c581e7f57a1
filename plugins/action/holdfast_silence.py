"""Silence what a host's turn disturbs, and end that when the host is done (modules/holdfast_silence.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from holdfast.action_plugin import (
    ArgumentSpec,
    ConnectionShell,
    Forwards,
    HoldfastAction,
    open_state,
)
from holdfast.errors import CannotTell, InvalidInput
from holdfast.journal.events import SilenceEnded, SilencePlaced
from holdfast.model import Json
from holdfast.play_context import PlayContext, Variables, require_lease
from holdfast.probes.base import ProbeContext
from holdfast.silencing import SILENCES, Placed, Silencer, needs
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
        self._require_own(silencer, variables)
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
        return Silencer(self._context(self.host, variables), comment)

    def _context(self, host: str, variables: Variables) -> ProbeContext:
        of_host = variables if host == self.host else self.variables_of(host, variables)
        given = {name: of_host[name] for name in needs() if name in of_host.raw}
        forwards = Forwards(self, variables)
        shell = ConnectionShell(self, self.host)
        return ProbeContext(host, variables["groups"], {host: given}, shell, look_from=forwards)

    def _require_own(self, silencer: Silencer, variables: Variables) -> None:
        """Refuse what another host of the play's group would silence as well: it does not select this host.

        Raises:
            InvalidInput: two hosts have the same.
        """
        group = variables["holdfast_policy"]["group"]
        other = next((each for each in variables["groups"][group] if each != self.host), None)
        if other is None:
            return
        of_other = Silencer(self._context(other, variables), "").selected
        for variable, selected in silencer.selected.items():
            if selected == of_other.get(variable):
                raise InvalidInput(
                    f"{variable} is the same for {self.host} and {other}, so it silences more than one host",
                    remedy=f"use the host's name in it: {SILENCES[variable]}",
                )

    def _placed(self, each: Placed) -> SilencePlaced:
        return SilencePlaced(
            at=datetime.now(UTC),
            host=self.host,
            service=each.service,
            names=list(each.names),
            until=each.until,
            undo=each.undo,
        )
