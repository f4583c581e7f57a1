"""A client of the management API. Owns HTTP and the check of each answer's shape, not the meaning of answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from urllib.parse import urlsplit

from requests import Response, Session, codes
from requests.auth import HTTPBasicAuth
from requests.exceptions import RequestException, Timeout

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.base import require_shape
from holdfast.probes.clients import cause_of, http_session
from holdfast.probes.connections import tls_mismatch, trust
from holdfast.probes.rabbitmq.answers import BY_PATH
from holdfast.probes.rabbitmq.site import OWN_CONNECTIONS, Broker

_NOT_THERE = {404, 406}  # what nodes of different versions answer outside of their path_prefix
FAILED_CHECK = 503  # the status of a /api/health/checks that did not pass

# Paths that more than one probe asks.
NODES = "nodes?columns=name,running,being_drained,partitions"
FIGURES = "nodes?columns=name,running,mem_used,mem_limit,disk_free,disk_free_limit"
OVERVIEW = "overview?columns=node,rabbitmq_version,churn_rates,object_totals"
CONNECTIONS = "connections?columns=node,state,type,user_provided_name"
# A node without statistics (management_agent.disable_metrics_collector) lists a name and a node of each connection.
STATISTICS = "overview?columns=rabbitmq_version,disable_stats"
NAMED_CONNECTIONS = "connections?columns=node,name"


def ask(broker: Broker, *paths: str) -> Mapping[str, Json]:
    """Return the JSON answers of one node to all paths, each in its shape of ``answers.BY_PATH``.

    A failed health check is an answer.

    Raises:
        CannotTell: one of them has no answer, or one of another shape; the message has the cause.
    """
    site = broker.site
    user, password = site.rabbitmq_management_user, site.rabbitmq_management_password
    variable = f"{broker.host}: rabbitmq_management_ca_file"
    authorities = partial(trust, site.rabbitmq_management_ca_file, variable)
    with http_session(site.connect, authorities, site.rabbitmq_tls_name) as session:
        session.auth = HTTPBasicAuth(user.encode(), password.get_secret_value().encode())
        return {path: _get(session, broker, path) for path in paths}


def connections_of(broker: Broker) -> list[Json]:
    """Return the connections that a node lists, for ``client_count``; where it keeps no statistics, by their names."""
    listed: list[Json] = ask(broker, CONNECTIONS)[CONNECTIONS]
    if listed and not any("state" in each for each in listed):
        listed = ask(broker, NAMED_CONNECTIONS)[NAMED_CONNECTIONS]
    return listed


def keeps_statistics(broker: Broker) -> bool:
    """Return whether the node counts messages, consumers, and how often clients connect."""
    return not ask(broker, STATISTICS)[STATISTICS].get("disable_stats")


def client_count(connections: Iterable[Mapping[str, Json]], node: str = "") -> int:
    """Return how many of the connections are clients, of one node or of the whole cluster.

    Left out: closed ones, which stay in the list for up to 30 s; ``direct`` ones, which links of federation and shovels
    have inside the broker; and those of our own gates, told by the name they give themselves. Where only the broker's
    own names are known, our own connections count as well.
    """
    return sum(
        1
        for each in connections
        if (not node or each.get("node") == node)
        and each.get("state") != "closed"
        and not _is_direct(each)
        and not str(each.get("user_provided_name") or "").startswith(OWN_CONNECTIONS)
    )


def _is_direct(connection: Mapping[str, Json]) -> bool:
    """Return whether it is inside the broker; without its type its name tells: ``ADDRESS -> ADDRESS`` is not."""
    kind, name = connection.get("type"), connection.get("name")
    return kind == "direct" or bool(not kind and name and " -> " not in name)


def _get(session: Session, broker: Broker, path: str) -> Json:
    site = broker.site
    api, what = f"{broker.host}'s management API", f"/api/{path.partition('?')[0]}"
    place, prefix = broker.at_port(site.rabbitmq_management_port), site.rabbitmq_management_path
    root = "/".join(each for each in (place, prefix.strip("/")) if each)  # management.path_prefix
    url, seconds = (
        f"{site.rabbitmq_management_scheme}://{root}/api/{path}",
        site.rabbitmq_answer_seconds,
    )
    try:
        response = session.get(url, timeout=seconds, allow_redirects=False)
    except Timeout:
        raise CannotTell(f"{api} gave no answer to {what} in {seconds:g} s") from None
    except RequestException as error:
        if other := _mismatch(broker, error):
            raise CannotTell(f"{api} {other}") from None
        raise CannotTell(f"{api} ({place}): {cause_of(error)}") from error
    if response.status_code in {codes.unauthorized, codes.forbidden}:
        user = f"rabbitmq_management_user {broker.site.rabbitmq_management_user!r}"
        refusal = f"{_reason(response)} ({user})"
        raise CannotTell(
            f"{response.status_code} from {api} to {what}: {refusal}", login_refused=True
        )
    failed_check = response.status_code == FAILED_CHECK and path.startswith("health/checks/")
    if response.status_code != codes.ok and not failed_check:
        raise CannotTell(f"{response.status_code} from {api} to {what}{_doubt(broker, response)}")
    try:
        answer: Json = json.loads(response.content, object_pairs_hook=_merged)
    except ValueError as error:
        raise CannotTell(f"{api} answered {what} with invalid JSON") from error
    shape = BY_PATH[path.partition("?")[0].partition("/")[0]]
    require_shape(answer, shape, f"{api} answered {what}")
    return answer


def _doubt(broker: Broker, response: Response) -> str:
    """Return what the site may say wrongly, where a status looks so."""
    path = urlsplit(response.url).path
    if response.status_code in _NOT_THERE and path.endswith(("/api/nodes", "/api/overview")):
        prefix = broker.site.rabbitmq_management_path
        return f" (is there a path_prefix? rabbitmq_management_path is {prefix!r})"
    if response.status_code != codes.bad_request:
        return ""
    other = _mismatch(broker, None)  # what proxies answer to plain HTTP at a port with TLS
    return other and f": it {other}"


def _mismatch(broker: Broker, error: Exception | None) -> str:
    """Return what to set where the listener speaks TLS and the site says http, or the other way round."""
    site, tls = broker.site, broker.site.rabbitmq_management_scheme == "https"
    port = site.rabbitmq_management_port
    found = tls_mismatch(error, broker.target(port), tls=tls)
    return found and (
        f"at {broker.at_port(port)} {found}: set rabbitmq_management_scheme: {'http' if tls else 'https'}"
    )


def _reason(response: Response) -> str:
    """Return the node's reason: a wrong password, a missing tag, or no permission in a virtual host."""
    try:
        return str(response.json()["reason"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def _merged(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Return the object; of a list that occurs twice, the entries that are in both.

    3.10 and 4.0 list a queue's ``online`` members twice, once live and once from older statistics, in
    either order. A member counts as online only if it is in both.
    """
    found: dict[str, Json] = {}
    for key, value in pairs:
        before = found.get(key)
        twice = isinstance(before, list) and isinstance(value, list)
        found[key] = [each for each in value if each in (before or ())] if twice else value
    return found
