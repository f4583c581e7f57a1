"""Writes the directory that Sphinx makes the site from: the repository's documents and the reference.

Every document keeps its path, so that its links stay right, but for docs/index.md: it is the site's first page, and the
lists in it are the site's navigation. Sphinx reports what is wrong: a link, an anchor, a page that no list has.

python -m deploy.docs_source dist/docs-source
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from deploy.reference import PAGES, ROOT

INDEX = "docs/index.md"
DECISIONS = "docs/adr/README.md"
_DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**/*.md",
    "inventories/example/README.md",
    "runbooks/*.md",
)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<to>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")


def documents(root: Path = ROOT) -> list[str]:
    """Return the path of every document of the site, that of its first page included."""
    found = (path for pattern in _DOCUMENTS for path in sorted(root.glob(pattern)))
    return [str(path.relative_to(root)) for path in found]


def write_source(target: Path, root: Path = ROOT) -> None:
    """Write the pages, and the files that they link to, into ``target``, which is made anew.

    Raises:
        FileNotFoundError: a page links to a file that does not exist.
    """
    shutil.rmtree(target, ignore_errors=True)
    files: set[str] = set()
    pages = {path: page(path, root, files) for path in documents(root) if path != INDEX}
    pages["index.md"] = index(root, files)
    pages[DECISIONS] += toctree("", ["[0-9]*"], "glob")
    pages |= {f"reference/{name}.md": write() for name, write in PAGES.items()}
    for path, text in pages.items():
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    for path in files - pages.keys():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target / path)


def page(path: str, root: Path, files: set[str], at: str = "") -> str:
    """Return a document as the site has it; add to ``files`` what it links to and is no directory.

    A link to a directory leads to its README, and is only text where it has none: files of the program are not in the
    site. ``at`` is where the page is in the site, if not at its own path.
    """
    place = PurePosixPath(at or path).parent

    def linked(found: re.Match[str]) -> str:
        to, anchor = found["to"], found["anchor"] or ""
        if not to or "://" in to or to.startswith("mailto:"):
            return found[0]
        file = os.path.normpath(PurePosixPath(path).parent / to)
        if (root / file).is_dir():
            file += "/README.md"
            if not (root / file).exists():
                return found["text"]
        file = "index.md" if file == INDEX else file
        files.add(file)
        return f"{found['image']}[{found['text']}]({os.path.relpath(file, place)}{anchor})"

    text = (root / path).read_text("utf-8")
    return _LINK.sub(linked, text.replace("\n```step\n", "\n```yaml\n"))  # what it is, for colours


def index(root: Path, files: set[str]) -> str:
    """Return the site's first page: docs/index.md, the reference below its last list, and the navigation."""
    text = page(INDEX, root, files, at="index.md")
    for name, write in PAGES.items():
        text += f"- [{write().partition(chr(10))[0].removeprefix('# ')}](reference/{name}.md)\n"
    return text + "".join(toctree(title, pages) for title, pages in navigation(text))


def navigation(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each section of the first page: its title, and the documents that its list begins each item with."""
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        pages = re.findall(r"^- \[[^\]]*\]\(([^)#]+\.md)\)", section, re.MULTILINE)
        yield section.partition("\n")[0], pages


def toctree(caption: str, pages: Sequence[str], *options: str) -> str:
    """Return a list of pages as Sphinx reads it, which is shown beside every page and not in its place."""
    named = [f":caption: {caption}"] if caption else []
    lines = [
        "",
        "```{toctree}",
        ":hidden:",
        ":maxdepth: 1",
        *(f":{each}:" for each in options),
        *named,
    ]
    return "\n".join([*lines, "", *pages, "```", ""])


if __name__ == "__main__":
    write_source(Path(sys.argv[1]))
