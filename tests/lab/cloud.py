"""The lab with the profile ``cloud`` (all of nova over a Galera cluster), for programs that try something on it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LAB = os.environ.get("LAB_NAME", "holdfast-cloud")
LAB_DIR = Path(os.environ.get("LAB_DIR") or PROJECT / ".lab" / LAB)
SITE = PROJECT / "inventories/lab"
CONTROLS, COMPUTES = ("ctl1", "ctl2", "ctl3"), ("cmp1", "cmp2", "cmp3")
_ENVIRONMENT = {
    "LAB_SUBNET": "10.97.3.0/24",
    **os.environ,
    "LAB_NAME": LAB,
    "LAB_DIR": str(LAB_DIR),
    "LAB_PROFILE": "cloud",
    "HOLDFAST_STATE_DIR": str(LAB_DIR / "state"),
    "XDG_CONFIG_HOME": str(LAB_DIR / "config"),
}


def lab_up(writers: str = "one") -> None:
    """Start the lab, or repair it; ``writers``: "one" or "all" nodes get sessions."""
    environment = {**_ENVIRONMENT, "LAB_WRITERS": writers}
    subprocess.run(["make", "lab-up"], cwd=PROJECT, env=environment, check=True)


def holdfast(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Holdfast; its end is the caller's to judge."""
    command = [sys.executable, "-m", "holdfast.cli", *words]
    return subprocess.run(
        command, cwd=PROJECT, env=_ENVIRONMENT, capture_output=True, text=True, check=False
    )


def on(host: str, program: str, given: str = "") -> str:
    """Return what a program of the shell, which reads ``given``, prints as root on a host.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    argv = ["tests/lab/ssh", host, "sudo", "sh", "-c", shlex.quote(program)]
    done = subprocess.run(
        argv,
        cwd=PROJECT,
        env=_ENVIRONMENT,
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
