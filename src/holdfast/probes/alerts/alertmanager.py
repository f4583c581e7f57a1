"""Alertmanager's API v2: alerts by matchers, and silences of ours (its OpenAPI document; tried on 0.25).

A matcher is text, as Prometheus writes it: ``name="value"``, ``!=``, ``=~`` or ``!~``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, TypeAdapter

from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json
from holdfast.observations.alerts import Alert, AlertsSeen
from holdfast.probes.alerts.client import OK, request
from holdfast.probes.alerts.site import AlertmanagerSite
from holdfast.probes.base import ProbeContext, require_shape

AUTHOR = "holdfast"
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*')


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Status(_Answer):
    state: str
    silencedBy: list[str] = []  # noqa: N815 - the API's name
    inhibitedBy: list[str] = []  # noqa: N815 - the API's name


class _Alert(_Answer):
    labels: dict[str, str]
    status: _Status


class _Silence(_Answer):
    id: str
    comment: str
    createdBy: str  # noqa: N815 - the API's name
    status: _Status


class _Created(_Answer):
    silenceID: str  # noqa: N815 - the API's name


_ALERTS = TypeAdapter[Json](list[_Alert])
_SILENCES = TypeAdapter[Json](list[_Silence])
_CREATED = TypeAdapter[Json](_Created)


def probe_alertmanager(context: ProbeContext, matchers: Sequence[str]) -> AlertsSeen:
    """Return the alerts that match all of ``matchers``, silenced ones too, and whether the heartbeat fires.

    Raises:
        CannotTell: Alertmanager does not answer.
        InvalidInput: a matcher is none.
    """
    site = context.site(context.host, AlertmanagerSite)
    beat = site.holdfast_alertmanager_heartbeat
    return AlertsSeen(
        service="Alertmanager",
        asked=", ".join(matchers),
        firing=_alerts(site, matchers),
        heartbeat=bool(_alerts(site, [beat])) if beat else None,
    )


def _alerts(site: AlertmanagerSite, matchers: Sequence[str]) -> list[Alert]:
    for each in matchers:
        parse_matcher(each)
    query = [("filter", each) for each in matchers]
    query += [(which, "true") for which in ("active", "silenced", "inhibited", "unprocessed")]
    answer = request(site.account, "GET", "/api/v2/alerts", params=query)
    if answer.status != OK:
        raise CannotTell(f"Alertmanager answered the list of alerts with {answer.said}")
    require_shape(answer.body, _ALERTS, "Alertmanager answered the list of alerts")
    return [_alert(each) for each in answer.body]


def _alert(entry: Mapping[str, Json]) -> Alert:
    labels, status = entry["labels"], entry["status"]
    where = labels.get("instance") or labels.get("host") or ""
    quiet = bool(status.get("silencedBy") or status.get("inhibitedBy"))
    return Alert(labels.get("alertname", "an alert without a name"), where, "firing", quiet)


def parse_matcher(text: str) -> dict[str, Json]:
    """Return a matcher as a silence has it.

    Raises:
        InvalidInput: it is none.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{text!r} is no matcher of Alertmanager", remedy='instance=~"ctl1(:.*)?" is one'
        )
    name, operator, value = found.groups()
    return {
        "name": name,
        "value": re.sub(r"\\(.)", r"\1", value)
        if "=" in operator[:1] and "~" not in operator
        else value,
        "isRegex": "~" in operator,
        "isEqual": not operator.startswith("!"),
    }


def silence(site: AlertmanagerSite, comment: str, began: datetime, until: datetime) -> list[str]:
    """Silence the host's alerts until then; return the ids.

    Raises:
        CannotTell: it was refused, or there is no answer.
        InvalidInput: a matcher is none.
    """
    wanted = {
        "matchers": [parse_matcher(each) for each in site.holdfast_alertmanager_silence],
        "startsAt": began.isoformat(),
        "endsAt": until.isoformat(),
        "createdBy": AUTHOR,
        "comment": comment,
    }
    answer = request(site.account, "POST", "/api/v2/silences", wanted)
    if answer.status != OK:
        raise CannotTell(f"Alertmanager refused the silence with {answer.said}")
    require_shape(answer.body, _CREATED, "Alertmanager answered the silence")
    return [answer.body["silenceID"]]


def expire(site: AlertmanagerSite, comment: str, kept: Collection[str] = ()) -> list[str]:
    """Expire our silences with this comment, but for those ``kept``; return their ids.

    Raises:
        CannotTell: one was not expired, or there is no answer.
    """
    answer = request(site.account, "GET", "/api/v2/silences")
    if answer.status != OK:
        raise CannotTell(f"Alertmanager answered the list of silences with {answer.said}")
    require_shape(answer.body, _SILENCES, "Alertmanager answered the list of silences")
    ours = [
        each["id"]
        for each in answer.body
        if (each["createdBy"], each["comment"]) == (AUTHOR, comment)
        and each["status"]["state"] != "expired"
        and each["id"] not in kept
    ]
    for each in ours:
        gone = request(site.account, "DELETE", f"/api/v2/silence/{each}")
        if gone.status != OK:
            raise CannotTell(f"Alertmanager did not expire silence {each}: {gone.said}")
    return ours
