"""Finds the runbooks and sites of the project by name.

Reads names of files and directories, who people are, and what inventories call themselves; no runbook.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from holdfast.ansible.playbooks import load_yaml
from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.people import People, PeopleSection
from holdfast.settings import read_config
from holdfast.text import did_you_mean, join_names

SKELETON = "example"
_YAML = {".yml", ".yaml"}
_OF_ALL_HOSTS = ("all", "all.yml", "all.yaml", "all/*", "all/*/*")
_PEOPLE_REMEDY = "see docs/chat.md, \u201cWho may do what\u201d"


def find_site(root: Path, name: str, name_of: Callable[[Path], str] = lambda _: "") -> Path:
    """Return the inventory of the site called ``name``; of the only site, if the name is empty.

    A site is called by its directory, or by the name that it calls itself, which chat uses. ``name_of`` asks Ansible
    for that name, "" where it is not known: it takes a second, and only a templated name needs it.

    Raises:
        InvalidInput: there is no such site, or none is named and there is not exactly one.
    """
    known = sites(root)
    if not name:
        if len(known) == 1:
            return next(iter(known.values()))
        raise InvalidInput(
            f"Which site? {root / 'inventories'} has {join_names(known) or 'none'}",
            remedy="--site NAME, or set HOLDFAST_SITE",
        )
    if name in known:
        return known[name]
    named = {path: _own_name(path) for path in known.values()}
    own = [path for path in named if named[path] == name]
    if own := own or [path for path in named if "{{" in named[path] and name_of(path) == name]:
        if len(own) > 1:
            raise InvalidInput(
                f"Several inventories call themselves {name}: {join_names(map(str, own))}",
                remedy="--site DIRECTORY",
            )
        return own[0]
    if Path(name).exists():
        return Path(name).resolve()
    if name == SKELETON:
        raise InvalidInput(
            f"{SKELETON} is not a site but the skeleton that sites are copied from",
            remedy=f"copy it: cp -r {root / 'inventories' / SKELETON} {root / 'inventories'}/NAME",
        )
    hint = did_you_mean(name, known)
    raise InvalidInput(f"No site {name!r}: {hint}", remedy="--site NAME or --site DIRECTORY")


def _own_name(inventory: Path) -> str:
    """Return what an inventory calls itself (``holdfast_site``), as far as plain files of all hosts say.

    Files of group_vars win over the inventory's own, and a later file over an earlier, as in Ansible.
    """
    directory = inventory if inventory.is_dir() else inventory.parent
    hosts = sorted(inventory.iterdir()) if inventory.is_dir() else [inventory]
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


def sites(root: Path) -> dict[str, Path]:
    """Return all sites of the project by name, without the skeleton for new ones."""
    directory = root / "inventories"
    if not directory.is_dir():
        return {}
    found = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    return {path.name: path for path in found if path.name != SKELETON}


def people(root: Path) -> People:
    """Return who is known, by name: the file ``people.yml`` of the project; nobody without it.

    Raises:
        InvalidInput: it cannot be read, or is wrong.
    """
    path = root / "people.yml"
    if not path.exists():
        return {}
    section = read_config(path, PeopleSection, unreadable=_PEOPLE_REMEDY, wrong=_PEOPLE_REMEDY)
    return section.people


def runbooks(root: Path) -> dict[str, Path]:
    """Return all runbooks of the project by name."""
    found = sorted((root / "runbooks").glob("*.md"))
    # Locks and backups of editors begin with a dot.
    return {path.stem: path for path in found if not path.name.startswith(".")}


def find_runbook(root: Path, name: str) -> Path:
    """Return the runbook called ``name``: a name in ``runbooks/``, or a file's path.

    Raises:
        InvalidInput: there is none; the message names the nearest.
    """
    if "/" in name and Path(name).is_file():
        return Path(name).resolve()
    known = runbooks(root)
    stem = Path(name).stem if name.endswith(".md") else name
    if stem in known:
        return known[stem]
    hint = did_you_mean(stem, known)
    raise InvalidInput(f"No runbook {name!r}: {hint}", remedy="holdfast runbooks")
