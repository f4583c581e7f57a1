"""Tokens are read from files or the environment, and are in no output."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from holdfast.chat.secrets import HIDDEN, ScrubbedLog, Scrubber, open_tokens
from holdfast.errors import InvalidInput

PLANTED = "planted-secret-4711"


def test_tokens_are_read_from_files_and_the_environment(tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_text(f"{PLANTED}\n")
    kept.chmod(0o600)
    section = {"bot": {"file": str(kept)}, "app": {"environment": "APP_TOKEN"}, "url": "http://x"}
    opened = open_tokens(section, {"APP_TOKEN": "another-secret"})
    assert opened.settings == {"bot": PLANTED, "app": "another-secret", "url": "http://x"}
    assert opened.secrets == {PLANTED, "another-secret"}
    assert opened.variables == {"APP_TOKEN"}


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_text(PLANTED)
    kept.chmod(0o644)
    with pytest.raises(InvalidInput) as error:
        open_tokens({"bot": {"file": str(kept)}}, {})
    assert "other users may read it" in str(error.value)
    assert PLANTED not in str(error.value)


@pytest.mark.parametrize(
    "token", [{}, {"file": "a", "environment": "B"}, {"environment": "lower"}, {"file": "nowhere"}]
)
def test_a_token_that_is_not_there_is_an_error(token: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        open_tokens({"bot": token}, {})


def test_an_empty_variable_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="empty or not set"):
        open_tokens({"bot": {"environment": "GONE"}}, {})


@pytest.mark.parametrize(
    "text",
    [
        f"it said {PLANTED}!",
        "xoxb-12345678-abcdef",
        "Authorization: Bearer abcdefgh12345",
        "mysql+pymysql://holdfast:hunter2hunter2@db/x",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
        "password=hunter2hunter2, and more",
        "run with --password hunter2hunter2",
        "rabbitmqctl -p / --new_password 'hunter2 hunter2'",
        "MYSQL --db-secret hunter2",
        "Authorization: Basic hunter2hunter2",
        '{"authorization": "hunter2"}',
        '{password,<<"hunter2">>}',
    ],
)
def test_secrets_are_replaced(text: str) -> None:
    said = Scrubber({PLANTED})(text)
    assert HIDDEN in said
    for secret in (PLANTED, "xoxb", "hunter2", "abcdefgh", "abc\n"):
        assert secret not in said


def test_ordinary_text_is_not_changed() -> None:
    text = "20261121-2304-rabbitmq-restart-k3f9: holdfast resume k3f9 --reason 'new token issued'"
    assert Scrubber({PLANTED})(text) == text


def test_a_log_line_and_its_traceback_have_no_secret() -> None:
    formatter = ScrubbedLog(Scrubber({PLANTED}))
    error = ValueError(PLANTED)
    trouble = (ValueError, error, None)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "said %s", (PLANTED,), trouble)
    line = formatter.format(record)
    assert "ValueError" in line
    assert PLANTED not in line
