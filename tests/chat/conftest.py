"""The servers that several test files use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chat.servers.irc import NGIRCD, AccountServer, Ngircd
from tests.chat.servers.synapse import PYTHON, SynapseServer, free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SynapseServer]:
    if not PYTHON.exists():
        pytest.skip("no matrix-synapse here: make .venv-synapse/.locked")
    server = SynapseServer(tmp_path_factory.mktemp("synapse"))
    server.start()
    yield server
    server.stop()


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
