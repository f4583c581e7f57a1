"""Nova as a boot test asks it: what there is to boot, and the requests for servers. No request is repeated.

Servers are placed by ``host`` (microversion 2.74, nova 20 and later): the scheduler's filters and placement decide as
for any other server, so that a compute on which users get none gets none here either. ``availability_zone: ZONE:HOST``
passes the filters by, and needs the zone's name. Both are an administrator's by nova's default policy.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from itertools import cycle
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from holdfast.boots.boot_loop import Refusal
from holdfast.boots.model import Seen, WantedServer
from holdfast.errors import CannotTell, InvalidInput, Refused
from holdfast.model import Json
from holdfast.observations.nova import SILENT_CELL
from holdfast.probes.base import require_shape
from holdfast.probes.nova import api_client
from holdfast.probes.nova.api_answers import FLAVORS, LIMITS, SERVER_NAMES, SERVERS, SERVICES
from holdfast.probes.nova.images import images_called
from holdfast.probes.nova.site import ApiSite
from holdfast.text import did_you_mean, one_line

BOOT_VERSION = "2.74"
CREATED, DELETED, GONE = 202, 204, 404
REQUEST_SECONDS = 60.0
MARK = "holdfast_boots"
"""The key of a server's metadata that has the test's id."""

Sites = Mapping[str, ApiSite]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Fault(_Answer):
    message: str = ""
    details: str = ""


class _Server(_Answer):
    id: str
    name: str
    status: str
    task: str | None = Field(None, alias="OS-EXT-STS:task_state")
    metadata: dict[str, str]
    fault: _Fault = _Fault()


class _OneServer(_Answer):
    server: _Server


class _Id(_Answer):
    id: str


class _Created(_Answer):
    server: _Id


_SERVER, _ONE, _CREATED = TypeAdapter(_Server), TypeAdapter(_OneServer), TypeAdapter(_Created)


class BootServers:
    """``Nova`` of the loop: the servers of one test, through nova's API of all hosts in turn."""

    def __init__(
        self, sites: Sites, test: str, flavor: str = "", image: str = "", network: str = "none"
    ) -> None:
        self._sites, self._test = sites, test
        self._flavor, self._image, self._network = flavor, image, network
        self._faults: dict[str, _Fault] = {}
        self._turn, self._lock = cycle(sites.values()), threading.Lock()

    def create(self, server: WantedServer) -> str:
        """Ask for a server once, as ``Nova.create`` says."""
        networks: Json = "none" if self._network == "none" else [{"uuid": self._network}]
        body = {
            "name": server.name,
            "flavorRef": self._flavor,
            "imageRef": self._image,
            "networks": networks,
            "host": server.known_as,
            "metadata": {MARK: self._test},
        }
        site = self._next()
        try:
            answer = api_client.post(
                site, SERVER_NAMES, {"server": body}, REQUEST_SECONDS, BOOT_VERSION
            )
        except api_client.NoToken as error:
            raise Refusal(error.message) from None
        if answer.status == CREATED:
            require_shape(answer.body, _CREATED, "nova answered a request for a server")
            return str(answer.body["server"]["id"])
        said = f"{site.nova_api_url} answered {answer.status}: {_said(answer.body)}"
        # A gateway's error says nothing about what nova did behind it.
        if answer.status in {502, 503, 504}:
            raise CannotTell(said)
        raise Refusal(said)

    def listed(self) -> Mapping[str, Seen]:
        """Return this test's servers, as ``Nova.listed`` says."""
        self._require_every_cell()
        query = {"name": self._test}
        found = api_client.get_pages(self._sites, SERVERS, "servers", query)
        servers = []
        for entry in found:
            require_shape(entry, _SERVER, "nova lists a server")
            servers.append(_SERVER.validate_python(entry))
        ours = [each for each in servers if each.metadata.get(MARK) == self._test]
        return {each.id: _seen(each, self._fault(each)) for each in ours}

    def delete(self, server: str) -> None:
        """Ask for a server's deletion once, as ``Nova.delete`` says."""
        site = self._next()
        answer = api_client.delete(site, f"{SERVER_NAMES}/{server}", REQUEST_SECONDS)
        if answer.status not in {DELETED, GONE}:
            raise CannotTell(f"{site.nova_api_url} answered {answer.status}: {_said(answer.body)}")

    def _fault(self, server: _Server) -> _Fault:
        """Return a server's fault. That of one for which no host was found is in no list: it is asked for alone.

        Such a server is in a database of its own (cell0), and a list reads faults from that of the cell (nova 26).
        """
        if server.status != "ERROR" or server.fault.message:
            return server.fault
        if server.id not in self._faults:
            answer = api_client.get(self._next(), f"{SERVER_NAMES}/{server.id}", {})
            if answer.status == GONE:
                return server.fault
            if answer.status != api_client.OK:
                raise CannotTell(f"nova answered {answer.status} for the fault of {server.name}")
            require_shape(answer.body, _ONE, "nova described a server")
            self._faults[server.id] = _ONE.validate_python(answer.body).server.fault
        return self._faults[server.id]

    def _require_every_cell(self) -> None:
        """Return only if every cell answers: the servers of a silent one are not in a list by name.

        Raises:
            CannotTell: one does not.
        """
        silent = [each for each in computes(self._sites) if each["status"] == SILENT_CELL]
        if silent:
            raise CannotTell(f"the database of the cell of {silent[0]['host']} does not answer")

    def _next(self) -> ApiSite:
        with self._lock:
            return next(self._turn)


def _seen(server: _Server, fault: _Fault) -> Seen:
    doing = f"{server.status} ({server.task})" if server.task else server.status
    return Seen(server.id, server.name, server.status, doing, fault.message, fault.details)


def _said(body: Json) -> str:
    """Return the message of an answer that is no success; nova's has one key, which names the kind."""
    if isinstance(body, Mapping):
        for said in body.values():
            if isinstance(said, Mapping) and isinstance(said.get("message"), str):
                return one_line(said["message"])
    return "without a message of nova's"


def computes(sites: Sites) -> Sequence[Json]:
    """Return nova's entries of its computes.

    Raises:
        CannotTell: no API answers.
    """
    _, body = api_client.get_from_first(sites, SERVICES, {"binary": "nova-compute"})
    return list(body["services"])


def left_out(sites: Sites, hosts: Mapping[str, str]) -> dict[str, str]:
    """Return which of the hosts people took out of service, and why; ``hosts``: inventory name to nova's.

    One that is down is not left out: that nobody can boot there is what the test is to find.

    Raises:
        CannotTell: nova does not say.
        InvalidInput: nova does not list one of them, or lists it twice.
    """
    entries: dict[str, list[Json]] = {}
    for each in computes(sites):
        entries.setdefault(each["host"], []).append(each)
    found = {}
    for host, known_as in hosts.items():
        match entries.get(known_as, []):
            case [entry]:
                if entry["status"] == "disabled":
                    found[host] = f"disabled: {entry.get('disabled_reason') or 'no reason given'}"
            case several:
                times = "more than once" if several else "nowhere"
                raise InvalidInput(
                    f"nova lists {known_as}, which is {host}, {times} among its computes",
                    remedy="openstack compute service list --service nova-compute",
                )
    return found


def find_flavor(sites: Sites, name: str) -> Json:
    """Return the flavor of this id or name.

    Raises:
        CannotTell: nova does not say.
        InvalidInput: there is none, or several.
    """
    flavors = api_client.get_pages(sites, FLAVORS, "flavors", {"is_public": "None"})
    by_id = [each for each in flavors if each["id"] == name]
    names = [each["name"] for each in flavors]
    return _only(by_id or [each for each in flavors if each["name"] == name], "flavor", name, names)


def find_image(sites: Sites, name: str) -> str:
    """Return the id of the image of this id or name; the image service of keystone's catalog knows names.

    Raises:
        CannotTell: the service does not say.
        InvalidInput: there is none, or several.
    """
    if _is_id(name):
        return name
    found = images_called(next(iter(sites.values())), name)
    return str(_only(found, "image", name, ())["id"])


def require_quota(sites: Sites, flavor: Json, servers: int) -> None:
    """Return only if the account's project may have so many servers more.

    Raises:
        Refused: it may not; the message has what is free, and nothing was booted.
        CannotTell: nova does not say.
    """
    _, body = api_client.get_from_first(sites, LIMITS, {})
    have = body["limits"]["absolute"]
    needs = (
        ("instances", have["maxTotalInstances"], have["totalInstancesUsed"], servers),
        ("cores", have["maxTotalCores"], have["totalCoresUsed"], servers * flavor["vcpus"]),
        ("ram", have["maxTotalRAMSize"], have["totalRAMUsed"], servers * flavor["ram"]),
    )
    short = [each for each in needs if 0 <= each[1] < each[2] + each[3]]
    if short:
        said = "; ".join(
            f"{name}: {most} allowed, {used} used, {more} more needed"
            for name, most, used, more in short
        )
        site = next(iter(sites.values()))
        raised = " ".join(f"--{name} {used + more}" for name, _, used, more in short)
        raise Refused(
            f"the quota of project {site.nova_auth_project} is too small for {servers} servers ({said}); nothing was"
            " booted",
            remedy=f"openstack quota set {raised} {site.nova_auth_project}; or fewer servers: --hosts, --per-host",
        )


def _only(found: Sequence[Json], what: str, name: str, names: Sequence[str]) -> Json:
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(each["id"]) for each in found)
        raise InvalidInput(
            f"there are {len(found)} {what}s called {name}: {ids}", remedy=f"--{what} ID"
        )
    near = f"; {did_you_mean(name, names)}" if names else ""
    raise InvalidInput(f"there is no {what} {name}{near}", remedy=f"openstack {what} list")


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
