"""Marks: files on the hosts of a service that say which run changes it now (docs/adr/0023). Pure.

Leases exclude runs that share a state database; two runs with different ones meet at these files. A mark
expires by the uptime of its own host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from holdfast.errors import CannotTell
from holdfast.model import HOST_DIRECTORY, Holder, Json

TTL = timedelta(minutes=30)
"""How long a mark counts after it was written: longer than from a batch's begin to its end."""

FRESH = timedelta(minutes=5)
"""A mark that is younger is not written again."""

MEETING_HOSTS = 3
"""How many hosts of a group are marked beside those of the batch."""

_MOST_CHARACTERS = 300

_NO_SHELL = re.compile(r"(.+\.)?(network_cli|netconf|httpapi|grpc|winrm|psrp)")


def has_shell(connection: str, shell_type: str) -> bool:
    """Return whether a host may have marks and units: not where Ansible reaches a network device, or Windows."""
    return not _NO_SHELL.fullmatch(connection) and shell_type not in {"cmd", "powershell"}


@dataclass(frozen=True, slots=True)
class RunMark:
    """Who changes the service, since when, and until when by the uptime of the host in its boot ``boot_id``."""

    holder: Holder
    since: datetime
    boot_id: str
    expires: float

    def as_text(self) -> str:
        """Return the content of the file: one line of ASCII."""
        return json.dumps(_MARK.dump_python(self, mode="json"))

    @classmethod
    def from_text(cls, text: str) -> RunMark:
        """Return the mark of a file.

        Raises:
            ValidationError: the text is none.
        """
        return _MARK.validate_json(text)


_MARK = TypeAdapter(RunMark)


@dataclass(frozen=True, slots=True)
class HostMarks:
    """What a host answered: its clock, and the content of its marks by service."""

    boot_id: str
    uptime: float
    texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, answer: str) -> HostMarks:
        """Parse the answer of ``marking.READ``.

        Raises:
            CannotTell: it is none.
        """
        boot_id, _, rest = answer.partition("\n")
        uptime, _, files = rest.partition("\n")
        pairs = (line.partition("\t") for line in files.split("\n") if line)
        texts = {name.removesuffix(".mark"): text for name, _, text in pairs}
        try:
            return cls(boot_id, float(uptime), texts)
        except ValueError:
            raise CannotTell(f"its marks cannot be read: {answer[:200]!r}") from None

    def mark(self, service: str) -> RunMark | None:
        """Return the mark of the service; None where there is none, or it has expired.

        Raises:
            CannotTell: there is a file that is no mark.
        """
        if service not in self.texts:
            return None
        try:
            mark = RunMark.from_text(self.texts[service])
        except ValidationError:
            path = f"{HOST_DIRECTORY}/{service}.mark"
            raise CannotTell(
                f"{path} is no mark that can be read, so it is not known whether a run changes {service}",
                remedy=f"ask who else changes {service}; if nobody does, remove {path} there",
            ) from None
        return mark if self.left(mark) > timedelta(0) else None

    def left(self, mark: RunMark) -> timedelta:
        """Return how long the mark still counts; no time for one from before the host's last boot."""
        seconds = mark.expires - self.uptime if mark.boot_id == self.boot_id else 0.0
        return timedelta(seconds=max(seconds, 0.0))

    def listed(self) -> dict[str, Json]:
        """Return the valid marks by service, and what cannot be read, as JSON."""
        marks, errors = {}, []
        for service in self.texts:
            try:
                mark = self.mark(service)
            except CannotTell as error:
                errors.append(error.message)
            else:
                if mark:
                    seconds = round(self.left(mark).total_seconds())
                    marks[service] = {"mark": mark.as_text(), "seconds": seconds}
        return {"error": "; ".join(errors), "marks": marks}

    def new_mark(self, holder: Holder, since: datetime) -> RunMark:
        """Return a mark of the holder that counts for ``TTL`` from when the host answered."""
        expires = round(self.uptime + TTL.total_seconds(), 2)
        short = replace(holder, reason=holder.reason[:_MOST_CHARACTERS])
        return RunMark(short, since, self.boot_id, expires)


def meeting_hosts(groups: Mapping[str, Sequence[str]], names: Iterable[str]) -> list[str]:
    """Return the hosts at which runs that change one of these groups meet: the first of each group, by name."""
    every = (host for name in names for host in sorted(groups.get(name, ()))[:MEETING_HOSTS])
    return list(dict.fromkeys(every))
