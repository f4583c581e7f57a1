"""Ask nova's services themselves: pings over the broker, requests to nova-api and nova-metadata.

HTTP requests go to each host directly, without any load balancer, to all at once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import uuid4

from keystoneauth1.exceptions import ClientException
from pydantic import SecretStr

from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Unanswered
from holdfast.nova_services import group_of, groups_of
from holdfast.observations.nova import (
    ApiReplies,
    ExpectedService,
    HttpReply,
    MetadataReplies,
    PeerReplies,
    RpcAnswers,
    RpcReplies,
    RpcRound,
    ServiceList,
)
from holdfast.probes.base import ProbeContext, ask_all, require_shape
from holdfast.probes.clients import cause_of
from holdfast.probes.nova import api_client, rpc_client
from holdfast.probes.nova.api_answers import BY_PATH, SERVER_NAMES
from holdfast.probes.nova.api_client import NoToken
from holdfast.probes.nova.services import list_services
from holdfast.probes.nova.site import (
    ApiSite,
    Endpoint,
    MetadataSite,
    RpcSite,
    api_sites,
    expected_services,
    require_member,
)
from holdfast.probes.nova.transport_url import BrokerAddress

DEFAULT_PINGS = 3
COMPUTE = "compute"
METADATA_PATH = "/latest/meta-data/"
METADATA_NEWEST = "latest"  # a line of the list of versions of every metadata service


def probe_rpc(
    context: ProbeContext,
    topics: Sequence[str],
    hosts: Sequence[str] = (),
    pings: int = DEFAULT_PINGS,
    computes: Sequence[str] = (),
) -> RpcAnswers:
    """Call services as ``call_services`` does; where a fleet is called and one is silent, also list them."""
    replies = call_services(context, topics, hosts, pings, computes)
    if hosts or all(each.answered == each.sent for each in replies.values()):
        return RpcAnswers(replies)
    try:
        listed = list_services(api_sites(context))
    except CannotTell as cause:
        return RpcAnswers(replies, Unanswered(str(cause)))
    return RpcAnswers(replies, ServiceList(list(replies), listed))


def call_services(
    context: ProbeContext,
    topics: Sequence[str],
    hosts: Sequence[str] = (),
    pings: int = DEFAULT_PINGS,
    computes: Sequence[str] = (),
) -> RpcRound:
    """Send each service of ``topics`` its pings, as ``pings_of`` says.

    Raises:
        CannotTell: no broker of a cell serves.
        InvalidInput: as ``pings_of``.
    """
    return _ping_by_cell(context, pings_of(context, topics, hosts, pings, computes))


def pings_of(
    context: ProbeContext,
    topics: Sequence[str],
    hosts: Sequence[str],
    pings: int,
    computes: Sequence[str],
) -> dict[ExpectedService, int]:
    """Return how many pings each service of ``topics`` gets, on ``hosts`` or wherever the inventory has it.

    With ``computes``, of the computes only these are called. A nova-compute is one process, and gets one ping. A host
    that is in hand in another batch is not called, also where it is named.

    Raises:
        InvalidInput: a host is in none of the groups of ``topics``, or nobody is left to call.
    """
    wanted = {topic: {*hosts, *computes} if topic == COMPUTE else {*hosts} for topic in topics}
    chosen = [
        each for topic in topics for each in expected_services(context, [topic], wanted[topic])
    ]
    known = {host for topic in topics for host in context.groups.get(group_of(topic), ())}
    missing = sorted({*hosts, *computes} - known)
    if missing or not chosen:
        raise InvalidInput(
            f"nova.rpc_answers: the inventory has no {', '.join(missing) or 'host'}"
            f" in {', '.join(groups_of(topics))}"
        )
    return {each: 1 if each.service == COMPUTE else pings for each in chosen}


def probe_apis(context: ProbeContext) -> Mapping[str, ApiReplies]:
    """Send ``GET /`` and, with a token, ``GET /servers?limit=1`` to every host; takes 40 s at most."""
    sites = api_sites(context)
    try:
        api_client.log_in(next(iter(sites.values())))  # all hosts have the same login
    except NoToken as cause:
        return ask_all(sites, partial(_ask_api, no_token=cause))
    return ask_all(sites, _ask_api)


def probe_metadata(context: ProbeContext) -> Mapping[str, MetadataReplies]:
    """Send ``GET /``, an unsigned and a signed request to every host; takes 40 s at most."""
    hosts = context.members("nova_metadata")
    return ask_all({host: context.site(host, MetadataSite) for host in hosts}, _ask_metadata)


def probe_metadata_from(
    context: ProbeContext, hosts: Sequence[str], count: int
) -> Mapping[str, MetadataReplies]:
    """Send the requests of ``probe_metadata`` from computes, as those of their instances leave.

    ``hosts``: from where; by default from ``count`` of the computes, spread over all. Names such as ``ctl1 from cmp1``.
    Connections leave over Ansible's own ssh to the compute; the shared secret stays on the controller.

    Raises:
        InvalidInput: the inventory has no such compute, or no metadata service.
    """
    computes = context.members(group_of(COMPUTE))
    chosen = hosts or _spread(computes, count)
    if missing := [host for host in chosen if host not in computes]:
        raise InvalidInput(f"{', '.join(missing)}: not in the inventory's group nova_compute")
    asked = {
        f"{host} from {compute}": (host, compute)
        for compute in chosen
        for host in context.members(group_of("metadata"))
    }

    def ask(pair: tuple[str, str]) -> MetadataReplies:
        host, compute = pair
        site = context.site(host, MetadataSite)
        try:
            site.reach_by(context.look_from(compute))
            return _ask_metadata(site)
        except CannotTell as cause:  # the compute itself is not reached
            return MetadataReplies(HttpReply(0, str(cause), strange=str(cause)), None)

    return ask_all(asked, ask)


def _spread(hosts: Sequence[str], count: int) -> Sequence[str]:
    """Return so many hosts at even distances, the first among them."""
    step = max(len(hosts) / count, 1)
    return [hosts[int(number * step)] for number in range(min(count, len(hosts)))]


def probe_peers(context: ProbeContext, service: str, host: str) -> PeerReplies:
    """Return what the service answers on every host of its group, ``host`` included.

    Raises:
        CannotTell: no broker serves, for a service that is called over the broker.
        InvalidInput: the group does not have ``host``.
    """
    members = require_member(context, service, host)
    if service == "api":
        return probe_apis(context)
    if service == "metadata":
        return probe_metadata(context)
    replies = call_services(context, (service,), members)
    return {each.host: answer for each, answer in replies.items()}


def _ping_by_cell(context: ProbeContext, services: Mapping[ExpectedService, int]) -> RpcRound:
    """Make one round of calls for each distinct set of brokers, which is one for each cell."""
    cells: dict[tuple[frozenset[BrokerAddress], rpc_client.Way], list[ExpectedService]] = {}
    for service in services:
        site = context.site(service.host, RpcSite)
        way = rpc_client.Way(site.nova_ca_file, site.nova_transport_tls_name, site.connect)
        cells.setdefault((frozenset(site.brokers(service.host)), way), []).append(service)
    for members in cells.values():
        _require_one_queue_each(members)
    replies: dict[ExpectedService, RpcReplies] = {}
    for (brokers_of_cell, way), members in cells.items():
        in_order = sorted(brokers_of_cell, key=lambda broker: broker.name)
        replies |= rpc_client.ping(in_order, {each: services[each] for each in members}, way)
    return {service: replies[service] for service in services}


def _require_one_queue_each(services: Sequence[ExpectedService]) -> None:
    """Refuse two hosts of a cell that share a queue: one of them could answer for both."""
    first: dict[str, ExpectedService] = {}
    for each in services:
        twin = first.setdefault(each.queue, each)
        if twin is not each:
            raise InvalidInput(
                f"{twin.host} and {each.host} are one host for nova ({each.known_as})",
                remedy="give each its own nova_service_host, or keep one of them in the inventory",
            )


def _ask_api(site: ApiSite, no_token: NoToken | None = None) -> ApiReplies:
    root = _get(site.api, "/")
    if no_token:
        return _without_token(root, no_token)
    if not root.status:
        return ApiReplies(root, None)
    try:
        answer = api_client.get(site, SERVER_NAMES, {"limit": "1"})
    except NoToken as cause:
        return _without_token(root, cause)
    except CannotTell as cause:
        return ApiReplies(root, HttpReply(0, str(cause)))
    refused = answer.status in api_client.REFUSALS
    whose = f"{api_client.account(site)} may not ask it" * refused
    reply = HttpReply(answer.status, whose, _strange(answer))
    return ApiReplies(root, reply, login_refused=refused)


def _without_token(root: HttpReply, cause: NoToken) -> ApiReplies:
    return ApiReplies(root, None, str(cause), login_refused=cause.login_refused)


def _strange(answer: api_client.Answer) -> str:
    """Return how a good answer differs from nova's, "" where it does not: a proxy's login page comes with 200 too."""
    if answer.status != api_client.OK:
        return ""
    try:
        require_shape(answer.body, BY_PATH[SERVER_NAMES], "")
    except CannotTell as cause:
        return str(cause).strip()
    return ""


def _ask_metadata(site: MetadataSite) -> MetadataReplies:
    root = _get(site.metadata, "/", expected=METADATA_NEWEST)
    known = bool(site.nova_metadata_instance and site.nova_metadata_project)
    if not root.status or site.nova_metadata_shared_secret is None:
        return MetadataReplies(root, None, known)
    unsigned = _get(site.metadata, METADATA_PATH)
    headers = _signed(
        site.nova_metadata_shared_secret,
        site.nova_metadata_instance if known else str(uuid4()),
        site.nova_metadata_project if known else "holdfast",
    )
    signed = _get(site.metadata, METADATA_PATH, headers)
    return MetadataReplies(root, (unsigned, signed), known)


def _signed(secret: SecretStr, instance: str, project: str) -> dict[str, str]:
    """Return the headers that neutron's metadata proxy sends (nova's configuration guide, "Metadata")."""
    key = secret.get_secret_value().encode()
    return {
        "X-Instance-ID": instance,
        "X-Tenant-ID": project,
        "X-Instance-ID-Signature": hmac.new(key, instance.encode(), hashlib.sha256).hexdigest(),
    }


def _get(
    endpoint: Endpoint, path: str, headers: Mapping[str, str] | None = None, expected: str = ""
) -> HttpReply:
    """Return the reply to one request; a good one without the line ``expected`` is strange."""
    session = api_client.open_session(endpoint)
    try:
        reply = session.get(
            f"{endpoint.url.rstrip('/')}{path}",
            authenticated=False,
            headers=dict(headers or {}),
            timeout=(api_client.CONNECT_SECONDS, api_client.ANSWER_SECONDS),
            raise_exc=False,
        )
    except ClientException as error:
        advice = api_client.tls_advice(error, endpoint)
        return HttpReply(0, advice or cause_of(error), strange=advice)
    except CannotTell as error:
        return HttpReply(0, error.message, strange=error.message)
    if path == "/" and reply.status_code == api_client.BAD_REQUEST:
        return HttpReply(reply.status_code, strange=api_client.tls_advice(None, endpoint))
    missing = reply.ok and expected and expected not in reply.text
    return HttpReply(reply.status_code, strange=f"without {expected!r}" if missing else "")
