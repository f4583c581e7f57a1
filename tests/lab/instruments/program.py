"""What the instruments are as programs: until SIGTERM or Ctrl-C they write JSON lines, then a summary.

python -m tests.lab.instruments.NAME [--inventory SITE] [--out FILE] [--summary FILE]
python -m tests.lab.instruments.NAME summary FILE
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tests.lab.instruments.records import Record, read_records
from tests.lab.instruments.site import SiteError


@dataclass(frozen=True, slots=True)
class Instrument:
    """A program: its name, what its help says, and its work.

    ``measure`` writes records to the stream until the event is set. ``options`` adds arguments of its own; ``errors``
    end it with a sentence.
    """

    name: str
    description: str
    epilog: str
    summarise: Callable[[Iterable[Record]], dict[str, Any]]
    measure: Callable[[argparse.Namespace, TextIO, threading.Event], None]
    options: Callable[[argparse.ArgumentParser], object] = lambda _: None
    errors: tuple[type[Exception], ...] = (SiteError, OSError, ValueError)

    def main(self, argv: Sequence[str]) -> int:
        """Run the program and return its exit code."""
        arguments = self._parse(argv)
        try:
            if "file" in arguments:
                self._summarise(arguments.file, sys.stdout)
            else:
                self._run(arguments)
        except self.errors as error:
            print(f"{self.name}: {error}", file=sys.stderr)
            return 2
        return 0

    def _run(self, arguments: argparse.Namespace) -> None:
        """Measure until SIGINT or SIGTERM, then write the summary to the file of --summary, or to standard error."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        if not arguments.out:
            self.measure(arguments, sys.stdout, stop)
            return
        with Path(arguments.out).open("w", encoding="utf-8") as stream:
            self.measure(arguments, stream, stop)
        if not arguments.summary:
            self._summarise(arguments.out, sys.stderr)
            return
        with Path(arguments.summary).open("w", encoding="utf-8") as stream:
            self._summarise(arguments.out, stream)

    def _summarise(self, path: str, stream: TextIO) -> None:
        print(json.dumps(self.summarise(read_records(path)), indent=2), file=stream)

    def _parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Return the arguments, of ``summary FILE`` or of the program without a subcommand."""
        if argv[:1] == ["summary"]:
            parser = argparse.ArgumentParser(
                f"{self.name} summary", description="Print the summary of a record."
            )
            parser.add_argument("file", help=f"JSON lines written by the {self.name}")
            return parser.parse_args(argv[1:])
        parser = argparse.ArgumentParser(
            self.name, description=self.description, epilog=self.epilog
        )
        parser.add_argument(
            "--inventory", "-i", default="inventories/lab", help="the site (default: %(default)s)"
        )
        parser.add_argument(
            "--out", help="write the JSON lines to this file (default: standard output)"
        )
        self.options(parser)
        parser.add_argument(
            "--summary", metavar="FILE", help="at the end, write the summary of --out to this file"
        )
        arguments = parser.parse_args(argv)
        if arguments.summary and not arguments.out:
            parser.error("--summary needs --out: a summary is made from the record")
        return arguments
