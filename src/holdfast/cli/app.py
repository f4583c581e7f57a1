"""The program: every command, in the order in which help lists them, and ``main``.

The commands are in the modules beside this one.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from holdfast.cli import (
    boots_command,
    chat_commands,
    check_command,
    diagnose_command,
    init_command,
    prune_command,
    read_commands,
    run_commands,
    status_commands,
)
from holdfast.cli.adapters import ansible_adapters
from holdfast.cli.context import CommandContext
from holdfast.cli.exit_codes import ExitOnError
from holdfast.cli.interrupt import end_as_by_interrupt
from holdfast.cli.output_stream import OutputStream, replace_closed_streams
from holdfast.cli.version import version_line
from holdfast.errors import HoldfastError
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

INIT_CODES = "0 written · 2 invalid input, nothing was overwritten"
READ_CODES = "0 shown · 2 invalid input"
RUN_CODES = (
    "0 finished · 2 invalid input · 3 refused (after 2 and 3 nothing was touched) · 4 held · "
    "5 aborted by an operator · 6 outcome unknown: acted, result not observed"
)
CHECK_CODES = (
    "0 all PASS · 2 invalid input · 3 not all PASS. With --nagios: 0 OK · 2 CRITICAL · 3 UNKNOWN"
)
BOOTS_CODES = (
    "0 within its limits · 2 invalid input · 3 refused (after 2 and 3 nothing was booted) · 4 more failed than may · "
    "5 stopped by an operator, all deleted · 6 not known: an end, or whether all is deleted"
)
DIAGNOSE_CODES = "0 nothing is wrong · 2 invalid input · 3 something is, or may be"
ABORT_CODES = "0 requested, or closed · 2 invalid input · 3 refused: a play run by hand"
ANSWER_CODES = "0 journaled · 2 invalid input · 3 refused: too late, or not yours to answer"
WATCH_CODES = f"{READ_CODES} · 5 Ctrl-C, which does not affect the run"
PRUNE_CODES = "0 deleted, or nothing to delete · 2 invalid input · 5 not confirmed"
_USAGE = 2  # click's exit code for arguments that do not fit
RELEASE_CODES = "0 released · 2 invalid input · 3 refused: its holder is alive · 5 not confirmed"

COMMANDS: dict[str, list[tuple[Callable[..., None], str, str]]] = {
    "Before a run": [
        (init_command.init, INIT_CODES, "init lisbon /etc/kolla/multinode --from kolla"),
        (read_commands.runbooks, READ_CODES, "runbooks"),
        (read_commands.show, READ_CODES, "show rabbitmq-restart"),
        (run_commands.plan, READ_CODES, "plan nova-restart --site lab --limit 'ctl*'"),
        (check_command.check, CHECK_CODES, "check --site lab rabbitmq.members_agree"),
        (diagnose_command.diagnose, DIAGNOSE_CODES, "diagnose --site lab"),
    ],
    "After a run": [
        (
            boots_command.boots,
            BOOTS_CODES,
            "boots --site lab --flavor m1.tiny --image cirros --per-host 1 --hosts 20",
        ),
    ],
    "Running": [
        (run_commands.run, RUN_CODES, "run rabbitmq-restart --site lab --reason 'openssl update'"),
        (run_commands.resume, RUN_CODES, "resume k3f9 --reason 'disk replaced on ctl2'"),
        (run_commands.abort, ABORT_CODES, "abort k3f9"),
        (run_commands.approve, ANSWER_CODES, "approve k3f9"),
        (run_commands.reject, ANSWER_CODES, "reject k3f9 --reason 'ctl2 is on battery'"),
    ],
    "Runs and leases": [
        (status_commands.status, READ_CODES, "status"),
        (read_commands.watch, WATCH_CODES, "watch k3f9"),
        (read_commands.log, READ_CODES, "log k3f9 --json"),
        (read_commands.report, READ_CODES, "report k3f9 --svg run.svg"),
        (prune_command.prune, PRUNE_CODES, "prune --keep-days 180 --dry-run"),
    ],
}
"""The commands of each panel of the help: their functions, exit codes and an example."""


def _epilog(codes: str, example: str) -> str:
    """Return the end of a command's help: an example and the exit codes."""
    return f"Example: [bold]holdfast {example}[/bold]\n\nExit codes: {codes} · 70 a bug of ours"


def _help(function: Callable[..., None]) -> str:
    """Return the summary of the command's verb, then the function's docstring below its first paragraph."""
    text = inspect.getdoc(function) or ""
    verb = VERBS.get(function.__name__)
    return verb.summary + "".join(text.partition("\n\n")[1:]) if verb else text


for _panel, _commands in COMMANDS.items():
    for _function, _codes, _example in _commands:
        app.command(
            help=_help(_function), rich_help_panel=_panel, epilog=_epilog(_codes, _example)
        )(_function)
app.add_typer(lease, name="lease", rich_help_panel="Runs and leases")
lease.command("list", epilog=_epilog(READ_CODES, "lease list"))(status_commands.lease_list)
lease.command("release", epilog=_epilog(RELEASE_CODES, "lease release lab/rabbitmq"))(
    status_commands.lease_release
)
app.add_typer(chat, name="chat", rich_help_panel="Running")
chat.command(
    "serve",
    epilog=_epilog("0 stopped by a signal · 2 invalid input", "chat serve --config chat.yml"),
)(chat_commands.serve)
chat.command("drive", hidden=True, epilog=_epilog(RUN_CODES, "chat drive < request.json"))(
    chat_commands.drive
)


def _version(given: bool) -> None:  # typer's callbacks take the value alone
    if given:
        print(version_line())  # noqa: T201  # one line, before the context exists
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_version,
            is_eager=True,
            help="Show the version and the commit.",
        ),
    ] = False,
) -> None:
    """Accept the options of the program itself; its help text is that of ``app``."""


def command_context() -> CommandContext:
    """Return a context with this process's own streams, environment and clock."""
    replace_closed_streams()
    try:
        directory = Path.cwd()
    except FileNotFoundError:  # it has been deleted
        directory = Path("/")
    return CommandContext(
        environ=os.environ,
        directory=directory,
        out=Console(file=OutputStream(sys.stdout).as_text_io(), highlight=False),
        err=Console(file=OutputStream(sys.stderr).as_text_io(), highlight=False),
        stdin=sys.stdin,
        now=lambda: datetime.now(UTC),
        adapters=ansible_adapters,
    )


def _inputs_without_option(given: Sequence[str]) -> str:
    """Return ``--input NAME=VALUE …`` for arguments like ``unit=cron``, as one would type them in chat; "" for none."""
    before = ["", *given]
    bare = [
        word
        for word, option in zip(given, before, strict=False)
        if re.match(r"[a-z][a-z0-9_]*=", word) and not option.startswith("-")
    ]
    return " ".join(f"--input {shlex.quote(word)}" for word in bare)


def main(arguments: Sequence[str] | None = None, context: CommandContext | None = None) -> NoReturn:
    """Run the program.

    Raises:
        SystemExit: always, with a documented exit code.
    """
    if context is None:
        end_as_by_interrupt()
    used = context or command_context()
    given = list(sys.argv[1:] if arguments is None else arguments)
    with ExitOnError(used):
        try:
            app(args=given, obj=used)
        except SystemExit as end:
            asked = (
                used.bug_code != HoldfastError.exit_code
            )  # the command itself has begun, and exits as it means to
            if end.code == _USAGE and not asked and (bare := _inputs_without_option(given)):
                used.err.print(f"next: an input is given with its option: {bare}", markup=False)
            if end.code != _USAGE or "--nagios" not in given or asked:
                raise
            used.write_line("HOLDFAST UNKNOWN - the command is wrong; next: holdfast check --help")
            raise SystemExit(3) from None  # 2 would be CRITICAL
    raise SystemExit(0)
