"""The options of a light compute, from the same nova.conf that nova-compute would read."""

from __future__ import annotations

from collections.abc import Sequence
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

OWN_SECTION = "light_compute"
MESSAGING = "oslo_messaging_rabbit"


@dataclass(frozen=True, slots=True)
class BrokerLogin:
    """One address of the transport URL; the password appears in no representation."""

    address: str
    user: str
    password: str = field(repr=False)
    vhost: str


@dataclass(frozen=True, slots=True)
class Options:
    """Times are in seconds. `start_calls`: how often the conductor is called at a start, one call after the other.

    Faults of a change: `unusable`: it cannot start; `deaf_after`: so long after its start it answers no call any more,
    while it reports on; 0 for never.
    """

    host: str
    brokers: Sequence[BrokerLogin]
    log_file: Path
    report_interval: float
    reply_timeout: float
    heartbeat: int
    retry: float
    quorum_queues: bool
    transient_quorum_queues: bool
    start_seconds: float
    start_calls: int
    stop_seconds: float
    unusable: bool = False
    deaf_after: float = 0


def read_options(text: str, hostname: str) -> Options:
    """Return the options in the text of a nova.conf; without `host` it is the hostname, as for nova."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    for section in (OWN_SECTION, MESSAGING):
        if not parser.has_section(section):
            parser.add_section(section)
    top, own, messaging = parser["DEFAULT"], parser[OWN_SECTION], parser[MESSAGING]
    return Options(
        host=top.get("host", hostname),
        brokers=brokers_of(top["transport_url"]),
        log_file=Path(top.get("log_dir", "/var/log/nova")) / "nova-compute.log",
        report_interval=top.getfloat("report_interval", 10),
        reply_timeout=top.getfloat("rpc_response_timeout", 60),
        heartbeat=messaging.getint("heartbeat_timeout_threshold", 60),
        retry=messaging.getfloat("rabbit_retry_interval", 1),
        quorum_queues=messaging.getboolean("rabbit_quorum_queue", False),
        transient_quorum_queues=messaging.getboolean("rabbit_transient_quorum_queue", False),
        start_seconds=own.getfloat("start_seconds", 5),
        start_calls=own.getint("start_calls", 20),
        stop_seconds=own.getfloat("stop_seconds", 1),
        unusable=own.getboolean("unusable", False),
        deaf_after=own.getfloat("deaf_after", 0),
    )


def brokers_of(url: str) -> list[BrokerLogin]:
    """Return the addresses of a transport URL: ``rabbit://user:password@host:port,…/vhost``."""
    parts = urlsplit(url)
    vhost = unquote(parts.path[1:]) or "/"
    found = []
    for text in parts.netloc.split(","):
        login, _, address = text.rpartition("@")
        user, _, password = login.partition(":")
        found.append(BrokerLogin(address, unquote(user), unquote(password), vhost))
    return found
