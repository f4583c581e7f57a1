"""Puts a bot together from its configuration, and serves until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.chat.bot import Bot, Wait, passing
from holdfast.chat.commands import CommandHandler
from holdfast.chat.config import Config
from holdfast.chat.follower import Follower
from holdfast.chat.ledger import Ledger
from holdfast.chat.permissions import Permissions
from holdfast.chat.run_launcher import Launcher
from holdfast.chat.secrets import Opened, ScrubbedLog, Scrubber, open_tokens
from holdfast.chat.transport import Transport
from holdfast.engine import Engine
from holdfast.settings import Settings
from holdfast.store import Store


@dataclass(frozen=True)
class BotDependencies:
    """What a bot works with that is not its own; tests give fakes."""

    engine: Engine
    store: Store
    launcher: Launcher
    runbooks: Callable[[], Mapping[str, Path]]
    inventories: Callable[[], Mapping[str, Path]]
    clock: Callable[[], datetime]
    wait: Wait = passing


def build_bot(
    config: Config,
    around: BotDependencies,
    transports: Sequence[Transport],
    ledger: Ledger,
    scrub: Scrubber,
) -> Bot:
    """Return a bot that is ready to serve."""
    access = Permissions(config)
    clerk = CommandHandler(
        config=config,
        access=access,
        engine=around.engine,
        store=around.store,
        ledger=ledger,
        launcher=around.launcher,
        runbooks=around.runbooks,
        inventories=around.inventories,
        clock=around.clock,
    )
    followers = [
        Follower(
            transport=transport,
            config=config,
            access=access,
            engine=around.engine,
            store=around.store,
            ledger=ledger,
            launcher=around.launcher,
            scrub=scrub,
            clock=around.clock,
        )
        for transport in transports
    ]
    return Bot(clerk, access, followers, scrub, around.clock, around.wait)


def opened_transports(config: Config, environ: Mapping[str, str]) -> dict[str, Opened]:
    """The settings of every transport, with their tokens read.

    Raises:
        InvalidInput: a token is not there, or other users may read it.
    """
    return {name: open_tokens(section, environ) for name, section in config.transports.items()}


def scrubber(opened: Mapping[str, Opened], settings: Settings) -> Scrubber:
    """What knows every secret of this process: the tokens, and the database's password."""
    tokens = {secret for each in opened.values() for secret in each.secrets}
    password = urlsplit(settings.state_url).password
    return Scrubber(tokens | ({password} if password else set()))


def log_scrubbed(scrub: Scrubber) -> None:
    """Log to standard error; no line, ours or a library's, holds a secret."""
    handler = logging.StreamHandler()
    handler.setFormatter(ScrubbedLog(scrub))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Their lines at this level are requests, one for each message.
    for chatty in ("httpx", "nio", "slack_sdk", "slack_bolt", "irc"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def serve(bot: Bot) -> None:
    """Serve until SIGTERM or Ctrl-C. Runs are processes of their own and go on."""

    async def serving() -> None:
        task = asyncio.ensure_future(bot.serve())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(serving())
