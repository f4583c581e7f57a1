"""``AnsibleSites``: reads what another tool's inventory has, and which variables of a site are set."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from holdfast.ansible.inventory import read_with, unread
from holdfast.errors import InvalidInput
from holdfast.model import Json


@dataclass(frozen=True, slots=True)
class SiteQuestion:
    """What is asked of an inventory.

    ``expressions`` are templates of ours, evaluated with the variables of the first host of ``groups`` and those of
    ``files``. ``inspect`` names, per group, the variables of which it is asked whether they are set.
    """

    source: Path
    groups: Sequence[str] = ()
    files: Sequence[Path] = ()
    expressions: Mapping[str, str] = field(default_factory=dict)
    inspect: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """The groups with their hosts, the expressions that have a value, and per host why a variable cannot be used."""

    groups: Mapping[str, Sequence[str]]
    values: Mapping[str, Json]
    states: Mapping[str, Mapping[str, str]]


class SiteReader(Protocol):
    """Reads an inventory that need not be a site yet."""

    def ask(self, question: SiteQuestion) -> SiteAnswer:
        """Return the answer; no value of the inventory's variables is in it but those of the expressions.

        Raises:
            InvalidInput: the inventory or a file cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class NoSites:
    """``SiteReader`` where there is nothing to read."""

    def ask(self, question: SiteQuestion) -> SiteAnswer:
        """Raise InvalidInput."""
        raise InvalidInput(f"{question.source}: there is no inventory to read")


@dataclass(frozen=True, slots=True)
class AnsibleSites:
    """``SiteReader`` over Ansible's own inventory code, with the project's ansible.cfg."""

    project: Path
    environ: Mapping[str, str]

    def ask(self, question: SiteQuestion) -> SiteAnswer:
        """Return the answer, as ``SiteReader.ask`` says."""
        asked = {
            "source": str(question.source),
            "groups": list(question.groups),
            "files": [str(path) for path in question.files],
            "expressions": dict(question.expressions),
            "inspect": {group: list(names) for group, names in question.inspect.items()},
        }
        program, said = ["holdfast.ansible.site_program"], json.dumps(asked)
        done = read_with(program, question.source, self.project, self.environ, said)
        return _parse(question.source, done, self.environ)


def _parse(
    source: Path, done: subprocess.CompletedProcess[str], environ: Mapping[str, str]
) -> SiteAnswer:
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    try:
        answer: dict[str, Json] = json.loads(last)
    except json.JSONDecodeError:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        answer = {"error": lines[-1]}
    if error := answer.get("error"):
        raise unread(source, str(error), done.stderr, environ, file=answer.get("file", ""))
    return SiteAnswer(answer["groups"], answer["values"], answer["states"])
