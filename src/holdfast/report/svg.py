"""Writes SVG: shapes and escaped text over ElementTree; coordinates are rounded, so that output is stable."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from holdfast.text import one_line

FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
Point = tuple[float, float]


class Pen:
    """Draws on an SVG element."""

    def __init__(self, element: ET.Element) -> None:
        self._element = element

    @classmethod
    def document(cls, width: float, height: float, title: str) -> Pen:
        """Return a pen on a new white document of this size in pixels; screen readers read ``title``."""
        root = ET.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "width": _number(width),
                "height": _number(height),
                "viewBox": f"0 0 {_number(width)} {_number(height)}",
                "font-family": FONT,
                "role": "img",
            },
        )
        pen = cls(root)
        pen.title(title)
        pen.box((0, 0), (width, height), fill="#ffffff", radius=8)
        return pen

    def text(self, at: Point, text: str, size: float = 12, **style: str) -> None:
        """Write one line of text whose base line begins at ``at``, unless an ``anchor`` is given."""
        where = {"x": _number(at[0]), "y": _number(at[1]), "font-size": _number(size)}
        style = {"fill": INK, **style}
        anchor = {"text-anchor": style.pop("anchor")} if "anchor" in style else {}
        ET.SubElement(self._element, "text", where | anchor | _named(style)).text = one_line(text)

    def box(
        self, at: Point, size: Point, *, fill: str, radius: float = 0, about: str = "", **style: str
    ) -> None:
        """Draw a filled rectangle; ``about`` appears when the pointer rests on it."""
        attributes = {"x": _number(at[0]), "y": _number(at[1])}
        attributes |= {"width": _number(size[0]), "height": _number(size[1]), "fill": fill}
        attributes |= {"rx": _number(radius)} if radius else {}
        shape = ET.SubElement(self._element, "rect", attributes | _named(style))
        if about:
            Pen(shape).title(about)

    def path(self, strokes: str, **style: str) -> None:
        """Draw a path given in SVG's own notation."""
        ET.SubElement(self._element, "path", {"d": strokes, "fill": "none"} | _named(style))

    def line(self, start: Point, end: Point, **style: str) -> None:
        """Draw a straight line."""
        ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
        where = {name: _number(value) for name, value in ends.items()}
        ET.SubElement(self._element, "line", where | _named(style))

    def circle(self, center: Point, radius: float, *, fill: str, about: str = "") -> None:
        """Draw a filled circle; ``about`` appears when the pointer rests on it."""
        where = {
            "cx": _number(center[0]),
            "cy": _number(center[1]),
            "r": _number(radius),
            "fill": fill,
        }
        shape = ET.SubElement(self._element, "circle", where)
        if about:
            Pen(shape).title(about)

    def title(self, text: str) -> None:
        """Give the element a title, which appears when the pointer rests on it."""
        ET.SubElement(self._element, "title").text = one_line(text)

    def to_string(self) -> str:
        """Return the document as text, ending in a line break."""
        ET.indent(self._element, " ")
        return ET.tostring(self._element, encoding="unicode") + "\n"


INK = "#1f2933"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _named(style: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in style.items()}
