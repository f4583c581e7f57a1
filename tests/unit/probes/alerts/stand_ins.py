"""An Alertmanager and an Icinga that keep what they were told, and answer as the real ones did.

The bodies and statuses are those of Alertmanager 0.25 and Icinga 2.13.6 as they were recorded; `make monitoring` runs
the same calls against the real ones. They are as strict: a matcher that cannot be read, a wrong password, no match.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from holdfast.model import Json
from tests.unit.probes.http_server import Received, running_server

USER, PASSWORD = "holdfast", "planted-alerting-password"
Reply = tuple[int, Json]


def _is_user(received: Received) -> bool:
    login = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return received.headers.get("Authorization") == f"Basic {login}"


@dataclass
class FakeAlertmanager:
    """``alerts``: labels of those that fire. ``silences``: by id, as its API lists them.

    ``lost``: what a proxy answers for a silence that was placed. ``fails_after_post``: as ``fails``, from then on.
    """

    alerts: list[dict[str, str]] = field(default_factory=lambda: [{"alertname": "Watchdog"}])
    silences: dict[str, Json] = field(default_factory=dict)
    fails: Reply | None = None
    lost: Reply | None = None
    fails_after_post: Reply | None = None
    url: str = ""

    def variables(self) -> dict[str, Json]:
        """The site variables with which it is reached."""
        names = {"url": self.url, "user": USER, "password": PASSWORD}
        return {f"holdfast_alertmanager_{name}": value for name, value in names.items()}

    @property
    def active(self) -> list[str]:
        """The matchers' values of what is silenced."""
        return [
            s["matchers"][0]["value"]
            for s in self.silences.values()
            if s["status"]["state"] == "active"
        ]

    def answer(self, received: Received) -> Reply:  # noqa: PLR0911 - one return for each request
        """Answer as version 0.25 does."""
        if not _is_user(received):
            return 401, "Unauthorized"  # of the proxy before it
        if self.fails:
            return self.fails
        path = urlsplit(received.path)
        if path.path == "/api/v2/alerts":
            return self._list(dict(parse_qsl(path.query)))
        if received.method == "DELETE":
            self.silences[path.path.rpartition("/")[2]]["status"] = {"state": "expired"}
            return 200, ""
        if received.method == "GET":
            return 200, list(self.silences.values())
        wanted = json.loads(received.body)
        if not any(_selects(each) for each in wanted["matchers"]):
            return 400, "silence invalid: at least one matcher must not match the empty string"
        name = f"423dcfa9-{len(self.silences)}"
        self.silences[name] = {"id": name, "status": {"state": "active"}, **wanted}
        self.fails = self.fails_after_post
        return self.lost or (200, {"silenceID": name})

    def _list(self, query: dict[str, str]) -> Reply:
        name, operator, value = re.fullmatch(r'(\w+)(=~|=)"(.*)"', query["filter"]).groups()  # type: ignore[union-attr]
        pattern = value if operator == "=~" else re.escape(value)
        found = [each for each in self.alerts if re.fullmatch(pattern, each.get(name, ""))]
        return 200, [
            {"labels": each, "status": self._status(each), "fingerprint": "3a2f"} for each in found
        ]

    def _status(self, labels: dict[str, str]) -> Json:
        by = [
            name
            for name, silence in self.silences.items()
            if silence["status"]["state"] == "active"
            and all(
                re.fullmatch(m["value"], labels.get(m["name"], "")) for m in silence["matchers"]
            )
        ]
        return {"state": "suppressed" if by else "active", "silencedBy": by, "inhibitedBy": []}


def _selects(matcher: Json) -> bool:
    value = matcher["value"]
    return not (re.fullmatch(value, "") if matcher["isRegex"] else value == "")


@dataclass
class FakeIcinga:
    """``states``: of hosts and of services, which are written ``host!service``. ``downtimes``: by name.

    ``refuses``: every object; ``refuses_one``: one more object than those that it puts into downtime.
    """

    states: dict[str, int] = field(default_factory=lambda: {"ctl1": 0, "ctl1!rabbitmq": 0})
    ages: dict[str, float] = field(default_factory=dict)
    downtimes: dict[str, Json] = field(default_factory=dict)
    refuses: bool = False
    refuses_one: bool = False
    url: str = ""

    def variables(self) -> dict[str, Json]:
        """The site variables with which it is reached."""
        names = {"url": self.url, "user": USER, "password": PASSWORD}
        return {f"holdfast_icinga_{name}": value for name, value in names.items()}

    def answer(self, received: Received) -> Reply:  # noqa: PLR0911 - one return for each request
        """Answer as version 2.13.6 does."""
        if not _is_user(received):
            return 401, {
                "error": 401,
                "status": "Unauthorized. Please check your user credentials.",
            }
        if received.path == "/v1/status/IcingaApplication":
            return 200, {
                "results": [{"status": {"icingaapplication": {"app": {"program_start": 1000.0}}}}]
            }
        if received.path == "/v1/status/CIB":
            return 200, {"results": [{"status": {"uptime": 500.0}}]}
        if received.headers.get("Accept") != "application/json":
            return 400, {
                "error": 400,
                "status": "Accept header is missing or not set to 'application/json'.",
            }
        asked = json.loads(received.body)
        if received.path == "/v1/actions/schedule-downtime":
            return self._schedule(asked)
        if received.path == "/v1/actions/remove-downtime":
            return self._remove(asked["filter_vars"]["names"])
        assert received.headers.get("X-HTTP-Method-Override") == "GET"
        if received.path == "/v1/objects/downtimes":
            known = asked["filter_vars"]
            return 200, {"results": [{"name": n} for n, d in self.downtimes.items() if d == known]}
        return self._objects(received.path.rpartition("/")[2], asked)

    def _schedule(self, asked: Json) -> Reply:
        not_allowed = {"code": 403, "status": "Not allowed."}
        if self.refuses:
            return 200, {"results": [not_allowed]}
        host = re.fullmatch(r'host\.name == "(\w+)"', asked["filter"])
        if host is None:
            return 404, {"error": 404, "status": "No objects found."}
        if host[1] not in self.states:
            return 500, {"results": []}
        named = [each for each in self.states if each == host[1] or each.startswith(f"{host[1]}!")]
        first, *others = [f"{each}!08dc4935-{len(self.downtimes)}" for each in named]
        what = {"author": asked["author"], "comment": asked["comment"]}
        self.downtimes |= dict.fromkeys((first, *others), what)
        done = {
            "code": 200,
            "legacy_id": 1,
            "name": first,
            "status": "Successfully scheduled downtime.",
        }
        found = [{**done, "service_downtimes": [{"name": each} for each in others]}]
        return 200, {"results": found + [not_allowed] * self.refuses_one}

    def _remove(self, names: list[str]) -> Reply:
        gone = [name for name in names if self.downtimes.pop(name, None)]
        results = [
            {"code": 200, "status": f"Successfully removed downtime '{each}'."} for each in gone
        ]
        return (200 if gone else 500), {"results": results}

    def _objects(self, kind: str, asked: Json) -> Reply:
        services = kind == "services"
        found = {name: state for name, state in self.states.items() if ("!" in name) == services}
        if asked["filter"] == "false":
            return 200, {"results": []}
        return 200, {
            "results": [
                {
                    "name": name,
                    "type": kind,
                    "attrs": {
                        "state": state,
                        "last_check": 1500.0 - self.ages.get(name, 1.0),
                        "downtime_depth": sum(
                            each.startswith(f"{name}!08") for each in self.downtimes
                        ),
                        "acknowledgement": 0,
                        "check_interval": 60,
                    },
                }
                for name, state in found.items()
            ]
        }


@contextmanager
def serving(service: FakeAlertmanager | FakeIcinga) -> Iterator[None]:
    """Serve it on loopback; its ``url`` is set."""

    def answer(received: Received) -> tuple[int, bytes]:
        status, body = service.answer(received)
        return status, b"" if body == "" else json.dumps(body).encode()

    with running_server(answer) as port:
        service.url = f"http://127.0.0.1:{port}"
        yield
