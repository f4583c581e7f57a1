"""The collection's tarball, installed into an empty directory and used there."""

from __future__ import annotations

import json
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.content.repository import ROOT, files, name_of, yaml_of
from tests.packaging.conftest import run

NAME = "holdfast.holdfast"
SETTINGS = """[defaults]
collections_path = .
duplicate_dict_key = error
host_key_checking = True
[inventory]
host_pattern_mismatch = error
any_unparsed_is_failed = True
unparsed_is_failed = True
"""
SITE = """
web: {hosts: {here: {ansible_connection: local}}}
nova: {children: {nova_conductor: {}, nova_scheduler: {}, nova_api: {}, nova_metadata: {}, nova_compute: {}}}
all: {vars: {holdfast_site: here, ansible_become: false}, children: {rabbitmq: {}}}
"""
UNIT = ("-e", "systemd_unit_name=no-such-unit", "-e", "systemd_unit_group=web")
RESTART = ("ansible-playbook", "-i", "site.yml", f"{NAME}.unit_restart", *UNIT, "--check")
LEASE = ("ansible", "-i", "site.yml", "here", "-m", f"{NAME}.holdfast_lease")


@pytest.fixture(scope="session")
def place(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with nothing but the installed collection, a site and its ansible.cfg."""
    place = tmp_path_factory.mktemp("place")
    place.joinpath("ansible.cfg").write_text(SETTINGS)
    place.joinpath("site.yml").write_text(SITE)
    done = run(
        "ansible-galaxy", "collection", "install", "--offline", "-p", ".", tarball, cwd=place
    )
    assert done.returncode == 0, done.stdout
    return place


def content(place: Path) -> Path:
    return place / "ansible_collections/holdfast/holdfast"


def test_the_tarball_has_what_a_site_needs_and_nothing_else(tarball: Path) -> None:
    sites = ("inventories/example", "inventories/presets")
    shipped = files("meta", "playbooks", "plugins", "roles", "runbooks", *sites)
    ours = {
        name_of(path)
        for path in shipped
        if not name_of(path).startswith(("roles/lab_", "playbooks/lab/"))
    }
    with tarfile.open(tarball) as archive:
        held = {member.name for member in archive if member.isfile()}
    assert held == ours | {
        "ansible.cfg", "CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md",
    }  # fmt: skip


def test_every_playbook_is_found_by_its_name(place: Path) -> None:
    playbooks = [
        f"{NAME}.{path.stem}"
        for path in files("playbooks/*.yml")
        if path.parent.name == "playbooks"
    ]
    assert len(playbooks) > 5
    done = run("ansible-playbook", "-i", "site.yml", "--syntax-check", *playbooks, cwd=place)  # fmt: skip
    assert (done.returncode, done.stdout.count("playbook: ")) == (0, len(playbooks)), done.stdout


def test_a_restart_in_check_mode_comes_as_far_as_its_gate(place: Path) -> None:
    """The machine of the test may have no systemd; the gate says then that it cannot tell."""
    done = run(*RESTART, cwd=place)
    assert "would take the leases here/no-such-unit" in done.stdout, done.stdout
    assert "here, preflight: the gate did not pass" in done.stdout, done.stdout
    assert done.returncode == 2


def test_without_a_setting_that_safety_rests_on_no_play_begins(place: Path) -> None:
    lacking = place / "lacking.cfg"
    lacking.write_text(SETTINGS.replace("\nunparsed_is_failed = True\n", "\n"))
    done = run(*RESTART, cwd=place, ANSIBLE_CONFIG=str(lacking))
    assert "nothing was touched" in done.stdout, done.stdout
    assert f"export ANSIBLE_CONFIG={content(place)}/ansible.cfg" in done.stdout
    assert "lease" not in done.stdout
    assert done.returncode != 0


def test_the_collections_own_settings_are_enough(place: Path) -> None:
    config = str(content(place) / "ansible.cfg")
    done = run(
        *RESTART, "--syntax-check", cwd=place, ANSIBLE_CONFIG=config, ANSIBLE_COLLECTIONS_PATH="."
    )
    assert done.returncode == 0, done.stdout


def test_a_package_of_another_version_is_named(place: Path) -> None:
    guard = content(place) / "plugins/action/__init__.py"
    ours = guard.read_text()
    guard.write_text(ours.replace('VERSION = "', 'VERSION = "9.'))
    try:
        done = run(*LEASE, cwd=place)
    finally:
        guard.write_text(ours)
    assert "needs the Python package holdfast 9." in done.stdout, done.stdout
    assert "pip install holdfast==9." in done.stdout


def test_a_missing_package_is_named(place: Path) -> None:
    absent = place / "absent/holdfast/__init__.py"
    absent.parent.mkdir(parents=True)
    absent.write_text("raise ModuleNotFoundError(\"No module named 'holdfast'\")\n")
    done = run(*LEASE, cwd=place, PYTHONPATH=str(place / "absent"))
    assert "which has none; this task did nothing. Install it: " in done.stdout, done.stdout


def test_every_module_is_documented_with_examples_and_results(place: Path) -> None:
    modules = [path.stem for path in files("plugins/modules/*.py")]
    done = run(
        "ansible-doc", "--json", "-t", "module", *(f"{NAME}.{name}" for name in modules), cwd=place
    )
    shown = json.loads(done.stdout)
    assert set(shown) == {f"{NAME}.{name}" for name in modules}
    lacking = [
        f"{name}: {part}"
        for name in shown
        for part in ("doc", "examples", "return")
        if not shown[name][part]
    ]
    assert lacking == []


def test_every_entry_point_of_every_role_is_documented(place: Path) -> None:
    specs = {path.parts[-3]: yaml_of(path) for path in files("roles/*/meta/argument_specs.yml")}
    points = {
        f"{NAME}.{role}": set(spec["argument_specs"])
        for role, spec in specs.items()
        if not role.startswith("lab_")
    }
    done = run("ansible-doc", "--json", "-t", "role", *points, cwd=place)
    shown = json.loads(done.stdout)
    assert {role: set(found["entry_points"]) for role, found in shown.items()} == points
    short = [
        f"{role} {point}" for role, found in shown.items() for point, said in found["entry_points"].items()
        if not said.get("short_description")
    ]  # fmt: skip
    assert short == []


def test_the_collection_asks_for_the_ansible_that_the_package_brings() -> None:
    wanted = yaml_of(ROOT / "meta/runtime.yml")["requires_ansible"]
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (brought,) = [Requirement(each) for each in package["dependencies"] if "ansible-core" in each]
    assert SpecifierSet(wanted) == brought.specifier
