"""A site with every variable that a claim needs, whose services all answer as a test says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from holdfast.claims import all_claims, bind_claim
from holdfast.claims.base import BoundClaim
from holdfast.errors import CannotTell
from holdfast.model import Json, Unanswered, Verdict
from holdfast.probes.base import CommandResult, ProbeContext
from tests.unit.probes.http_server import Received, closed_port, running_server

HOSTS = ("h1", "h2")

# A value for each parameter without a default, by its name: a claim with a new one needs a line here.
PARAMETERS: dict[str, Json] = {
    "host": "h1",
    "hosts": ["h1", "h2"],
    "service": "conductor",
    "unit": "some.service",
    "log": "journal",
    "invocation_id": "a" * 32,
    "seconds": 30.0,
    "baseline": 10,
    "matchers": ['severity="critical"'],
    "objects": "true",
    "name": "bastion",
    "keys": ["ssh-ed25519 AAAA"],
    "login": "probe@bastion",
    "identity": "/etc/holdfast/probe",
    "run": "r1",
    "before": {"h1": {"start": "s", "failures": 0}},
    "was": {"pid": 1, "uptime": 9, "sessions": 0, "open": ["db"], "up": ["db/one"], "restore": []},
    "directory": "/run/x",
    "source": "nova_api",
    "target": "placement",
    "config": "/etc/x.conf",
    "nova_unit": "nova-api",
    "figures": {"users": {"rows": 1, "largest": 1, "checksum": "7"}},
    "starts": {"h1": {"some.service": "a" * 32}, "h2": {"some.service": "a" * 32}},
}
# A claim whose parameters are optional one by one, and not all together.
TOGETHER: dict[str, dict[str, Json]] = {
    name: {"queues": {"orders": 1}, "of_nova": True}
    for name in (
        "rabbitmq.consumers_expected",
        "rabbitmq.consumers_known",
        "rabbitmq.queues_drain",
    )
} | {"rabbitmq.backlog_at_baseline": {"baseline": {"waiting": 10}}}
_TIMES = {"expires_at": "2099-01-01T00:00:00.000000Z", "issued_at": "2026-01-01T00:00:00.000000Z"}
TOKEN = json.dumps({"token": {"methods": ["password"], **_TIMES, "user": {}}}).encode()


def every_claim() -> list[BoundClaim]:
    """Return every claim of the registry, bound with some parameters."""
    return [_bound(name) for name in all_claims()]


def _bound(name: str) -> BoundClaim:
    fields = all_claims()[name].parameters.model_fields
    required = {each: PARAMETERS[each] for each, field in fields.items() if field.is_required()}
    return bind_claim({"claim": name, **required, **TOGETHER.get(name, {})})


@dataclass(frozen=True, slots=True)
class PrintingShell:
    """The shell of a host where every command prints the same."""

    rc: int
    text: str

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Return what is printed."""
        return CommandResult(self.rc, self.text, self.text)


@contextmanager
def site_that_answers(status: int, body: str, **variables: Json) -> Iterator[ProbeContext]:
    """Serve a site where every request over HTTP has this answer, and every command on a host prints it.

    Keystone issues tokens; nothing listens where AMQP is expected.
    """

    def answer(received: Received) -> tuple[int, bytes]:
        return (201, TOKEN) if received.path == "/v3/auth/tokens" else (status, body.encode())

    with running_server(answer) as port:
        url = f"http://127.0.0.1:{port}"
        of_host = {
            "ansible_host": "127.0.0.1",
            "rabbitmq_management_port": port,
            "rabbitmq_amqp_port": closed_port(),
            "galera_user": "observer",
            "galera_password": "planted",
            "nova_transport_url": f"rabbit://nova:planted@127.0.0.1:{closed_port()}/",
            "nova_api_url": url,
            "nova_metadata_url": url,
            "nova_metadata_shared_secret": "planted",
            "nova_auth_url": f"{url}/v3",
            "nova_auth_username": "observer",
            "nova_auth_password": "planted",
            "nova_auth_project": "admin",
            "holdfast_alertmanager_url": url,
            "holdfast_icinga_url": url,
            **variables,
        }
        groups = dict.fromkeys(_groups(), HOSTS)
        shell = PrintingShell(0 if status == 200 else 69, body)
        variables_of = {host: {**of_host, "galera_port": closed_port()} for host in HOSTS}
        yield ProbeContext("h1", groups, variables_of, shell, reach=lambda _: shell)


def _groups() -> set[str]:
    return {group for claim in all_claims().values() for group in (claim.group, *claim.also)} - {""}


def reading(bound: BoundClaim, context: ProbeContext) -> Verdict:
    """Probe and judge a claim once, as a gate does."""
    try:
        observed = bound.probe(context)
    except CannotTell as cause:
        return bound.judge([Unanswered(str(cause))])
    return bound.judge([observed])
