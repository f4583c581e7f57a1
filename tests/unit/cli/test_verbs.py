"""The commands that chat has too: the command line describes them alike and takes all their parameters."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from holdfast.cli.app import app
from holdfast.verbs import VERBS, Verb


def command(name: str) -> Any:  # typer has no public type for a command
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group.commands[name]


def parameters(name: str) -> set[str]:
    """Return what a command takes, as its help names it: ``run`` for RUN, ``site`` for --site."""
    options = {option.removeprefix("--") for each in command(name).params for option in each.opts}
    return options | {(each.metavar or "").lower() for each in command(name).params}


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_help_begins_with_the_summary(verb: Verb) -> None:
    assert command(verb.name).help.split("\n\n")[0] == verb.summary


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_every_parameter_is_taken(verb: Verb) -> None:
    assert set(verb.parameters) <= parameters(verb.name)


def test_details_follow_the_summary_and_notes_for_developers_do_not() -> None:
    assert "A second Ctrl-C is the\nhard stop" in command("run").help
    assert "after a confirmation" not in command("run").help
