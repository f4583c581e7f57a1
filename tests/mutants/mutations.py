"""The small faults that are put into a module, one at a time: pure, from source text to source texts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from itertools import chain

# What stands in for an operator: the neighbours that a slip of the hand would write.
_COMPARE: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">="),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<="),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.BitOr: "&",
    ast.BitAnd: "|",
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
_NOTHING_ENTERED = '__import__("contextlib").nullcontext()'


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one fault: in ``line``, which is ``text``, ``before`` became ``after``, each on one line.

    ``lines`` are those of the statement with the fault, of which a test must run one to see it.
    ``function`` is the first line of the outermost function with the fault, decorators included; None
    for a fault in what is done at import.
    """

    lines: range
    function: int | None
    line: int
    text: str
    before: str
    after: str
    source: str


Change = tuple[ast.AST, str]
"""A node, and the text in its place."""


def _bodies(node: ast.AST) -> list[list[ast.stmt]]:
    bodies = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
    inner = [each.body for name in ("handlers", "cases") for each in getattr(node, name, [])]
    return [body for body in (*bodies, *inner) if body]


class Source:
    """The text of a module, by node. Places are bytes, as those of ``ast`` are."""

    def __init__(self, source: str) -> None:
        self._source = source.encode()
        self._starts = [0]
        for line in self._source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def text(self, node: ast.AST) -> str:
        begin, end = self._span(node)
        return self._source[begin:end].decode()

    def mutant(
        self, statement: ast.stmt, function: int | None, replaced: ast.AST, text: str
    ) -> Mutant:
        """Return the module with the text in the place of the node, in brackets where neighbours bind."""
        begin, end = self._span(replaced)
        bare = isinstance(replaced, ast.stmt | ast.comprehension | ast.Slice | ast.Constant)
        new = text if bare else f"({text})"
        source = self._source[:begin] + new.encode() + self._source[end:]
        line = self._source.count(b"\n", 0, begin) + 1
        whole = self._source[self._starts[line - 1] : self._starts[line]].decode()
        whole, before, after = (
            " ".join(each.split()) for each in (whole, self.text(replaced), text)
        )
        lines = self._lines(statement, replaced, line)
        return Mutant(lines, function, line, whole, before, after, source.decode())

    def _lines(self, statement: ast.stmt, replaced: ast.AST, line: int) -> range:
        """Return the lines of the statement without those of the statements in it."""
        if isinstance(statement, ast.Try | ast.Match) and replaced is not statement:
            return range(line, line + 1)  # that of the handler or case
        inner = [body[0].lineno for body in _bodies(statement)]
        return range(statement.lineno, max(min(inner, default=_end(statement) + 1), line + 1))

    def _span(self, node: ast.AST) -> tuple[int, int]:
        if isinstance(node, ast.comprehension):  # the one expression without a place of its own
            begin = self._source.rindex(b"for ", 0, self._span(node.target)[0])
            return begin, self._after_brackets(node.ifs[-1] if node.ifs else node.iter, begin)
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword)
        end = self._starts[_end(node) - 1] + (node.end_col_offset or 0)
        return self._starts[node.lineno - 1] + node.col_offset, end

    def _after_brackets(self, node: ast.expr, after: int) -> int:
        """Return the end of an expression with the brackets that were opened since ``after``."""
        begin, end = self._span(node)
        while self._source[after:begin].rstrip().endswith(b"("):
            begin = self._source.rindex(b"(", after, begin)
            end = self._source.index(b")", end) + 1
        return end


def _end(node: ast.expr | ast.stmt | ast.keyword) -> int:
    return node.end_lineno or node.lineno


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of its text.

    Left out are annotations, decorators, imports and texts: what a message says is for its own tests.
    """
    of = Source(source)
    for statement in ast.parse(source).body:
        yield from _mutants(statement, None, of)


def _mutants(node: ast.stmt, function: int | None, of: Source) -> Iterator[Mutant]:
    """Yield the mutants of one statement, then those of the statements in it."""
    for replaced, text in _changes(node, of):
        yield of.mutant(node, function, replaced, text)
    if function is None and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    for each in chain.from_iterable(_bodies(node)):
        yield from _mutants(each, function, of)


def _changes(node: ast.stmt, of: Source) -> Iterator[Change]:
    match node:
        case ast.ClassDef() | ast.Import() | ast.ImportFrom():
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                yield from _in_expression(default, of)
            return
    if _may_go(node):
        yield node, "pass"
    yield from _of_statement(node, of)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and child is not getattr(node, "annotation", None):
            yield from _in_expression(child, of)


def _may_go(node: ast.stmt) -> bool:
    """Return whether the module is still one without this statement, which does something."""
    match node:
        case ast.Expr(value=ast.Constant() | ast.Yield()):
            return False  # docstrings; without its only yield, a function is no generator
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
    return isinstance(
        node,
        ast.Expr | ast.AugAssign | ast.Delete | ast.Raise | ast.Assert | ast.Continue | ast.Break,
    )


@singledispatch
def _of_statement(node: ast.stmt, of: Source) -> Iterator[Change]:
    """Yield the changes that only this kind of statement has, beside those of its expressions."""
    yield from ()


@_of_statement.register
def _(node: ast.If | ast.While, of: Source) -> Iterator[Change]:
    if not _has_its_opposite(node.test):
        yield node.test, f"not ({of.text(node.test)})"


@_of_statement.register
def _(node: ast.For, of: Source) -> Iterator[Change]:
    yield node.iter, "()"


@_of_statement.register
def _(node: ast.Try, of: Source) -> Iterator[Change]:
    for handler in node.handlers:
        if handler.type:
            yield handler.type, "()"


@_of_statement.register
def _(node: ast.With, of: Source) -> Iterator[Change]:
    for item in node.items:
        if not item.optional_vars:
            yield item.context_expr, _NOTHING_ENTERED
        yield from _in_expression(item.context_expr, of)


@_of_statement.register
def _(node: ast.Match, of: Source) -> Iterator[Change]:
    for case in node.cases:
        if case.guard:
            yield case.guard, f"not ({of.text(case.guard)})"
            yield from _in_expression(case.guard, of)


def _in_expression(node: ast.AST, of: Source) -> Iterator[Change]:
    """Yield the changes of the expression, then those of the expressions in it."""
    for text in _instead(node, of):
        yield node, text
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr | ast.keyword | ast.comprehension):
            yield from _in_expression(child, of)


@singledispatch
def _instead(node: ast.AST, of: Source) -> Iterator[str]:
    """Yield the texts that may stand in the place of the expression."""
    yield from ()


@_instead.register
def _(node: ast.Compare, of: Source) -> Iterator[str]:
    if len(node.ops) > 1:
        return
    left, (operator,), (right,) = of.text(node.left), node.ops, node.comparators
    for other in _COMPARE[type(operator)]:
        yield f"{left} {other} {of.text(right)}"
    if isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.Tuple):
        word = "in" if isinstance(operator, ast.In) else "not in"
        for fewer in _without_one(right.elts, of):
            yield f"{left} {word} {fewer}"


@_instead.register
def _(node: ast.BinOp, of: Source) -> Iterator[str]:
    if other := _BINARY.get(type(node.op)):
        yield f"{of.text(node.left)} {other} {of.text(node.right)}"


@_instead.register
def _(node: ast.BoolOp, of: Source) -> Iterator[str]:
    word = " and " if isinstance(node.op, ast.And) else " or "
    for dropped in node.values:
        yield word.join(f"({of.text(each)})" for each in node.values if each is not dropped)


@_instead.register
def _(node: ast.UnaryOp, of: Source) -> Iterator[str]:
    if isinstance(node.op, ast.Not):
        yield of.text(node.operand)


@_instead.register
def _(node: ast.IfExp, of: Source) -> Iterator[str]:
    yield f"({of.text(node.orelse)}) if ({of.text(node.test)}) else ({of.text(node.body)})"


@_instead.register
def _(node: ast.Constant, of: Source) -> Iterator[str]:
    if isinstance(node.value, bool):
        yield str(not node.value)
    elif isinstance(node.value, int):
        yield str(node.value + 1)


@_instead.register
def _(node: ast.Set, of: Source) -> Iterator[str]:
    yield from _without_one(node.elts, of)


@_instead.register
def _(node: ast.Slice, of: Source) -> Iterator[str]:
    if node.lower:
        yield f":{of.text(node.upper)}" if node.upper else ":"
    if node.upper:
        yield f"{of.text(node.lower)}:" if node.lower else ":"


@_instead.register
def _(node: ast.Call, of: Source) -> Iterator[str]:
    """Yield the call of the neighbour function, and the call without each of its keywords."""
    name = of.text(node.func)
    if name in _CALLS:
        yield _CALLS[name] + of.text(node).removeprefix(name)
    arguments = (*node.args, *node.keywords)
    for keyword in node.keywords:
        if keyword.arg:
            kept = ", ".join(of.text(each) for each in arguments if each is not keyword)
            yield f"{name}({kept})"


@_instead.register
def _(node: ast.comprehension, of: Source) -> Iterator[str]:
    if node.ifs:
        head = f"for {of.text(node.target)} in {of.text(node.iter)}"
        yield head
        if len(node.ifs) > 1 or not _has_its_opposite(node.ifs[0]):
            yield f"{head} if not ({' and '.join(f'({of.text(each)})' for each in node.ifs)})"


def _has_its_opposite(node: ast.expr) -> bool:
    """Return whether the opposite of a condition is among the changes of its own expression."""
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _without_one(elements: list[ast.expr], of: Source) -> Iterator[str]:
    for dropped in elements:
        kept = "".join(f"{of.text(each)}, " for each in elements if each is not dropped)
        yield f"({kept.rstrip()})"
