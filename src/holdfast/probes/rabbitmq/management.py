"""Ask the management API of several nodes at once. Owns HTTP; knows nothing of what answers mean."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.rabbitmq.site import RabbitSite, Sites

PARALLEL = 16
FAILED_CHECK = 503  # how /api/health/checks says no

Answers = Mapping[str, Json]  # by path


def ask(sites: Sites, paths: Mapping[str, Sequence[str]]) -> dict[str, Answers | CannotTell]:
    """Per host, the JSON answer to each of its paths, or why there is not every one of them.

    A failed health check is an answer. All nodes are asked at the same time, so one that hangs
    costs its own timeout only.
    """
    if not paths:
        return {}
    with ThreadPoolExecutor(min(len(paths), PARALLEL)) as pool:
        answers = pool.map(lambda host: _ask_host(host, sites[host], paths[host]), paths)
        return dict(zip(paths, answers, strict=True))


def _ask_host(host: str, site: RabbitSite, paths: Sequence[str]) -> Answers | CannotTell:
    user, password = site.rabbitmq_management_user, site.rabbitmq_management_password
    try:
        # No proxy from the environment: it would be asked in the node's place, and told the password.
        with httpx.Client(
            base_url=f"{site.management_url(host)}/api/",
            auth=(user, password.get_secret_value()),
            timeout=site.rabbitmq_answer_seconds,
            verify=_trust(host, site),
            trust_env=False,
        ) as client:
            return {path: _get(client, host, site, path) for path in paths}
    except CannotTell as cause:
        return cause


def _get(client: httpx.Client, host: str, site: RabbitSite, path: str) -> Json:
    who, what = f"{host}'s management API", f"/api/{path.partition('?')[0]}"
    try:
        response = client.get(path, extensions=_certified(site))
    except httpx.TimeoutException:
        seconds = site.rabbitmq_answer_seconds
        raise CannotTell(f"{who} gave no answer to {what} in {seconds:g} s") from None
    except httpx.TransportError as error:
        raise CannotTell(f"{who} ({client.base_url.netloc.decode()}): {error}") from error
    if response.status_code == httpx.codes.UNAUTHORIZED:
        user = f"rabbitmq_management_user {site.rabbitmq_management_user!r}"
        raise CannotTell(f"401 from {who} to {what}: {_reason(response)} ({user})")
    failed_check = response.status_code == FAILED_CHECK and path.startswith("health/checks/")
    if response.status_code != httpx.codes.OK and not failed_check:
        raise CannotTell(f"{response.status_code} from {who} to {what}")
    try:
        return json.loads(response.content, object_pairs_hook=_merged)
    except ValueError as error:
        raise CannotTell(f"{who} answers {what} with something else than JSON") from error


def _reason(response: httpx.Response) -> str:
    """The node's words: a wrong password, a missing tag, or no permission in a virtual host."""
    try:
        return str(response.json()["reason"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def _merged(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """One object; of a list that is said twice, what both say.

    3.10 and 4.0 list a queue's ``online`` members twice, once live and once from older statistics, in
    either order. A member is online only if both say so.
    """
    found: dict[str, Json] = {}
    for key, value in pairs:
        before = found.get(key)
        twice = isinstance(before, list) and isinstance(value, list)
        found[key] = [each for each in value if each in (before or ())] if twice else value
    return found


def _certified(site: RabbitSite) -> dict[str, Json]:
    """The name that the node's certificate carries, where it is not the address."""
    return {"sni_hostname": site.rabbitmq_tls_name} if site.rabbitmq_tls_name else {}


def _trust(host: str, site: RabbitSite) -> ssl.SSLContext:
    """Whom to believe; over plain HTTP nobody, which also saves reading the system's authorities."""
    if site.rabbitmq_management_scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca_file = site.rabbitmq_management_ca_file
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        hint = f"rabbitmq_management_ca_file {ca_file}"
        raise CannotTell(f"{host}: {hint} cannot be used: {error}") from error
