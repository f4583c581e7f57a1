"""A state that goes with its container, or at the next boot, begins no run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import StateUnusable
from holdfast.settings import Settings, load_settings
from holdfast.store.database import open_store
from holdfast.store.throw_away import nearest_mount, refuse_throw_away

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
    mount = nearest_mount(Path(path), CONTAINER)
    assert mount
    assert mount.kind == kind


@pytest.mark.parametrize(
    "text", ["", "no mounts\n", "1 0 0:50 / / rw\n", " - \n", "1 0 a / / rw - \n"]
)
def test_mounts_that_say_nothing_refuse_nothing(text: str) -> None:
    assert nearest_mount(Path("/var/lib/holdfast"), text) is None


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


LAYER = "04fd282394fbde130ad62d0552b30af5f8fd4dd9b6d45a53524531d188c82ca8"
WITHOUT_OVERLAY = {
    "vfs": f"283 53 254:0 /var/lib/containers/storage/vfs/dir/{LAYER} / rw - ext4 /dev/vda rw",
    "btrfs": f"285 54 0:42 /st/btrfs/subvolumes/{LAYER} / rw - btrfs /dev/loop0 rw,subvolid=257",
    "zfs": f"285 54 0:42 / / rw - zfs tank/containers/{LAYER} rw,xattr",
}
"""Recorded in containers of podman with these drivers; that of zfs is written after its documentation."""


@pytest.mark.parametrize("driver", WITHOUT_OVERLAY)
def test_a_container_whose_files_are_no_overlay_is_known_by_its_layer(
    settings: Settings, mounts: Path, driver: str
) -> None:
    mounts.write_text(f"{WITHOUT_OVERLAY[driver]}\n")
    with pytest.raises(StateUnusable, match="on the file system of a container"):
        refuse_throw_away(settings, mounts)

    volume = f"9 1 8:1 /storage/volumes/{LAYER}/_data {settings.state_dir} rw - ext4 /dev/vda rw\n"
    mounts.write_text(f"{WITHOUT_OVERLAY[driver]}\n{volume}")
    refuse_throw_away(settings, mounts)


@pytest.mark.parametrize(
    "root",
    [
        "1 0 8:1 / / rw - ext4 /dev/vda rw",
        "1 0 0:30 /@rootfs / rw - btrfs /dev/sda2 rw",
        "1 0 0:31 / / rw - zfs rpool/ROOT/debian-1 rw",
        "1 0 254:0 /srv/containers/controller / rw - ext4 /dev/vda rw",
    ],
)
def test_a_machine_and_a_container_that_lasts_are_not_refused(
    settings: Settings, mounts: Path, root: str
) -> None:
    mounts.write_text(f"{root}\n")
    refuse_throw_away(settings, mounts)


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
