"""``NextPlay``: the play of the next batch, started while the batch before it settles (docs/adr/0054)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from holdfast.ansible.interfaces import PlayRunner, Progress, StartedPlay
from holdfast.engine.play_builder import parked_play
from holdfast.errors import InvalidInput
from holdfast.journal.run_state import RunState, canonical
from holdfast.model import ALL_PHASES
from holdfast.plan.decide import AwaitPlays, BeginStep, Decision, EndStep, Roll
from holdfast.plan.following import Following, following
from holdfast.plan.model import Plan, PlannedRoll
from holdfast.text import join_names


class NextPlay:
    """At most one parked play. It is a guess: where another decision follows, it is ended untouched.

    ``tell`` is given what the play says after its word, and a sentence where other hosts than those guessed are next.
    ``hosts`` are those of every play that was parked: each has marked them.
    """

    def __init__(self, runner: PlayRunner, plan: Plan, tell: Callable[[Progress], None]) -> None:
        self._runner, self._plan, self._tell = runner, plan, tell
        self._parked: StartedPlay | None = None
        self._for: Following | None = None
        self._tried_for: tuple[str, ...] = ()
        self.hosts: set[str] = set()

    def is_due(self, under_way: tuple[str, ...], ready: Collection[str]) -> bool:
        """Return whether the play after these hosts is to be started now: once, when all of them are in ``ready``."""
        waits = self._parked is not None  # in a window beside what is under way still
        return (
            not waits and self._tried_for != under_way and all(host in ready for host in under_way)
        )

    def start_beside(self, step: PlannedRoll, under_way: tuple[str, ...], state: RunState) -> None:
        """Start the play of the batch after those under way; ``state`` has their restarts."""
        self._tried_for = under_way
        expected = following(self._plan, state, step, under_way)
        if expected is not None:
            play = parked_play(self._plan, state, expected)
            try:
                self._parked = self._runner.start(play, self._tell, parked=True)
                self._for = expected
                self.hosts.update(expected.hosts)
            except (InvalidInput, OSError):
                pass  # the play that is started in its place will say why

    def keep_for(self, decision: Decision) -> None:
        """End the play unless it is the one of this decision, or of one that may follow it."""
        if isinstance(decision, EndStep | BeginStep | AwaitPlays):
            return
        if isinstance(decision, Roll) and decision.phases == ALL_PHASES:
            expected = self._for
            if expected is not None and _is_for(expected, decision):
                return
            if self._parked is not None and expected is not None:
                guessed, named = join_names(expected.hosts), join_names(decision.hosts)
                why = f"{named} is next, {decision.why}; the play for {guessed} is ended untouched"
                self._tell(Progress("", "next", why))
        self.end()

    def take(self, roll: Roll) -> StartedPlay | None:
        """Return the play where it is that of this roll; from then on the caller ends it."""
        self.keep_for(roll)
        self._tried_for = ()
        parked, self._parked = self._parked, None
        return parked

    def end(self) -> None:
        """End the play, if there is one."""
        parked, self._parked = self._parked, None
        if parked is not None:
            parked.end()


def _is_for(expected: Following, roll: Roll) -> bool:
    """Return whether a play for what was expected does what was decided."""
    same = (expected.step.number, expected.hosts) == (roll.step, roll.hosts)
    return same and set(map(canonical, roll.survey)) <= set(map(canonical, expected.survey))
