"""What a user has in a checkout, with secrets in it, is in nothing that is built there."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from tests.packaging.conftest import OF_THE_USER, PLANTED


def test_the_collection_has_no_site_of_its_user(checkout: Path, tarball: Path) -> None:
    assert all((checkout / name).read_text() == PLANTED for name in OF_THE_USER)
    with tarfile.open(tarball) as archive:
        members = {each.name: archive.extractfile(each) for each in archive if each.isfile()}
        found = [name for name, file in members.items() if file and PLANTED.encode() in file.read()]
    assert "inventories/example/hosts.yml" in members
    assert [*found, *set(members) & set(OF_THE_USER)] == []


def test_the_wheel_has_no_runbook_or_role_of_its_user(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        found = [name for name in names if PLANTED.encode() in archive.read(name)]
    assert "holdfast/project/inventories/example/hosts.yml" in names
    assert [*found, *(name for name in names if "mine." in name or "/mine/" in name)] == []
