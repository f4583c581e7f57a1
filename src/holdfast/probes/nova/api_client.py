"""A client of nova's API, host by host, with a token from keystone.

Owns the login, the microversion and what counts as no answer. Bodies are returned as nova sends them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from time import monotonic
from urllib.parse import urlsplit

from keystoneauth1.exceptions import ClientException, Unauthorized
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.base import all_refuse, require_shape
from holdfast.probes.clients import MAX_ERROR, cause_of, http_session
from holdfast.probes.connections import Target, tls_mismatch, trust
from holdfast.probes.nova.api_answers import BY_PATH
from holdfast.probes.nova.site import ApiSite, Endpoint

# From 2.69 on, services of a cell whose database is silent are listed as UNKNOWN instead of being
# left out. Seen on nova 26: with the database stopped, older versions answer 200 and an empty list.
MICROVERSION = "2.69"
OK = 200
BAD_REQUEST = 400  # what proxies answer to plain HTTP at a port with TLS
REFUSALS = {401, 403}
CONNECT_SECONDS = 3.05
ANSWER_SECONDS = 10.0
TOKEN_SECONDS = 20.0  # keystone hashes the password for each token, which is slow while it is busy
PAGE = 1000
PAGES = 50


class NoToken(CannotTell):
    """Keystone issued no token; nova itself was not asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of any status: the body (decoded where it is JSON) and how long it took."""

    status: int
    body: Json
    seconds: float


def get(site: ApiSite, path: str, query: Mapping[str, str]) -> Answer:
    """Send one ``GET`` with a token to one host's API; takes 10 s at most.

    Raises:
        NoToken: keystone issued no token; the message has the cause.
        CannotTell: nova did not answer; the message has the cause.
    """
    return _request(site, "GET", path, ANSWER_SECONDS, params=query)


def put(site: ApiSite, path: str, body: Json, wait: float) -> Answer:
    """Send one ``PUT`` with a token to one host's API, once, and wait ``wait`` seconds for the answer.

    Raises:
        NoToken: keystone issued no token; nothing was sent to nova.
        CannotTell: nova did not answer; whether it carried out the request is not known.
    """
    return _request(site, "PUT", path, wait, json=body)


def post(site: ApiSite, path: str, body: Json, wait: float, version: str) -> Answer:
    """Send one ``POST`` with a token at a microversion, once, and wait ``wait`` seconds for the answer.

    Raises:
        NoToken: keystone issued no token; nothing was sent to nova.
        CannotTell: nova did not answer; whether it carried out the request is not known.
    """
    return _request(site, "POST", path, wait, version, json=body)


def delete(site: ApiSite, path: str, wait: float) -> Answer:
    """Send one ``DELETE`` with a token, once; raises as ``post``."""
    return _request(site, "DELETE", path, wait)


def _request(
    site: ApiSite, method: str, path: str, wait: float, version: str = MICROVERSION, **more: Json
) -> Answer:
    session = log_in(site)
    began = monotonic()
    try:
        reply = session.request(
            f"{site.nova_api_url.rstrip('/')}{path}",
            method,
            headers={"OpenStack-API-Version": f"compute {version}"},
            timeout=(CONNECT_SECONDS, wait),
            raise_exc=False,
            **more,
        )
    except ClientException as error:
        cause = tls_advice(error, site.api) or cause_of(error)
        raise CannotTell(f"{site.nova_api_url}: {cause}") from None
    return Answer(reply.status_code, _json(reply), monotonic() - began)


def log_in(site: ApiSite) -> Session:
    """Return a session that holds a token: the one of this process if there is one already.

    Raises:
        NoToken: keystone issued none; the message names keystone and the cause.
    """
    login = _login(site.model_copy(update={"nova_api_url": ""}))  # the same one for every host
    session = open_session(site.keystone, login)
    refused = False
    try:
        session.get_token()
    except Unauthorized:
        cause, refused = f"login refused (401): {account(site)}", True
    except ClientException as error:
        cause = tls_advice(error, site.keystone) or cause_of(error)
    except CannotTell as error:
        cause = error.message
    else:
        return session
    raise NoToken(f"no token from keystone at {site.nova_auth_url}: {cause}", login_refused=refused)


def account(site: ApiSite) -> str:
    """Return whose login it is, for messages: without the password."""
    return f"nova_auth_username {site.nova_auth_username!r} in project {site.nova_auth_project!r}"


def open_session(endpoint: Endpoint, login: v3.Password | None = None) -> Session:
    """Return a session that goes to each host itself, and opens connections as the site says."""
    authorities = partial(trust, endpoint.ca_file, "nova_ca_file")
    session = http_session(endpoint.connect, authorities)
    return Session(auth=login, session=session, timeout=TOKEN_SECONDS)


def get_from_first(
    sites: Mapping[str, ApiSite], path: str, query: Mapping[str, str]
) -> tuple[str, Json]:
    """Return the first of these hosts whose API answers with 200 and a body of the shape in ``BY_PATH``, and the body.

    Raises:
        NoToken: keystone issued no token, and will not for the next host either.
        CannotTell: none of them answers so; the message has each host's answer.
    """
    errors = {}
    for host, site in sites.items():
        try:
            return host, _body(get(site, path, query), path, site)
        except NoToken:
            raise
        except CannotTell as error:
            errors[host] = error
    causes = "; ".join(f"{host}: {error}" for host, error in errors.items())
    raise CannotTell(
        f"no API host of nova answered: {causes or 'the inventory has none'}",
        login_refused=all_refuse([*errors.values()]),
    )


def _body(answer: Answer, path: str, site: ApiSite) -> Json:
    """Return the body of a good answer.

    Raises:
        CannotTell: another status, or another shape.
    """
    if answer.status in REFUSALS:
        whose = f"{account(site)} may not ask it"
        raise CannotTell(f"{answer.status} for {path}: {whose}", login_refused=True)
    if answer.status != OK:
        raise CannotTell(f"{answer.status} for {path}")
    require_shape(answer.body, BY_PATH[path], f"answered {path}")
    return answer.body


def get_pages(
    sites: Mapping[str, ApiSite], path: str, name: str, query: dict[str, str], marker: str = "id"
) -> Sequence[Json]:
    """Return the entries of a list from all its pages; ``marker`` is the field that the next page begins after.

    Raises:
        CannotTell: see ``get_from_first``, or there are too many pages.
    """
    found: list[Json] = []
    for _ in range(PAGES):
        _, body = get_from_first(sites, path, query | {"limit": str(PAGE)})
        found += body[name]
        if not body[name] or f"{name}_links" not in body:  # the link to a next page
            return found
        query = query | {"marker": str(found[-1][marker])}
    raise CannotTell(f"{path} has more than {PAGES * PAGE} entries for {query}")


@lru_cache(maxsize=8)
def _login(site: ApiSite) -> v3.Password:
    """Return the login with its token, kept for the life of the process, which serves one gate."""
    return v3.Password(
        auth_url=site.nova_auth_url,
        username=site.nova_auth_username,
        password=site.nova_auth_password.get_secret_value(),
        project_name=site.nova_auth_project,
        user_domain_name=site.nova_auth_user_domain,
        project_domain_name=site.nova_auth_project_domain,
    )


def tls_advice(error: Exception | None, endpoint: Endpoint) -> str:
    """Return which scheme to write where the listener speaks TLS and the URL says http, or the other way round.

    ``error`` None: the answer was of the kind that proxies give to plain HTTP where they speak TLS, as of an error with
    that status. An answer with any other status is no doubt about the scheme: "".
    """
    if getattr(error, "http_status", None) not in {None, BAD_REQUEST}:
        return ""
    parts = urlsplit(endpoint.url)
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    target = Target(endpoint.connect, parts.hostname or "", port, CONNECT_SECONDS)
    found = tls_mismatch(error, target, tls=tls)
    return found and f"{found}: write {'http' if tls else 'https'}:// in {endpoint.variable}"


def _json(reply: Json) -> Json:
    try:
        return reply.json()
    except ValueError:
        return reply.text[:MAX_ERROR]
