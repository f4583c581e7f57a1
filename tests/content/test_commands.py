"""Every `holdfast` command in the documents exists: subcommand, options, runbook."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from holdfast.cli.app import app
from holdfast.runbook.sections import section_names
from tests.content.repository import ROOT, assert_no_faults, code_spans, fences, files, text_of

PROSE = files("*.md")
RUNBOOKS = {path.stem for path in files("runbooks/*.md")}
TAKES_A_RUNBOOK = {"run", "plan", "show"}
COMMAND = re.compile(r"^(?:\$ )?(holdfast(?: .*)?)$", re.MULTILINE)
# An option, or a placeholder for what the reader types: NAME, <run>, …
PLACEHOLDER = re.compile(r"^(-.*|<.*>|[A-Z_#]+|…|\.\.\.)$")
HELP = {"--help", "-h"}


@cache
def program() -> TyperGroup:
    """Return the `holdfast` command with all its subcommands."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def commands_in(path: Path) -> list[str]:
    """Return the `holdfast` commands of a document, from its code spans and its code blocks."""
    texts = code_spans(path) + [
        text for info in ("", "sh", "bash", "console") for _, text in fences(path, info)
    ]
    texts += re.findall(r"^ {4}(.*)", text_of(path), re.MULTILINE)
    return [command for text in texts for command in COMMAND.findall(text)]


def runbook_faults(name: str, sharp: str, section: str) -> list[str]:
    """Return whether a runbook, or a section of it that is named, does not exist."""
    if name not in RUNBOOKS:
        return [f"there is no runbook {name}"]
    known = section_names(text_of(ROOT / "runbooks" / f"{name}.md"))
    return [f"{name} has no section {section}"] if sharp and section not in known else []


def faults_of(text: str) -> list[str]:
    """Return what of a command does not exist: a subcommand, else options and the runbook's name."""
    words = shlex.split(re.sub(r"\s+#\s.*", "", text))  # `show NAME#SECTION` is no comment
    command: Any = program()  # typer has no public type for "command or group"
    typed = [words.pop(0)]
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        typed.append(words.pop(0))
        if typed[-1] not in command.commands:
            return [f"there is no {' '.join(typed)}"]
        command = command.commands[typed[-1]]
    known = {
        option for param in command.params for option in (*param.opts, *param.secondary_opts)
    } | HELP
    options = [word.split("=")[0] for word in words if word.startswith("-")]
    found = [f"{' '.join(typed)} has no {option}" for option in options if option not in known]
    if typed[-1] in TAKES_A_RUNBOOK and words and not PLACEHOLDER.match(words[0]):
        found += runbook_faults(*words[0].partition("#"))
    return found


def test_every_command_that_prose_shows_can_be_typed() -> None:
    assert_no_faults(
        PROSE,
        lambda path: [
            f"{command}: {fault}" for command in commands_in(path) for fault in faults_of(command)
        ],
    )


def test_there_are_commands_to_check() -> None:
    assert len([command for path in PROSE for command in commands_in(path)]) > 20


@pytest.mark.parametrize(
    "command",
    [
        "holdfast restart",
        "holdfast run rabbitmq-restart --gone x",
        "holdfast run gone --site x",
        "holdfast show rabbitmq-recover#gone",
        "holdfast lease gone",
        "holdfast --gone",
    ],
)
def test_a_command_that_cannot_be_typed_is_reported(command: str) -> None:
    assert len(faults_of(command)) == 1


@pytest.mark.parametrize(
    "command",
    [
        "holdfast",
        "holdfast run NAME --site x --reason 'y z'",
        "holdfast lease list",
        "holdfast status  # who holds what",
    ],
)
def test_a_command_that_can_be_typed_has_no_fault(command: str) -> None:
    assert faults_of(command) == []


def all_commands(group: TyperGroup) -> list[typer.core.TyperCommand]:
    """Return the commands of a group and of the groups in it."""
    commands: list[typer.core.TyperCommand] = []
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            commands += all_commands(command)
        else:
            assert isinstance(command, typer.core.TyperCommand)
            commands.append(command)
    return commands


@pytest.mark.parametrize("command", all_commands(program()), ids=lambda command: command.name)
def test_help_has_an_example_and_the_exit_codes(command: typer.core.TyperCommand) -> None:
    assert (command.help or "").strip()
    epilog = command.epilog or ""
    assert re.search(rf"Example: \[bold\]holdfast (lease |chat )?{command.name}\b", epilog)
    assert "Exit codes: 0 " in epilog
    assert "2 invalid input" in epilog
