"""Wait for the engine's word, then ask again what was asked before it (modules/holdfast_park.py, docs/adr/0055)."""

from __future__ import annotations

from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec
from holdfast.model import Json
from holdfast.play_context import Variables
from holdfast.waiting_action import WaitingAction


class ActionModule(WaitingAction):
    """Calls ``WaitingAction.wait_for_word``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "file": {"type": "path", "required": True},
        "first_act": {"type": "dict", "default": {}},
    }
    ACTS = False

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return the word's variables as a fact, once every gate that was asked before it has passed again."""
        return self.wait_for_word(arguments["file"], arguments["first_act"], variables).result
