"""``AnsiblePlaybooks``: reads the policies and variables of restart playbooks from their YAML, without Ansible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml
from jinja2 import Environment, StrictUndefined, UndefinedError

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.plan.model import Playbook
from holdfast.policy import POLICY_VARIABLE, PlaybookPolicy
from holdfast.text import did_you_mean

_ENGINE_PREFIX = "holdfast_"


class _Loader(yaml.SafeLoader):
    """Reads Ansible's YAML: a value tagged ``!vault`` or ``!unsafe`` is read as its plain value."""


def _plain(loader: _Loader, _tag: str, node: yaml.Node) -> Json:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Loader.add_multi_constructor("!", _plain)


@dataclass(frozen=True, slots=True)
class AnsiblePlaybooks:
    """``PlaybookReader`` for the project's ``playbooks/`` and ``roles/``."""

    project: Path

    def read(self, name: str, variables: Mapping[str, Json]) -> Playbook:
        """Return the playbook, as ``PlaybookReader.read`` says."""
        path = self._path(name)
        plays = [play for play in load_yaml(path) or [] if isinstance(play, dict)]
        declared = [play for play in plays if POLICY_VARIABLE in (play.get("vars") or {})]
        if len(declared) != 1:
            raise InvalidInput(
                f"{name} declares {len(declared)} policies; a roll needs a playbook with exactly "
                f"one play, or import of a playbook, that has {POLICY_VARIABLE} in its vars",
                remedy="name the playbook of one layer, such as nova_conductor_restart.yml",
            )
        if any("vars_prompt" in play for play in plays):
            raise InvalidInput(
                f"{name} asks for input (vars_prompt), and a run has nobody to answer"
            )
        policy = _policy(name, declared[0]["vars"][POLICY_VARIABLE], variables)
        return Playbook(name, policy, dict(self._variables(path.parent, plays)))

    def _path(self, name: str) -> Path:
        directory = self.project / "playbooks"
        names = sorted(path.name for path in directory.glob("*.yml"))
        if name not in names:
            hint = did_you_mean(name, names)
            raise InvalidInput(f"there is no playbook {name!r} in {directory}; {hint}")
        return directory / name

    def _variables(
        self, directory: Path, plays: Sequence[Mapping[str, Json]]
    ) -> Iterator[tuple[str, Json]]:
        """Yield what a step may set, with its default or None: the variables of the plays' roles, not the engine's."""
        for role in dict.fromkeys(_roles(directory, plays)):
            defaults = self.project / "roles" / role / "defaults" / "main.yml"
            specs = self.project / "roles" / role / "meta" / "argument_specs.yml"
            known: dict[str, Json] = {}
            for entry in ((load_yaml(specs) or {}).get("argument_specs") or {}).values():
                known |= dict.fromkeys(entry.get("options") or {})
            known |= load_yaml(defaults) or {}
            yield from (each for each in known.items() if not each[0].startswith(_ENGINE_PREFIX))


def _roles(directory: Path, value: Json) -> Iterator[str]:
    """Yield every role named in plays, in their tasks, or in the files that they import.

    ``directory`` is that of the playbook: the paths in it are relative to it.
    """
    if isinstance(value, list):
        for inner in value:
            yield from _roles(directory, inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _roles_under(directory, key.removeprefix("ansible.builtin."), inner)


def _roles_under(directory: Path, key: str, value: Json) -> Iterator[str]:
    if key in {"include_role", "import_role"}:
        yield value["name"]
    elif key == "roles":
        yield from (role if isinstance(role, str) else role["role"] for role in value)
    elif key in {"include_tasks", "import_tasks"}:
        file = value if isinstance(value, str) else value["file"]
        yield from _roles(directory, load_yaml(directory / file))
    elif key == "import_playbook":
        imported = directory / value
        yield from _roles(imported.parent, load_yaml(imported))
    else:
        yield from _roles(directory, value)


def load_yaml(path: Path) -> Json:
    """Return the present content of a YAML file, None if there is no such file.

    Raises:
        InvalidInput: it cannot be read.
    """
    try:
        return _parsed(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path}: not YAML: {error}") from error


@lru_cache(maxsize=128)
def _parsed(text: str) -> Json:
    """By the text, not by its file: chat's process outlives updates of the project. Nobody changes the result."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader


def _policy(name: str, declared: Json, variables: Mapping[str, Json]) -> PlaybookPolicy:
    try:
        return PlaybookPolicy.parse(_rendered(declared, variables))
    except UndefinedError as error:
        raise InvalidInput(
            f"{name} needs a variable for its policy: {error.message}",
            remedy="give it under vars: in the step",
        ) from None
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error.message}", remedy=error.remedy) from None


def _rendered(value: Json, variables: Mapping[str, Json]) -> Json:
    """Render the templates of the playbook; a value from the step is never rendered as a template."""
    if isinstance(value, dict):
        return {key: _rendered(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rendered(inner, variables) for inner in value]
    if isinstance(value, str) and "{{" in value:
        return _TEMPLATES.from_string(value).render(variables)
    return value


# No autoescape: the results are names of groups and services, never HTML.
_TEMPLATES = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701
