"""Wait for the engine's word before anything is asked or touched (modules/holdfast_park.py, docs/adr/0054)."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path
from typing import ClassVar

from holdfast.action_plugin import ArgumentSpec, HoldfastAction
from holdfast.errors import Refused
from holdfast.model import Json
from holdfast.play_context import Variables


class ActionModule(HoldfastAction):
    """Reads a pipe whose other end the engine holds; the word's variables are in a file beside it."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {"pipe": {"type": "path", "required": True}}

    def act(
        self,
        arguments: dict[str, Json],
        variables: Variables,  # noqa: ARG002  # the signature of every plugin
    ) -> dict[str, Json]:
        """Return the word's variables once it is given."""
        pipe = Path(arguments["pipe"])
        try:
            word = _read_word(pipe)
        except OSError as error:
            word = str(error).encode()
        if word != b"go":
            raise Refused("the engine that started this play needs it no more; nothing was touched")
        said: dict[str, Json] = json.loads(pipe.with_suffix(".json").read_text("utf-8"))
        return {"variables": said}


def _read_word(pipe: Path) -> bytes:
    """Return what is written into the pipe; b"" where nobody has it open for writing any more."""
    # Without O_NONBLOCK, to open a pipe that nobody writes to takes for ever.
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        return os.read(descriptor, 16)
    finally:
        os.close(descriptor)
