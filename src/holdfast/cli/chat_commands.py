"""``holdfast chat``: serve chat; and, for the bot alone, drive one run that was asked for there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.chat import run_request, server
from holdfast.cli import project
from holdfast.cli.context import CommandContext
from holdfast.cli.interrupt import interruptible
from holdfast.cli.options import context_of
from holdfast.text import join_names

_LONGEST_REQUEST = 1_000_000


def serve(
    context: typer.Context,
    *,
    config: Annotated[
        Path, typer.Option("--config", help="The configuration; see docs/chat.md.", dir_okay=False)
    ],
    check: Annotated[
        bool, typer.Option("--check", metavar="", help="Only read the configuration, and say so.")
    ] = False,
) -> None:
    """Serve chat: take commands, tell runs, ask for approvals. Ends with SIGTERM; runs go on.

    Every run is a process of its own. Whatever happens to this one, or to the chat's servers, no
    run is stopped, slowed or blinded by it; what it missed is told when it is back.
    """
    # Chat's libraries take a while to import, and no other command needs them.
    from holdfast.chat.config import load_config  # noqa: PLC0415
    from holdfast.chat.ledger import Ledger  # noqa: PLC0415
    from holdfast.chat.run_launcher import Processes  # noqa: PLC0415
    from holdfast.chat.run_request import child_environment  # noqa: PLC0415
    from holdfast.chat.transports import connect  # noqa: PLC0415

    desk = context_of(context)
    read = load_config(config)
    read.require_runbooks(project.runbooks(desk.root))
    opened = server.opened_transports(read, desk.environ)
    transports = [connect(name, each.settings) for name, each in opened.items()]
    if check:
        desk.show(
            Text(f"{config}: {join_names(read.sites)} over {join_names(read.transports)}", "green")
        )
        return
    scrub = server.scrubber(opened, desk.settings)
    server.log_scrubbed(scrub)
    memory = desk.settings.state_dir / "chat"
    hidden = frozenset(name for each in opened.values() for name in each.variables)
    environ = child_environment(desk.environ, hidden)
    launcher = Processes(memory / "runs", desk.root, environ, desk.program)
    around = server.BotDependencies(
        engine=desk.engine(),
        store=desk.store,
        launcher=launcher,
        runbooks=lambda: project.runbooks(desk.root),
        inventories=lambda: project.sites(desk.root),
        clock=desk.now,
    )
    bot = server.build_bot(read, around, transports, Ledger(memory / "chat.db"), scrub)
    server.serve(bot)


def drive(context: typer.Context) -> None:
    """Drive the run whose request is on standard input; what the journal cannot hold is said."""
    desk = context_of(context)
    asked = run_request.read_request(desk.stdin.read(_LONGEST_REQUEST))
    desk.run = asked.run
    engine = desk.engine()
    with interruptible(engine.stop, lambda words: _say(desk, words)):
        ended = run_request.drive(asked, engine)
    raise typer.Exit(ended.code)


def _say(desk: CommandContext, words: str) -> None:
    desk.err.print(Text(words))
