"""Renders SVG from Jinja2 templates: text is escaped, coordinates are rounded, so that output is stable."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from holdfast.text import one_line

INK, SOFT, FAINT, BAND = "#1f2933", "#64707d", "#e4e8ec", "#f6f8fa"


def render_svg(template: Path, **values: object) -> str:
    """Return the rendered template, without control characters in its text; the colours above are given too."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"INK": INK, "SOFT": SOFT, "FAINT": FAINT, "BAND": BAND, "clip": clip}
    return environment.get_template(template.name).render(values)


def clip(text: str, most: int) -> str:
    """Return at most this many characters of the text; what is cut off ends in ``…``."""
    text = one_line(text)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _finalize(value: object) -> object:
    """Return what is written in place of an expression's value; Jinja2 escapes it unless it is markup."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return one_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value
