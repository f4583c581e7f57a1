"""The manual page says what --help says."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from deploy.man_page import ENVIRONMENT, commands, options_of, page, plain
from holdfast.cli.app import app

README = Path(__file__).parents[3] / "README.md"


def unescaped(text: str) -> str:
    return text.replace(r"\-", "-").replace(r"\(dq", '"').replace(r"\e", "\\").replace(r"\&", "")


def test_every_command_and_option_is_in_it_with_its_help() -> None:
    text = " ".join(unescaped(page()).split())
    root = typer.main.get_command(app)
    found = list(commands(root))
    assert len(found) > 15
    for name, command in found:
        assert f'.SS "{name} [OPTIONS]' in text
        for typed, said in options_of(command):
            assert f".TP \\fB{typed}\\fR {' '.join(said.split())}" in text, (name, typed)
        assert " ".join(plain(command.epilog).split("\n\n")[0].split()) in text


def test_no_line_of_text_is_taken_for_a_command_of_roff() -> None:
    requests = {line.split()[0] for line in page().splitlines() if line.startswith((".", "'"))}
    assert requests == {".TH", ".SH", ".SS", ".PP", ".TP", ".B"}


def test_it_has_the_variables_that_the_readme_has() -> None:
    assert set(ENVIRONMENT) == set(
        re.findall(r"^\| `(HOLDFAST_\w+)`", README.read_text(), re.MULTILINE)
    )
