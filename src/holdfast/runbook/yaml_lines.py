"""YAML in which every key has its line number in the Markdown file that contains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from holdfast.errors import RunbookError
from holdfast.model import Json
from holdfast.text import did_you_mean

Location = tuple[str | int, ...]
_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True)
class LocatedYaml:
    """A YAML mapping, and for each path of keys the line of that key."""

    path: str
    value: dict[str, Json]
    lines: Mapping[Location, int]

    def error(self, location: Location, message: str) -> RunbookError:
        """Return an error with the line of the deepest part of ``location`` that is in the file."""
        parts = (location[:length] for length in range(len(location), -1, -1))
        line = next(self.lines[part] for part in parts if part in self.lines)
        return RunbookError(self.path, line, message)

    def to(self, model: type[_M]) -> _M:
        """Validate the mapping and return it as a model.

        Raises:
            RunbookError: a key is wrong; the error has the line of the first one.
        """
        try:
            return model.model_validate(self.value)
        except ValidationError as error:
            raise self._first_error(model, error) from None

    def _first_error(self, model: type[BaseModel], error: ValidationError) -> RunbookError:
        # Unknown keys first: a misspelt key also shows as a missing one, and its line is the better hint.
        faults = error.errors(include_url=False)
        fault = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")
        location = tuple(part for part in fault["loc"] if part != "[key]")
        name = ".".join(str(part) for part in location if not _names_a_type(part))
        message = f"{name}: {fault['msg'].removeprefix('Value error, ')}"
        if fault["type"] == "missing":
            message = f"{name} is missing"
        elif fault["type"] == "extra_forbidden":
            hint = _hint(name, model) if len(location) == 1 else ""
            message = f"unknown key {name!r}{hint}"
        return self.error(location, message)


_OF_ANSIBLE = {"serial": "batch", "playbook": "roll", "limit": "hosts", "variables": "vars"}
"""What a key is called in Ansible or elsewhere, and here."""


def _hint(name: str, model: type[BaseModel]) -> str:
    here = _OF_ANSIBLE.get(name)
    if here in model.model_fields:
        return f"; here it is called {here}"
    return f"; {did_you_mean(name, model.model_fields)}"


def load_located(path: str, text: str, first_line: int) -> LocatedYaml:
    """Read a YAML mapping that starts on line ``first_line`` of the file ``path``.

    Raises:
        RunbookError: it is not YAML, not a mapping, has an alias, or names a key twice.
    """
    try:
        _refuse_aliases(path, text, first_line)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = first_line + (mark.line if mark else 0)
        raise RunbookError(path, line, f"not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        raise RunbookError(path, first_line, f"not YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise RunbookError(path, first_line, "expected `key: value` lines")
    lines: dict[Location, int] = {(): first_line}
    for location, line in _locations(node, ()):
        if location in lines:
            raise RunbookError(path, first_line + line, f"{location[-1]} is given twice")
        lines[location] = first_line + line
    return LocatedYaml(path, value, lines)


def _refuse_aliases(path: str, text: str, first_line: int) -> None:
    """Refuse ``*name``: such a value may contain itself, and a person reads it in another place."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            mark = event.start_mark
            line = first_line + (mark.line if mark else 0)
            raise RunbookError(
                path, line, f"*{event.anchor}: write the value out, without an alias"
            )


def _locations(node: yaml.Node, at: Location) -> Iterator[tuple[Location, int]]:
    """Yield the location of everything in a node, and its line, counted from 0."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*at, str(key.value)), key.start_mark.line
            yield from _locations(value, (*at, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*at, index), value.start_mark.line
            yield from _locations(value, (*at, index))


def _names_a_type(part: str | int) -> bool:
    """Return whether a part of a location is the type of a union that pydantic tried."""
    return isinstance(part, str) and ("[" in part or part in {"int", "str", "constrained-int"})
