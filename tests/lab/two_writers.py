"""Boots servers through nova over a Galera cluster: behind a haproxy with one writer, then with all nodes as writers.

    make two-writers        (LAB_RELEASE, LAB_NAME, LAB_SUBNET as for `make lab-up`; ROUNDS, PER_HOST)

The lab has the profile ``cloud``. For each setting `holdfast boots` boots some rounds, and its record has every failure
with nova's words and the conflicts that the nodes counted. The logs of nova and placement are read beside it: where a
service answers with an error for a 1213, another finds no host. Fails where a server is left, or where a node counted
a conflict with one writer; what several writers give is printed and judged by nobody. The record is
report/two-writers.json in the lab's directory.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.lab.cloud import COMPUTES, CONTROLS, LAB_DIR, PROJECT, SITE, holdfast, lab_up, on

WRITERS = ("one", "all")
ROUNDS = int(os.environ.get("ROUNDS") or 3)
PER_HOST = os.environ.get("PER_HOST") or "20"
AT_ONCE, WITHIN = "40", "3m"
LIMITS_EXCEEDED = 4  # exit code of a test of which some boots failed; it is a figure here
LEFT = "is left"
# The line of a traceback that has what the database said: one for each transaction that nobody tried again.
_COUNT = (
    "cat /var/log/nova/*.log /var/log/placement/*.log 2>/dev/null"
    " | grep -cE ' ERROR .* pymysql.err.OperationalError: \\(1213,' || true"
)


def in_logs() -> dict[str, int]:
    """Return how many deadlocks the logs of each host have."""
    return {host: int(on(host, _COUNT) or 0) for host in (*CONTROLS, *COMPUTES)}


def boots() -> dict[str, Any]:
    """Return the record of one test, which `holdfast boots` prints."""
    done = holdfast(
        *("boots", "--site", str(SITE), "--flavor", "lab-flavor", "--image", "lab-image"),
        *("--per-host", PER_HOST, "--at-once", AT_ONCE, "--within", WITHIN, "--json"),
    )
    if done.returncode not in (0, LIMITS_EXCEEDED):
        raise SystemExit(f"two-writers: boots ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tried(writers: str) -> dict[str, Any]:
    """Return what the rounds of one setting gave."""
    lab_up(writers)
    on("ctl1", "python3 - unlimited quota", (PROJECT / "tests/lab/server.py").read_text())
    before, tests = in_logs(), []
    for number in range(1, ROUNDS + 1):
        tests.append(boots())
        print(f"{writers}, round {number}: {json.dumps(tests[-1]['figures'])}", flush=True)
    after = in_logs()
    return {
        "writers": writers,
        "servers": sum(len(each["boots"]) for each in tests),
        "failed": dict(_kinds(tests)),
        "faults": sorted(
            {boot["fault"][:300] for each in tests for boot in each["boots"] if boot["fault"]}
        ),
        "conflicts": _conflicts(tests),
        "in_logs": {host: after[host] - before[host] for host in after},
        "seconds": [each["figures"]["boot_seconds"] for each in tests],
        "left": [name for each in tests for name in each["left"]],
    }


def _kinds(tests: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return sum((Counter(each["figures"]["kinds"]) for each in tests), Counter())


def _conflicts(tests: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return per node how many conflicts it counted in all rounds."""
    found: dict[str, Counter[str]] = {}
    for each in tests:
        for host, counted in each["conflicts_since"].items():
            if isinstance(counted, str):
                raise SystemExit(f"two-writers: {host} was not counted: {counted}")
            found.setdefault(host, Counter()).update(counted)
    return {host: dict(counted) for host, counted in found.items()}


def main() -> int:
    """Try both settings, write the record, and return the exit status."""
    found = [tried(writers) for writers in WRITERS]
    report = LAB_DIR / "report"
    report.mkdir(exist_ok=True)
    (report / "two-writers.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))
    faults = [f"{name} {LEFT}" for each in found for name in each["left"]]
    faults += [
        f"one writer, and {host} counted {name}: {counted[name]}"
        for host, counted in found[0]["conflicts"].items()
        for name in ("failures", "aborts")
        if counted[name]
    ]
    if faults:
        print(f"two-writers: {'; '.join(faults)}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
