"""Makes a site out of another tool's inventory: its files, what was found and what is missing. Reads no secret."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from holdfast.ansible.site_reader import SiteAnswer, SiteQuestion, SiteReader
from holdfast.cli.site_presets import GROUPS, PRESETS, Preset
from holdfast.errors import InvalidInput
from holdfast.files import entries, exists
from holdfast.model import Json
from holdfast.text import join_names

_VAULTED = b"$ANSIBLE_VAULT;"
_LINKED_VARIABLES = ("group_vars", "host_vars")
_YAML = {".yml", ".yaml", ".json"}
OF_ALL = "group_vars/all"


@dataclass(frozen=True, slots=True)
class SiteFiles:
    """The files of a site by their path in it: texts, programs that print an inventory, and links."""

    texts: Mapping[str, str]
    programs: Mapping[str, str]
    links: Mapping[str, Path]

    def write(self, site: Path) -> None:
        """Write them; the site must not exist.

        Raises:
            InvalidInput: it does, or it cannot be made.
        """
        with made_whole(site) as draft:
            draft.mkdir()
            for name, text in {**self.texts, **self.programs}.items():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).write_text(text, "utf-8")
            for name in self.programs:
                (draft / name).chmod(0o755)
            for name, target in self.links.items():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).symlink_to(target)


@contextmanager
def made_whole(site: Path) -> Iterator[Path]:
    """Yield a path at which to make a site; it gets its name when all of it is there, and else nothing is left.

    Raises:
        InvalidInput: the site exists, or it cannot be made.
    """
    if os.path.lexists(site):
        raise InvalidInput(f"{site} exists; nothing was overwritten", remedy="another name")
    try:
        site.parent.mkdir(parents=True, exist_ok=True)
        # Names that begin with a dot are no sites.
        with TemporaryDirectory(prefix=f".{site.name}-", dir=site.parent) as directory:
            draft = Path(directory, site.name)
            yield draft
            draft.rename(site)
    except OSError as error:
        why = error.strerror or "not all of it can be copied"
        raise InvalidInput(
            f"{site} cannot be written: {why}; nothing was left there",
            remedy=f"see who may, and whether there is room: P={shlex.quote(str(site.parent))}; namei -l $P; df $P",
        ) from error


@dataclass(frozen=True, slots=True)
class NewSite:
    """A site that is not written yet, and what a person is told of it.

    ``mapped`` has, for each group that the site will have, the other tool's group and its hosts. ``found`` are the
    variables that were read, ``sources`` the files that they are from, and ``notes`` what is not as one may expect.
    """

    preset: Preset
    files: SiteFiles
    mapped: Mapping[str, tuple[str, Sequence[str]]]
    found: Mapping[str, Json]
    sources: Sequence[Path]
    notes: Sequence[str]


def make_site(site: Path, inventory: Path, kind: str, presets: Path, reader: SiteReader) -> NewSite:
    """Return what is to be written to ``site``; without a ``kind`` the inventory's groups tell which tool made it.

    Raises:
        InvalidInput: the inventory cannot be read, or it has none of the groups that Holdfast needs.
    """
    _refuse_variables(inventory)
    links, programs = _links(inventory)
    with TemporaryDirectory(prefix="holdfast-init-") as directory:
        draft = Path(directory).resolve() / "site"
        SiteFiles({}, programs, links).write(draft)
        named = {
            **{str(draft / name): str(target) for name, target in links.items()},
            **{str(draft / name): str(inventory) for name in programs},
            str(draft): str(inventory),
        }
        with _in_their_names(named):
            groups = reader.ask(SiteQuestion(draft)).groups
            if not groups.get("all", True):
                raise InvalidInput(
                    f"{inventory} has no hosts",
                    remedy=f"see what Ansible reads: {_graph(inventory)}",
                )
            preset = PRESETS[kind] if kind else _guess(inventory, groups)
            files = _beside(inventory, preset, preset.files)
            question = SiteQuestion(draft, _theirs(preset), files, preset.found)
            answer = reader.ask(question)
    mapped = _mapped(preset, answer.groups)
    if not mapped:
        raise InvalidInput(
            f"{inventory} has no hosts in a group of brokers, and none in those of nova's services"
            f" (for {preset.tool}: {join_names(_theirs(preset))})",
            remedy=f"see which have: {_graph(inventory)}; then --from kolla, osa or rdo, or docs/sites/by-hand.md",
        )
    found = {key: _typed(value) for key, value in answer.values.items()}
    passwords, closed = _passwords(inventory, preset)
    vaulted = [path for path in passwords if is_vaulted(path)]
    if vaulted:
        links = {**links, f"{OF_ALL}/05-passwords.yml": vaulted[0]}
    texts = {
        "groups.yml": _groups_text(preset, mapped),
        f"{OF_ALL}/10-preset.yml": _read(presets / preset.name / OF_ALL / "10-preset.yml"),
        f"{OF_ALL}/20-site.yml": _site_text(site.name, preset, inventory, files, found),
        f"{OF_ALL}/vault.yml": _vault_text(site, preset, passwords, linked=bool(vaulted)),
    }
    notes = [*_notes(preset, answer, mapped, files), *closed]
    written = SiteFiles(texts, programs, links)
    return NewSite(preset, written, mapped, found, [inventory, *files], notes)


def _refuse_variables(inventory: Path) -> None:
    """Refuse the directory in which a tool keeps its variables: each of its files would be read as an inventory."""
    for preset in PRESETS.values():
        names = [name for name in (*preset.files, preset.passwords) if name]
        beside = [name for name in names if inventory.is_dir() and exists(inventory / name)]
        if beside:
            raise InvalidInput(
                f"{inventory} is where {preset.tool} keeps {join_names(beside)}, and not an inventory",
                remedy=f"name the inventory itself, such as {inventory / preset.inventory}",
            )


@contextmanager
def _in_their_names(named: Mapping[str, str]) -> Iterator[None]:
    """Let an error name the files that a person has, instead of links in a directory that is gone."""
    try:
        yield
    except InvalidInput as error:
        message, remedy = error.message, error.remedy
        for ours, theirs in named.items():
            message, remedy = message.replace(ours, theirs), remedy.replace(ours, theirs)
        raise InvalidInput(message, remedy=remedy) from error


def _links(inventory: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return how another inventory is part of a site: links to it and to its variables, or a program that prints it."""
    base = inventory if inventory.is_dir() else inventory.parent
    links: dict[str, Path] = {}
    programs: dict[str, str] = {}
    if not inventory.is_dir() and _is_printed(inventory):
        # An inventory as programs print it: Ansible reads such a one only from a program.
        programs["10-theirs"] = f"#!/bin/sh\nexec cat -- {_quoted(inventory)}\n"
    else:
        suffix = inventory.suffix if inventory.suffix in _YAML else ""
        links[f"10-theirs{suffix}"] = inventory
    for kind in _LINKED_VARIABLES:
        for path in entries(base / kind):
            if kind == "group_vars" and path.stem == "all":
                links[f"{OF_ALL}/01-theirs{path.suffix}"] = path
            else:
                links[f"{kind}/{path.name}"] = path
    return links, programs


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


def _is_printed(inventory: Path) -> bool:
    try:
        text = inventory.read_text("utf-8")
        return text.lstrip().startswith("{") and "_meta" in json.loads(text)
    except (OSError, ValueError):  # whoever reads this inventory is told
        return False


def _graph(inventory: Path) -> str:
    return f"ansible-inventory -i {shlex.quote(str(inventory))} --graph"


def _guess(inventory: Path, groups: Mapping[str, Sequence[str]]) -> Preset:
    fitting = [preset for preset in PRESETS.values() if preset.fits(groups)]
    if not fitting:
        raise InvalidInput(
            f"{inventory}: its groups are not those of kolla-ansible, OpenStack-Ansible or a site with RDO's packages",
            remedy="holdfast init SITE INVENTORY --from kolla, osa or rdo; or see docs/sites/by-hand.md",
        )
    return fitting[0]


def _theirs(preset: Preset) -> list[str]:
    return list(dict.fromkeys(name for names in preset.groups.values() for name in names))


def _mapped(
    preset: Preset, groups: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, Sequence[str]]]:
    """Return, for each of our groups, the first of the tool's that has hosts; one of our own name comes first."""
    mapped: dict[str, tuple[str, Sequence[str]]] = {}
    for ours in GROUPS:
        candidates = (ours, *preset.groups[ours])
        theirs = next((name for name in candidates if groups.get(name)), "")
        if theirs:
            mapped[ours] = theirs, groups[theirs]
    return mapped


def _beside(inventory: Path, preset: Preset, names: Sequence[str]) -> list[Path]:
    """Return the first file of each name that is beside the inventory, above it or in the tool's own directory.

    Where the inventory is a link, beside what it leads to counts too.

    Raises:
        InvalidInput: one of these directories may not be looked into.
    """
    base = inventory if inventory.is_dir() else inventory.parent
    real = base if inventory.is_dir() else inventory.resolve().parent
    places = [base, base.parent, real, real.parent, *map(Path, preset.places)]
    found = (next((p / name for p in places if exists(p / name)), None) for name in names)
    return [path for path in found if path]


def _passwords(inventory: Path, preset: Preset) -> tuple[list[Path], list[str]]:
    """Return the tool's file of passwords, if there is one, and a note where nobody knows whether it is encrypted."""
    if not preset.passwords:
        return [], []
    try:
        found = _beside(inventory, preset, [preset.passwords])
    except InvalidInput as error:
        return [], [f"{error.message}: its names are in vault.yml, and you copy the values"]
    closed = [path for path in found if not os.access(path, os.R_OK)]
    return found, [
        f"{path} cannot be read, so it is not known whether it is encrypted: where it is, make the site"
        " again as a user who may read it"
        for path in closed
    ]


def is_vaulted(path: Path) -> bool:
    """Return whether a whole file is encrypted with ansible-vault; not where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_VAULTED)) == _VAULTED
    except OSError:
        return False


def _typed(value: Json) -> Json:
    """Return a template's value as YAML would read it: numbers and truth are no texts."""
    return yaml.safe_load(value) if isinstance(value, str) and value.isalnum() else value


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def _groups_text(preset: Preset, mapped: Mapping[str, tuple[str, Sequence[str]]]) -> str:
    lines = [
        f"# Our groups as children of those of {preset.tool}, whose inventory is beside this file and stays as it is.",
        "# A group that has the same name in both needs no line here.",
    ]
    for ours, (theirs, _) in mapped.items():
        if ours != theirs:
            lines += [f"{ours}:", "  children:", f"    {theirs}:"]
    return "\n".join(lines) + "\n" + ("{}\n" if len(lines) == 2 else "")


def _site_text(
    name: str, preset: Preset, inventory: Path, files: Sequence[Path], found: Mapping[str, Json]
) -> str:
    """Return the file of what differs from the preset: what was read, and commented out what was not."""
    sources = join_names(map(str, [inventory, *files]))
    lines = [
        f"# How this site differs from 10-preset.yml. `holdfast init` wrote it from {sources}.",
        "",
        "# Leases are named <site>/<service>, so everybody who works on these hosts must use the same name.",
        f"holdfast_site: {name}",
    ]
    if found:
        lines += ["", "# Read from there:", yaml.safe_dump(dict(found), sort_keys=False).rstrip()]
    missing = {key: where for key, where in preset.where.items() if key not in found}
    if missing:
        lines += ["", "# Not read. Fill in what your site has, and remove the sign in front:"]
        for key, where in missing.items():
            lines += [f"# {where}", f"#{key}:"]
    return "\n".join(lines) + "\n"


def _vault_text(site: Path, preset: Preset, passwords: Sequence[Path], *, linked: bool) -> str:
    path = site / OF_ALL / "vault.yml"
    if linked:
        lines = [
            f"# No secret is here: these are the names in {passwords[0]},",
            "# which is encrypted and linked beside this file. Ansible needs its password on every run:",
            "# ANSIBLE_VAULT_PASSWORD_FILE names a file that has it (mode 600), or a program that prints it.",
        ]
    else:
        lines = [
            "# The secrets. Encrypt this file first, then add them. Ansible needs the vault's password on every run:",
            "# ANSIBLE_VAULT_PASSWORD_FILE names a file that has it (mode 600), or a program that prints it. Before:",
            "#",
            f"#   ansible-vault encrypt {path}",
            f"#   ansible-vault edit {path}",
        ]
        if preset.passwords:
            beside = passwords[0] if passwords else preset.passwords
            lines += [
                "#",
                f"# The name behind each is its name in {beside}.",
                "# Nothing is copied from a file that is not encrypted; one that is encrypted would be linked instead.",
            ]
    for secret in preset.secrets:
        key = f" ({secret.key})" if secret.key else ""
        value = f'"{{{{ {secret.key} }}}}"' if linked and secret.key else '""'
        lines += [f"# {secret.what}{key}", f"{secret.name}: {value}"]
    return "\n".join(lines) + "\n"


def _notes(
    preset: Preset,
    answer: SiteAnswer,
    mapped: Mapping[str, tuple[str, Sequence[str]]],
    files: Sequence[Path],
) -> list[str]:
    """Return what a person should know of this inventory."""
    notes = [
        f"{ours} has no hosts: looked for {join_names(dict.fromkeys((ours, *preset.groups[ours])))}; add it to"
        " groups.yml, or go on without it where the site has no such service"
        for ours in GROUPS
        if ours not in mapped
    ]
    notes += [
        f"{name} is another cluster of brokers, and not part of this site: make a site of its own for it"
        for name in preset.further_brokers
        if answer.groups.get(name)
    ]
    missing = [name for name in preset.files if name not in {path.name for path in files}]
    notes += [
        f"{name} was not found beside the inventory, so nothing was read of it" for name in missing
    ]
    return notes
