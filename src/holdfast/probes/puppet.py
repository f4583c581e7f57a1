"""Ask hosts for the state of their Puppet agents, and for mass runs that salt, cumin and others have begun."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from holdfast.errors import CannotTell
from holdfast.model import HOST_DIRECTORY, Json, Unanswered
from holdfast.nova_services import SERVICES
from holdfast.observations.puppet import (
    Agent,
    Agents,
    FleetReports,
    HostReports,
    LastRun,
    MassRun,
    MassRuns,
    RunLock,
)
from holdfast.probes.base import ProbeContext, ask_all, or_unanswered, require_shape
from holdfast.probes.nova.fleet import UnitSite
from holdfast.probes.puppet_reports import parse_report
from holdfast.puppet_programs import state_command

GROUP = "puppet_agents"
"""The inventory's group of the hosts whose agents a site runs."""

CONTROLLER = "this controller"

_SUMMARY: TypeAdapter[Json] = TypeAdapter(
    dict[str, dict[str, int | float | str | None] | None],
)
_MASS_TOOLS = (
    r"(?P<tool>salt|salt-call|salt-ssh|salt-run|cumin|clush|pssh|parallel-ssh|pdsh|dsh|mco|bolt)"
)
_MASS_RUN = re.compile(rf"^(\S*python\S* |\S*ruby\S* |\S*perl\S* )*(\S*/)?{_MASS_TOOLS} .*puppet")
_PROCESSES = ("ps", "-e", "-ww", "-o", "pid=,ppid=,args=")
_UNDER = re.compile(r"(^|[ /])salt-(minion|call)\b")


def probe_agents(context: ProbeContext, hosts: Sequence[str]) -> Agents:
    """Return the agents of the hosts, by default of all in the group; all are asked at the same time.

    A host that does not answer, or not in the expected shape, has the cause in the place of its agent.
    """
    return agents_of(context, hosts, HOST_DIRECTORY)


def agents_of(context: ProbeContext, hosts: Sequence[str], directory: str) -> Agents:
    """Return ``probe_agents``; ``directory`` is Holdfast's own on the hosts."""
    asked = {host: host for host in hosts or context.groups.get(GROUP, ())}

    def ask(host: str) -> Agent:
        result = context.reach(host).run(state_command(directory))
        return parse_agent(host, result.stdout, result.stderr)

    return ask_all(asked, partial(or_unanswered, ask))


def parse_agent(host: str, printed: str, errors: str = "") -> Agent:
    """Return the agent that the program printed.

    Raises:
        CannotTell: the program did not come to its end, or a file has another shape than Puppet writes.
    """
    values, lines = _read(printed)
    if error := values.get("error"):
        raise CannotTell(f"{host}: {error}")
    if values.get("end") != "read" or not values.get("now", "").isdigit():
        said = (printed + errors)[-200:].strip()
        raise CannotTell(f"{host}: the state of its Puppet agent was not read to its end: {said!r}")
    pid = values.get("pid")
    return Agent(
        host=host,
        now=float(values["now"]),
        disabled=_message(lines.get("disabled", [])) if "disabled" in values else None,
        lock=None if pid is None else RunLock(int(pid), values.get("command", "").strip()),
        last=_last(host, lines.get("summary"), lines.get("report", [])),
        drivers=tuple(lines.get("driver=", ())),
        disabled_at=float(made) if (made := values.get("disabled_at", "")).isdigit() else None,
    )


def probe_reports(context: ProbeContext, hosts: Sequence[str]) -> FleetReports:
    """Return the agents with the reports of their last preview and run, by default of all hosts of the group."""
    return reports_of(context, hosts, HOST_DIRECTORY)


def reports_of(context: ProbeContext, hosts: Sequence[str], directory: str) -> FleetReports:
    """Return ``probe_reports``; ``directory`` is Holdfast's own on the hosts."""
    asked = {host: host for host in hosts or context.groups.get(GROUP, ())}

    def ask(host: str) -> HostReports:
        result = context.reach(host).run(state_command(directory, reports=True))
        agent, values = parse_agent(host, result.stdout, result.stderr), _read(result.stdout)[0]
        preview, run = (parse_report(host, values.get(name)) for name in ("preview64", "run64"))
        return HostReports(agent, preview, run, _layers(context, host))

    return ask_all(asked, partial(or_unanswered, ask))


def _layers(context: ProbeContext, host: str) -> dict[str, list[str]]:
    """Return by unit which of nova's services it is on a host: one unit may be several."""
    site, layers = context.site(host, UnitSite), dict[str, list[str]]()
    for service in SERVICES:
        layers.setdefault(site.unit(service).removesuffix(".service"), []).append(service)
    return layers


def _read(printed: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the single values, and the lines of each file; those of ``driver`` are under ``driver=``."""
    values: dict[str, str] = {}
    lines: dict[str, list[str]] = {}
    for line in printed.split("\n")[:-1]:
        if quoted := re.match(r"(disabled|summary|report)> ?", line):
            lines.setdefault(quoted[1], []).append(line[quoted.end() :])
        elif line.startswith("driver="):
            lines.setdefault("driver=", []).append(line.removeprefix("driver="))
        elif "=" in line:
            name, value = line.split("=", 1)
            values[name] = value
    return values, lines


def _message(lines: Sequence[str]) -> str:
    """Return the message of a disabled lock: the agent is disabled whatever is in it."""
    text = "\n".join(lines)
    try:
        found = json.loads(text)
    except ValueError:
        return f"(no message: its lock has {text[:80]!r})"
    message = found.get("disabled_message") if isinstance(found, dict) else None
    return str(message) if message else "(no message)"


def _last(host: str, summary: Sequence[str] | None, report: Sequence[str]) -> LastRun | None:
    if summary is None:
        return None
    written = f"{host}: the summary of its agent's last run is written"
    found = _yaml("\n".join(summary), written)
    require_shape(found, _SUMMARY, written)
    of_report = _yaml("\n".join(report), f"{host}: the report of its agent's last run is written")
    at = _number(found, "time", "last_run")
    if at is None:
        raise CannotTell(f"{host}: the summary of its agent's last run does not say when that was")
    version = str((found.get("version") or {}).get("config") or "")
    known = of_report if _belongs(of_report, version, at) else {}
    completed, noop = known.get("transaction_completed"), known.get("noop")
    return LastRun(
        at=at,
        version=version,
        total=_count(found, "resources", "total"),
        failed=_count(found, "resources", "failed"),
        failed_to_restart=_count(found, "resources", "failed_to_restart"),
        failures=_count(found, "events", "failure"),
        transaction=str(known.get("transaction_uuid") or ""),
        began=_epoch(known.get("time")),
        completed=completed if isinstance(completed, bool) else None,
        cached=str(known.get("cached_catalog_status") or ""),
        noop=noop if isinstance(noop, bool) else None,
        status=str(known.get("status") or ""),
    )


def _yaml(text: str, written: str) -> dict[str, Json]:
    try:
        found = yaml.safe_load(text) if text else {}
    except yaml.YAMLError as error:
        raise CannotTell(f"{written} in no YAML: {str(error).partition(chr(10))[0]}") from None
    if not isinstance(found, dict):
        raise CannotTell(f"{written} in another shape than expected")
    return found


def _belongs(report: Mapping[str, Json], version: str, at: float) -> bool:
    """Return whether the report is of the run that wrote the summary: a site may keep none of later runs."""
    began = _epoch(report.get("time"))
    same = str(report.get("configuration_version") or "") == version
    return began is not None and same and began <= at + 1


def _epoch(text: Json) -> float | None:
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text))).timestamp()
    except ValueError:
        return None


def _number(found: Mapping[str, Json], section: str, name: str) -> float | None:
    value = (found.get(section) or {}).get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _count(found: Mapping[str, Json], section: str, name: str) -> int | None:
    number = _number(found, section, name)
    return None if number is None else int(number)


def probe_mass_runs(context: ProbeContext, hosts: Sequence[str]) -> MassRuns:
    """Return the mass runs of agents seen on this controller and on the hosts, by default on all of the group."""
    asked = {host: host for host in hosts or context.groups.get(GROUP, ())}
    seen: dict[str, Sequence[MassRun] | Unanswered] = {CONTROLLER: mass_runs_here(Path("/proc"))}

    def ask(host: str) -> Sequence[MassRun]:
        result = context.reach(host).run(_PROCESSES)
        if result.rc != 0 or not re.search(r"^ *1 +0 ", result.stdout, re.MULTILINE):
            cause = (
                result.stderr.strip()
                or f"exit status {result.rc}, and no first process in the output"
            )
            raise CannotTell(f"{host}: its processes cannot be listed: {cause}")
        return tuple(mass_runs(host, result.stdout))

    return seen | ask_all(asked, partial(or_unanswered, ask))


def mass_runs(where: str, listed: str) -> Iterator[MassRun]:
    """Yield the mass runs in the output of ``ps``, and the agents that a minion of salt has started."""
    rows = [line.split(None, 2) for line in listed.splitlines()]
    known = {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}
    for pid, (parent, command) in known.items():
        by_salt = "puppet" in command and any(map(_UNDER.search, _above(known, parent)))
        if found := _MASS_RUN.match(command):
            yield MassRun(where, int(pid), found["tool"])
        elif by_salt and not _UNDER.search(command):
            yield MassRun(where, int(pid), "salt")


def _above(known: Mapping[str, tuple[str, str]], pid: str) -> Iterator[str]:
    """Yield the commands of a process and of those that started it, as far as they are listed."""
    passed: set[str] = set()
    while pid in known and pid not in passed:
        passed.add(pid)
        pid, command = known[pid]
        yield command


def mass_runs_here(proc: Path) -> Sequence[MassRun] | Unanswered:
    """Return the mass runs among this machine's processes, read from ``proc``.

    Where it is mounted with hidepid, those of other users are not listed, or not readable (proc(5)).
    """
    own = str(os.getpid())
    try:
        entries = {each.name: each for each in proc.iterdir() if each.name.isdigit()}
        rows = [_row(each) for pid, each in entries.items() if pid != own]
    except OSError as error:
        return Unanswered(f"{CONTROLLER}: its processes cannot be listed: {error.strerror}")
    if "1" not in entries:
        return Unanswered(
            f"{CONTROLLER}: not all of its processes are listed: is /proc mounted with hidepid?"
        )
    return tuple(mass_runs(CONTROLLER, "\n".join(filter(None, rows))))


def _row(entry: Path) -> str:
    """Return a process as ``ps`` lists it; "" for one that has ended meanwhile.

    Raises:
        OSError: it may not be read.
    """
    try:
        command = (
            entry.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        )
        parent = entry.joinpath("stat").read_text().rpartition(")")[2].split()[1]
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return ""
    return f"{entry.name} {parent} {command.strip()}".replace("\n", " ")
