"""The platforms: each module translates between one platform and ``chat.transport``.

A platform's client library is imported only when its section is in the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from pydantic import ValidationError

from holdfast.chat.transports.base import Transport
from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.text import did_you_mean

PLATFORMS = ("irc", "matrix", "slack")


def make_transport(name: str, settings: Mapping[str, Json]) -> Transport:
    """Return the transport of a platform; nothing is contacted before ``listen``.

    Raises:
        InvalidInput: no such platform, its client is not installed, or a setting is wrong; names
            settings, never values.
    """
    if name not in PLATFORMS:
        raise InvalidInput(
            f"transports: there is no platform {name!r}; {did_you_mean(name, PLATFORMS)}"
        )
    try:
        module = import_module(f"holdfast.chat.transports.{name}")
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"transports.{name}: the client is not installed ({error.name})",
            remedy="pip install 'holdfast[chat]'",
        ) from error
    platform = name.capitalize()
    try:
        checked = getattr(module, f"{platform}Settings").model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join((name, *(str(part) for part in first["loc"])))
        raise InvalidInput(
            f"transports.{key}: {first['msg']}", remedy="see docs/chat-setup.md"
        ) from None
    transport: Transport = getattr(module, platform)(checked)
    return transport
