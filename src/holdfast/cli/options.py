"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from holdfast.cli.completion import completer, host_names, run_names, runbook_names, site_names
from holdfast.cli.context import CommandContext
from holdfast.errors import InvalidInput
from holdfast.text import gives_reason


def _not_empty(ctx: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Return the value unless it is given and empty: ``--limit "$HOSTS"`` must not mean all hosts.

    Raises:
        InvalidInput: the value is given and empty.
    """
    source = ctx.get_parameter_source(parameter.name or "")
    if source is not None and source.name == "COMMANDLINE" and not value.strip():
        raise InvalidInput(
            f"--{parameter.name} is empty", remedy=f"leave --{parameter.name} out to mean all hosts"
        )
    return value


SiteOption = Annotated[
    str,
    typer.Option(
        "--site",
        "-i",
        metavar="SITE",
        autocompletion=completer(site_names),
        help="The site: a name in inventories/, or an inventory's path. Default: HOLDFAST_SITE, "
        "or the only site there is.",
    ),
]
LimitOption = Annotated[
    str,
    typer.Option(
        "--limit",
        metavar="PATTERN",
        callback=_not_empty,
        autocompletion=completer(host_names),
        help="Only these hosts, as Ansible's --limit; every part of it has to match.",
    ),
]
InputsOption = Annotated[
    list[str],
    typer.Option(
        "--input", metavar="NAME=VALUE", help="A value that the runbook asks for; repeatable."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", metavar="", help="For programs: JSON on standard output.")
]
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", metavar="", help="Do not ask for confirmation.")
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        autocompletion=completer(run_names),
        help="A run's id or a unique part of it. Default: the newest run.",
    ),
]
NamedRunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        autocompletion=completer(run_names),
        help="The run's id, or a unique part of it.",
    ),
]
RunbookArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUNBOOK",
        autocompletion=completer(runbook_names),
        help="A runbook's name, as `holdfast runbooks` lists, or the path of one.",
    ),
]


def context_of(ctx: typer.Context) -> CommandContext:
    """Return the context of the program that runs this command."""
    context = ctx.find_object(CommandContext)
    if context is None:
        raise TypeError("the program was started without a CommandContext")
    return context


def require_reason(text: str, command: Sequence[str]) -> str:
    """Return the reason given for a ``command``, which is its verb and what else was typed.

    Raises:
        InvalidInput: it is missing, or not UTF-8.
    """
    remedy = f"holdfast {shlex.join(command)} --reason '…'"
    if not gives_reason(text):
        instead = f", in place of {text.strip()!r}" if text.strip() else ""
        raise InvalidInput(f"A {command[0]} needs a reason{instead}", remedy=remedy)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("The reason is not UTF-8 text", remedy=remedy) from None
    return text


def parse_inputs(pairs: list[str]) -> dict[str, str]:
    """Parse ``name=value`` pairs.

    Raises:
        InvalidInput: one of them is not ``name=value``, or a name is given twice.
    """
    inputs: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"--input {pair!r}: expected NAME=VALUE")
        if name in inputs:
            raise InvalidInput(f"--input {name} is given twice")
        inputs[name] = value
    return inputs
