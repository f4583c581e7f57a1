"""``parse_runbook``: reads the Markdown text of a runbook into a ``Runbook``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from holdfast.errors import InvalidInput, RunbookError
from holdfast.runbook.inputs import embedded_references, read_inputs, references
from holdfast.runbook.model import KINDS, FrontMatter, Runbook, Step, WorkStep
from holdfast.runbook.yaml_lines import LocatedYaml, load_located

_NUMBERED = re.compile(r"(\d+)\.\s+(.+)")
_LAST = "If it holds"


def parse_runbook(path: str, text: str) -> Runbook:
    """Return the runbook of a Markdown text; ``path`` is its file, named after the runbook.

    Raises:
        RunbookError: the format is violated; the error names file and line of the first violation.
    """
    front, body = _front_matter(path, text)
    head = front.to(FrontMatter)
    if PurePath(path).stem != head.name:
        raise front.error(("name",), f"the file's name and the name {head.name!r} differ")
    sections = list(_sections(path, body))
    steps = tuple(_steps(path, sections, head))
    _check_inputs(front, head, steps)
    return Runbook(
        **{name: getattr(head, name) for name in FrontMatter.model_fields},
        path=path,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        steps=steps,
        if_it_holds=_if_it_holds(path, sections),
    )


@dataclass
class _Section:
    """The text and step blocks under one heading of the second level."""

    heading: str
    line: int
    prose: list[str] = field(default_factory=list)
    blocks: list[Token] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.prose).strip()


def _front_matter(path: str, text: str) -> tuple[LocatedYaml, str]:
    """Return the front matter, and the text with empty lines in its place: lines keep their numbers."""
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != "---":
        raise RunbookError(path, 1, "a runbook begins with its front matter between `---` lines")
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        raise RunbookError(path, 1, "the front matter has no closing `---` line")
    front = load_located(path, "\n".join(lines[1:end]), first_line=2)
    return front, "\n".join([""] * (end + 1) + lines[end + 1 :])


def _sections(path: str, body: str) -> Iterator[_Section]:
    lines = body.splitlines()
    current = _Section("", 1)
    reached = 0
    for token, heading in _landmarks(MarkdownIt("commonmark").parse(body)):
        first, after = token.map or (0, 0)
        current.prose += lines[reached:first]
        reached = after
        if token.type == "heading_open":
            yield current
            current = _Section(heading, first + 1)
        elif current.heading:
            current.blocks.append(token)
        else:
            raise RunbookError(path, first + 1, "this step block is above the first heading")
    current.prose += lines[reached:]
    yield current


def _landmarks(tokens: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    """Yield headings of the second level with their text, and blocks tagged ``step``."""
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            yield token, tokens[number + 1].content
        elif token.type == "fence" and token.info.strip() == "step":
            yield token, ""


def _steps(path: str, sections: Sequence[_Section], head: FrontMatter) -> Iterator[Step]:
    expected = 1
    for section in sections:
        numbered = _NUMBERED.fullmatch(section.heading)
        if not numbered:
            if section.blocks:
                line = _line(section.blocks[0])
                raise RunbookError(path, line, "a step block belongs under a heading `## N. Title`")
            continue
        if int(numbered[1]) != expected:
            raise RunbookError(path, section.line, f"expected step {expected}, not {numbered[1]}")
        if len(section.blocks) != 1:
            need = f"step {expected} needs exactly one fenced block tagged `step`"
            found = f"{need}, it has {len(section.blocks) or 'none'}"
            raise RunbookError(path, section.line, found)
        yield _step(path, section, expected, numbered[2], head)
        expected += 1
    if expected == 1:
        raise RunbookError(path, 1, "a runbook has at least one step: a heading `## 1. Title`")


def _step(path: str, section: _Section, number: int, title: str, head: FrontMatter) -> Step:
    block = section.blocks[0]
    located = load_located(path, block.content, first_line=_line(block) + 1)
    if not section.text:
        raise RunbookError(path, section.line, f"step {number} needs prose that says why")
    for location, name in references(located.value):
        if name not in head.inputs:
            raise located.error(location, f"${name} is no input of this runbook")
    for location, name in embedded_references(located.value, head.inputs):
        if location[0] != "approve":  # a question is text for people
            raise located.error(
                location, f"${name} is not replaced inside a longer text: an input is a whole value"
            )
    line, work = _line(block), _work(located)
    return Step(number=number, title=title, prose=section.text, line=line, work=work)


def _work(located: LocatedYaml) -> WorkStep:
    kinds = [key for key in located.value if key in KINDS]
    if len(kinds) != 1:
        keys = ", ".join(KINDS)
        raise located.error(tuple(kinds[1:2]), f"a step has exactly one of these keys: {keys}")
    return located.to(KINDS[kinds[0]])


def _check_inputs(front: LocatedYaml, head: FrontMatter, steps: Sequence[Step]) -> None:
    used = {name for step in steps for _, name in references(step.work.model_dump())}
    for name, spec in head.inputs.items():
        if name not in used:
            raise front.error(("inputs", name), f"no step uses the input {name} (as ${name})")
        if spec.default is not None:
            try:
                read_inputs({name: spec}, {})
            except InvalidInput as error:
                raise front.error(("inputs", name, "default"), error.message) from None


def _if_it_holds(path: str, sections: Sequence[_Section]) -> str:
    last = sections[-1]
    if last.heading != _LAST or not last.text:
        message = f"a runbook ends with `## {_LAST}` and prose that says what to look at"
        raise RunbookError(path, last.line, message)
    return last.text


def _line(token: Token) -> int:
    return (token.map or [0])[0] + 1
