"""Reads tokens, hides them in the log, and serves a bot until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from holdfast.chat.bot import Bot
from holdfast.chat.secrets import OpenedSettings, ScrubbedLog, Scrubber
from holdfast.settings import Settings


def make_scrubber(opened: Mapping[str, OpenedSettings], settings: Settings) -> Scrubber:
    """Return a scrubber of every secret of this process: the tokens, and the database's password."""
    tokens = {secret for each in opened.values() for secret in each.secrets}
    password = urlsplit(settings.state_url).password
    return Scrubber(tokens | ({password} if password else set()))


def log_scrubbed(scrub: Scrubber) -> None:
    """Log to standard error; no line, of Holdfast or of a library, holds a secret."""
    handler = logging.StreamHandler()
    handler.setFormatter(ScrubbedLog(scrub))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # At INFO these log every request.
    for library in ("nio", "slack_sdk", "slack_bolt", "irc"):
        logging.getLogger(library).setLevel(logging.WARNING)


def serve(bot: Bot) -> None:
    """Serve until SIGTERM or Ctrl-C. Runs are processes of their own and go on."""

    async def serving() -> None:
        task = asyncio.ensure_future(bot.serve())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(serving())
