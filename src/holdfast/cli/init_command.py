"""``holdfast init``: writes a new site, from the skeleton or from the inventory of another tool. Overwrites nothing."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.cli.context import CommandContext
from holdfast.cli.new_site import NewSite, made_whole, make_site
from holdfast.cli.options import context_of
from holdfast.cli.project import PRESETS as PRESETS_DIRECTORY
from holdfast.cli.project import SKELETON, new_sites, sites
from holdfast.cli.site_presets import PRESETS
from holdfast.errors import InvalidInput
from holdfast.files import exists
from holdfast.report.table import columns
from holdfast.text import count_of, did_you_mean, join_names, one_line

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def init(
    ctx: typer.Context,
    site: Annotated[
        str,
        typer.Argument(
            metavar="SITE", help="The new site's name: it becomes a directory of inventories/."
        ),
    ],
    inventory: Annotated[
        str | None,
        typer.Argument(
            metavar="INVENTORY",
            help="The inventory of the tool that deployed the cloud: a file, a directory or a program. "
            "It stays as it is and is linked. Without one the site is a copy of the skeleton.",
        ),
    ] = None,
    *,
    kind: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TOOL",
            help="Which tool made it: kolla, osa (OpenStack-Ansible) or rdo. Default: what its groups tell.",
        ),
    ] = "",
) -> None:
    """Write a new site: groups mapped, variables filled in where they can be read, and a list of what is missing.

    Secrets are not read, and nothing is overwritten.
    """
    context = context_of(ctx)
    target = _target(context, site)
    if kind and kind not in PRESETS:
        raise InvalidInput(f"--from {kind!r}: {did_you_mean(kind, PRESETS)}")
    if inventory is None:
        if kind:
            raise InvalidInput(
                f"--from {kind} needs an inventory",
                remedy=f"holdfast init {site} INVENTORY --from {kind}",
            )
        _copy_skeleton(context, target)
        return
    source = Path(context.directory, Path(inventory).expanduser())
    if not inventory or not exists(source):
        raise InvalidInput(
            f"there is no inventory {source if inventory else repr(inventory)}",
            remedy=f"the file that the tool reads: holdfast init {site} PATH; without one: holdfast init {site}",
        )
    source = Path(os.path.abspath(source))  # noqa: PTH100  # a link stays the person's: it may lead elsewhere tomorrow
    presets = context.root / "inventories" / PRESETS_DIRECTORY
    with context.status_line("Reading inventory"):
        made = make_site(target, source, kind, presets, context.adapters(context).sites)
    made.files.write(target)
    _tell(context, made, target)


def _target(context: CommandContext, site: str) -> Path:
    """Return the new site's directory.

    Raises:
        InvalidInput: the name is none, or taken.
    """
    if not _NAME.fullmatch(site) or site in {SKELETON, PRESETS_DIRECTORY}:
        raise InvalidInput(
            f"{site!r} is not a valid name of a new site",
            remedy="use letters, digits, `.`, `_` and `-`: leases are named <site>/<service>",
        )
    target = new_sites(context.places) / site
    taken = sites(context.places).get(site) or (target if target.is_symlink() else None)
    if taken:
        raise InvalidInput(
            f"{taken} exists; nothing was written",
            remedy=f"another name; or see what that site still lacks: holdfast check --site {site} --explain",
        )
    return target


def _copy_skeleton(context: CommandContext, target: Path) -> None:
    with made_whole(target) as draft:
        shutil.copytree(context.root / "inventories" / SKELETON, draft)
        file = draft / "group_vars/all/site.yml"
        text = file.read_text("utf-8")
        named = f"holdfast_site: {target.name}"
        file.write_text(text.replace(f"holdfast_site: {SKELETON}", named), "utf-8")
    context.show(
        Text(
            f"Written: {target}, a copy of the skeleton. {target}/README.md says what to edit, in which order."
        )
    )


def _tell(context: CommandContext, made: NewSite, target: Path) -> None:
    """Say what was written, what was read where, and what to do next."""
    context.show(Text(f"Written: {target}, for {made.preset.tool}\n", "bold"))
    table = columns("group", "is", "hosts")
    for ours, (theirs, hosts) in made.mapped.items():
        table.add_row(Text(ours, "bold"), Text(one_line(theirs)), Text(_few(hosts)))
    context.show(table)
    sources = join_names(map(str, made.sources))
    context.show(Text(f"\nRead from {sources}: {join_names(made.found) or 'no variable'}"))
    for note in made.notes:
        context.show(Text(one_line(note), "yellow"))
    vault = target / "group_vars/all/vault.yml"
    context.show(
        Text(
            f"\nNext:\n  1. {target}/group_vars/all/20-site.yml: fill in what was not read; it says where to find it\n"
            f"  2. {vault}: the secrets; its first lines say how\n"
            f"  3. holdfast check --site {target.name} --explain"
        )
    )


def _few(hosts: object) -> str:
    names = list(map(str, hosts)) if isinstance(hosts, list | tuple) else []
    return f"{count_of(len(names), 'host')}: {join_names(names, limit=3)}"
