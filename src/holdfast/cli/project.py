"""Where things are in the project: its runbooks, the site that is meant.

Looks at names of files and directories only; reads neither inventories nor runbooks.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import InvalidInput
from holdfast.text import closest, join_names

SKELETON = "example"


def site(root: Path, wanted: str) -> Path:
    """Return the inventory of the site called ``wanted``, or of the only site there is.

    Raises:
        InvalidInput: no such site, or none named and several to choose from.
    """
    known = sites(root)
    if not wanted:
        if len(known) == 1:
            return next(iter(known.values()))
        raise InvalidInput(
            f"Which site? {root / 'inventories'} has {join_names(known) or 'none'}",
            remedy="--site NAME, or set HOLDFAST_SITE",
        )
    if wanted in known:
        return known[wanted]
    if Path(wanted).exists():
        return Path(wanted).resolve()
    if wanted == SKELETON:
        raise InvalidInput(
            f"{SKELETON} is the skeleton that sites are copied from, and no site",
            remedy=f"copy it: cp -r {root / 'inventories' / SKELETON} {root / 'inventories'}/NAME",
        )
    near = closest(wanted, known)
    hint = f"did you mean {near}?" if near else f"there are: {join_names(known) or 'none'}"
    raise InvalidInput(f"No site {wanted!r}: {hint}", remedy="--site NAME or --site DIRECTORY")


def sites(root: Path) -> dict[str, Path]:
    """Return all sites of the project by name, without the skeleton that new ones are copied from."""
    directory = root / "inventories"
    if not directory.is_dir():
        return {}
    found = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    return {path.name: path for path in found if path.name != SKELETON}


def runbooks(root: Path) -> dict[str, Path]:
    """Return all runbooks of the project by name."""
    found = sorted((root / "runbooks").glob("*.md"))
    # Editors leave locks and backups beside a file, whose names begin with a dot.
    return {path.stem: path for path in found if not path.name.startswith(".")}


def runbook(root: Path, wanted: str) -> Path:
    """Return the runbook called ``wanted``: a name in ``runbooks/``, or a file's path.

    Raises:
        InvalidInput: there is none; names the nearest.
    """
    if "/" in wanted and Path(wanted).is_file():
        return Path(wanted).resolve()
    known = runbooks(root)
    name = Path(wanted).stem if wanted.endswith(".md") else wanted
    if name in known:
        return known[name]
    near = closest(name, known)
    hint = f"did you mean {near}?" if near else f"there are: {join_names(known) or 'none'}"
    raise InvalidInput(f"No runbook {wanted!r}: {hint}", remedy="holdfast runbooks")
