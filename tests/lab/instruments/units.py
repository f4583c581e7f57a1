"""Reads the state of a container's systemd units through one `podman exec`, which needs no network there.

Each request carries a number and its answer repeats it, so an old answer of a host that was frozen for a minute is not
taken for a new one. The host's clock is not used.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import threading
from pathlib import Path

from tests.lab.instruments.records import CheckResult

PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "InvocationID", "NRestarts")

_LOOP = """
while read -r number; do
  echo "begin $number"
  systemctl show --property={properties} {units}
  echo "end $number"
done
"""


class HostUnresponsive(Exception):
    """The host did not answer in time, or its container does not run."""


class UnitReader:
    """Reads the units of one container through one long-lived `podman exec`."""

    def __init__(self, container: str, units: tuple[str, ...], lab_dir: Path) -> None:
        loop = _LOOP.format(properties=",".join(PROPERTIES), units=shlex.join(units))
        configuration = lab_dir / "containers.conf"
        self._command = [
            *([] if os.geteuid() == 0 else ["sudo", "-n"]),
            *(["env", f"CONTAINERS_CONF={configuration}"] if configuration.exists() else []),
            *("podman", "exec", "-i", container, "sh", "-c", loop),
        ]
        self._process: subprocess.Popen[str] | None = None
        self._listener = threading.Thread()
        self._answer: tuple[int, list[dict[str, str]]] = (-1, [])
        self._arrived = threading.Condition()

    def read(self, number: int, timeout: float) -> list[dict[str, str]]:
        """Return the properties of every unit, in the order of the units.

        Raises:
            HostUnresponsive: no answer to request `number` came within `timeout` seconds.
        """
        process = self._alive()
        try:
            assert process.stdin is not None
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise HostUnresponsive("the container does not run") from None
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._answer[0] == number, timeout):
                raise HostUnresponsive(f"no answer within {timeout:g} s")
            return self._answer[1]

    def close(self) -> None:
        """End the stream; the loop in the container ends when its input does."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(timeout=2)

    def _alive(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # so that Ctrl-C ends the observer and not its streams
            )
            self._listener = threading.Thread(
                target=self._listen, args=(self._process,), daemon=True
            )
            self._listener.start()
        return self._process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        block: list[str] = []
        with process.stdout as lines:
            for line in lines:
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "begin":
                    block = []
                elif word == "end":
                    self._arrive(int(rest), parse_units("".join(block)))
                else:
                    block.append(line)

    def _arrive(self, number: int, units: list[dict[str, str]]) -> None:
        with self._arrived:
            self._answer = (number, units)
            self._arrived.notify_all()


def parse_units(text: str) -> list[dict[str, str]]:
    """Return the output of `systemctl show` as one mapping per unit; units are separated by empty lines."""
    return [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in text.split("\n\n")
        if block.strip()
    ]


def unit_result(shown: dict[str, str]) -> CheckResult:
    """Return whether a unit is up, from systemd's properties; it is only in state `active`."""
    detail = {
        "invocation_id": shown.get("InvocationID", ""),
        "active_state": shown.get("ActiveState", ""),
        "sub_state": shown.get("SubState", ""),
        "load_state": shown.get("LoadState", ""),
        "restarts": int(shown.get("NRestarts") or 0),
    }
    return CheckResult(detail["active_state"] == "active", detail)


def unit_and_group(text: str) -> tuple[str, str]:
    """Return the two halves of `NAME@GROUP`, split at the last `@`: the name of a template's instance contains one.

    Raises:
        SystemExit: one of them is missing.
    """
    unit, at, group = text.rpartition("@")
    if not at or not unit or not group:
        raise SystemExit(f"--unit {text}: expected NAME@GROUP, for example cron@nova_compute")
    return unit, group
