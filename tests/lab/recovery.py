"""Wedges the lab's brokers while nova's services flap, then recovers as `holdfast diagnose` and the runbook print it.

It types what is printed and decides nothing: the diagnosis's commands until no broker is ill, then the commands of each
step of messaging-recovery, while a run of it proves each layer. The observer, which shares no code with Holdfast, says
when each service was out, and whether all stay well while the run watches. WEDGE=frozen is another wedge.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.instruments.observer_summary import summarise
from tests.lab.instruments.records import read_records
from tests.lab.oncall import (
    HOLDFAST,
    LAB,
    SITE,
    SUSPEND,
    diagnosed,
    on,
    pause,
    printed,
    wait_until_well,
)

REPOSITORY = Path(__file__).resolve().parents[2]
RUNBOOK = "messaging-recovery"
CONTROLS, COMPUTES = ("ctl1", "ctl2", "ctl3"), ("cmp1", "cmp2", "cmp3")
NOVA: Mapping[str, tuple[str, ...]] = {
    "nova-conductor": CONTROLS,
    "nova-scheduler": CONTROLS,
    "nova-api": CONTROLS,
    "nova-api-metadata": CONTROLS,
    "nova-compute": COMPUTES,
}
FLAPS, FLAP_SECONDS = 2, 30.0
LAYER_SECONDS = 60.0
"""So long a layer may come back by itself."""
ROUNDS = 15
"""So often the diagnosis may be asked until the brokers are proved."""


@dataclass(frozen=True, slots=True)
class Wedge:
    """How brokers are wedged: the command, on which hosts, and the kind of cause that is to be named first."""

    command: str
    hosts: tuple[str, ...]
    kind: str


WEDGES: Mapping[str, Wedge] = {
    "silent": Wedge(SUSPEND, CONTROLS, "wedged broker"),
    "frozen": Wedge("pkill -STOP beam.smp", ("ctl2",), "frozen broker"),
}
"""Every broker runs, and answers nobody who connects anew, as in 2015; or the process of one gets no time."""


@dataclass(slots=True)
class Told:
    """What was typed, and when each stage was reached, in seconds since the fault."""

    began: float = field(default_factory=time.monotonic)
    commands: list[str] = field(default_factory=list)
    reached: dict[str, float] = field(default_factory=dict)

    def now(self, stage: str) -> None:
        """Note and print that a stage was reached."""
        self.reached[stage] = round(time.monotonic() - self.began)
        print(f"{self.reached[stage]:6.0f} s  {stage}", flush=True)

    def type(self, host: str, command: str) -> None:
        """Type a command on a host."""
        print(f"          on {host}: {command}", flush=True)
        self.commands.append(f"on {host}: {command}")
        on(host, command)


@contextmanager
def observer(record: Path) -> Iterator[None]:
    """Run the observer beside; it has taken its first samples when this begins."""
    record.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "tests.lab.instruments.observer"]
    options = ["--inventory", "inventories/lab", "--out", str(record)]
    with record.with_suffix(".log").open("w") as log:
        process = subprocess.Popen([*argv, *options], stderr=log, start_new_session=True)
    try:
        for _ in range(240):
            if record.exists() and record.read_text().count("\n") > 1:
                break
            if process.poll() is not None:
                raise SystemExit(f"the observer has ended: {record.with_suffix('.log')}")
            pause(0.5)
        yield
    finally:
        process.terminate()
        process.wait()


class Run:
    """A run of the runbook in the background, and what it has said."""

    def __init__(self, log: Path) -> None:
        reason = ["--reason", "calls time out, computes come and go"]
        argv = [*HOLDFAST, "run", RUNBOOK, *SITE, *reason, "--yes", "--json"]
        self._log = log
        with log.open("w") as out:
            self._process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)

    def wait_for(self, step: int) -> None:
        """Wait until a step is proved."""
        while not self.has_proved(step):
            self.must_go_on()

    def has_proved(self, step: int) -> bool:
        """Return whether a step is proved."""
        return step in {each["step"] for each in self._events("step_finished")}

    def must_go_on(self) -> None:
        """Wait a second; end the program where the run has ended, as it does at a step's deadline."""
        if self._process.poll() is not None:
            raise SystemExit(f"the run has ended: {self._log}")
        pause(1)

    def wait(self) -> int:
        """Return its exit code when it has ended."""
        return self._process.wait()

    def end(self) -> None:
        """Stop it where it has not ended; it touches nothing."""
        self._process.terminate()
        self._process.wait()

    def _events(self, kind: str) -> Iterator[dict[str, Any]]:
        for line in self._log.read_text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                event: dict[str, Any] = json.loads(line)["event"]
                if event["kind"] == kind:
                    yield event


def ask() -> dict[str, Any]:
    """Return what the diagnosis says, and print its first line."""
    found = diagnosed()
    print(f"          {found['line']}", flush=True)
    return found


def repair_brokers(told: Told, run: Run) -> list[str]:
    """Ask, and type what the diagnosis prints of brokers, until the run has proved them; return the kinds named.

    A machine that is too busy says first that a host is not reached; one asks again.
    """
    named: list[str] = []
    for number in range(1, ROUNDS + 1):
        found = ask()
        told.now(f"diagnosis {number}")
        named += [each["name"] for each in found["causes"][:1]]
        causes = [each for each in found["causes"] if each["section"].startswith("rabbitmq")]
        for host, command in printed(causes[0]) if causes else ():
            told.type(host, command)
        if not causes and run.has_proved(1):
            return named
    raise SystemExit(f"brokers are ill after {ROUNDS} rounds of what was printed: {named}")


def steps_of(text: str) -> dict[int, list[str]]:
    """Return the commands that a runbook gives to type by hand, by the number of the step."""
    found: dict[int, list[str]] = {}
    for part in re.split(r"(?m)^## ", text)[1:]:
        if number := re.match(r"(\d+)\. ", part):
            prose = part.partition("```step")[0]
            lines = re.findall(r"(?m)^ {4,}(\S.*)$", prose)
            found[int(number[1])] = [line.partition(" #")[0].strip() for line in lines]
    return found


def flap() -> None:
    """Restart all of nova everywhere at once, again and again, as people who want to help."""
    for _ in range(FLAPS):
        threads = [
            threading.Thread(target=on, args=(host, f"systemctl restart --no-block {unit}"))
            for unit, hosts in NOVA.items()
            for host in hosts
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        pause(FLAP_SECONDS)


def silent_computes() -> tuple[str, ...]:
    """Return the computes that `holdfast check` names as without an answer."""
    argv = [*HOLDFAST, "check", *SITE, "nova.rpc_answers", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    messages = " ".join(str(each["message"]) for each in json.loads(done.stdout)["verdicts"])
    return tuple(host for host in COMPUTES if host in messages)


def recover(told: Told, run: Run) -> None:
    """Bring nova back layer by layer, as the runbook says; a layer that the run has proved already is left alone."""
    commands = steps_of((REPOSITORY / f"runbooks/{RUNBOOK}.md").read_text())
    run.wait_for(1)
    told.now("step 1 is proved: the brokers")
    for step in (2, 3, 4, 5):
        pause(LAYER_SECONDS)
        hosts = () if run.has_proved(step) else silent_computes() if step == 5 else CONTROLS
        for host in hosts:
            for command in commands[step]:
                told.type(host, command)
                while "list_queues" in command and not re.search(
                    rf"conductor\.{host}\t1", on(host, command)
                ):
                    run.must_go_on()
        run.wait_for(step)
        told.now(f"step {step} is proved")


def agrees(record: Path, recovered: float) -> tuple[float, list[str]]:
    """Return when the last outage before the watch ended, and what was out during it, as the observer saw it.

    Both in seconds since the observer's start; ``recovered``: when the watch began.
    """
    last, later = 0.0, []
    for host, services in summarise(read_records(record))["outages"].items():
        for what, spans in services.items():
            for span in spans:
                if span["end"] is None or span["end"] > recovered:
                    later.append(f"{what} on {host} at {span['start']:.0f} s")
                else:
                    last = max(last, span["end"])
    return last, later


def main() -> int:
    """Plant, recover, compare; return the exit status."""
    name = os.environ.get("WEDGE") or "silent"
    if name not in WEDGES:
        raise SystemExit(f"WEDGE={name}: expected one of {', '.join(WEDGES)}")
    wedge = WEDGES[name]
    out = Path(os.environ.get("LAB_DIR", REPOSITORY / ".lab" / LAB)) / "recovery"
    out.mkdir(parents=True, exist_ok=True)
    record = out / f"{name}.jsonl"
    os.environ["HOLDFAST_STATE_DIR"] = str(out / "state")
    # Ended in any way, it ends the observer and the run; `make lab-up` repairs the brokers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wait_until_well()
    with observer(record):
        began = float(next(iter(read_records(record)))["detail"]["monotonic"])
        told = Told()
        for host in wedge.hosts:
            on(host, wedge.command)
        flap()
        told.now(f"wedged ({name}), and all of nova restarted {FLAPS} times at once")
        run = Run(out / f"{name}-run.txt")
        try:
            named = repair_brokers(told, run)
            recover(told, run)
            recovered = time.monotonic() - began
            code = run.wait()
        finally:
            run.end()
        told.now(f"the run has ended with {code}")
    last, later = agrees(record, recovered)
    figures = {
        "wedge": name,
        "named": named,
        "typed": len(told.commands),
        "reached": told.reached,
        "observer_last_outage_ended": round(last - (told.began - began)),
        "out_while_watched": later,
    }
    (out / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0 if code == 0 and wedge.kind in named and not later else 1


if __name__ == "__main__":
    raise SystemExit(main())
