"""Ask each host's nova-api and nova-metadata themselves, past any load balancer, all at once."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import uuid4

from keystoneauth1.exceptions import ClientException
from keystoneauth1.session import Session
from pydantic import SecretStr

from holdfast.errors import CannotTell
from holdfast.probes.base import SiteVariables
from holdfast.probes.nova_api import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    ApiSite,
    NoToken,
    call,
    log_in,
    said,
)

AT_ONCE = 16
METADATA_PATH = "/latest/meta-data/"


class MetadataSite(SiteVariables):
    """What it takes to ask one host's metadata service.

    With the shared secret a request is signed as neutron's proxy signs it; the instance and its
    project are optional: that an unknown one is not found also takes an answer of the database.
    """

    nova_metadata_url: str
    nova_metadata_shared_secret: SecretStr | None = None
    nova_metadata_instance: str = ""
    nova_metadata_project: str = ""
    nova_ca_file: str = ""

    @property
    def trust(self) -> str | bool:
        """The authority that signed the endpoints' certificates, or the system's own."""
        return self.nova_ca_file or True


@dataclass(frozen=True, slots=True)
class Reply:
    """``status`` 0: there was none; ``said`` tells why, and is empty otherwise."""

    status: int
    said: str = ""


@dataclass(frozen=True, slots=True)
class ApiReplies:
    """``root``: the list of versions, which needs nobody else; ``call``: a request with a token.

    ``call`` is None where it was not made: the root did not answer, or there was ``no_token``.
    """

    root: Reply
    call: Reply | None
    no_token: str = ""


@dataclass(frozen=True, slots=True)
class MetadataReplies:
    """``root``: needs nobody else; ``unsigned``: without any header; ``signed``: as the proxy asks.

    Both are None where they were not made: the root did not answer, or the site names no shared
    secret. ``known``: the signed request was for a real instance.
    """

    root: Reply
    unsigned: Reply | None
    signed: Reply | None
    known: bool


SiteT = TypeVar("SiteT")
FoundT = TypeVar("FoundT")


def ask_apis(sites: Mapping[str, ApiSite]) -> Mapping[str, ApiReplies]:
    """``GET /`` and, with a token, ``GET /servers?limit=1`` at every host at once; 40 s at most."""
    try:
        log_in(next(iter(sites.values())))  # once for all: the login is the same
    except NoToken as cause:
        return _each(sites, partial(_ask_api, no_token=str(cause)))
    return _each(sites, _ask_api)


def ask_metadata(sites: Mapping[str, MetadataSite]) -> Mapping[str, MetadataReplies]:
    """``GET /``, an unsigned and a signed request at every host at once; 40 s at most."""
    return _each(sites, _ask_metadata)


def _each(sites: Mapping[str, SiteT], ask: Callable[[SiteT], FoundT]) -> Mapping[str, FoundT]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(sites, pool.map(ask, sites.values()), strict=True))


def _ask_api(site: ApiSite, no_token: str = "") -> ApiReplies:
    root = _get(site.nova_api_url, "/", site.trust)
    if not root.status or no_token:
        return ApiReplies(root, None, no_token)
    try:
        answer = call(site, "/v2.1/servers", {"limit": "1"})
    except NoToken as cause:
        return ApiReplies(root, None, str(cause))
    except CannotTell as cause:
        return ApiReplies(root, Reply(0, str(cause)))
    return ApiReplies(root, Reply(answer.status))


def _ask_metadata(site: MetadataSite) -> MetadataReplies:
    root = _get(site.nova_metadata_url, "/", site.trust)
    known = bool(site.nova_metadata_instance and site.nova_metadata_project)
    if not root.status or site.nova_metadata_shared_secret is None:
        return MetadataReplies(root, None, None, known)
    unsigned = _get(site.nova_metadata_url, METADATA_PATH, site.trust)
    headers = _signed(
        site.nova_metadata_shared_secret,
        site.nova_metadata_instance if known else str(uuid4()),
        site.nova_metadata_project if known else "holdfast",
    )
    signed = _get(site.nova_metadata_url, METADATA_PATH, site.trust, headers)
    return MetadataReplies(root, unsigned, signed, known)


def _signed(secret: SecretStr, instance: str, project: str) -> dict[str, str]:
    """The headers that neutron's metadata proxy sends (nova's configuration guide, "Metadata")."""
    key = secret.get_secret_value().encode()
    return {
        "X-Instance-ID": instance,
        "X-Tenant-ID": project,
        "X-Instance-ID-Signature": hmac.new(key, instance.encode(), hashlib.sha256).hexdigest(),
    }


def _get(url: str, path: str, trust: str | bool, headers: Mapping[str, str] | None = None) -> Reply:
    session = Session(verify=trust)
    try:
        reply = session.get(
            f"{url.rstrip('/')}{path}",
            authenticated=False,
            headers=dict(headers or {}),
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            raise_exc=False,
        )
    except ClientException as error:
        return Reply(0, said(error))
    return Reply(reply.status_code)
