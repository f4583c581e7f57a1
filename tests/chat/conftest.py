"""The IRC servers that several test files use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chat.servers.irc import NGIRCD, AccountServer, Ngircd
from tests.chat.servers.synapse import free_port


@pytest.fixture
def ngircd(tmp_path: Path) -> Iterator[Ngircd]:
    if NGIRCD is None:
        pytest.skip("no ngircd here, and none to be had from apt: make check-chat says why")
    server = Ngircd(tmp_path, password="planted-server-password")  # noqa: S106 - of this server alone
    server.start()
    yield server
    server.kill()


@pytest.fixture
def account_server() -> Iterator[AccountServer]:
    server = AccountServer(free_port())
    yield server
    server.close()
