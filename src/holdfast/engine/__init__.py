"""The engine: the only loop. It reads the journal, decides, starts the next play, and reads again.

1. Plan: runbook, inventory and playbooks are read and checked against each other; nothing is touched.
2. Open the run in the journal; survey the services that will be touched; take their leases. A refusal
   up to here leaves nothing but its own entry in the journal.
3. Fold the journal and let ``plan.decide`` say what comes next; journal it, and do it:
   a look (survey, check, wait, sweep, observe), a roll of one batch, a question to people, or an end.
4. A roll's play takes its hosts through their phases and writes intents, outcomes and verdicts itself.
   Every one of its acts proves the lease again; the engine adds how the play ended.
5. Repeat from 3 until the run is finished, held, aborted or refused; then give the leases back.

Meanwhile ``keeper`` renews the leases, passes on requests to stop, and tells the listener. The
engine opens no connection to the fleet, sees no secret, repeats no act, and keeps no state: what a
crashed engine leaves is the journal, and ``resume`` starts at 3 with the hosts in hand asked first.
"""

from holdfast.ansible.interfaces import Progress, StopSignal
from holdfast.engine.dependencies import Dependencies
from holdfast.engine.driver import RunResult
from holdfast.engine.engine import Engine
from holdfast.engine.hold_report import BY_HAND, hold_message, host_states
from holdfast.engine.planner import Planner, read_text
from holdfast.engine.run_lookup import driver_of, find_run, read_run, recent_runs

__all__ = [
    "BY_HAND",
    "Dependencies",
    "Engine",
    "Planner",
    "Progress",
    "RunResult",
    "StopSignal",
    "driver_of",
    "find_run",
    "hold_message",
    "host_states",
    "read_run",
    "read_text",
    "recent_runs",
]
