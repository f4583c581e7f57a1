"""Reports runs of the lab: the product's report, and the measurements of the observer and the traffic.

    python -m tests.lab.report --observer FILE --traffic FILE [--svg FILE] [--json] RUN…

FILE is a summary as the instrument's own `summary` command prints it. Runs are read from the journal
of the settings in force (HOLDFAST_STATE_DIR, HOLDFAST_CONFIG).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from holdfast.engine.run_lookup import find_run
from holdfast.errors import HoldfastError
from holdfast.report import build_report, timeline_svg
from holdfast.report.table import report_tables
from holdfast.settings import load_settings
from holdfast.store.database import open_store
from tests.lab.report.drawing import additions, measurement_tables
from tests.lab.report.measurements import Summary, measure_runs


def main(arguments: Sequence[str]) -> None:
    """Print the report; with ``--svg``, draw it as well.

    Raises:
        HoldfastError: the state cannot be read, or there is no such run.
    """
    given = _parsed(arguments)
    store = open_store(load_settings(os.environ))
    report = build_report([store.read(find_run(store, run)) for run in given.runs])
    measured = measure_runs(report, _summary(given.observer), _summary(given.traffic))
    if given.svg:
        given.svg.write_text(timeline_svg(report, additions(measured)), encoding="utf-8")
    if given.json:
        print(
            json.dumps(
                {"report": report.model_dump(mode="json"), "measured": measured.as_json()}, indent=2
            )
        )
        return
    console = Console(highlight=False)
    console.print(report_tables(report), measurement_tables(report, measured), markup=False)
    if given.svg:
        console.print(f"\nPicture: {given.svg}", style="dim", markup=False)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.lab.report")
    parser.add_argument("runs", nargs="+", metavar="RUN")
    for name in ("observer", "traffic"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"the {name}'s summary")
    parser.add_argument("--svg", type=Path, help="draw a picture to this file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


def _summary(path: Path) -> Summary:
    summary: Summary = json.loads(path.read_text(encoding="utf-8"))
    return summary


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except HoldfastError as error:
        sys.exit(f"report: {error.message}")
