"""One test run in a process of its own, forked from one that has imported all tests already."""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import os
import pickle
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from tests.mutants.mutations import Mutant

QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--no-summary")


def in_child(work: Callable[[], object], seconds: float, processor_seconds: float) -> Any:
    """Return what ``work`` returns in a forked process; None if that took longer, or ended otherwise.

    Its output is dropped, and what it started ends with it.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_the_child(work, reading, writing, ceil(processor_seconds))
    os.close(writing)
    try:
        return _read(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(child, signal.SIGKILL)  # it has no group of its own yet
        os.waitpid(child, 0)


def _be_the_child(
    work: Callable[[], object], reading: int, writing: int, processor_seconds: int
) -> None:
    """Do the work and end the process, without what Python would do at its end."""
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds))
        os.close(reading)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(work(), pipe)
    finally:
        os._exit(0)


def _read(pipe: int, deadline: float) -> Any:
    read = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([pipe], [], [], left)[0]:
            return None
        if not (some := os.read(pipe, 1 << 16)):
            return pickle.loads(read) if read else None  # noqa: S301 # from our own child
        read += some
    return None


def collect(tests: Sequence[str]) -> None:
    """Import the tests and all they use, once for all children.

    Raises:
        RuntimeError: they cannot be collected.
    """
    if code := pytest.main([*QUIET, "-qq", "--collect-only", *tests]):
        raise RuntimeError(f"the tests cannot be collected: pytest ended with {code}")


def run_mutated(
    module: Path, name: str, mutant: Mutant, arguments: list[str], plugin: object
) -> int:
    """Put the fault into the module of this process, run the tests until one fails, return how pytest ended."""
    code = compile(mutant.source, str(module), "exec", dont_inherit=True)
    if mutant.function is None or not _replace_function(module, code, mutant.function):
        _import_anew(module, name, code)
    return int(pytest.main([*QUIET, "-x", *arguments], plugins=[plugin]))


def _replace_function(module: Path, code: CodeType, line: int) -> bool:
    """Give the function that begins in this line its mutated code; return False where that cannot be."""
    new = [each for each in _functions(code) if each.co_firstlineno == line]
    old = [
        each
        for each in gc.get_objects()
        if isinstance(each, FunctionType)
        and each.__code__.co_filename == str(module)
        and each.__code__.co_firstlineno == line
        and "<locals>" not in each.__code__.co_qualname
    ]
    if len(new) != 1 or not old or new[0].co_freevars != old[0].__code__.co_freevars:
        return False
    for function in old:
        function.__code__ = new[0]
    return True


def _functions(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of the module's functions and methods, without those inside functions."""
    for each in code.co_consts:
        if isinstance(each, CodeType) and "<locals>" not in each.co_qualname:
            if not each.co_name.startswith("<"):
                yield each
            yield from _functions(each)


def _import_anew(module: Path, name: str, code: CodeType) -> None:
    """Forget what is imported of the project and its tests, so that the mutated code is imported."""

    class Mutated(importlib.machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> CodeType:
            return code

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(
            self, fullname: str, path: object, target: ModuleType | None = None
        ) -> importlib.machinery.ModuleSpec | None:
            if fullname != name:
                return None
            return importlib.util.spec_from_file_location(
                name, module, loader=Mutated(name, str(module))
            )

    for each in list(sys.modules):
        if each.partition(".")[0] in {"holdfast", "tests"} and not each.startswith("tests.mutants"):
            del sys.modules[each]
    sys.meta_path.insert(0, Finder())
