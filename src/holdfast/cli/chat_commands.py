"""``holdfast chat``: serves chat and, as a process of the bot, drives one run requested there."""

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
from holdfast.chat.secrets import OpenedSettings, open_tokens
from holdfast.chat.transports import make_transport
from holdfast.cli import project
from holdfast.cli.context import CommandContext
from holdfast.cli.interrupt import interruptible
from holdfast.cli.options import context_of
from holdfast.text import join_names

_LONGEST_REQUEST = 1_000_000


def serve(
    ctx: typer.Context,
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
    context = context_of(ctx)
    settings = load_config(config, project.people(context.places))
    settings.require_runbooks(project.runbooks(context.places))
    opened = {
        name: open_tokens(section, context.environ) for name, section in settings.transports.items()
    }
    transports = [make_transport(name, each.settings) for name, each in opened.items()]
    if check:
        sites, platforms = join_names(settings.sites), join_names(settings.transports)
        context.show(Text(f"{config}: {sites} over {platforms}", "green"))
        return
    dependencies = _dependencies(context, settings, opened)
    bot_service.log_scrubbed(dependencies.scrub)
    bot_service.serve(Bot(dependencies, transports))


def _dependencies(
    context: CommandContext, config: Config, opened: dict[str, OpenedSettings]
) -> BotDependencies:
    directory = context.settings.state_dir / "chat"
    tokens = {name for each in opened.values() for name in each.variables}
    environ = {name: text for name, text in context.environ.items() if name not in tokens}
    return BotDependencies(
        config=config,
        permissions=Permissions(config),
        engine=context.engine(),
        store=context.store,
        delivery=DeliveryState(directory / "chat.db"),
        launcher=ProcessLauncher(directory / "runs", context.root, environ, context.program),
        runbooks=lambda: project.runbooks(context.places),
        inventories=lambda: project.sites(context.places),
        scrub=bot_service.make_scrubber(opened, context.settings),
        clock=context.now,
    )


def drive(ctx: typer.Context) -> None:
    """Drive the run whose request is on standard input; print what the journal cannot hold."""
    context = context_of(ctx)
    request = run_request.read_request(context.stdin.read(_LONGEST_REQUEST))
    context.run = request.run
    engine = context.engine()
    with interruptible(engine.stop, lambda message: context.err.print(Text(message))):
        result = run_request.drive(request, engine)
    raise typer.Exit(result.code)
