"""systemd's messages about units, by their ids in a host's journal (systemd.journal-fields(7), catalog)."""

from __future__ import annotations

STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
"""It begins to stop a unit."""

STARTED = "39f53479d3a045ac8e11786248231fbf"
"""A unit has started."""
