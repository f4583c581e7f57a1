"""Icinga 2's REST API: objects by a filter, and downtimes of ours (its documentation, "REST API"; tried on 2.13).

A filter is an expression of Icinga. No object that matches is answered with 404 or, for actions, with 500 and an empty
list; so is a filter that cannot be read (seen on 2.13.6).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, TypeAdapter

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.observations.alerts import Alert, AlertsSeen
from holdfast.probes.alerts.client import OK, HttpAnswer, request
from holdfast.probes.alerts.site import Downtime, IcingaSite
from holdfast.probes.base import ProbeContext, require_shape

AUTHOR = "holdfast"
_AS_GET = {"X-HTTP-Method-Override": "GET"}
_OURS = "downtime.author == author && downtime.comment == comment"
_STATES = {"Host": ("up", "down"), "Service": ("ok", "warning", "critical", "unknown")}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Attributes(_Answer):
    state: float
    last_check: float
    downtime_depth: float
    acknowledgement: float
    check_interval: float


class _Object(_Answer):
    name: str
    attrs: _Attributes


class _Objects(_Answer):
    results: list[_Object]


class _Done(_Answer):
    code: float
    status: str
    name: str = ""
    service_downtimes: list[Mapping[str, Json]] = []


class _AllDone(_Answer):
    results: list[_Done]


class _Named(_Answer):
    name: str


class _AllNamed(_Answer):
    results: list[_Named]


_OBJECTS = TypeAdapter[Json](_Objects)
_DONE = TypeAdapter[Json](_AllDone)
_NAMED = TypeAdapter[Json](_AllNamed)


def probe_icinga(context: ProbeContext, objects: str, kind: str, intervals: float) -> AlertsSeen:
    """Return the problems among the objects of a filter (``Host`` or ``Service``), in downtime or not.

    An object whose last check is older than ``intervals`` of its own interval is stale.

    Raises:
        CannotTell: Icinga does not answer, or no object matches.
    """
    site = context.site(context.host, IcingaSite)
    names = ["state", "last_check", "downtime_depth", "acknowledgement", "check_interval"]
    wanted = {"filter": objects, "attrs": names}
    answer = request(site.account, "POST", f"/v1/objects/{kind.lower()}s", wanted, headers=_AS_GET)
    if answer.status != OK:
        raise CannotTell(f"Icinga answered {objects!r} with {answer.said}")
    require_shape(answer.body, _OBJECTS, "Icinga answered the list of objects")
    found = {each["name"]: each["attrs"] for each in answer.body["results"]}
    now = _now(site)
    return AlertsSeen(
        service="Icinga",
        asked=objects,
        firing=[_problem(kind, name, each) for name, each in found.items() if each["state"]],
        objects=len(found),
        stale=[
            name
            for name, each in found.items()
            if now - each["last_check"] > intervals * each["check_interval"]
        ],
    )


def _now(site: IcingaSite) -> float:
    """Return Icinga's own time, by which it notes its checks: when it started, and how long ago that is.

    Raises:
        CannotTell: it does not say.
    """
    parts = [
        request(site.account, "GET", f"/v1/status/{each}") for each in ("IcingaApplication", "CIB")
    ]
    try:
        app, cib = (part.body["results"][0]["status"] for part in parts)
        return float(app["icingaapplication"]["app"]["program_start"]) + float(cib["uptime"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise CannotTell(f"Icinga answered its status with {parts[-1].said}") from None


def _problem(kind: str, name: str, each: Mapping[str, Json]) -> Alert:
    states = _STATES[kind]
    state = states[min(int(each["state"]), len(states) - 1)]
    host, _, service = name.partition("!")
    quiet = bool(each["downtime_depth"] or each["acknowledgement"])
    return Alert(service or host, host if service else "", state, quiet)


def schedule(
    site: IcingaSite, downtime: Downtime, comment: str, began: datetime, until: datetime
) -> list[str]:
    """Begin a fixed downtime of the host's objects until then; return the names.

    Raises:
        CannotTell: no object matches, it was refused, or there is no answer.
    """
    wanted = {
        "type": downtime.type,
        "filter": downtime.filter,
        "author": AUTHOR,
        "comment": comment,
        "start_time": int(began.timestamp()),
        "end_time": int(until.timestamp()),
        "fixed": True,
        **({"all_services": True} if downtime.type == "Host" else {}),
    }
    answer = request(site.account, "POST", "/v1/actions/schedule-downtime", wanted)
    if _matched_nothing(answer):
        raise CannotTell(
            f"Icinga has no {downtime.type} for {downtime.filter!r} (holdfast_icinga_downtime), or cannot read it"
        )
    done = _all_done(answer, "the downtime")
    children = [each for one in done for each in one.get("service_downtimes", ())]
    return [str(each["name"]) for each in (*done, *children)]


def remove(site: IcingaSite, comment: str, kept: Collection[str] = ()) -> list[str]:
    """Remove our downtimes with this comment, but for those ``kept``; return their names.

    Raises:
        CannotTell: one was not removed, or there is no answer.
    """
    mine = {"filter": _OURS, "filter_vars": {"author": AUTHOR, "comment": comment}}
    answer = request(
        site.account,
        "POST",
        "/v1/objects/downtimes",
        {**mine, "attrs": ["author"]},
        headers=_AS_GET,
    )
    if answer.status != OK:
        raise CannotTell(f"Icinga answered the list of downtimes with {answer.said}")
    require_shape(answer.body, _NAMED, "Icinga answered the list of downtimes")
    ours = [each["name"] for each in answer.body["results"] if each["name"] not in kept]
    gone = {
        "filter": "downtime.__name in names",
        "filter_vars": {"names": ours},
        "type": "Downtime",
    }
    if ours:
        answer = request(site.account, "POST", "/v1/actions/remove-downtime", gone)
        _all_done(answer, "the end of a downtime")
    return ours


def _matched_nothing(answer: HttpAnswer) -> bool:
    empty = isinstance(answer.body, dict) and answer.body.get("results") == []
    return answer.status == 404 or empty


def _all_done(answer: HttpAnswer, what: str) -> list[Mapping[str, Json]]:
    """Return the results of an action where each succeeded.

    Raises:
        CannotTell: one did not.
    """
    if answer.status != OK:
        raise CannotTell(f"Icinga refused {what} with {answer.said}")
    require_shape(answer.body, _DONE, f"Icinga answered {what}")
    results: list[Mapping[str, Json]] = answer.body["results"]
    if bad := [each for each in results if int(each["code"]) != OK]:
        raise CannotTell(f"Icinga refused {what}: {bad[0]['status']}")
    return results
