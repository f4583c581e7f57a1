"""A client of the management API that asks several nodes at once. Owns HTTP, not the meaning of answers."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.observations.base import Unanswered
from holdfast.probes.rabbitmq.site import RabbitSite, Sites, or_unanswered

PARALLEL = 16
FAILED_CHECK = 503  # the status of a /api/health/checks that did not pass

# Paths that more than one probe asks.
NODES = "nodes?columns=name,running,being_drained,partitions"
OVERVIEW = "overview?columns=rabbitmq_version,churn_rates,object_totals"

Answers = Mapping[str, Json]  # by path


def ask(sites: Sites, paths: Mapping[str, Sequence[str]]) -> dict[str, Answers | Unanswered]:
    """Return, per host, the JSON answers to all its paths, or why one of them has none.

    All nodes are asked at the same time, so one that hangs costs only its own timeout.
    """
    if not paths:
        return {}
    with ThreadPoolExecutor(min(len(paths), PARALLEL)) as pool:
        answers = pool.map(
            lambda host: or_unanswered(lambda: ask_one(host, sites[host], paths[host])), paths
        )
        return dict(zip(paths, answers, strict=True))


def ask_one(host: str, site: RabbitSite, paths: Sequence[str]) -> Answers:
    """Return the JSON answers of one host to all paths; a failed health check is an answer.

    Raises:
        CannotTell: one of them has no answer; the message has the cause.
    """
    user, password = site.rabbitmq_management_user, site.rabbitmq_management_password
    # No proxy from the environment: it would be asked instead of the node, and would be sent the password.
    with httpx.Client(
        base_url=f"{site.management_url(host)}/api/",
        auth=(user, password.get_secret_value()),
        timeout=site.rabbitmq_answer_seconds,
        verify=_trust(host, site),
        trust_env=False,
    ) as client:
        return {path: _get(client, host, site, path) for path in paths}


def _get(client: httpx.Client, host: str, site: RabbitSite, path: str) -> Json:
    api, what = f"{host}'s management API", f"/api/{path.partition('?')[0]}"
    try:
        response = client.get(path, extensions=_certified(site))
    except httpx.TimeoutException:
        seconds = site.rabbitmq_answer_seconds
        raise CannotTell(f"{api} gave no answer to {what} in {seconds:g} s") from None
    except httpx.TransportError as error:
        raise CannotTell(f"{api} ({client.base_url.netloc.decode()}): {error}") from error
    if response.status_code == httpx.codes.UNAUTHORIZED:
        user = f"rabbitmq_management_user {site.rabbitmq_management_user!r}"
        raise CannotTell(f"401 from {api} to {what}: {_reason(response)} ({user})")
    failed_check = response.status_code == FAILED_CHECK and path.startswith("health/checks/")
    if response.status_code != httpx.codes.OK and not failed_check:
        raise CannotTell(f"{response.status_code} from {api} to {what}")
    try:
        return json.loads(response.content, object_pairs_hook=_merged)
    except ValueError as error:
        raise CannotTell(f"{api} answered {what} with invalid JSON") from error


def _reason(response: httpx.Response) -> str:
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


def _certified(site: RabbitSite) -> dict[str, Json]:
    """Return the name in the node's certificate, where it is not the address."""
    return {"sni_hostname": site.rabbitmq_tls_name} if site.rabbitmq_tls_name else {}


def _trust(host: str, site: RabbitSite) -> ssl.SSLContext:
    """Return the trusted authorities; none for plain HTTP, which saves reading the system's."""
    if site.rabbitmq_management_scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca_file = site.rabbitmq_management_ca_file
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise CannotTell(
            f"{host}: rabbitmq_management_ca_file {ca_file} cannot be used: {error}"
        ) from error
