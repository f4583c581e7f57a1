"""Every file, function, claim, variable, playbook and make target that a document names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from holdfast.claims import all_claims
from tests.content.names import OURS, is_claim
from tests.content.repository import (
    ROOT,
    assert_no_faults,
    code_spans,
    each,
    fences,
    files,
    name_of,
    text_of,
)

PROSE = files("*.md")
TOP_LEVEL = {
    path.relative_to(ROOT).parts[0] for path in files() if len(path.relative_to(ROOT).parts) > 1
}


def claims_in_prose(path: Path) -> set[str]:
    """Return the claims that a document names in its code spans."""
    return set(filter(is_claim, code_spans(path)))


def test_every_claim_that_prose_names_exists() -> None:
    assert_no_faults(
        PROSE, lambda path: each("no such claim", claims_in_prose(path) - all_claims().keys())
    )


@cache
def words_outside_prose() -> frozenset[str]:
    """Return every word of the repository outside documents and these tests."""
    texts = [
        text_of(path)
        for path in files()
        if path.suffix != ".md" and "tests/content" not in name_of(path)
    ]
    return frozenset(word for text in texts for word in re.findall(r"[A-Za-z0-9_]+", text))


@cache
def targets() -> frozenset[str]:
    """Return the targets of the Makefile and of what it includes."""
    makefiles = "\n".join(text_of(path) for path in files("Makefile", "*.mk"))
    return frozenset(re.findall(r"^([a-z][a-z-]*):", makefiles, re.MULTILINE))


def paths_in(spans: list[str]) -> set[str]:
    """Return the repository paths that spans of code name, patterns and placeholders (SITE) left out."""
    return {
        span.rstrip("/")
        for span in spans
        if re.fullmatch(r"[\w.-]+/[\w./-]*", span)
        and span.split("/")[0] in TOP_LEVEL
        and not re.search(r"/[A-Z]+(/|$)", span)
    }


def functions_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the (file, function) that prose names together: a path in backticks, then `name()`."""
    for path, names in re.findall(r"`([\w./-]+\.py)`((?:,? `\w+\(\)`)+)", text):
        yield from ((path, name) for name in re.findall(r"`(\w+)\(\)`", names))


def exists(path: str) -> bool:
    """Tell whether a path is in the repository, as a file or a directory."""
    return any(name_of(file) == path or name_of(file).startswith(f"{path}/") for file in files())


def missing_paths(path: Path) -> set[str]:
    """Return the repository paths that a document names and that do not exist."""
    return {named for named in paths_in(code_spans(path)) if not exists(named)}


def missing_functions(path: Path) -> list[str]:
    """Return the functions that a document names together with a file that does not define them."""
    return [
        f"{file} {name}()"
        for file, name in functions_in(text_of(path))
        if f"def {name}(" not in text_of(ROOT / file)
    ]


def dead_links(path: Path) -> list[str]:
    """Return a document's relative links to files that do not exist."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(path))
    relative = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    return [link for link in relative if not (path.parent / link).exists()]


def missing_playbooks(path: Path) -> list[str]:
    """Return the restart playbooks that a document names and that do not exist."""
    named = {
        word for span in code_spans(path) for word in re.findall(r"\b\w+_restart\.yml\b", span)
    }
    return sorted(named - {playbook.name for playbook in files("playbooks/*.yml")})


def missing_targets(path: Path) -> list[str]:
    """Return the make targets that a document names and no makefile has."""
    commands = code_spans(path) + [
        text for info in ("", "sh", "console", "bash") for _, text in fences(path, info)
    ]
    named = {
        target
        for text in commands
        for target in re.findall(r"(?:^|\$ )make ([a-z][a-z-]*)", text, re.MULTILINE)
    }
    return sorted(named - targets())


def test_every_path_that_prose_names_exists() -> None:
    assert_no_faults(
        PROSE,
        lambda path: each("no such path", missing_paths(path)),
    )


def test_every_function_that_prose_names_is_in_its_file() -> None:
    assert_no_faults(PROSE, lambda path: each("no such function", missing_functions(path)))


def test_the_document_follows_one_restart_through_every_kind_of_file() -> None:
    page = text_of(ROOT / "docs/architecture.md")
    section = page.partition("## One host's restart, followed")[2].partition("\n## ")[0]
    kinds = {path.split("/")[0] for path in re.findall(r"`([\w./-]+\.(?:py|yml|md))`", section)}
    assert kinds >= {"runbooks", "playbooks", "roles", "plugins", "src"}
    assert {"decide", "append_guarded", "_restart"} <= {name for _, name in functions_in(section)}


def test_every_link_leads_to_a_file() -> None:
    assert_no_faults(PROSE, lambda path: each("no such file", dead_links(path)))


def test_every_variable_that_prose_names_exists() -> None:
    assert_no_faults(
        PROSE,
        lambda path: each(
            "no such variable", set(filter(OURS.match, code_spans(path))) - words_outside_prose()
        ),
    )


def test_every_playbook_that_prose_names_exists() -> None:
    assert_no_faults(PROSE, lambda path: each("no such playbook", missing_playbooks(path)))


def test_every_make_target_that_prose_names_exists() -> None:
    assert_no_faults(PROSE, lambda path: each("no such make target", missing_targets(path)))


def test_there_are_documents_to_check() -> None:
    assert len(PROSE) > 5
    assert {"check", "test", "demo", "bench", "lab-up", "lab-down"} <= targets()


def test_a_name_in_prose_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`rabbitmq.gone` `gone_restart.yml` `make gone` [x](gone.md#y) [y](page.md) `src/gone.py` `go()`\n"
    )
    assert claims_in_prose(page) - all_claims().keys() == {"rabbitmq.gone"}
    assert missing_playbooks(page) == ["gone_restart.yml"]
    assert missing_targets(page) == ["gone"]
    assert dead_links(page) == ["gone.md"]


def test_a_path_in_prose_is_reported() -> None:
    assert paths_in(
        ["docs/gone.md", "roles/gone/", "a/b", "inventories/SITE", "roles/<verb>.yml"]
    ) == {
        "docs/gone.md",
        "roles/gone",
    }
    assert not exists("docs/gone.md")
    assert exists("docs/architecture.md")


def test_a_function_in_prose_is_reported() -> None:
    text = "`src/a.py` `go()`, `stop()` and `src/b.py`, where `here()` stands alone, not `src/c.py`"
    assert list(functions_in(text)) == [("src/a.py", "go"), ("src/a.py", "stop")]


def test_every_decision_has_a_number_of_its_own() -> None:
    """Documents and docstrings cite decisions by number."""
    numbers = [path.name.split("-")[0] for path in files("docs/adr/0*.md")]
    assert len(numbers) > 10
    assert sorted(set(numbers)) == sorted(numbers)
