"""Ask nova's API, host by host, with a token from keystone.

Owns the login, the microversion and what "no answer" means. What nova says is returned as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic

from keystoneauth1.exceptions import ClientException, Unauthorized
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from pydantic import SecretStr

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.base import SiteVariables

# From 2.69 on, services of a cell whose database is silent are listed as UNKNOWN instead of being
# left out. Seen on nova 26: with the database stopped, older versions answer 200 and an empty list.
MICROVERSION = "2.69"
OK = 200
SERVICES = "/v2.1/os-services"
CONNECT_SECONDS = 3.05
ANSWER_SECONDS = 10.0
TOKEN_SECONDS = 20.0  # keystone hashes a password for each, so a busy one is slow first of all
PAGE = 1000
PAGES = 50
SAID = 200  # characters of an error that a message takes
_CAUSE = re.compile(
    r"\[Errno -?\d+\] [^'\")]+|certificate verify failed[^'\")]*|Remote end closed [a-z ]+"
)


class Login(SiteVariables):
    """Who asks, and where the token comes from."""

    nova_auth_url: str
    nova_auth_username: str
    nova_auth_password: SecretStr
    nova_auth_project: str
    nova_auth_user_domain: str = "Default"
    nova_auth_project_domain: str = "Default"


class ApiSite(Login):
    """What it takes to ask one host's API."""

    nova_api_url: str
    nova_ca_file: str = ""

    @property
    def login(self) -> Login:
        """The part that is the same for every host."""
        return Login.model_validate(self.model_dump())

    @property
    def trust(self) -> str | bool:
        """The authority that signed the endpoints' certificates, or the system's own."""
        return self.nova_ca_file or True


class NoToken(CannotTell):
    """Keystone gave no token; nova itself was not asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever it says: HTTP status, body (JSON where it is JSON) and how long it took."""

    status: int
    body: Json
    seconds: float


def call(site: ApiSite, path: str, query: Mapping[str, str]) -> Answer:
    """``GET`` something of one host's API with a token; 10 s at most.

    Raises:
        NoToken: keystone gave no token; says why.
        CannotTell: nova gave no answer; says why.
    """
    return _request(site, "GET", path, ANSWER_SECONDS, params=query)


def put(site: ApiSite, path: str, body: Json, wait: float) -> Answer:
    """``PUT`` something to one host's API with a token, once, waiting ``wait`` seconds.

    Raises:
        NoToken: keystone gave no token; nothing was asked of nova.
        CannotTell: nova gave no answer; whether it did what it was asked is not known.
    """
    return _request(site, "PUT", path, wait, json=body)


def _request(site: ApiSite, method: str, path: str, wait: float, **more: Json) -> Answer:
    session = log_in(site)
    began = monotonic()
    try:
        reply = session.request(
            f"{site.nova_api_url.rstrip('/')}{path}",
            method,
            headers={"OpenStack-API-Version": f"compute {MICROVERSION}"},
            timeout=(CONNECT_SECONDS, wait),
            raise_exc=False,
            **more,
        )
    except ClientException as error:
        raise CannotTell(f"{site.nova_api_url}: {said(error)}") from None
    return Answer(reply.status_code, _json(reply), monotonic() - began)


def log_in(site: ApiSite) -> Session:
    """A session that holds a token, the one of this process if there is one already.

    Raises:
        NoToken: keystone gave none; names it and why.
    """
    session = Session(auth=_login(site.login), verify=site.trust, timeout=TOKEN_SECONDS)
    try:
        session.get_token()
    except Unauthorized:
        cause = "login refused (401)"
    except ClientException as error:
        cause = said(error)
    else:
        return session
    raise NoToken(f"no token from keystone at {site.nova_auth_url}: {cause}")


def first(sites: Mapping[str, ApiSite], path: str, query: Mapping[str, str]) -> tuple[str, Json]:
    """The first of these hosts whose API gives an answer, and the body; reading may go to any.

    Raises:
        NoToken: keystone gave no token, and will not for the next host either.
        CannotTell: none of them answers with 200; names each and what it said.
    """
    refusals = []
    for host, site in sites.items():
        try:
            answer = call(site, path, query)
        except NoToken:
            raise
        except CannotTell as error:
            refusals.append(f"{host}: {error}")
            continue
        if answer.status == OK:
            return host, answer.body
        refusals.append(f"{host}: {answer.status} for {path}")
    raise CannotTell(f"nova's API does not tell: {'; '.join(refusals)}")


def services(sites: Mapping[str, ApiSite], **query: str) -> Sequence[Json]:
    """``GET /os-services`` as nova answers it.

    Raises:
        CannotTell: see ``first``.
    """
    return list(first(sites, SERVICES, query)[1]["services"])


def instances_on(sites: Mapping[str, ApiSite], host: str) -> Sequence[Json]:
    """``GET /servers/detail`` of every project's instances on a host, as nova knows the host.

    Raises:
        CannotTell: see ``first``.
    """
    return _pages(sites, "/v2.1/servers/detail", "servers", {"all_tenants": "1", "host": host})


def migrations_of(sites: Mapping[str, ApiSite], host: str) -> Sequence[Json]:
    """``GET /os-migrations`` that come from or go to a host, whatever their status.

    Raises:
        CannotTell: see ``first``.
    """
    return _pages(sites, "/v2.1/os-migrations", "migrations", {"host": host}, marker="uuid")


def _pages(
    sites: Mapping[str, ApiSite], path: str, name: str, query: dict[str, str], marker: str = "id"
) -> Sequence[Json]:
    found: list[Json] = []
    for _ in range(PAGES):
        _, body = first(sites, path, query | {"limit": str(PAGE)})
        found += body[name]
        if not body[name] or f"{name}_links" not in body:  # the link to a next page
            return found
        query = query | {"marker": str(found[-1][marker])}
    raise CannotTell(f"{path} has more than {PAGES * PAGE} entries for {query}")


@lru_cache(maxsize=8)
def _login(site: Login) -> v3.Password:
    """The login and its token, kept for the life of the process, which is one gate's."""
    return v3.Password(
        auth_url=site.nova_auth_url,
        username=site.nova_auth_username,
        password=site.nova_auth_password.get_secret_value(),
        project_name=site.nova_auth_project,
        user_domain_name=site.nova_auth_user_domain,
        project_domain_name=site.nova_auth_project_domain,
    )


def said(error: Exception) -> str:
    """An error in one short line: its innermost cause, where the library's nesting tells it."""
    text = str(error)
    cause = _CAUSE.search(text)
    return cause[0] if cause else text.partition("\n")[0][:SAID] or type(error).__name__


def _json(reply: Json) -> Json:
    try:
        return reply.json()
    except ValueError:
        return reply.text[:SAID]
