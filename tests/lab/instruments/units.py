"""One open question per host: how are your units? Asked through `podman exec`, so a lost network does not blind it.

Owns the stream into the container. The host answers when asked and stamps nothing: an answer belongs to the number it
repeats, so a host that was frozen for a minute cannot pass off old answers as new ones.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import threading
from pathlib import Path

PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "InvocationID", "NRestarts")

_LOOP = """
while read -r number; do
  echo "begin $number"
  systemctl show --property={properties} {units}
  echo "end $number"
done
"""


class HostSilent(Exception):
    """The host did not answer in time, or there is no such host."""


class UnitStream:
    """Asks one container about its units, over one long-lived `podman exec`."""

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

    def ask(self, number: int, timeout: float) -> list[dict[str, str]]:
        """Return the properties of every unit.

        Raises:
            HostSilent: no answer to this very question within `timeout` seconds.
        """
        process = self._alive()
        try:
            assert process.stdin is not None
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise HostSilent("the container is gone") from None
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._answer[0] == number, timeout):
                raise HostSilent(f"no answer within {timeout:g} s")
            return self._answer[1]

    def close(self) -> None:
        """End the stream; the loop inside the container ends with its input."""
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
                start_new_session=True,  # a Ctrl-C at the keyboard is for the observer, not for its streams
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
    """Return what `systemctl show` printed: one mapping per unit, parted by empty lines."""
    return [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in text.split("\n\n")
        if block.strip()
    ]
