"""``LeaseKeeper``: renews a run's leases beside its plays, and does nothing else.

It waits for nothing but the database: not for the listener, not for a play, not for the driver. Once
its lease is lost, a play of the run is refused its next intent, and the driver its next entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from holdfast.engine.dependencies import Dependencies
from holdfast.errors import StateUnusable
from holdfast.model import Grant, LeaseMode

TTL = timedelta(seconds=60)
"""How long a lease stays valid after its last renewal: after the death of a driver that is not seen."""


def own_scope(run: str) -> Mapping[str, LeaseMode]:
    """Return the scope that only this run uses: its lease says that a process drives the run.

    No ``<site>/<service>`` can have this name.
    """
    return {f"{OWN_SCOPE}{run}": LeaseMode.EXCLUSIVE}


OWN_SCOPE = "run:"


class LeaseKeeper:
    """Keeps the leases of ``grant`` valid; ``beat`` is called once a second."""

    def __init__(self, dependencies: Dependencies, grant: Grant) -> None:
        self._store, self._clock = dependencies.store, dependencies.clock
        self._grant, self._due = grant, self._clock() + TTL / 3

    def keep(self, grant: Grant) -> None:
        """Renew this grant from now on."""
        self._grant, self._due = grant, self._clock() + TTL / 3

    def beat(self) -> None:
        """Renew the leases when they are due; after a failure of the database again with the next beat.

        Raises:
            LeaseLost: one of them expired or was taken.
        """
        now = self._clock()
        # A clock that was set back must not put the renewal off.
        if timedelta(0) < self._due - now <= TTL / 3:
            return
        try:
            self._store.renew(self._grant, TTL)
        except StateUnusable:
            return
        self._due = now + TTL / 3
