"""How Sphinx makes the site from what deploy/docs_source.py writes: nothing in it is fetched from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

_PACKAGE = Path(__file__).parents[2] / "src/holdfast/__init__.py"

project = "Holdfast"
release = "".join(re.findall(r'^__version__ = "(.+)"', _PACKAGE.read_text("utf-8"), re.MULTILINE))
extensions = ["myst_parser"]
highlight_language = "none"
myst_heading_anchors = 4
html_theme = "alabaster"
html_title = f"Holdfast {release}"
html_theme_options = {"body_max_width": "60em", "page_width": "80em", "show_powered_by": False}
html_copy_source = False
html_show_copyright = False
html_use_index = False
