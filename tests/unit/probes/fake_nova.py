"""A fake keystone, nova-api and nova-metadata in one, which answers over HTTP what a test sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from holdfast.model import Json
from tests.unit.probes.http_server import Received, closed_port, running_server

RECORDED: dict[str, Json] = json.loads(
    (Path(__file__).parent / "recorded/nova_26.json").read_text(encoding="utf-8")
)
USER, PASSWORD = "observer", "planted-secret-of-the-site"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was received."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Json


Reply = tuple[int, Json]


@dataclass(slots=True)
class FakeNova:
    """``routes``: a path's answer, or a function that makes it; any other path is 404. ``requests``: in order.

    ``catalog`` is that of a token.
    """

    routes: dict[str, Reply | Callable[[Request], Reply]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    logins: int = 0
    catalog: list[Json] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Request) -> Reply:
        """Return the answer to a request."""
        if request.path == "/v3/auth/tokens":
            return self._log_in(request.body)
        self.requests.append(request)
        route = self.routes.get(request.path, (404, {}))
        return route(request) if callable(route) else route

    def _log_in(self, body: Json) -> Reply:
        self.logins += 1
        user = body["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"]) != (USER, PASSWORD):
            return 401, {"error": {"code": 401, "message": "requires authentication"}}
        catalog = {"catalog": self.catalog} if self.catalog else {}
        token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z"}
        return 201, {
            "token": {**token, "issued_at": "2026-01-01T00:00:00.000000Z", "user": {}, **catalog}
        }

    def login(self) -> dict[str, str]:
        """Return the site variables for getting a token here."""
        return {
            "nova_auth_url": f"{self.url}/v3",
            "nova_auth_username": USER,
            "nova_auth_password": PASSWORD,
            "nova_auth_project": "admin",
        }


@contextmanager
def running_nova() -> Iterator[FakeNova]:
    """Run a fake nova on a free port of the loopback; routes may be added later."""
    nova = FakeNova()

    def answer(received: Received) -> tuple[int, bytes]:
        parts = urlsplit(received.path)
        body = json.loads(received.body) if received.body else None
        query = dict(parse_qsl(parts.query))
        request = Request(received.method, parts.path, query, received.headers, body)
        status, answered = nova.answer(request)
        return status, json.dumps(answered).encode()

    with running_server(answer) as port:
        nova.url = f"http://127.0.0.1:{port}"
        yield nova


def closed_port_url() -> str:
    """Return an address of the loopback where nothing listens."""
    return f"http://127.0.0.1:{closed_port()}"
