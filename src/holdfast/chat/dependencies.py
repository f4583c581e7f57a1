"""What the bot's parts work with; tests replace some of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from holdfast.chat.backoff import sleep
from holdfast.chat.config import Config
from holdfast.chat.delivery_state import DeliveryState
from holdfast.chat.permissions import Permissions
from holdfast.chat.picture import as_png
from holdfast.chat.run_launcher import ProcessLauncher
from holdfast.chat.secrets import Scrubber
from holdfast.engine.engine import Engine
from holdfast.store.database import Store


@dataclass(frozen=True)
class BotDependencies:
    """``runbooks`` and ``inventories`` return those of the project, by name; ``draw`` turns SVG into PNG."""

    config: Config
    permissions: Permissions
    engine: Engine
    store: Store
    delivery: DeliveryState
    launcher: ProcessLauncher
    runbooks: Callable[[], Mapping[str, Path]]
    inventories: Callable[[], Mapping[str, Path]]
    scrub: Scrubber
    clock: Callable[[], datetime]
    wait: Callable[[float], Awaitable[object]] = sleep
    draw: Callable[[str], bytes] = as_png

    def follow(self, run: str, transport: str, channel: str) -> None:
        """Post a run to a thread of this channel, and its begin and end to the log channel."""
        self.delivery.follow(run, "thread", transport, channel)
        if self.config.log is not None:
            self.delivery.follow(run, "log", self.config.log.transport, self.config.log.channel)
