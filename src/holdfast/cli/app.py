"""The program: every command, in the order in which help lists them, and ``main``.

The commands are in the modules beside this one.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from holdfast import __version__
from holdfast.cli import chat_commands, check_command, read_commands, run_commands, status_commands
from holdfast.cli.adapters import ansible_adapters
from holdfast.cli.context import CommandContext
from holdfast.cli.exit_codes import ExitOnError
from holdfast.cli.output_stream import OutputStream, replace_closed_streams
from holdfast.verbs import VERBS

app = typer.Typer(
    name="holdfast",
    help="Take a fleet of services through a rolling restart, one safe step at a time.\n\n"
    "Health is proved between steps. As soon as a gate does not pass, the run holds: it reports "
    "what it observed and the state of every host, and can be resumed from there.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 finished · 2 invalid input · 3 refused · 4 held · 5 aborted · "
    "6 outcome unknown · 70 a bug of ours. After 2 and 3 nothing was touched.",
)
lease = typer.Typer(no_args_is_help=True, help="List leases; release the lease of a dead holder.")
chat = typer.Typer(no_args_is_help=True, help="Start, follow and approve runs from chat.")

BEFORE_A_RUN, RUNNING, RUNS_AND_LEASES = "Before a run", "Running", "Runs and leases"

READ_CODES = "0 shown · 2 invalid input"
RUN_CODES = (
    "0 finished · 2 invalid input · 3 refused (after 2 and 3 nothing was touched) · 4 held · "
    "5 aborted by an operator · 6 outcome unknown: acted, result not observed"
)
CHECK_CODES = (
    "0 all PASS · 2 invalid input · 3 not all PASS. With --nagios: 0 OK · 2 CRITICAL · 3 UNKNOWN"
)


def _epilog(example: str, codes: str) -> str:
    """Return the end of a command's help: an example and the exit codes."""
    return f"Example: [bold]{example}[/bold]\n\nExit codes: {codes} · 70 a bug of ours"


def _register(function: Callable[..., None], panel: str, codes: str, example: str) -> None:
    """Register a command.

    Its help is the summary of its verb, then the function's docstring below the first
    paragraph; it ends with an example and the exit codes.
    """
    text = inspect.getdoc(function) or ""
    if verb := VERBS.get(function.__name__):
        _, blank, details = text.partition("\n\n")
        text = verb.summary + blank + details
    app.command(help=text, rich_help_panel=panel, epilog=_epilog(example, codes))(function)


_register(read_commands.runbooks, BEFORE_A_RUN, READ_CODES, "holdfast runbooks")
_register(read_commands.show, BEFORE_A_RUN, READ_CODES, "holdfast show rabbitmq-restart")
_register(
    run_commands.plan,
    BEFORE_A_RUN,
    READ_CODES,
    "holdfast plan nova-restart --site lab --limit 'ctl*'",
)
_register(
    check_command.check,
    BEFORE_A_RUN,
    CHECK_CODES,
    "holdfast check --site lab rabbitmq.members_agree",
)
_register(
    run_commands.run,
    RUNNING,
    RUN_CODES,
    "holdfast run rabbitmq-restart --site lab --reason 'openssl update'",
)
_register(
    run_commands.resume, RUNNING, RUN_CODES, "holdfast resume k3f9 --reason 'disk replaced on ctl2'"
)
_register(
    run_commands.abort,
    RUNNING,
    "0 requested, or closed · 2 invalid input · 3 refused: a play run by hand",
    "holdfast abort k3f9",
)
_register(run_commands.approve, RUNNING, "0 approved · 2 invalid input", "holdfast approve k3f9")
_register(status_commands.status, RUNS_AND_LEASES, READ_CODES, "holdfast status")
_register(
    read_commands.watch,
    RUNS_AND_LEASES,
    f"{READ_CODES} · 5 Ctrl-C, which does not affect the run",
    "holdfast watch k3f9",
)
_register(read_commands.log, RUNS_AND_LEASES, READ_CODES, "holdfast log k3f9 --json")
_register(read_commands.report, RUNS_AND_LEASES, READ_CODES, "holdfast report k3f9 --svg run.svg")
app.add_typer(lease, name="lease", rich_help_panel=RUNS_AND_LEASES)
lease.command("list", epilog=_epilog("holdfast lease list", READ_CODES))(status_commands.lease_list)
lease.command(
    "release",
    epilog=_epilog(
        "holdfast lease release lab/rabbitmq",
        "0 released · 2 invalid input · 3 refused: its holder is alive · 5 not confirmed",
    ),
)(status_commands.lease_release)

app.add_typer(chat, name="chat", rich_help_panel=RUNNING)
chat.command(
    "serve",
    epilog=_epilog(
        "holdfast chat serve --config chat.yml", "0 stopped by a signal · 2 invalid input"
    ),
)(chat_commands.serve)
chat.command("drive", hidden=True, epilog=_epilog("holdfast chat drive < request.json", RUN_CODES))(
    chat_commands.drive
)


def _version(given: bool) -> None:  # typer's callbacks take the value alone
    if given:
        print(f"holdfast {__version__}")  # noqa: T201  # one line, before the context exists
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Accept the options of the program itself; its help text is that of ``app``."""


def command_context() -> CommandContext:
    """Return a context with this process's own streams, environment and clock."""
    replace_closed_streams()
    out, err = OutputStream(sys.stdout), OutputStream(sys.stderr)
    return CommandContext(
        environ=os.environ,
        directory=_directory(),
        out=Console(file=out.as_text_io(), highlight=False),
        err=Console(file=err.as_text_io(), highlight=False),
        stdin=sys.stdin,
        now=lambda: datetime.now(UTC),
        adapters=ansible_adapters,
    )


def _directory() -> Path:
    """Return the current directory; ``/`` if it has been deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def main(arguments: Sequence[str] | None = None, context: CommandContext | None = None) -> NoReturn:
    """Run the program.

    Raises:
        SystemExit: always, with a documented exit code.
    """
    used = context or command_context()
    with ExitOnError(used):
        app(args=list(sys.argv[1:] if arguments is None else arguments), obj=used)
    raise SystemExit(0)
