"""What a person does about the cause that a verdict names: an account that was refused, a host, a unit.

A claim has one remedy, for the fault that it is about. Where it could not be asked, that is no help: the
command for a broker's queues says nothing about a wrong password. So the cause decides where it is known.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from re import Match
from urllib.parse import unquote

from holdfast.evidence import LEFT, QUEUE
from holdfast.model import Json

_MOST = 3
"""So many remedies of one verdict are named."""

_Remedy = Callable[["Match[str]", str], str]


def remedy_for(message: str, inventory: str) -> str:
    """Return what to do about the causes that a verdict's message names; "" where it names none that is known.

    ``inventory`` is the site's, for commands of Ansible.
    """
    found = dict.fromkeys(_found(message, inventory))
    return "; ".join(list(found)[:_MOST])


def fill(remedy: str, evidence: Mapping[str, Json]) -> str:
    """Return a claim's remedy with the hosts of the evidence in the place of ``HOST``.

    Where the evidence names a quorum queue, the command that shows it is the remedy.
    """
    if queue := evidence.get(QUEUE):
        return _quorum_status(str(queue))
    hosts = list(evidence.get(LEFT) or ())[:_MOST]
    if "HOST" not in remedy or not hosts:
        return remedy
    before, _, command = remedy.rpartition(": ")
    commands = "; ".join(command.replace("HOST", shlex.quote(host)) for host in hosts)
    return f"{before}: {commands}" if before else commands


def _quorum_status(queue: str) -> str:
    """Return the command that shows a queue, which is written as ``QueueId`` writes it."""
    name, _, vhost = queue.removesuffix(")").rpartition(" (virtual host ")
    words = ["rabbitmq-queues", "quorum_status"]
    words += ["--vhost", vhost, name] if name else [queue]
    return f"on a broker: {shlex.join(words)}"


def _found(message: str, inventory: str) -> Iterator[str]:
    for pattern, remedy in _REMEDIES:
        for match in pattern.finditer(message):
            yield remedy(match, inventory)


def _ping(match: Match[str], inventory: str) -> str:
    return shlex.join(["ansible", "-i", inventory, match["host"], "-m", "ansible.builtin.ping"])


_AT_JUMP = "UNKNOWN port 65535"
"""What OpenSSH calls the other side where that is the ssh to a jump host, which has ended."""


def _jump(_: Match[str], __: str) -> str:
    return "log in to the jump host alone, as ProxyJump names it: it refused, or was not reached"


def _unit(match: Match[str], _: str) -> str:
    unit = shlex.quote(match["unit"])
    return f"on {match['host']}: systemctl status {unit}; journalctl -u {unit}"


def _management(match: Match[str], _: str) -> str:
    user, reason = shlex.quote(match["user"]), match["reason"]
    if "monitor" in reason or "management" in reason:
        return f"on a broker: rabbitmqctl set_user_tags {user} monitoring"
    if "virtual host" in reason or match["status"] == "403":
        vhost = match["path"].removeprefix("/api/queues/")
        return _permissions(user, "" if "/" in vhost else unquote(vhost), "^$")
    return _password(user, "rabbitmq_management_password")


def _probe(match: Match[str], _: str) -> str:
    user = shlex.quote(match["user"])
    if match["stage"] == "login" and "NOT_ALLOWED" not in match["reason"]:
        return _password(user, "rabbitmq_probe_password")
    return _permissions(user, match["vhost"], ".*")


def _permissions(user: str, vhost: str, pattern: str) -> str:
    """Return how to see what an account may do, and what gives it what a gate needs in the virtual host."""
    seen = f"on a broker: rabbitmqctl list_user_permissions {user}"
    given = f"rabbitmqctl set_permissions -p {shlex.quote(vhost)} {user}"
    needed = " ".join([f"'{pattern}'"] * 3)  # configure, write, read
    return f"{seen}; it needs: {given} {needed}" if vhost else seen


def _transport(match: Match[str], _: str) -> str:
    return _password(shlex.quote(match["user"]), "nova_transport_url")


def _password(user: str, variable: str) -> str:
    """Return how to find out whose password is wrong; the command asks for it and shows nothing."""
    correct = f"then correct {variable} of the site, or, where there is no such user: rabbitmqctl add_user {user}"
    return f"on a broker: rabbitmqctl authenticate_user {user}; {correct}"


def _port(match: Match[str], inventory: str) -> str:
    """Return what to ask first of a host whose broker cannot be connected to: whether the host itself is there."""
    if re.search("refused|reset", match["reason"], re.IGNORECASE):
        return f"on {match['host']}: rabbitmq-diagnostics check_port_connectivity"
    return _ping(match, inventory)


_UNTRUSTED = r"[^;]*?certificate verify failed: (?P<why>[^;(]*)"


def _certificate(variable: str) -> _Remedy:
    """Return the remedy for a certificate that is not trusted by the authority in a variable of the site."""

    def remedy(match: Match[str], _: str) -> str:
        if re.search("expired|not yet valid", match["why"]):
            return "renew that certificate, where the clock of this machine is right"
        if "mismatch" in match["why"]:
            return "let the site name the host as its certificate does, or the certificate name the host's address"
        return f"set {variable} of the site to the file, on this machine, of the authority that signed that certificate"

    return remedy


def _keystone(_: Match[str], __: str) -> str:
    return "correct nova_auth_password, nova_auth_username or nova_auth_project of the site"


def _nova(match: Match[str], _: str) -> str:
    user, project = shlex.quote(match["user"]), shlex.quote(match["project"])
    return f"openstack role assignment list --names --user {user} --project {project}"


def _again(_: Match[str], inventory: str) -> str:
    return shlex.join(["holdfast", "check", "--site", inventory, "--wait", "1m"])


def _log_file(match: Match[str], _: str) -> str:
    file = f"the file that {match['unit']} logs to, or to `journal` where there is none"
    return f"set nova_SERVICE_log of the site to {file}"


def _stop_timeout(match: Match[str], _: str) -> str:
    return f"on {match['host']}: systemctl edit {shlex.quote(match['unit'])}"


def _replica(match: Match[str], _: str) -> str:
    """Return what is left to do for a replica whose place its source does not have any more, as after a whole copy."""
    return f"let {match['host']} follow another node, or fill it anew: holdfast show galera-restart#if-it-holds"


_REMEDIES: tuple[tuple[re.Pattern[str], _Remedy], ...] = (
    (re.compile(rf"is unreachable: [^;]*{_AT_JUMP}"), _jump),
    (
        re.compile(rf"(?P<host>[\w.-]+) is unreachable: (?!its SSH host key|[^;]*{_AT_JUMP})"),
        _ping,
    ),
    (
        re.compile(
            r"(?P<status>40[13]) from \S+ management API to (?P<path>\S+): (?P<reason>[^;]*) "
            r"\(rabbitmq_management_user '(?P<user>[^']*)'\)"
        ),
        _management,
    ),
    (
        re.compile(
            r"(?P<stage>login|declare|publish|consume|delete): (?P<reason>[^;]*) "
            r"\(rabbitmq_probe_user '(?P<user>[^']*)' in virtual host '(?P<vhost>[^']*)'\)"
        ),
        _probe,
    ),
    (
        re.compile(
            r"(?P<host>[\w.-]+)(?:: connect: |'s management API \([^)]*\): )"
            r"(?![^;]*certificate verify failed)(?P<reason>[^;]*)"
        ),
        _port,
    ),
    (re.compile(r"login of '(?P<user>[^']*)' \(nova_transport_url\) [^;]*refused"), _transport),
    (re.compile(r"no token from keystone at \S+: login refused \(401\)"), _keystone),
    (
        re.compile(r"nova_auth_username '(?P<user>[^']*)' in project '(?P<project>[^']*)' may not"),
        _nova,
    ),
    (
        re.compile(rf"management API \([^)]*\): {_UNTRUSTED}"),
        _certificate("rabbitmq_management_ca_file"),
    ),
    (re.compile(rf"login: {_UNTRUSTED}"), _certificate("rabbitmq_amqp_ca_file")),
    (
        re.compile(rf"(?:nova_transport_url serves: |https://){_UNTRUSTED}"),
        _certificate("nova_ca_file"),
    ),
    (re.compile(r"the probe did not end within \d+ s"), _again),
    (
        re.compile(
            r"(?P<host>[\w.-]+)(?: \([^)]*\))?: the last error of its replication: .*\(1236\)"
        ),
        _replica,
    ),
    (re.compile(r"the log file of (?P<unit>\S+) is not there, "), _log_file),
    (re.compile(r"not the log of nova: which file does (?P<unit>\S+) log to"), _log_file),
    (
        re.compile(r"for (?P<unit>\S+) on (?P<host>\S+) to stop, then kills it"),
        _stop_timeout,
    ),
    (
        re.compile(
            r"(?P<unit>[\w@.\\:-]+\.(?:service|socket|timer|mount|path|target|slice|scope)) "
            r"on (?P<host>[\w.-]+) (?:is|was|ran) "
        ),
        _unit,
    ),
    (
        re.compile(
            r"(?P<host>[\w.-]+): systemd did not report the \w+(?: \w+)? of (?P<unit>[^\s:]+)"
        ),
        _unit,
    ),
)
