"""Prints the manual page holdfast(1): the program's own help, in the form that `man` reads.

python -m deploy.man_page > dist/holdfast.1
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from rich.text import Text

from holdfast import __version__
from holdfast.cli.app import app

FILES = {
    "~/.config/holdfast/config.yml": "where journal and leases are kept: state_url, state_dir",
    "~/.config/holdfast/inventories, /etc/holdfast/inventories": "sites, beside those of the project",
    "~/.config/holdfast/runbooks, /etc/holdfast/runbooks": "runbooks, beside those of the project",
    "/var/lib/holdfast, ~/.local/state/holdfast": "journal, leases and the output of plays",
}
ENVIRONMENT = {
    "HOLDFAST_SITE": "the site, where --site is not given",
    "HOLDFAST_STATE_DIR": "where journal, leases and the output of plays are kept",
    "HOLDFAST_CONFIG": "the configuration file, in place of ~/.config/holdfast/config.yml",
    "HOLDFAST_STATE_MAY_VANISH": "yes: begin runs although the state goes with its container",
    "HOLDFAST_PASS_ENVIRONMENT": "names of further variables that plays get",
    "HOLDFAST_PROJECT": "the directory with playbooks and runbooks",
}


def page() -> str:
    """Return the manual page."""
    root = typer.main.get_command(app)
    lines = [
        f'.TH HOLDFAST 1 "" "holdfast {__version__}" "User Commands"',
        ".SH NAME",
        r"holdfast \- take a fleet of services through a rolling restart, one safe step at a time",
        ".SH SYNOPSIS",
        r".B holdfast",
        r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(root.help),
        *_options(root),
        ".SH COMMANDS",
        *(line for name, command in commands(root) for line in _command(name, command)),
        *_table("ENVIRONMENT", ENVIRONMENT),
        *_table("FILES", FILES),
        ".SH EXIT STATUS",
        *_paragraphs(root.epilog),
    ]
    return "\n".join(lines) + "\n"


def commands(group: Any, words: str = "holdfast") -> Iterator[tuple[str, Any]]:
    """Yield every command with its words, those of groups as well; hidden ones are for the program itself."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from commands(command, f"{words} {name}")
        else:
            yield f"{words} {name}", command


def options_of(command: Any) -> Iterator[tuple[str, str]]:
    """Yield how each argument and option is typed, and its help."""
    for parameter in command.params:
        if parameter.name in {"help", "install_completion", "show_completion"}:
            continue
        typed = ", ".join((*parameter.opts, *parameter.secondary_opts))
        if parameter.param_type_name == "argument":
            yield str(parameter.metavar or parameter.name).upper(), plain(parameter.help)
        else:
            yield f"{typed} {parameter.metavar or ''}".strip(), plain(parameter.help)


def plain(text: str | None) -> str:
    """Return help text without the markup that a terminal shows as colours."""
    return Text.from_markup(text or "").plain


def _command(name: str, command: Any) -> list[str]:
    required = [
        str(each.metavar or each.name).upper()
        for each in command.params
        if each.param_type_name == "argument"
    ]
    heading = " ".join([name, "[OPTIONS]", *required])
    return [
        f'.SS "{_escaped(heading)}"',
        *_paragraphs(command.help),
        *_options(command),
        *_paragraphs(command.epilog),
    ]


def _options(command: Any) -> list[str]:
    return [line for typed, text in options_of(command) for line in _item(typed, text)]


def _table(heading: str, rows: dict[str, str]) -> list[str]:
    return [f".SH {heading}", *(line for key, text in rows.items() for line in _item(key, text))]


def _item(term: str, text: str) -> list[str]:
    return [".TP", rf"\fB{_escaped(term)}\fR", _escaped(" ".join(text.split())) or r"\&"]


def _paragraphs(text: str | None) -> list[str]:
    parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", plain(text)))
    return [line for part in parts if part for line in (".PP", _escaped(part))]


def _escaped(text: str) -> str:
    """Return text as roff: a backslash, a hyphen, and a control character at a line's begin are not commands."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return r"\&" + escaped if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - its result is its output
