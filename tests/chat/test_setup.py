"""The settings in docs/chat-setup.md are those that the transports take."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.chat.transports import PLATFORMS, make_transport
from holdfast.errors import InvalidInput

TEXT = (Path(__file__).parents[2] / "docs/chat-setup.md").read_text()
BLOCKS: list[dict[str, Any]] = [
    yaml.safe_load(textwrap.dedent(block))
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", TEXT, re.MULTILINE | re.DOTALL)
]
SECTIONS = {
    name: section for block in BLOCKS for name, section in block.get("transports", {}).items()
}


def opened(section: dict[str, Any]) -> dict[str, Any]:
    """Return the section with a token in place of every file."""
    return {k: "planted" if isinstance(v, dict) else v for k, v in section.items()}


def test_every_platform_is_described() -> None:
    assert SECTIONS.keys() == set(PLATFORMS)


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_documented_settings_are_valid(name: str) -> None:
    transport = make_transport(name, opened(SECTIONS[name]))
    assert transport.name == name
    assert transport.capabilities.limit > 1000


@pytest.mark.parametrize("name", PLATFORMS)
def test_an_error_names_the_setting_and_no_value(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        make_transport(name, {**opened(SECTIONS[name]), "colour": "planted"})
    assert f"transports.{name}.colour" in str(refused.value)
    assert "planted" not in str(refused.value)


def test_an_unknown_platform_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="did you mean slack"):
        make_transport("slak", {})


def test_irc_authenticates_only_where_configured() -> None:
    section = opened(SECTIONS["irc"])
    assert not make_transport("irc", section).capabilities.authenticates
    assert make_transport("irc", {**section, "trust_accounts": True}).capabilities.authenticates


def test_the_slack_manifest_has_the_scopes_that_are_used() -> None:
    [manifest] = [block for block in BLOCKS if "oauth_config" in block]
    settings = manifest["settings"]
    assert settings["socket_mode_enabled"]
    assert settings["interactivity"]["is_enabled"]
    assert settings["event_subscriptions"]["bot_events"] == ["message.channels", "message.groups"]
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == {
        "channels:history", "groups:history", "chat:write", "files:write", "files:read",
    }  # fmt: skip
