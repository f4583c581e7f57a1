"""The table of contents of the program: every command, in the order in which help lists them.

Owns ``main``: streams, the Desk, the boundary. Commands are in the modules beside this one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from holdfast import __version__
from holdfast.cli import chatting, checking, reading, running, status
from holdfast.cli.boundary import Boundary
from holdfast.cli.desk import Desk
from holdfast.cli.outside import real
from holdfast.cli.stream import Steady

app = typer.Typer(
    name="holdfast",
    help="Take a fleet of services through a restart one safe step at a time.\n\n"
    "Health is proved between steps. At the first doubt the run stops, says exactly where it "
    "stands, and can be resumed from there.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 finished · 2 invalid input · 3 refused · 4 held · 5 aborted · "
    "6 outcome unknown · 70 a bug of ours. After 2 and 3 nothing was touched.",
)
lease = typer.Typer(no_args_is_help=True, help="See who holds which lease; free a dead holder's.")

chat = typer.Typer(no_args_is_help=True, help="Ask for runs, follow and approve them from chat.")

LOOK, ACT, TELL = "Before a run", "Running", "Looking at runs"


def _command(function: object, panel: str, example: str) -> None:
    """Register a command; its help ends with an example."""
    epilog = f"Example: [bold]{example}[/bold]"
    app.command(rich_help_panel=panel, epilog=epilog)(function)  # type: ignore[type-var]  # any function


_command(reading.runbooks, LOOK, "holdfast runbooks")
_command(reading.show, LOOK, "holdfast show rabbitmq-restart")
_command(running.plan, LOOK, "holdfast plan nova-restart --site lab --limit 'ctl*'")
_command(checking.check, LOOK, "holdfast check --site lab rabbitmq.members_agree")
_command(running.run, ACT, "holdfast run rabbitmq-restart --site lab --reason 'openssl update'")
_command(running.resume, ACT, "holdfast resume k3f9 --reason 'disk replaced on ctl2'")
_command(running.abort, ACT, "holdfast abort k3f9")
_command(running.approve, ACT, "holdfast approve k3f9")
_command(status.status, TELL, "holdfast status")
_command(reading.watch, TELL, "holdfast watch k3f9")
_command(reading.log, TELL, "holdfast log k3f9 --json")
_command(reading.report, TELL, "holdfast report k3f9 --svg run.svg")
app.add_typer(lease, name="lease", rich_help_panel=TELL)
lease.command("list", epilog="Example: [bold]holdfast lease list[/bold]")(status.lease_list)
lease.command("release", epilog="Example: [bold]holdfast lease release lab/rabbitmq[/bold]")(
    status.lease_release
)

app.add_typer(chat, name="chat", rich_help_panel=ACT)
chat.command("serve", epilog="Example: [bold]holdfast chat serve --config chat.yml[/bold]")(
    chatting.serve
)
chat.command("drive", hidden=True)(chatting.drive)


def _version(wanted: bool) -> None:  # typer's callbacks take the value alone
    if wanted:
        print(f"holdfast {__version__}")  # noqa: T201  # an answer of one line, before anything is set up
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
    """Take the options of the program itself; its help text is the app's."""


def desk() -> Desk:
    """Build what commands work with, from this process's own streams, environment and clock."""
    out, err = Steady(sys.stdout), Steady(sys.stderr)
    return Desk(
        environ=os.environ,
        directory=Path.cwd(),
        out=Console(file=out.text(), highlight=False),
        err=Console(file=err.text(), highlight=False),
        stdin=sys.stdin,
        now=lambda: datetime.now(UTC),
        outside=real,
    )


def main(arguments: Sequence[str] | None = None, at: Desk | None = None) -> NoReturn:
    """Run the program; always ends in SystemExit with a documented exit code."""
    used = at or desk()
    with Boundary(used):
        app(args=list(sys.argv[1:] if arguments is None else arguments), obj=used)
    raise SystemExit(0)
