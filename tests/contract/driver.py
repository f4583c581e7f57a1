"""An engine in a process of its own, to be killed: ``driver.py STATE run RUNBOOK SITE`` or ``… resume RUN``.

Exits with the run's code.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from holdfast.ansible.inventory import AnsibleInventory
from holdfast.ansible.play_runner import AnsibleRunner
from holdfast.ansible.playbooks import AnsiblePlaybooks
from holdfast.claims import bind_claim
from holdfast.engine.dependencies import Dependencies
from holdfast.engine.engine import Engine
from holdfast.engine.planner import Planner
from holdfast.errors import HoldfastError
from holdfast.settings import Settings
from holdfast.store.database import open_store
from holdfast.store.processes import strays_of

PROJECT = Path(__file__).parents[2]


def engine(state_dir: Path) -> Engine:
    settings = Settings(f"sqlite:///{state_dir / 'state.db'}", state_dir)
    return Engine(
        Dependencies(
            store=open_store(settings),
            runner=AnsibleRunner(PROJECT, os.environ, settings.state_url, state_dir, strays_of),
            planner=Planner(
                inventories=AnsibleInventory(PROJECT, os.environ),
                playbooks=AnsiblePlaybooks(PROJECT),
                claim_group=lambda entry: bind_claim(entry).claim.group,
            ),
            wait=threading.Event().wait,
        )
    )


def main(state_dir: str, action: str, *arguments: str) -> int:
    driver = engine(Path(state_dir))

    def stop(_number: int, _frame: FrameType | None) -> None:
        driver.stop.request()

    signal.signal(signal.SIGINT, stop)
    try:
        if action == "run":
            runbook, site = arguments
            plan = driver.planner.plan(Path(runbook), Path(site), {})
            return driver.start(plan, "ada", "a {{ 'test' }}").code
        return driver.resume(arguments[0], "ada", "repaired").code
    except HoldfastError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
