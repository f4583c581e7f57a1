"""Ask one haproxy about its process, all of its proxies, and whether it would start with its configuration."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.haproxy_service import (
    ConfigurationCheck,
    ConfigurationChecks,
    HaproxyService,
    ProxyServer,
)
from holdfast.probes.base import ProbeContext, ask_all, of_host, or_unanswered
from holdfast.probes.haproxy import GROUP, Haproxy, haproxies_of

_ASKED = ("show info", "show stat -1 5 -1", "show servers state")  # 5: frontends and servers
_SHAPE = r"(?P<info>Name: .*?)\n+# (?P<stat>pxname,svname,.*?)\n+1\n# (?P<state>be_id .*)"
# A program that was replaced by an update is shown as deleted, and the new one is what a reload starts.
_PROCESS = 'readlink "/proc/$1/exe" && tr "\\0" "\\n" < "/proc/$1/cmdline"'
_NAMES_FILES = ("-f", "-C", "-L")  # words of the command line that say which configuration is read
_WITH_VALUE = (*_NAMES_FILES, "-N", "-m", "-n", "-p", "-S", "-x")
_MASTER = "-S"
_UP = re.compile(r"UP|no check")


def probe_service(context: ProbeContext) -> HaproxyService:
    """Return what the haproxy of the task's host reports.

    Raises:
        CannotTell: its socket does not answer, or not in the shape in which it is read.
        InvalidInput: the host is not in the group haproxy.
    """
    haproxy = _of(context)
    told = haproxy.send(*_ASKED).strip()
    parts = re.fullmatch(_SHAPE, told, re.DOTALL)
    if not parts:
        said = next((line for line in reversed(told.splitlines()) if line), "no answer")
        raise CannotTell(f"{haproxy.host}'s haproxy does not tell how it stands: {said[:120]}")
    info = dict(re.findall(r"^(\w+): (.*)$", parts["info"], re.MULTILINE))
    stats = list(_stats(parts["stat"]))
    try:
        up = {(row["pxname"], row["svname"]): bool(_UP.match(row["status"])) for row in stats}
        service = HaproxyService(
            host=haproxy.host,
            pid=int(info["Pid"]),
            uptime=int(info["Uptime_sec"]),
            sessions=int(info["CurrConns"]),
            frontends={
                row["pxname"]: row["status"] == "OPEN"
                for row in stats
                if row["svname"] == "FRONTEND"
            },
            servers=tuple(_servers(parts["state"], up)),
            old=Unanswered("not asked"),
        )
    except (KeyError, ValueError) as error:
        raise CannotTell(
            f"{haproxy.host}'s haproxy describes itself in another shape than expected: {error}"
        ) from None
    old = or_unanswered(lambda pid: _old(haproxy, pid), service.pid)
    return service.model_copy(update={"old": old})


def probe_configuration(context: ProbeContext, host: str, unit: str) -> ConfigurationChecks:
    """Return what ``haproxy -c`` says of the files with which each haproxy was started.

    ``host``: whose alone; "" for all. ``unit``: the one that is reloaded, of which it is asked whether it can be; ""
    where none is.

    Raises:
        InvalidInput: the host is not in the group haproxy.
    """
    haproxies = haproxies_of(context)
    asked = {host: of_host(haproxies, host, "haproxy", GROUP)} if host else haproxies
    return ask_all(asked, partial(or_unanswered, partial(_configuration, context, unit)))


def _configuration(context: ProbeContext, unit: str, haproxy: Haproxy) -> ConfigurationCheck:
    found = re.search(r"^Pid: (\d+)$", haproxy.send("show info"), re.MULTILINE)
    if not found:
        raise CannotTell(f"{haproxy.host}'s haproxy does not tell its process")
    program, words = _process(haproxy, int(found[1]))
    given = [(word, value) for word, value in _options(words) if word in (*_NAMES_FILES, "--")]
    files = tuple(value for word, value in given if word in ("-f", "--"))
    if not files:
        raise CannotTell(
            f"{haproxy.host}: the process {found[1]} names no file of configuration on its command line"
        )
    argv = [part for word, value in given for part in (word, value) if word != "--"]
    rest = [value for word, value in given if word == "--"]
    done = haproxy.shell.run([program, "-c", *argv, *(["--", *rest] if rest else [])])
    return ConfigurationCheck(
        files=files,
        rc=done.rc,
        output=f"{done.stdout}\n{done.stderr}"[-4000:],
        can_reload=_can_reload(context, haproxy.host, unit) if unit else None,
    )


def _of(context: ProbeContext) -> Haproxy:
    return of_host(haproxies_of(context), context.host, "haproxy", GROUP)


def _stats(text: str) -> Iterator[Mapping[str, str]]:
    head, _, rows = text.partition("\n")
    yield from csv.DictReader(io.StringIO(rows), fieldnames=head.rstrip(",").split(","))


def _servers(text: str, up: Mapping[tuple[str, str], bool]) -> Iterator[ProxyServer]:
    columns, *lines = text.splitlines()
    for line in filter(None, lines):
        row = dict(zip(columns.split(), line.split(" "), strict=False))
        yield ProxyServer(
            backend=row["be_name"],
            name=row["srv_name"],
            up=up[row["be_name"], row["srv_name"]],
            admin=int(row["srv_admin_state"]),
            weight=int(row["srv_uweight"]),
            configured_weight=int(row["srv_iweight"]),
        )


def _process(haproxy: Haproxy, pid: int) -> tuple[str, Sequence[str]]:
    """Return the program of a process, where it is now, and its command line."""
    done = haproxy.shell.run(["sh", "-c", _PROCESS, "sh", str(pid)])
    program, *words = done.stdout.splitlines() or [""]
    if done.rc != 0 or not words:
        raise CannotTell(
            f"{haproxy.host}: how the haproxy with process {pid} was started cannot be read:"
            f" {done.stderr.strip() or done.stdout.strip() or 'no answer'}"
        )
    return program.removesuffix(" (deleted)"), words[1:]


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options of a command line with their values; the files behind ``--`` as values of that."""
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            yield from (("--", each) for each in left)
            return
        yield word, left.pop(0) if word in _WITH_VALUE and left else ""


def _old(haproxy: Haproxy, pid: int) -> Mapping[int, int]:
    """Return the open sessions of each process that was replaced and still runs, by the master's socket.

    Raises:
        CannotTell: there is no such socket, or it does not answer.
    """
    _, words = _process(haproxy, pid)
    address = next((value for word, value in _options(words) if word == _MASTER), "")
    path = address.partition(",")[0].removeprefix("unix@")
    if not path.startswith("/"):
        raise CannotTell("its master has no socket that tells (option -S of haproxy)")
    site = haproxy.site.model_copy(update={"haproxy_socket": path})
    master = replace(haproxy, site=site)
    listed = master.send("show proc")
    if "# workers" not in listed:
        raise CannotTell(f"its master answers {listed.strip()[:80]!r}")
    _, _, rows = listed.partition("# old workers\n")
    pids = re.findall(r"^(\d+)\s+worker\b", rows.partition("\n#")[0], re.MULTILINE)
    return {int(each): _sessions(master, each) for each in pids}


def _sessions(master: Haproxy, pid: str) -> int:
    found = re.search(r"^CurrConns: (\d+)$", master.send(f"@!{pid} show info"), re.MULTILINE)
    if not found:
        raise CannotTell(f"the old process {pid} does not tell its sessions")
    return int(found[1])


def _can_reload(context: ProbeContext, host: str, unit: str) -> bool:
    done = context.reach(host).run(["systemctl", "show", "--property", "CanReload", "--", unit])
    found = re.search(r"^CanReload=(yes|no)$", done.stdout, re.MULTILINE)
    if not found:
        raise CannotTell(f"{host}: systemd does not tell whether {unit} can be reloaded")
    return found[1] == "yes"
