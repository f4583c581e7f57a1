"""The replay's picture and its reading of a host's journal."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.lab.instruments.fleet_summary import figures
from tests.lab.instruments.unit_messages import STARTED, STOPPING
from tests.lab.light_compute.options import read_options
from tests.lab.replay.acts import CHANGES, Replayed
from tests.lab.replay.fleet_lab import FleetLab, events
from tests.lab.replay.picture import picture

CONF = "[DEFAULT]\ntransport_url = rabbit://nova:x@10.0.0.1:5672/"


def test_each_way_has_a_panel_with_its_silence_and_its_restarts() -> None:
    done = [
        Replayed("change", way, figures([], [], 0), 9, 61.0, "", [(5, 200, 0), (300, 0, 9)], [0, 1])
        for way in ("all at once", "holdfast")
    ]
    drawn = picture(done)
    assert [len(re.findall(f"<{kind} ", drawn)) for kind in ("polygon", "rect")] == [4, 3]
    assert re.findall(">(change, .*)<", drawn) == ["change, all at once", "change, holdfast"]
    assert picture([])


def test_a_host_s_journal_says_when_the_unit_stopped_and_started() -> None:
    lines = [
        json.dumps({"__REALTIME_TIMESTAMP": f"{at}000000", "MESSAGE_ID": what})
        for at, what in ((100, STOPPING), (107, STARTED))
    ]
    assert [(at.timestamp(), what) for at, what in events("\n".join(lines))] == [
        (100.0, "stopped"),
        (107.0, "started"),
    ]


def test_each_change_is_what_it_says_and_the_first_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "light").mkdir()
    lab = FleetLab("lab", tmp_path)
    found = {}
    for name, text in CHANGES.items():
        lab.change(text)
        changed = (tmp_path / "light/change.conf").read_text()
        found[name] = read_options(f"{CONF}\n{changed}", "cmp1")
    assert [each.unusable for each in found.values()] == [False, True, False]
    assert [each.deaf_after for each in found.values()] == [0, 0, 120]
