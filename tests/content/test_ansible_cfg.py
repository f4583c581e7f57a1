"""ansible.cfg has the settings that safety rests on."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.content.repository import ROOT

CONFIG = ROOT / "ansible.cfg"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("defaults", "host_key_checking", "True"),
        ("defaults", "retry_files_enabled", "False"),
        ("defaults", "gathering", "explicit"),
        ("inventory", "any_unparsed_is_failed", "True"),
        ("inventory", "unparsed_is_failed", "True"),
        ("inventory", "host_pattern_mismatch", "error"),
    ],
)
def test_a_safety_setting_has_its_value(section: str, key: str, value: str) -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(CONFIG)
    assert config[section][key] == value
    assert "inventory" not in config["defaults"], "every command must name its site"


def test_programs_of_the_lab_are_never_taken_for_inventories(tmp_path: Path) -> None:
    """An empty member of ANSIBLE_INVENTORY is the current directory, and Ansible runs the programs it finds there."""
    shutil.copy(CONFIG, tmp_path)
    program = tmp_path / "tests/lab/remove-everything"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/was-run'\n")
    program.chmod(0o755)
    environment = {
        "ANSIBLE_INVENTORY": "localhost,",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "False",
    }
    subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "--list"],
        cwd=tmp_path, env=os.environ | environment, capture_output=True, check=False,
    )  # fmt: skip
    assert not (tmp_path / "was-run").exists()
