"""``AnsibleInventory``: reads the groups and hosts of a site, with Ansible's own code in a process of its own."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.ansible.environment import FURTHER, filter_environment, not_passed
from holdfast.errors import InvalidInput
from holdfast.files import exists, who_may
from holdfast.model import Json
from holdfast.nova_services import SERVICES, groups_of
from holdfast.plan.model import LENGTHS, SiteInventory
from holdfast.text import join_names

TIMEOUT_SECONDS = 120
ASKED_GROUPS = ("rabbitmq", *groups_of(SERVICES))
"""The groups of which claims ask variables whenever they have hosts."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


# By default Ansible only warns about a part of a limit that matches nothing: a host that was to be
# left out, and was misspelt, would be restarted. ansible.cfg sets the same for runs by hand; this one
# holds whatever the environment of the caller sets.
_STRICT = {"ANSIBLE_HOST_PATTERN_MISMATCH": "error"}


def read_with(
    program: Sequence[str],
    source: Path,
    project: Path,
    environ: Mapping[str, str],
    said: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a module of ours, and its arguments, that reads the inventory ``source`` with the project's ansible.cfg.

    ``said`` is its standard input.

    Raises:
        InvalidInput: it has not ended in time.
    """
    try:
        return subprocess.run(  # noqa: S603  # our own module; what people gave are arguments
            [sys.executable, "-m", *program],
            input=said,
            cwd=project,
            env=filter_environment(environ) | _STRICT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InvalidInput(
            f"{source}: the inventory was not read within {TIMEOUT_SECONDS} s",
            remedy=f"see what it waits for: ansible-inventory -i {shlex.quote(str(source))} --graph",
        ) from None


@dataclass(frozen=True, slots=True)
class AnsibleInventory:
    """``InventoryReader`` over Ansible's own inventory code, with the project's ansible.cfg.

    ``warn`` is told of variables that cannot be read and are not needed.
    """

    project: Path
    environ: Mapping[str, str]
    warn: Callable[[str], object] = field(default=lambda _: None)

    def read(self, site: Path, limit: str) -> SiteInventory:
        """Return the site, as ``InventoryReader.read`` says; variables stay in the process that reads it."""
        path = site.expanduser().absolute()
        if not exists(path):
            raise InvalidInput(
                f"there is no inventory {path}", remedy="--site with a directory of inventories/"
            )
        listing = self._listing(path, limit)
        selected, unmatched = listing["selected"], listing["unmatched"]
        if selected == []:
            part = f": {unmatched!r}" if unmatched else ""
            raise InvalidInput(
                f"--limit {limit!r}{part} matches no host of {path}",
                remedy=f"see its hosts: ansible-inventory -i {path} --graph",
            )
        _refuse_closed(path, listing, not_passed(self.environ))
        if closed := listing["closed"]:
            causes = join_names(dict.fromkeys(closed.values()), limit=3)
            self.warn(f"{join_names(closed, limit=3)} can be in no run: {causes}")
        return SiteInventory(
            name=_site_name(path, listing["sites"]),
            path=str(path),
            groups={group: tuple(hosts) for group, hosts in listing["groups"].items()},
            selected=None if selected is None else frozenset(selected),
            lengths=_lengths(path, listing["values"]),
            closed={
                host: (
                    f"{path}: the inventory cannot be read: {cause}",
                    _remedy(path, cause, not_passed(self.environ)),
                )
                for host, cause in listing["closed"].items()
            }
            | {
                host: (
                    f"{path}: {host} is reached by {connection}, as network devices and Windows are",
                    "a group of hosts with systemd alone, or --limit to them",
                )
                for host, connection in listing["without_shell"].items()
            },
        )

    def _listing(self, path: Path, limit: str) -> dict[str, Json]:
        program = ["holdfast.ansible.inventory_program", str(path), limit, *LENGTHS]
        answer = read_with(program, path, self.project, self.environ)
        listing = _parse_listing(path, limit, answer, not_passed(self.environ))
        _refuse_unpassed(path, set(listing["reads"]) & set(not_passed(self.environ)))
        return listing


def _site_name(path: Path, names: Mapping[str, str]) -> str:
    """Return the name of the site, which is the same for all selected hosts.

    Raises:
        InvalidInput: it is not, or is no name. Leases are named after it, so two names would not exclude each other.
    """
    if len(names) > 1:
        found = ", ".join(f"{name} ({host})" for name, host in names.items())
        raise InvalidInput(
            f"{path}: these hosts have several names of a site (holdfast_site): {found}",
            remedy="use one name, or --limit to the hosts of one",
        )
    name = next(iter(names), "")
    if not name:
        raise InvalidInput(
            f"{path} does not name its site: holdfast_site is not set",
            remedy=f"set holdfast_site in {path}/group_vars/all.yml",
        )
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{path}: {name!r} (holdfast_site) is not a valid name of a site",
            remedy="use letters, digits, `.`, `_` and `-`: leases are named <site>/<service>",
        )
    return name


def _refuse_closed(path: Path, listing: Mapping[str, Json], unpassed: Sequence[str]) -> None:
    """Refuse an inventory of which variables cannot be read of a host that gates ask about, or of all.

    Of hosts of other groups it matters where a plan has them, which ``Planner`` asks.
    """
    closed, groups = listing["closed"], listing["groups"]
    asked = [host for group in ASKED_GROUPS for host in groups.get(group, ())]
    whole = set(groups.get("all", ())) <= set(closed)
    for host in asked or (list(closed) if whole else []):
        if host in closed:
            raise InvalidInput(
                f"{path}: the inventory cannot be read: {closed[host]}",
                remedy=_remedy(path, closed[host], unpassed),
            )


def _lengths(path: Path, values: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Return the lengths in seconds; the largest, where hosts have several.

    Raises:
        InvalidInput: one is no number of seconds.
    """
    lengths: dict[str, float] = {}
    for name, text in values:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
            raise InvalidInput(f"{path}: {name} is {text!r}, which is no number of seconds")
        lengths[name] = max(lengths.get(name, 0), float(text))
    return lengths


def _refuse_unpassed(path: Path, names: Iterable[str]) -> None:
    """Refuse where the inventory reads what plays do not get: by hand it works, in a run it would be empty."""
    if found := sorted(names):
        raise InvalidInput(
            f"{path} reads {', '.join(found)} from the environment (lookup('env', …)), which is not passed to plays",
            remedy=f"export {FURTHER}='{' '.join(found)}' (docs/environment.md)",
        )


def _parse_listing(
    path: Path, limit: str, answer: subprocess.CompletedProcess[str], unpassed: Sequence[str]
) -> dict[str, Json]:
    last = answer.stdout.splitlines()[-1] if answer.stdout else ""
    try:
        listing: dict[str, Json] = json.loads(last)
    except json.JSONDecodeError:
        lines = (answer.stderr or answer.stdout).strip().splitlines() or ["no output"]
        listing = {"error": lines[-1]}
    if "error" in listing:
        limited = f"with --limit {limit!r} " if limit else ""
        raise _unread(
            f"{path}: the inventory {limited}", path, listing["error"], answer.stderr, unpassed
        )
    return listing


def unread(
    path: Path, error: str, warned: str, environ: Mapping[str, str], *, file: str = ""
) -> InvalidInput:
    """Return the error of an inventory that cannot be read, or of a ``file`` of variables beside it.

    ``warned`` is what Ansible wrote meanwhile.
    """
    what = file or f"{path}: the inventory"
    known = _unread(f"{what} ", path, error, warned, not_passed(environ))
    if file and known.remedy == _by_ansible(path):
        return InvalidInput(known.message, remedy=f"correct {file}")
    return known


def _unread(
    what: str, path: Path, error: str, warned: str, unpassed: Sequence[str]
) -> InvalidInput:
    program = re.search(r"Failed to parse inventory with 'script' plugin: (.+)", warned)
    failed = re.search(r"Completely failed to parse inventory source (.+)", error)
    if failed and Path(failed[1]).is_symlink() and not Path(failed[1]).exists():
        return InvalidInput(
            f"{what}cannot be read: {failed[1]} leads to {Path(failed[1]).readlink()}, which is not there",
            remedy=f"where it is now: ln -sfn INVENTORY {shlex.quote(failed[1])}",
        )
    if not (program and failed):
        return InvalidInput(f"{what}cannot be read: {error}", remedy=_remedy(path, error, unpassed))
    return InvalidInput(
        f"{what}cannot be read: {error}: {program[1].rstrip('.')}",
        remedy=f"it must print an inventory in JSON and nothing else: {shlex.quote(failed[1])} --list; of the"
        " environment it gets what docs/environment.md says",
    )


def _by_ansible(path: Path) -> str:
    return f"see Ansible's own message: ansible-inventory -i {shlex.quote(str(path))} --graph"


_VAULT_PASSWORD = "vault_password_file in ansible.cfg, or ANSIBLE_VAULT_PASSWORD_FILE"  # noqa: S105  # where it is named


_REMEDIES = (
    (
        "Decryption failed",
        f"this vault has another password than the one given: {_VAULT_PASSWORD}",
    ),
    ("vault password file", f"make that file, or correct {_VAULT_PASSWORD}"),
    (
        "[Vv]ault|asks for a password",
        f"name a file with the vault's password, or a program that prints it: {_VAULT_PASSWORD}",
    ),
    ("locale", "export LC_ALL=C.UTF-8"),
    (
        "may not be executed",
        "chmod +x, where it is meant to be one; an inventory begins with no `#!`",
    ),
)
"""What to do about an inventory that cannot be read, by what Ansible says of it; the first that fits."""


def _remedy(path: Path, error: str, unpassed: Sequence[str]) -> str:
    if program := re.search(r"[Vv]ault password.* script (.+) returned ", error):
        return _remedy_of_program(Path(program[1]), unpassed)
    if denied := re.search(r"Permission denied: b?'([^']+)'", error):
        return who_may(Path(denied[1]))
    known = (remedy for pattern, remedy in _REMEDIES if re.search(pattern, error))
    return next(known, _by_ansible(path))


def _remedy_of_program(program: Path, unpassed: Sequence[str]) -> str:
    """Return how to let the program print the password; names what it reads, and is set here and not passed to it."""
    try:
        text = program.read_text("utf-8", "replace")
    except OSError:
        text = ""
    names = [name for name in unpassed if re.search(rf"\b{re.escape(name)}\b", text)]
    if not names:
        return f"run {program} by hand; a variable that it needs must be named in {FURTHER} (docs/environment.md)"
    return f"not passed to it: {', '.join(names)}; export {FURTHER}='{' '.join(names)}'"
