"""The program that reads a systemd unit, or acts on it, on its host: the command to send, and what its answer says.

It is ``unit_program.sh``, a shell program, since to start Python on a host takes longer than to restart a unit.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from importlib.resources import files
from typing import Any, Literal, get_args

from holdfast.errors import CannotTell, OutcomeUnknown
from holdfast.model import HOST_DIRECTORY
from holdfast.observations.nova import LogPosition

PROGRAM = files("holdfast").joinpath("unit_program.sh").read_text("utf-8")

End = Literal["read", "not_begun", "already_restarted", "done", "failed", "unreadable"]
"""What the program did. ``read`` and ``not_begun``: it touched nothing. ``already_restarted``: another act has done it
since the intent. ``unreadable``: the unit was restarted, and its state afterwards cannot be read."""

NOT_BEGUN = "nothing was touched"
"""How the message of an act that was not begun ends."""

_ANSWER_SECONDS = 30
"""How long systemd may take to answer."""

_HUNDREDTHS = 100
_CLOCK_TICK = 1 / _HUNDREDTHS
_TIMED_OUT = (124, 137)


@dataclass(frozen=True, slots=True)
class Clock:
    """A host's steady clock: its boot, and hundredths of a second since then, sleep included."""

    boot: str
    hundredths: int

    def after(self, span: timedelta) -> Clock:
        """Return the clock of a later moment, rounded down."""
        return Clock(self.boot, self.hundredths + int(span.total_seconds() * _HUNDREDTHS))


@dataclass(frozen=True, slots=True)
class ShownUnit:
    """A unit as systemd shows it; everything is text."""

    id: str
    load_state: str
    active_state: str
    sub_state: str
    result: str
    invocation_id: str
    restarts: str
    job: str

    def __str__(self) -> str:
        """Return the state in one line: ``cron.service is failed (failed), result exit-code``."""
        line = f"{self.id} is {self.active_state} ({self.sub_state})"
        return line if self.result in ("", "success") else f"{line}, result {self.result}"


@dataclass(frozen=True, slots=True)
class Limits:
    """On which unit an act may begin, and when: the host's clock from before the intent, and when its leases end.

    ``unit`` is the name by which systemd knows it. The host must have the mark of the service, of this run.
    """

    unit: str
    prepared: Clock
    until: Clock
    service: str
    run: str


@dataclass(frozen=True, slots=True)
class ProgramAnswer:
    """What the program printed. ``rc`` is None where no act was begun, and where it was ended for taking too long."""

    end: End
    message: str
    clock: Clock
    log: LogPosition
    before: ShownUnit | None
    after: ShownUnit | None
    rc: int | None = None
    timed_out: bool = False
    seconds: float = 0.0
    output: Sequence[str] = field(default=())


def read(unit: str, log: str = "", proc: str = "/proc") -> list[str]:
    """Return the command that reads a unit and the host's clock, and where the file that it logs to ends.

    ``proc`` is where the host's processes are listed.
    """
    return _command("read", unit, log, proc)


def observe(unit: str, seconds: float) -> list[str]:
    """Return the command that reads a unit under its lock, after which no earlier intent counts."""
    return _command("observe", unit, f"{seconds:g}")


def limits_of(found: ProgramAnswer, left: timedelta, service: str, run: str) -> Limits:
    """Return the limits of an act on the unit that was read before its intent, with this much of the leases left.

    Raises:
        CannotTell: the unit was not read.
    """
    if found.before is None:
        raise CannotTell(found.message)
    return Limits(found.before.id, found.clock, found.clock.after(left), service, run)


def restart(seconds: float, limits: Limits, invocation_id: str) -> list[str]:
    """Return the command that restarts the unit, if ``invocation_id`` is still its start."""
    return _act("restart", seconds, limits, invocation_id)


def command(seconds: float, limits: Limits, argv: Sequence[str]) -> list[str]:
    """Return the command that runs ``argv``, which acts on the unit."""
    return _act("command", seconds, limits, *argv)


def _act(what: str, seconds: float, limits: Limits, *arguments: str) -> list[str]:
    prepared, until = limits.prepared, limits.until
    clocks = prepared.boot, str(prepared.hundredths), str(until.hundredths)
    words = limits.unit, f"{seconds:g}", *clocks, limits.service, limits.run
    return _command(what, *words, *arguments)


def _command(*arguments: str) -> list[str]:
    before = (HOST_DIRECTORY, str(_ANSWER_SECONDS))
    return ["/bin/sh", "-c", PROGRAM, "holdfast", *before, *arguments]


def parse(printed: str, errors: str = "") -> ProgramAnswer:
    """Return what the program printed; ``errors`` is what the connection printed beside it.

    Raises:
        OutcomeUnknown: it did not come to its end, so what it did is not known.
    """
    sections, output = _sections(printed)
    last = sections.get("", {})
    end: End | None = next((word for word in get_args(End) if word == last.get("end")), None)
    if end is None or "boot" not in sections.get("clock", {}):
        raise OutcomeUnknown(
            f"the host's answer ends too early: {(printed + errors)[-200:].strip()!r}"
        )
    after = sections.get("after", {})
    status = int(after["rc"]) if "rc" in after else None
    # `timeout` ends with these; so may what it ran, by itself or because the host was out of memory.
    timed_out = status in _TIMED_OUT and _took(after) + _CLOCK_TICK >= float(after["limit"])
    clock = sections["clock"]
    return ProgramAnswer(
        end=end,
        message=last.get("message", ""),
        clock=Clock(clock["boot"], int(clock["seconds"])),
        log=_position(sections.get("log", {})),
        before=_state(sections.get("before", {})),
        after=_state(after),
        rc=None if timed_out else status,
        timed_out=timed_out,
        seconds=_took(after),
        output=output,
    )


def _took(after: Mapping[str, str]) -> float:
    return int(after.get("took", "0")) / _HUNDREDTHS


def shown(argv: Sequence[str]) -> str:
    """Return a command as a person reads it: a program in it, which has several lines, is left out."""
    return " ".join("…" if "\n" in each else shlex.quote(each) for each in argv)


def command_result(answer: ProgramAnswer, command: str) -> dict[str, Any]:
    """Return the result of a task that ran a command: how it ended is evidence, by which the task does not fail."""
    took = f"{answer.seconds:.1f} s"
    how = f"was ended after {took}" if answer.timed_out else f"ended with {answer.rc} after {took}"
    return {
        # Without it, Ansible itself would fail the task by `rc`.
        "failed": False,
        "changed": True,
        "command": command,
        "rc": answer.rc,
        "timed_out": answer.timed_out,
        "seconds": answer.seconds,
        "output": list(answer.output),
        "msg": f"`{command}` {how}" + (f": {answer.output[-1]}" if answer.output else ""),
    }


def restart_result(answer: ProgramAnswer) -> dict[str, Any]:
    """Return the result of a task that restarts, as far as it is known; ``failed`` unless it was restarted."""
    before, after = answer.before, answer.after or answer.before
    result: dict[str, Any] = {
        "changed": False,
        "failed": False,
        "before": before.invocation_id if before else "",
        "after": after.invocation_id if after else "",
        "unit": asdict(after) if after else {},
        "already_restarted": answer.end == "already_restarted",
        "seconds": answer.seconds,
    }
    match answer.end:
        case "done":
            return result | {"changed": True, "msg": f"{after} after {answer.seconds:.1f} s"}
        case "already_restarted":
            why = "it was restarted since the intent, so it is not restarted again"
            return result | {"msg": f"{after}; {why}"}
        case "failed":
            return result | {"changed": True, "failed": True, "msg": _failure(answer)}
        case "unreadable":
            known = {"unit": {}, "after": "", "changed": True, "failed": True}
            return result | known | {"msg": _unreadable(answer)}
        case _:
            return result | {"failed": True, "msg": f"{answer.message}; {NOT_BEGUN}"}


def _failure(answer: ProgramAnswer) -> str:
    """Return the message of a restart that failed: the state, the error and the unit's last journal lines."""
    slow = f": systemctl had not finished after {answer.seconds:.0f} s"
    how = slow if answer.timed_out else ""
    lines = "".join(f"\n  {line[:300]}" for line in answer.output) or " nothing"
    return f"the restart failed, {answer.after}{how}; its output and the end of its journal:{lines}"


def _unreadable(answer: ProgramAnswer) -> str:
    """Return the message of a restart after which the unit cannot be read."""
    unit = answer.before.id if answer.before else ""
    printed = "; ".join(answer.output)
    ended = "which reported success" if answer.rc == 0 else f"which failed: {printed}"
    return (
        f"`systemctl restart {unit}` was run, {ended}. In which state the unit is now is not known: "
        f"{answer.message}. Look on the host: systemctl status {unit}"
    )


def _sections(printed: str) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """Return the values by section, and the lines of the section [output].

    ``message`` and ``end`` are in the section "", wherever they come: the act's own output is quoted. Only a line feed
    ends a line, as in the program that quotes, and a line without one was cut off.
    """
    sections: dict[str, dict[str, str]] = {}
    output, current = [], ""
    text = printed.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    for line in text.split("\n")[:-1]:
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            current = heading[1]
        elif line.startswith("> "):
            output.extend(line[2:].splitlines())
        elif "=" in line:
            name, value = line.split("=", 1)
            sections.setdefault("" if name in ("message", "end") else current, {})[name] = value
    return sections, tuple(line for line in output if line.strip())


_PROPERTIES: Mapping[str, str] = {
    "Id": "id",
    "LoadState": "load_state",
    "ActiveState": "active_state",
    "SubState": "sub_state",
    "Result": "result",
    "InvocationID": "invocation_id",
    "NRestarts": "restarts",
    "Job": "job",
}


def _position(found: Mapping[str, str]) -> LogPosition:
    if "digest" not in found:
        return LogPosition()
    processes = tuple(map(int, found["processes"].split()))
    return LogPosition(
        inode=int(found["inode"]),
        size=int(found["size"]),
        digest=found["digest"],
        processes=processes,
    )


def _state(shown: Mapping[str, str]) -> ShownUnit | None:
    if "ActiveState" not in shown:
        return None
    return ShownUnit(**{short: shown.get(name, "") for name, short in _PROPERTIES.items()})
