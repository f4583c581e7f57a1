"""Nova's transport URL: which brokers it names, by the rules of oslo.messaging (``TransportURL.parse``).

No error has any part of the URL: what stands where a host or a port is expected may be a piece of a password.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote

from holdfast.errors import InvalidInput

TLS_PORT, PORT = 5671, 5672
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}  # oslo.config's BoolOpt
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_URL = re.compile(
    r"rabbit://(?P<brokers>[^/?]*)(/(?P<vhost>[^?]*))?(\?(?P<query>.*))?", re.IGNORECASE
)

ENCODED = "| urlencode | replace('/', '%2F')"
"""What a template does to a password: Jinja's filter leaves slashes as they are."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """One address of a transport URL; the password appears in no representation.

    ``name`` is for messages: host and port, or its place in the URL where the host may be a piece of a password.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    vhost: str
    tls: bool
    name: str


def brokers_of(url: str, tls: bool = False) -> Sequence[BrokerAddress]:
    """Parse nova's transport URL: ``rabbit://user:password@host:port,…/vhost?ssl=1``.

    ``tls``: whether nova.conf says so in its own section, which counts where the URL does not say.

    Raises:
        InvalidInput: it is invalid; the message never has the URL, which has a password.
    """
    parts = _URL.fullmatch(url.strip())
    if parts is None:
        raise _invalid("it has another form")
    vhost, query = parts["vhost"] or "", parts["query"] or ""
    if any(sign in rest for rest in (vhost, query) for sign in "@#") or "#" in parts["brokers"]:
        raise _invalid("a `/`, `?` or `#` stands before the last `@`, or a `#` after it")
    tls = _says_tls(query, tls)
    addresses = [each for each in parts["brokers"].split(",") if each]
    if not addresses:
        raise _invalid("it names no broker")
    brokers = [
        _address(f"address {place} of {len(addresses)}", each, unquote(vhost) or "/", tls)
        for place, each in enumerate(addresses, 1)
    ]
    if len({broker.user for broker in brokers}) == 1:
        return brokers
    # An `@` and a `,` in a password make two logins of one; names of hosts are not shown then.
    return [
        each if _is_address(each.host) else replace(each, name=f"broker {place}")
        for place, each in enumerate(brokers, 1)
    ]


def _says_tls(query: str, configured: bool) -> bool:
    """Return whether TLS is used; of a value that is no boolean nova itself would not start."""
    says = ",".join(parse_qs(query).get("ssl", ())).strip().lower()
    if says not in {"", *_TRUE, *_FALSE}:
        raise _invalid("its option ssl is neither true nor false")
    return says in _TRUE if says else configured


def _address(place: str, text: str, vhost: str, tls: bool) -> BrokerAddress:
    login, _, where = text.rpartition("@")
    user, _, password = login.partition(":")
    if user and login == f"{user}:":
        raise _invalid(f"the password of {place} is empty; is it in the vault yet?")
    if not user or not password or set(login) & set("[]"):  # the last are an IPv6 address for nova
        raise _invalid(f"{place} is not user:password@host:port")
    host, port = _host_and_port(place, where)
    port = port or (TLS_PORT if tls else PORT)
    return BrokerAddress(
        host=host,
        port=port,
        user=unquote(user),
        password=unquote(password),
        vhost=vhost,
        tls=tls,
        name=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
    )


def _host_and_port(place: str, text: str) -> tuple[str, int | None]:
    """Return both, the host in lower case; an IPv6 address is in brackets, or stands alone."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        fits = bool(closed) and _is_address(host) and rest[:1] in {"", ":"}
    elif _is_address(text):
        host, colon, port, fits = text, "", "", True
    else:
        host, colon, port = text.partition(":")
        fits = _HOST.fullmatch(host) is not None
    if not fits or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535)):
        raise _invalid(f"{place} has no valid host or port; an IPv6 address stands in brackets")
    return host.lower(), int(port) if port else None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _invalid(fault: str) -> InvalidInput:
    return InvalidInput(
        "nova_transport_url: expected rabbit://user:password@host:port[,…]/[vhost][?ssl=1]:"
        f" {fault}. User and password must be URL-encoded: vault_nova_transport_password {ENCODED}"
    )
