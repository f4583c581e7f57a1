"""A run's picture as PNG: chat's clients draw no SVG that others send, they offer it as a download."""

from __future__ import annotations

from pathlib import Path

ZOOM = 1.5  # 1860 pixels wide: small texts can be read on a telephone


def as_png(svg: str) -> bytes:
    """Return the drawing as PNG, with the package's font alone: every server draws the same picture."""
    import fontpkg_inter  # noqa: PLC0415  # of the extra `chat`: the command line works without it
    import resvg_py  # noqa: PLC0415  # likewise

    return resvg_py.svg_to_bytes(
        svg_string=svg,
        zoom=ZOOM,
        skip_system_fonts=True,
        font_dirs=[str(Path(fontpkg_inter.__file__).with_name("files"))],
        font_family=fontpkg_inter.FAMILY,
        sans_serif_family=fontpkg_inter.FAMILY,
    )
