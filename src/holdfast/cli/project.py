"""Finds runbooks and sites by name: those of the project, and a site's own beside them.

Reads names of files and directories, who people are, and what inventories call themselves; no runbook.

Each function takes the places that are searched: the project's directory, the user's own and the machine's
(``CommandContext.places``). Each may have ``runbooks/``, ``inventories/`` and ``people.yml``. A name that is in two of
them is refused where it is used, because nobody can tell which one was meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from holdfast.ansible.environment import CARRIED
from holdfast.ansible.playbooks import load_yaml
from holdfast.errors import InvalidInput
from holdfast.files import entries, exists
from holdfast.model import Json
from holdfast.people import People, PeopleSection
from holdfast.settings import read_config
from holdfast.text import did_you_mean, join_names

SKELETON = "example"
PRESETS = "presets"
_NO_SITES = (SKELETON, PRESETS)
_YAML = {".yml", ".yaml"}
_OF_ALL_HOSTS = ("all", "all.yml", "all.yaml", "all/*", "all/*/*")
_PEOPLE_REMEDY = "see docs/chat.md, \u201cWho may do what\u201d"


def find_site(
    places: Sequence[Path], name: str, name_of: Callable[[Path], str] = lambda _: ""
) -> Path:
    """Return the inventory of the site called ``name``; of the only site, if the name is empty.

    A site is called by its directory, or by the name that it calls itself, which chat uses. ``name_of`` asks Ansible
    for that name, "" where it is not known: it takes a second, and only a templated name needs it.

    Raises:
        InvalidInput: there is no such site, or several, or none is named and there is not exactly one.
    """
    known = _sites(places)
    if not name:
        if len(known) == 1:
            return _only(known, *known)
        raise InvalidInput(
            f"Which site? There is {join_names(known) or 'none'} in {_inventories(places, known)}",
            remedy="--site NAME, or set HOLDFAST_SITE",
        )
    if name in known:
        return _only(known, name)
    named = {path: _own_name(path) for paths in known.values() for path in paths}
    own = [path for path in named if named[path] == name]
    if own := own or [path for path in named if "{{" in named[path] and name_of(path) == name]:
        if len(own) > 1:
            raise InvalidInput(
                f"Several inventories call themselves {name}: {join_names(map(str, own))}",
                remedy="--site DIRECTORY",
            )
        return own[0]
    if exists(Path(name)):
        return Path(name).resolve()
    if name == SKELETON:
        raise InvalidInput(
            f"{SKELETON} is not a site but the skeleton that sites are copied from",
            remedy=f"copy it: cp -r {places[0] / 'inventories' / SKELETON} {new_sites(places)}/NAME",
        )
    hint = did_you_mean(name, known)
    raise InvalidInput(f"No site {name!r}: {hint}", remedy="--site NAME or --site DIRECTORY")


def _own_name(inventory: Path) -> str:
    """Return what an inventory calls itself (``holdfast_site``), as far as plain files of all hosts say.

    Files of group_vars win over the inventory's own, and a later file over an earlier, as in Ansible.
    """
    directory = inventory if inventory.is_dir() else inventory.parent
    try:
        hosts = sorted(inventory.iterdir()) if inventory.is_dir() else [inventory]
    except OSError:  # whoever uses this inventory is told
        return ""
    every = directory / "group_vars"
    files = [each for pattern in _OF_ALL_HOSTS for each in sorted(every.glob(pattern))]
    names = [_set_for_all(each) for each in hosts] + [_value(_content(each)) for each in files]
    return next(filter(None, reversed(names)), "")


def _set_for_all(file: Path) -> str:
    """Return the name in a file of hosts, in YAML (``all: {vars: …}``) or INI (``[all:vars]``)."""
    if file.suffix in _YAML:
        every = _content(file)
        every = every.get("all") if isinstance(every, dict) else None
        return _value(every.get("vars") if isinstance(every, dict) else None)
    try:
        text = file.read_text("utf-8") if file.is_file() else ""
    except (OSError, UnicodeDecodeError):  # whoever uses this inventory is told
        return ""
    section = re.search(r"^\[all:vars\][^\n]*\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    named = (
        re.search(r"^holdfast_site\s*=\s*['\"]?([^\s'\"#]+)", section[1], re.MULTILINE)
        if section
        else None
    )
    return named[1] if named else ""


def _content(file: Path) -> Json:
    try:
        return load_yaml(file)
    except InvalidInput:  # whoever uses this inventory is told
        return None


def _value(variables: Json) -> str:
    return str(variables.get("holdfast_site") or "") if isinstance(variables, dict) else ""


def sites(places: Sequence[Path]) -> dict[str, Path]:
    """Return all sites by name, without the skeleton for new ones.

    Raises:
        InvalidInput: two places have one of the same name.
    """
    known = _sites(places)
    return {name: _only(known, name) for name in known}


def site_files(places: Sequence[Path]) -> list[Path]:
    """Return the inventories of all sites in the order of their names, with those of one name."""
    return [path for _, paths in sorted(_sites(places).items()) for path in paths]


def new_sites(places: Sequence[Path]) -> Path:
    """Return the directory for a new site: the project's, unless a package brought the project; then the user's own."""
    return (places[1] if places[0] == CARRIED and places[1:] else places[0]) / "inventories"


def people(places: Sequence[Path]) -> People:
    """Return who is known, by name: the file ``people.yml`` of a place; nobody without it.

    Raises:
        InvalidInput: it cannot be read, or is wrong, or several places have one.
    """
    found = [place / "people.yml" for place in places if exists(place / "people.yml")]
    if not found:
        return {}
    if len(found) > 1:
        raise InvalidInput(
            f"There are several lists of people: {join_names(map(str, found))}",
            remedy="keep one, and remove the others",
        )
    section = read_config(found[0], PeopleSection, unreadable=_PEOPLE_REMEDY, wrong=_PEOPLE_REMEDY)
    return section.people


def runbooks(places: Sequence[Path]) -> dict[str, Path]:
    """Return all runbooks by name.

    Raises:
        InvalidInput: two places have one of the same name.
    """
    known = _runbooks(places)
    return {name: _only(known, name) for name in known}


def runbook_files(places: Sequence[Path]) -> list[Path]:
    """Return the files of all runbooks in the order of their names, with those of one name."""
    return [path for _, paths in sorted(_runbooks(places).items()) for path in paths]


def find_runbook(places: Sequence[Path], name: str) -> Path:
    """Return the runbook called ``name``: a name in ``runbooks/``, or a file's path.

    Raises:
        InvalidInput: there is none, or several; the message names the nearest, or all of them.
    """
    if "/" in name and exists(Path(name)):
        return Path(name).resolve()
    known = _runbooks(places)
    stem = Path(name).stem if name.endswith(".md") else name
    if stem in known:
        return _only(known, stem)
    hint = did_you_mean(stem, known)
    raise InvalidInput(f"No runbook {name!r}: {hint}", remedy="holdfast runbooks")


def _sites(places: Sequence[Path]) -> dict[str, list[Path]]:
    return _by_name(places, "inventories", "*", lambda path: path.name, _NO_SITES)


def _runbooks(places: Sequence[Path]) -> dict[str, list[Path]]:
    return _by_name(places, "runbooks", "*.md", lambda path: path.stem)


def _by_name(
    places: Sequence[Path],
    directory: str,
    pattern: str,
    name_of: Callable[[Path], str],
    without: Collection[str] = (),
) -> dict[str, list[Path]]:
    """Return what the places have in a directory, by name. Locks and backups of editors begin with a dot."""
    found = [path for place in places for path in entries(place / directory, pattern)]
    known: dict[str, list[Path]] = {}
    for path in found:
        if not path.name.startswith(".") and name_of(path) not in without:
            known.setdefault(name_of(path), []).append(path)
    return known


def _only(known: dict[str, list[Path]], name: str) -> Path:
    first, *others = known[name]
    if others:
        raise InvalidInput(
            f"There are several called {name}: {join_names(map(str, known[name]))}",
            remedy="name one by its path, or rename the others",
        )
    return first


def _inventories(places: Sequence[Path], known: Mapping[str, Sequence[Path]]) -> str:
    """Return the directories that have sites; all that may have, where none has."""
    having = dict.fromkeys(str(path.parent) for paths in known.values() for path in paths)
    return join_names(having or [str(place / "inventories") for place in places])
