"""The platforms: each module turns one platform's messages into requests and back, nothing more.

A platform's client library is imported only when its section is in the configuration, so that a
site installs and loads what it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from pydantic import BaseModel, ValidationError

from holdfast.chat.transport import Transport
from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.text import closest

PLATFORMS = ("irc", "matrix", "slack")


def connect(name: str, settings: Mapping[str, Json]) -> Transport:
    """Return the transport of a platform; nothing is contacted before it is listened to.

    Raises:
        InvalidInput: no such platform, its client is not installed, or a setting is wrong; names
            settings, never values.
    """
    if name not in PLATFORMS:
        near = closest(name, PLATFORMS)
        hint = f"; did you mean {near}?" if near else ""
        raise InvalidInput(f"transports: there is no platform {name!r}{hint}")
    try:
        module = import_module(f"holdfast.chat.transports.{name}")
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"transports.{name}: the client is not installed ({error.name})",
            remedy="pip install 'holdfast[chat]'",
        ) from error
    model: type[BaseModel] = module.Settings
    try:
        read = model.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join((name, *(str(part) for part in first["loc"])))
        raise InvalidInput(
            f"transports.{key}: {first['msg']}", remedy="see docs/chat-setup.md"
        ) from None
    opened: Callable[[BaseModel], Transport] = module.opened
    return opened(read)
