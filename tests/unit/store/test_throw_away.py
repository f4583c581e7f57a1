"""A state that goes with its container, or at the next boot, begins no run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import StateUnusable
from holdfast.settings import Settings, load_settings
from holdfast.store.database import open_store
from holdfast.store.throw_away import file_system, refuse_throw_away

CONTAINER = """\
1 0 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b
2 1 0:51 / /proc rw - proc proc rw
3 1 8:1 /volumes/x /var/lib/with\\040space rw - ext4 /dev/sda1 rw
4 1 8:1 /volumes/y /var/lib/holdfast rw shared:1 master:2 - xfs /dev/sda1 rw
5 1 0:52 / /var/lib/hidden rw - ext4 /dev/sdb rw
6 5 0:53 / /var/lib/hidden rw - fuse.fuse-overlayfs fuse-overlayfs rw
7 1 0:54 / /run rw,nosuid - tmpfs tmpfs rw,size=1204156k
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/ops/.local/state/holdfast/state.db", "overlay"),
        ("/var/lib/holdfast/state.db", "xfs"),
        ("/var/lib/holdfast-other/state.db", "overlay"),
        ("/var/lib/with space/state.db", "ext4"),
        ("/var/lib/hidden/state.db", "fuse.fuse-overlayfs"),
        ("/run/user/1000/holdfast/state.db", "tmpfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), CONTAINER) == kind


@pytest.mark.parametrize(
    "text", ["", "no mounts\n", "1 0 0:50 / / rw\n", " - \n", "1 0 a / / rw - \n"]
)
def test_mounts_that_say_nothing_refuse_nothing(text: str) -> None:
    assert file_system(Path("/var/lib/holdfast"), text) == ""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"HOLDFAST_STATE_DIR": str(tmp_path)})


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    written = tmp_path / "mountinfo"
    written.write_text(CONTAINER)
    return written


def test_a_file_on_an_overlay_is_refused_with_the_remedy(settings: Settings, mounts: Path) -> None:
    store = open_store(settings, mounts=mounts)
    with pytest.raises(
        StateUnusable, match="goes with it: its runs could not be resumed"
    ) as caught:
        store.require_lasting()
    assert f"mount a volume at {settings.state_dir}" in caught.value.remedy
    assert store.runs() == []


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_a_file_in_memory_is_refused_with_the_remedy(
    settings: Settings, mounts: Path, kind: str
) -> None:
    mounts.write_text(f"{CONTAINER}8 1 0:55 / {settings.state_dir} rw - {kind} none rw\n")
    with pytest.raises(
        StateUnusable, match=rf"in memory \({kind}\) and is gone after a reboot"
    ) as caught:
        open_store(settings, mounts=mounts).require_lasting()
    assert "set HOLDFAST_STATE_DIR to a directory that lasts" in caught.value.remedy
    refuse_throw_away(replace(settings, may_vanish=True), mounts)


def test_a_server_a_volume_and_a_person_who_said_so_are_not(
    settings: Settings, mounts: Path, tmp_path: Path
) -> None:
    refuse_throw_away(
        replace(settings, state_url="mysql+pymysql://db.example.org/holdfast"), mounts
    )
    refuse_throw_away(
        load_settings({"HOLDFAST_STATE_DIR": str(tmp_path), "HOLDFAST_STATE_MAY_VANISH": "yes"}),
        mounts,
    )
    mounts.write_text(f"{CONTAINER}7 1 8:1 / {tmp_path} rw - ext4 /dev/sda1 rw\n")
    refuse_throw_away(settings, mounts)
