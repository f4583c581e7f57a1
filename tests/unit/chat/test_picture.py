"""A run's picture as chat gets it."""

from __future__ import annotations

import struct

from holdfast.chat.picture import ZOOM, as_png

SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40" font-family="system-ui, sans-serif">{}</svg>"""


def test_a_drawing_is_drawn_in_its_size_and_its_text_with_a_font() -> None:
    """A server need not have any font: without one the text would be missing and nobody told."""
    blank, text = as_png(SVG.format("")), as_png(SVG.format('<text x="4" y="20">ctl1 ж·…</text>'))

    assert struct.unpack(">II", text[16:24]) == (200 * ZOOM, 40 * ZOOM)
    assert text[:4] == b"\x89PNG"
    assert len(text) > 3 * len(blank)
    assert as_png(SVG.format('<text x="4" y="20">ctl1 ж·…</text>')) == text
