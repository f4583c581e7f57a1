"""Inputs: typed values from ``name=value`` texts, and the replacement of references by those values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.runbook.model import REFERENCE, Input, WorkStep
from holdfast.text import did_you_mean

_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


def read_inputs(declared: Mapping[str, Input], given: Mapping[str, str]) -> dict[str, Json]:
    """Return the typed values of all declared inputs, from the given texts or the defaults.

    Raises:
        InvalidInput: an input is unknown, missing, or not of its type, pattern or range.
    """
    for name in given:
        if name not in declared:
            raise InvalidInput(f"the runbook has no input {name!r}; {did_you_mean(name, declared)}")
    return {name: _value(name, spec, given.get(name)) for name, spec in declared.items()}


def references(
    value: Json, at: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every reference inside a value: its location and the input's name."""
    for location, text in _texts(value, at):
        if found := REFERENCE.fullmatch(text):
            yield location, found[1]


def embedded_references(
    value: Json, declared: Iterable[str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every text that names a declared input inside a longer text, where it is not replaced."""
    names = set(declared)
    for location, text in _texts(value, ()):
        found = (each[1] for each in REFERENCE.finditer(text) if not REFERENCE.fullmatch(text))
        if name := next((each for each in found if each in names), ""):
            yield location, name


def _texts(value: Json, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*at, str(key)))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*at, index))
    elif isinstance(value, str):
        yield at, value


def fill(work: WorkStep, inputs: Mapping[str, Json]) -> WorkStep:
    """Return the step with every reference replaced by its input's typed value.

    Raises:
        pydantic.ValidationError: a value has the wrong type for its place (a text as a batch size).
    """
    return type(work).model_validate(_filled(work.model_dump(), inputs))


def _filled(value: Json, inputs: Mapping[str, Json]) -> Json:
    if isinstance(value, dict):
        return {key: _filled(inner, inputs) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(inner, inputs) for inner in value]
    found = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return inputs[found[1]] if found else value


def _value(name: str, spec: Input, given: str | None) -> Json:
    if given is None:
        if spec.default is None:
            raise InvalidInput(
                f"the runbook needs the input {name}: {spec.summary}", remedy=f"--input {name}=…"
            )
        given = str(spec.default)
    if spec.type == "bool":
        if given.lower() not in _BOOLEANS:
            raise InvalidInput(f"input {name}: {given!r} is neither true nor false")
        return _BOOLEANS[given.lower()]
    if spec.type == "int":
        return _integer(name, spec, given)
    if not re.fullmatch(spec.pattern, given) or REFERENCE.fullmatch(given):
        raise InvalidInput(f"input {name}: {given!r} does not match the pattern {spec.pattern}")
    return given


def _integer(name: str, spec: Input, given: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", given):
        raise InvalidInput(f"input {name}: {given!r} is not a whole number")
    value = int(given)
    low, high = spec.minimum, spec.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = {"at least": low, "at most": high}
        limits = " and ".join(
            f"{word} {bound}" for word, bound in bounds.items() if bound is not None
        )
        raise InvalidInput(f"input {name}: {value} is not {limits}")
    return value
