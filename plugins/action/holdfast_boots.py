"""Boot servers on computes through nova's API, wait for them, and delete what was made (modules/holdfast_boots.py)."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic import ValidationError

from holdfast.action_plugin import (
    ArgumentSpec,
    ConnectionShell,
    Forwards,
    HoldfastAction,
    OneAtATime,
    open_state,
)
from holdfast.boots import galera, model, nova
from holdfast.boots.boot_loop import BootLoop, LoopTimer
from holdfast.boots.model import BootTest, Conflicts, Options
from holdfast.boots.records import Records
from holdfast.boots.summary import Ending, end_of
from holdfast.boots.summary_text import summary_lines
from holdfast.errors import HoldfastError, InvalidInput, Refused
from holdfast.gate_action import SiteValues
from holdfast.model import RUN_VARIABLE, Grant, Json
from holdfast.play_context import BY_HAND_TTL, Variables
from holdfast.probes.base import ProbeContext
from holdfast.probes.galera.site import GROUP as GALERA
from holdfast.probes.galera.site import GaleraSite
from holdfast.probes.nova.site import ApiSite, NovaHost, api_sites, known_as
from holdfast.settings import load_settings
from holdfast.store.database import Store
from holdfast.store.processes import holder_for

NEEDS = {
    "nova_api": ApiSite.needs(),
    "nova_compute": NovaHost.needs(),
    GALERA: GaleraSite.needs(),
}
"""Per group the site variables that are read."""


class ActionModule(HoldfastAction):
    """Runs a ``BootLoop`` under shared leases, and keeps its record."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "state": {"type": "str", "choices": ["booted", "deleted"], "default": "booted"},
        "id": {"type": "str", "default": ""},
        "options": {"type": "dict", "default": {}},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "records": {"type": "str", "default": ""},
        "stop_file": {"type": "str", "default": ""},
    }

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``failed``, ``msg``, and ``test`` (the record) or, of a deletion, ``left``."""
        if self.check_mode:
            return {"msg": "would boot servers or delete them; nova was not asked"}
        self._context = self._probe_context(variables)
        self._sites = api_sites(self._context)
        if not self._sites:
            raise InvalidInput("the inventory's group nova_api has no hosts to ask")
        directory = arguments["records"] or load_settings(os.environ).state_dir / "boots"
        self._records = Records(Path(directory))
        change = self._delete if arguments["state"] == "deleted" else self._boot
        return change(arguments, variables)

    def _boot(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        options, store = _options(arguments["options"]), open_state()
        store.require_lasting()
        test = arguments["id"] or store.new_run("boots", _now())
        with _leases(store, test, "a boot test", self._context, variables) as lease:
            hosts, out = self._hosts(arguments["hosts"], options.sample)
            servers = model.wanted(test, hosts, options.per_host)
            flavor = nova.find_flavor(self._sites, options.flavor)
            image = nova.find_image(self._sites, options.image)
            nova.require_quota(self._sites, flavor, len(servers))
            known = galera.has_account(self._context)
            record = BootTest(
                id=test,
                site=str(variables["holdfast_site"]),
                by=_person(variables),
                began=_now(),
                options=options,
                hosts=tuple(hosts),
                left_out=out,
                conflicts=Conflicts(before=self._counters()) if known else None,
            )
            self._records.write(record)
            self._tell(f"{test}: {len(servers)} servers on {len(hosts)} computes")
            servers_of = nova.BootServers(self._sites, test, flavor["id"], image, options.network)
            stop = _Stop(arguments["stop_file"], lease)
            loop = BootLoop(servers_of, _timer(), options.at_once, options.within, stop, self._tell)
            record = self._run(loop, partial(loop.boot, servers), record, stop)
        last = self._records.last(record)
        return {
            "changed": True,
            "failed": end_of(record) is not Ending.WITHIN,
            "msg": "\n".join(summary_lines(record, last)),
            "test": record.model_dump(mode="json", by_alias=True),
        }

    def _run(
        self, loop: BootLoop, boot: Callable[[], None], record: BootTest, stop: _Stop
    ) -> BootTest:
        """Boot, note the counters, delete; the record is written between the steps.

        Deleted is in any case: also after an error, which is raised then.
        """
        began = time.monotonic()
        try:
            boot()
            record = record.model_copy(
                update={"boots": tuple(loop.boots()), "stopped": stop.reason}
            )
            if record.conflicts is not None:
                found = record.conflicts.model_copy(update={"after": self._counters()})
                record = record.model_copy(update={"conflicts": found})
            self._records.write(record)
        finally:
            self._tell("deleting what was made")
            left = loop.clean_up()
        ended = {
            "left": tuple(left),
            "ended": _now(),
            "seconds": round(time.monotonic() - began, 1),
        }
        record = record.model_copy(update=ended)
        self._records.write(record)
        return record

    def _delete(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Delete what a test that died has left."""
        store, test = open_state(), self._records.find(arguments["id"])
        record = self._records.read(test)
        self._require_ended(store, test, variables)
        # A run of its own: the processes of the test's would be those of this play, too.
        run = os.environ.get(RUN_VARIABLE) or store.new_run("boots-clean-up", _now())
        with _leases(store, run, f"clean-up of {test}", self._context, variables):
            servers = nova.BootServers(self._sites, test)
            found = servers.listed()
            if record is None and not found:
                raise InvalidInput(
                    f"no server at this site carries the id {test}, and there is no record of it;"
                    f" {model.NOTHING_DELETED}",
                    remedy=f"ls {self._records.directory}",
                )
            loop = BootLoop(servers, _timer(), model.AT_ONCE, 0, tell=self._tell)
            left = loop.clean_up()
        if record is not None:
            update = {"left": tuple(left), "ended": record.ended or _now()}
            stopped = record.stopped or ("" if record.ended else "its process died")
            self._records.write(record.model_copy(update=update | {"stopped": stopped}))
        said = f"{len(found)} servers of {test} were there; left: {', '.join(left) or 'none'}"
        return {"changed": bool(found), "failed": bool(left), "msg": said, "left": left}

    def _require_ended(self, store: Store, test: str, variables: Variables) -> None:
        """Return only if the test's process is not known to run any more.

        Raises:
            Refused: it still holds its leases.
        """
        for scope in model.scopes(str(variables["holdfast_site"]), self._context.groups):
            for holder in (row.holder for row in store.holders(scope)):
                if holder.run == test:
                    raise Refused(
                        f"{test} still runs, as process {holder.process} on {holder.controller};"
                        f" {model.NOTHING_DELETED}",
                        remedy="Ctrl-C there deletes what it has booted; where it died, wait: holdfast lease list",
                    )

    def _hosts(self, asked: Sequence[str], sample: int) -> tuple[dict[str, str], dict[str, str]]:
        """Return the computes to boot on, with nova's names, and those that are left out, with the reasons."""
        members = self._context.members("nova_compute")
        strange = [host for host in asked if host not in members]
        if strange:
            raise InvalidInput(f"{', '.join(strange)}: not in the inventory's group nova_compute")
        names = {host: known_as(self._context, host) for host in asked or members}
        out = nova.left_out(self._sites, names)
        able = model.sample([host for host in names if host not in out], sample)
        if not able:
            raise Refused(
                f"there is no compute to boot on: {out or 'the group nova_compute is empty'}; nothing was booted"
            )
        return {host: names[host] for host in able}, out

    def _counters(self) -> Mapping[str, model.Counters | str]:
        return galera.read_counters(self._context)

    def _tell(self, line: str) -> None:
        self.show(f"boots {self.host} {line}")

    def _probe_context(self, variables: Variables) -> ProbeContext:
        groups, run = variables["groups"], OneAtATime()
        needed: dict[str, list[str]] = {}
        for group, names in NEEDS.items():
            for host in groups.get(group, ()):
                needed.setdefault(host, []).extend(names)
        given = {
            host: SiteValues(names, partial(self.variables_of, host, variables), run)
            for host, names in needed.items()
        }
        shell, look_from = ConnectionShell(self, self.host), Forwards(self, variables, run)
        return ProbeContext(self.host, groups, given, shell, look_from=look_from)


class _Lease:
    """Shared leases while a test lasts, renewed each time it is asked whether they hold."""

    def __init__(self, store: Store, grant: Grant) -> None:
        self._store, self._grant = store, grant
        self._due = time.monotonic() + BY_HAND_TTL.total_seconds() / 3

    def renew(self) -> None:
        """Renew them if it is time; raises as ``Store.renew``."""
        if time.monotonic() >= self._due:
            self._store.renew(self._grant, BY_HAND_TTL)
            self._due = time.monotonic() + BY_HAND_TTL.total_seconds() / 3


class _Stop:
    """Whether the test is to stop: somebody asks for it by making a file, or its leases do not hold any more."""

    def __init__(self, path: str, lease: _Lease) -> None:
        self._path, self._lease = path, lease
        self._lock = threading.Lock()
        self.reason = ""

    def __call__(self) -> bool:
        with self._lock:
            if not self.reason and self._path and Path(self._path).exists():
                self.reason = "by an operator"
            if not self.reason:
                try:
                    self._lease.renew()
                except HoldfastError as error:
                    self.reason = error.message
            return bool(self.reason)


@contextmanager
def _leases(
    store: Store, run: str, reason: str, context: ProbeContext, variables: Variables
) -> Iterator[_Lease]:
    """Hold the test's leases for the block.

    Raises:
        LeaseHeld: another run changes one of the services; nothing was booted.
    """
    scopes = model.scopes(str(variables["holdfast_site"]), context.groups)
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        raise InvalidInput("only a task of ansible-playbook can boot servers")
    holder = holder_for(run, _person(variables), reason, parent.pid)
    grant = store.take(holder, scopes, BY_HAND_TTL)
    try:
        yield _Lease(store, grant)
    finally:
        store.release(grant)


def _options(given: Mapping[str, Json]) -> Options:
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(
            f"holdfast_boots_options is wrong: {faults}",
            remedy="its keys are in the first lines of playbooks/boots.yml",
        ) from None


def _person(variables: Variables) -> str:
    # Raw, because a template in a person's text must not be evaluated.
    given = variables.raw.get("holdfast_by") or os.environ.get("SUDO_USER") or getpass.getuser()
    return str(given)


def _timer() -> LoopTimer:
    return LoopTimer(time.monotonic, threading.Event().wait)


def _now() -> datetime:
    return datetime.now(UTC)
