"""``holdfast chat``: serve chat; and, for the bot alone, drive one run that was asked for there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.chat import bot_service, run_request
from holdfast.chat.bot import Bot
from holdfast.chat.config import Config, load_config
from holdfast.chat.delivery_state import DeliveryState
from holdfast.chat.dependencies import BotDependencies
from holdfast.chat.permissions import Permissions
from holdfast.chat.run_launcher import ProcessLauncher
from holdfast.chat.secrets import OpenedSettings
from holdfast.chat.transports import make_transport
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
        bool, typer.Option("--check", metavar="", help="Only check the configuration.")
    ] = False,
) -> None:
    """Serve chat: take commands, post runs, ask for approvals. Ends with SIGTERM; runs go on.

    Every run is a process of its own: it goes on without this process and without the chat's servers.
    What could not be posted meanwhile is posted afterwards.
    """
    command = context_of(context)
    settings = load_config(config)
    settings.require_runbooks(project.runbooks(command.root))
    opened = bot_service.read_transport_settings(settings, command.environ)
    transports = [make_transport(name, each.settings) for name, each in opened.items()]
    if check:
        sites, platforms = join_names(settings.sites), join_names(settings.transports)
        command.show(Text(f"{config}: {sites} over {platforms}", "green"))
        return
    dependencies = _dependencies(command, settings, opened)
    bot_service.log_scrubbed(dependencies.scrub)
    bot_service.serve(Bot(dependencies, transports))


def _dependencies(
    command: CommandContext, config: Config, opened: dict[str, OpenedSettings]
) -> BotDependencies:
    directory = command.settings.state_dir / "chat"
    tokens = frozenset(name for each in opened.values() for name in each.variables)
    environ = run_request.child_environment(command.environ, tokens)
    return BotDependencies(
        config=config,
        permissions=Permissions(config),
        engine=command.engine(),
        store=command.store,
        delivery=DeliveryState(directory / "chat.db"),
        launcher=ProcessLauncher(directory / "runs", command.root, environ, command.program),
        runbooks=lambda: project.runbooks(command.root),
        inventories=lambda: project.sites(command.root),
        scrub=bot_service.make_scrubber(opened, command.settings),
        clock=command.now,
    )


def drive(context: typer.Context) -> None:
    """Drive the run whose request is on standard input; print what the journal cannot hold."""
    command = context_of(context)
    request = run_request.read_request(command.stdin.read(_LONGEST_REQUEST))
    command.run = request.run
    engine = command.engine()
    with interruptible(engine.stop, lambda message: command.err.print(Text(message))):
        result = run_request.drive(request, engine)
    raise typer.Exit(result.code)
