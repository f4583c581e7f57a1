"""Reads the summaries that the lab's instruments write (``observer summary``, ``traffic summary``).

Owns nothing but the form of those files. The instruments share no code with Holdfast, so that
they can contradict it; what they say is checked against a schema like any other input.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from holdfast.errors import InvalidInput
from holdfast.report.measurements import Carried, Observations
from holdfast.report.model import Losses


class _Summary(BaseModel):
    # Instruments may say more than a report uses.
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Span(_Summary):
    start: float
    end: float | None


class _Observer(_Summary):
    started_at: AwareDatetime
    last: float | None
    outages: dict[str, dict[str, list[_Span]]]
    max_out: dict[str, int]
    restarts: dict[str, dict[str, int]]


class _Gap(_Summary):
    seconds: float


class _Messages(_Summary):
    published: int
    confirmed: int
    unconfirmed: int
    consumed: int
    lost: int
    duplicated: int
    longest_gap: _Gap


class _LostCall(_Summary):
    host: str
    asked: float
    given_up: float


class _Calls(_Summary):
    asked: int
    lost: int
    lost_calls: list[_LostCall]


class _Traffic(_Summary):
    started_at: AwareDatetime
    messages: _Messages
    calls: _Calls


_S = TypeVar("_S", bound=BaseModel)


def read_observer(path: Path) -> Observations:
    """Read an observer's summary.

    Raises:
        InvalidInput: the file cannot be read or is no such summary.
    """
    summary = _read(path, _Observer)
    start = summary.started_at
    last = summary.last or 0.0
    outages = tuple(
        (
            host,
            what,
            start + timedelta(seconds=span.start),
            start + timedelta(seconds=last if span.end is None else span.end),
        )
        for host, services in summary.outages.items()
        for what, spans in services.items()
        for span in spans
    )
    return Observations(outages, _services(summary.max_out), summary.restarts)


def _services(max_out: dict[str, int]) -> dict[str, int]:
    """What answers speak for; units only where nothing else was asked."""
    answering = {what: most for what, most in max_out.items() if not what.startswith("unit:")}
    return answering or max_out


def read_traffic(path: Path) -> Carried:
    """Read a traffic instrument's summary.

    Raises:
        InvalidInput: the file cannot be read or is no such summary.
    """
    summary = _read(path, _Traffic)
    messages, calls = summary.messages, summary.calls
    return Carried(
        losses=Losses(
            **messages.model_dump(exclude={"longest_gap"}),
            longest_gap_seconds=messages.longest_gap.seconds,
            calls=calls.asked,
            calls_lost=calls.lost,
            calls_lost_elsewhere=calls.lost,
        ),
        lost_calls=tuple(
            (
                call.host,
                summary.started_at + timedelta(seconds=call.asked),
                summary.started_at + timedelta(seconds=call.given_up),
            )
            for call in calls.lost_calls
        ),
    )


def _read(path: Path, summary: type[_S]) -> _S:
    try:
        return summary.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"{path} is not such a summary: {where}: {first['msg']}",
            remedy="make one with the instrument's own `summary FILE`",
        ) from error
