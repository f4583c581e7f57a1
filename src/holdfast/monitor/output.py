"""One reading as monitoring takes it: the line of a Nagios plugin, and text for Prometheus.

Sources: Monitoring Plugins Development Guidelines; Prometheus, "Exposition formats" and the conventions that
``promtool check metrics`` looks for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from holdfast.errors import InvalidInput
from holdfast.model import Outcome, Verdict, overall
from holdfast.monitor.systems import Figure
from holdfast.text import count_of, one_line

NAGIOS = {Outcome.PASS: (0, "OK"), Outcome.FAIL: (2, "CRITICAL"), Outcome.UNKNOWN: (3, "UNKNOWN")}
_UNITS = {"bytes": "B", "seconds": "s"}


@dataclass(frozen=True, slots=True)
class Read:
    """What one reading found: ``error`` where it could not be taken, ``unwritten`` where its file could not be."""

    system: str
    verdicts: Sequence[Verdict] = ()
    figures: Sequence[Figure] = ()
    seconds: float = 0.0
    error: str = ""
    remedy: str = ""
    unwritten: str = ""

    @property
    def outcome(self) -> Outcome:
        """PASS only if something was judged, all of it passed, and it was written; a FAIL stays one."""
        return (
            Outcome.UNKNOWN if self.error else and_written(overall(self.verdicts), self.unwritten)
        )

    def count(self, outcome: Outcome) -> int:
        """Return how many verdicts have this outcome."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)

    @property
    def deciding(self) -> Verdict | None:
        """The first FAIL, else the first UNKNOWN, None where all passed."""
        bad = [verdict for verdict in self.verdicts if not verdict.passed]
        return next((v for v in bad if v.outcome is Outcome.FAIL), bad[0] if bad else None)

    @property
    def headline(self) -> str:
        """What decided, and what to type or read about it."""
        said = self.error or f"{count_of(len(self.verdicts), 'claim')} passed"
        if not self.error and (decided := self.deciding):
            more = self.count(decided.outcome) - 1
            said = f"{decided.claim}: {decided.message}{f' and {more} more' if more else ''}"
        said = f"{said}; next: {self.remedy}" if self.remedy else said
        return f"{said}; {self.unwritten}" if self.unwritten else said


def and_written(outcome: Outcome, unwritten: str) -> Outcome:
    """Return the outcome of a reading whose file could not be written, where ``unwritten`` says so."""
    return Outcome.UNKNOWN if unwritten and outcome is Outcome.PASS else outcome


def exit_code(outcome: Outcome) -> int:
    """Return a plugin's exit code: 0, 2 or 3."""
    return NAGIOS[outcome][0]


def nagios_line(read: Read) -> str:
    """Return the line: ``HOLDFAST RABBITMQ OK - … | figures``; without perfdata where nothing was read."""
    status = NAGIOS[read.outcome][1]
    text = one_line(read.headline).replace("|", "/")
    perfdata = "" if read.error else f" | {' '.join(_perfdata(read))}"
    return f"HOLDFAST {read.system.upper()} {status} - {text}{perfdata}".replace("  ", " ")


def prometheus_text(read: Read, now: datetime) -> str:
    """Return the reading in the text format, each metric with its help and type."""
    of_system = {"system": read.system}
    metrics: dict[tuple[str, str], list[tuple[dict[str, str], float]]] = {}
    outcomes = metrics.setdefault(
        ("holdfast_check_outcome", "Outcome of the whole check: 1 for the one that it has."), []
    )
    for each in Outcome:
        outcomes.append((of_system | {"outcome": each.lower()}, each is read.outcome))
    by_claim: dict[str, list[Verdict]] = {}
    for verdict in read.verdicts:  # one that is asked at several hosts has a verdict of each
        by_claim.setdefault(verdict.claim, []).append(verdict)
    for claim, verdicts in by_claim.items():
        claims = metrics.setdefault(
            ("holdfast_claim_outcome", "Outcome of one claim: 1 for the one that it has."), []
        )
        for each in Outcome:
            labels = {"claim": claim, "outcome": each.lower()}
            claims.append((of_system | labels, each is overall(verdicts)))
    for figure in read.figures:
        for name, value in _figures(figure):
            unit = f"_{figure.unit}" if figure.unit else ""
            help_text = f"{name.replace('_', ' ').capitalize()}."
            key = f"holdfast_{read.system}_{name}{unit}", help_text
            metrics.setdefault(key, []).append((dict(figure.labels), value))
    took, when = round(read.seconds, 3), round(now.timestamp(), 3)
    metrics["holdfast_check_duration_seconds", "How long the reading took."] = [(of_system, took)]
    metrics["holdfast_check_timestamp_seconds", "When it was taken."] = [(of_system, when)]
    return "".join(_exposed(metrics.items()))


def write_atomically(path: str, text: str) -> None:
    """Replace a file, readable by all, so that a reader finds the old or the new text and never a part.

    The collector of node_exporter reads ``*.prom`` alone, so it leaves the file's beginning out.

    Raises:
        InvalidInput: it cannot be written.
    """
    target = Path(path)
    try:
        with (
            NamedTemporaryFile(
                "w", dir=target.parent, prefix=f".{target.name}.", delete=False, encoding="utf-8"
            ) as file,
            ExitStack() as unfinished,
        ):
            unfinished.callback(Path(file.name).unlink, missing_ok=True)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
            Path(file.name).replace(target)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror or error}",
            remedy="--prometheus FILE, in a directory that this user may write to",
        ) from None


def _perfdata(read: Read) -> Iterator[str]:
    """Yield ``'label'=value[unit];warn;crit;min;max`` for each figure, then the counts and the time."""
    for figure in read.figures:
        label = ":".join((figure.name, *(value for _, value in figure.labels)))
        most = "" if figure.most is None else f";;;0;{_number(figure.most)}"
        quoted = f"'{label}'" if ":" in label else label
        yield f"{quoted}={_number(figure.value)}{_UNITS.get(figure.unit, '')}{most}"
    for outcome in Outcome:
        yield f"{outcome.lower()}={read.count(outcome)}"
    yield f"time={read.seconds:.2f}s"


def _number(value: float) -> str:
    """Return digits and a point alone, as perfdata has it."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _figures(figure: Figure) -> Iterator[tuple[str, float]]:
    """Yield a figure, and what it is at most where it is a part of that."""
    yield figure.name, figure.value
    if figure.most is not None:
        yield f"{figure.name.removesuffix('_used')}_limit", figure.most


def _exposed(
    metrics: Iterable[tuple[tuple[str, str], list[tuple[dict[str, str], float]]]],
) -> Iterator[str]:
    for (name, text), samples in metrics:
        yield f"# HELP {name} {text}\n# TYPE {name} gauge\n"
        for labels, value in samples:
            pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            yield f"{name}{{{pairs}}} {float(value)!r}\n" if pairs else f"{name} {float(value)!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
