"""A site made of endpoints and one file, where there is no inventory: what a monitoring host may know.

The file is YAML. It has site variables by the names that they have in an inventory; ``groups``, lists of hosts of
further groups; and ``hosts``, variables of single hosts.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.claims.base import BoundClaim
from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json
from holdfast.monitor.systems import System
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.text import did_you_mean

SECTIONS = ("groups", "hosts")


class _Sections(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    groups: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    hosts: dict[str, dict[str, Json]] = {}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the file has: variables of all hosts, lists of hosts by group, variables of single hosts."""

    variables: Mapping[str, Json]
    groups: Mapping[str, Sequence[str]]
    hosts: Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True, slots=True)
class _NoShell:
    """The shell of a host that monitoring does not log in to."""

    host: str

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Refuse the command."""
        raise CannotTell(f"{self.host}: only its API is asked here, and {argv[0]} runs on the host")


def read_credentials(path: str) -> Credentials:
    """Return what a file of site variables has.

    Raises:
        InvalidInput: it cannot be read, people who do not own it may, or it has something else; no message has any of
            its content but names of variables.
    """
    found = _load(path, _read(path))
    try:
        sections = _Sections.model_validate({name: found.pop(name, {}) for name in SECTIONS})
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InvalidInput(
            f"{path}: {where}: {error.errors()[0]['msg']}",
            remedy="groups: {nova_compute: [cmp1, cmp2]}, hosts: {ctl1: {rabbitmq_node_name: rabbit@one}}",
        ) from None
    return Credentials(found, sections.groups, sections.hosts)


def site_of(
    system: System, endpoints: Iterable[str], file: Credentials, claims: Sequence[BoundClaim]
) -> ProbeContext:
    """Return what the claims' probes are given.

    Raises:
        InvalidInput: an endpoint is none or of the same host as another, the file lacks hosts, or it has a variable, a
            group or a host that would not be asked about.
    """
    _require_known(file, claims)
    at = _by_host(system, endpoints)
    missing = [group for group in system.groups if not file.groups.get(group)]
    if missing:
        raise InvalidInput(
            f"the credentials file names no host of {', '.join(missing)}, so what is missing there would not be seen",
            remedy=f"add to it: groups: {{{missing[0]}: [HOST, …]}}",
        )
    groups = {**file.groups, system.endpoint_group: list(at)}
    every = dict.fromkeys(host for hosts in groups.values() for host in hosts)
    _require_asked("group", file.groups, system.groups)
    _require_asked("host", file.hosts, every)
    variables = {
        host: {**file.variables, **at.get(host, {}), **file.hosts.get(host, {})} for host in every
    }
    return ProbeContext(next(iter(at)), groups, variables, _NoShell(next(iter(at))), reach=_NoShell)


def _read(path: str) -> str:
    """Return the file's text; its owner and mode are those of the file that is then read."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            _require_private(path, os.fstat(file.fileno()))
            return file.read()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is no UTF-8 text") from None


def _require_private(path: str, status: os.stat_result) -> None:
    """Refuse a file that others may read or write: root's, readable by a group, is what Debian's packages make.

    Raises:
        InvalidInput: it is such a file.
    """
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{path} is no file")
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise InvalidInput(
            f"{path} has passwords, and its mode {mode:04o} lets others read or change it",
            remedy=f"chmod 0600 {path}, or 0640 with the group of the monitoring",
        )
    if status.st_uid not in {0, os.geteuid()}:
        raise InvalidInput(
            f"{path} belongs to another user, who can change it", remedy=f"chown root {path}"
        )


def _load(path: str, text: str) -> dict[str, Json]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise InvalidInput(f"{path}{where}: no plain YAML (a vault is not opened here)") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise InvalidInput(f"{path}: expected site variables, as `name: value` in each line")
    return found


def _require_known(file: Credentials, claims: Sequence[BoundClaim]) -> None:
    """Refuse a misspelt variable: its default would be used instead.

    Raises:
        InvalidInput: no claim needs it.
    """
    known = {name for bound in claims for name in bound.claim.needs}
    given = (*file.variables, *(name for each in file.hosts.values() for name in each))
    for name in given:
        if name not in known:
            raise InvalidInput(
                f"the credentials file has {name}, which is no variable of what is asked; {did_you_mean(name, known)}"
            )


def _require_asked(kind: str, given: Iterable[str], asked: Collection[str]) -> None:
    """Refuse a group or a host that the file alone has: what was meant by it would not be seen.

    Raises:
        InvalidInput: it is not asked about.
    """
    for name in given:
        if name not in asked:
            raise InvalidInput(
                f"the credentials file has the {kind} {name}, which is not asked about; {did_you_mean(name, asked)}"
            )


def _by_host(system: System, endpoints: Iterable[str]) -> dict[str, Mapping[str, Json]]:
    """Return the variables of each endpoint's host.

    Raises:
        InvalidInput: two have the same host: one of them would not be asked.
    """
    at: dict[str, Mapping[str, Json]] = {}
    for each in endpoints:
        name, variables = _host_and_variables(system, each)
        if name in at:
            raise InvalidInput(
                f"two endpoints are those of {name}, and one of them would not be asked",
                remedy="name each: --endpoint ctl1=URL --endpoint ctl2=URL",
            )
        at[name] = variables
    return at


def _host_and_variables(system: System, endpoint: str) -> tuple[str, Mapping[str, Json]]:
    """Return the name and the variables of ``[NAME=]SCHEME://ADDRESS[:PORT]``, or of a name alone.

    Raises:
        InvalidInput: it is none. The text is not repeated where it may have a password.
    """
    name, equals, place = endpoint.rpartition("=")
    if "://" not in place:
        place = f"{system.schemes[0]}://{place}"
    url, port = _parsed(place, system.example)
    if "@" in url.netloc:
        raise InvalidInput("an endpoint has no user and password in it: they belong into the file")
    if url.scheme not in system.schemes or not url.hostname or url.path.strip("/"):
        raise InvalidInput(f"{endpoint!r} is no endpoint: {system.example} is one")
    if not equals and _is_address(url.hostname):
        raise InvalidInput(
            f"{endpoint!r} is an address, and no host's name", remedy=f"--endpoint NAME={endpoint}"
        )
    return name or url.hostname, system.endpoint(url.scheme, url.hostname, port)


def _parsed(place: str, example: str) -> tuple[SplitResult, int | None]:
    try:
        url = urlsplit(place)
        port = url.port
    except ValueError:
        raise InvalidInput(f"an endpoint is no URL: {example} is one") from None
    return url, port


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
