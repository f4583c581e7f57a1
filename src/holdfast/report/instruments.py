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
from holdfast.report.measure import Observations
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
    return Observations(outages, summary.max_out, summary.restarts)


def read_traffic(path: Path) -> Losses:
    """Read a traffic instrument's summary.

    Raises:
        InvalidInput: the file cannot be read or is no such summary.
    """
    return _read(path, Losses)


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
