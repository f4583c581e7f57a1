"""The arguments of ``holdfast check SYSTEM --endpoint …``, read without the libraries of the other commands.

Those need a second of processor time to begin; a plugin runs every minute on a machine that has other work.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from holdfast.errors import InvalidInput

SYSTEM_NAMES = (
    "rabbitmq",
    "nova",
    "galera",
)  # those of monitor.systems, whose libraries this module leaves alone
ANSWER_SECONDS = 8.0  # less than the 10 s that Nagios and Icinga give a plugin by default


@dataclass(frozen=True, slots=True)
class MonitorRequest:
    """What was typed."""

    system: str
    endpoints: tuple[str, ...]
    credentials: str
    prometheus: str = ""
    nagios: bool = False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise the error; argparse would exit with 2, which is CRITICAL."""
        raise InvalidInput(message, remedy="holdfast check --help")


def asks_endpoints(arguments: Sequence[str]) -> bool:
    """Return whether a command line is one of these; any other is for the whole program."""
    options = {each.partition("=")[0] for each in arguments}
    return arguments[:1] == ["check"] and "--endpoint" in options and not options & {"-h", "--help"}


def parse(arguments: Sequence[str]) -> MonitorRequest:
    """Return what was typed after ``check``.

    Raises:
        InvalidInput: it is not complete, or has an option that only a check of a site has.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("system", choices=SYSTEM_NAMES)
    parser.add_argument("--endpoint", action="append", required=True)
    parser.add_argument("--credentials", required=True)
    parser.add_argument("--prometheus", default="")
    parser.add_argument("--nagios", action="store_true")
    found = parser.parse_args(list(arguments))
    return MonitorRequest(
        found.system, tuple(found.endpoint), found.credentials, found.prometheus, found.nagios
    )
