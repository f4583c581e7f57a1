"""Names that the shell completes: of runbooks, sites, runs, hosts.

Reads files and the journal alone: no program is started, so a dynamic inventory's hosts are not completed. What cannot
be read, or not in ``SECONDS``, is not completed; a person who presses Tab gets no message.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from holdfast.ansible.playbooks import load_yaml
from holdfast.cli.context import CommandContext
from holdfast.cli.project import find_site, runbook_files, site_files
from holdfast.errors import HoldfastError
from holdfast.model import Json
from holdfast.store.database import nothing_kept, open_to_read

SECONDS = 1.0
"""How long a person waits for names; a database server may take 10 s to answer."""

_RUNS = 50  # the newest
_LARGEST = 1_000_000  # bytes of a file of hosts; a larger one takes longer than a person waits
_YAML = {".yml", ".yaml"}

Names = Callable[[CommandContext, str], list[str]]
"""Returns all names of a kind; the second argument is the site that was typed, or ""."""


def runbook_names(context: CommandContext, _: str) -> list[str]:
    """Return the names of all runbooks."""
    return [path.stem for path in runbook_files(context.places)]


def site_names(context: CommandContext, _: str) -> list[str]:
    """Return the names of all sites."""
    return [path.name for path in site_files(context.places)]


def run_names(context: CommandContext, _: str) -> list[str]:
    """Return the newest runs; nothing is made where there is no state."""
    if nothing_kept(context.settings):
        return []
    return list(open_to_read(context.settings).runs()[:_RUNS])


def host_names(context: CommandContext, site: str) -> list[str]:
    """Return groups and hosts of the site's plain files; neither ranges nor what a program prints."""
    asked = site or context.environ.get("HOLDFAST_SITE", "")
    inventory = find_site(context.places, asked)
    files = sorted(inventory.iterdir()) if inventory.is_dir() else [inventory]
    return sorted({name for file in files for name in _names_in(file)})


def completer(names: Names) -> Callable[[typer.Context, str], list[str]]:
    """Return what typer calls for an argument: the names that begin with what was typed."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        context = ctx.find_object(CommandContext)
        if context is None:
            return []
        typed, last = _parts(incomplete)
        site = str(ctx.params.get("site") or "")
        found = soon(lambda: names(context, site))
        return [typed + name for name in dict.fromkeys(found) if name.startswith(last)]

    return complete


def soon(ask: Callable[[], list[str]], seconds: float = SECONDS) -> list[str]:
    """Return the answer; [] where there is none in time, or none at all. The thread ends with the process."""
    answer: list[str] = []

    def run() -> None:
        try:
            answer.extend(ask())
        except (HoldfastError, OSError, ValueError):  # the command itself will say what is wrong
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return [] if thread.is_alive() else answer


def _parts(incomplete: str) -> tuple[str, str]:
    """Return what stays of a pattern such as ``ctl1,!ct``, and its last name, which is completed."""
    typed = re.match(r"(?:.*[,:])?[!&]?", incomplete)
    end = typed.end() if typed else 0
    return incomplete[:end], incomplete[end:]


def _names_in(file: Path) -> Iterator[str]:
    if not file.is_file() or file.name.startswith(".") or file.stat().st_size > _LARGEST:
        return
    if file.suffix in _YAML:
        yield from _names_of(load_yaml(file))
    elif not file.stat().st_mode & 0o111:  # a program is not run
        yield from _names_of_ini(file.read_text("utf-8"))


def _names_of(groups: Json) -> Iterator[str]:
    """Yield the groups and hosts of an inventory in YAML."""
    for group, content in groups.items() if isinstance(groups, dict) else ():
        yield str(group)
        if isinstance(content, dict):
            yield from (str(host) for host in content.get("hosts") or () if "[" not in str(host))
            yield from _names_of(content.get("children"))


def _names_of_ini(text: str) -> Iterator[str]:
    """Yield the groups and hosts of an inventory in INI; lines of variables are left out."""
    of_hosts = True
    for line in text.splitlines():
        if section := re.match(r"\[([\w.-]+)(:\w+)?\]", line):
            of_hosts = section[2] is None
            yield section[1]
        elif of_hosts and (host := re.match(r"[\w.:-]+(?=\s|$)", line)):
            yield host[0]
