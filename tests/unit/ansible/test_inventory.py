"""Sites as Ansible itself reads them, in a process of its own; vaults included."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.ansible.environment import FURTHER
from holdfast.ansible.inventory import AnsibleInventory
from holdfast.errors import InvalidInput

PROJECT = Path(__file__).parents[3]
SECRET = "planted-hunter2"  # noqa: S105  # what must not be seen anywhere
HOSTS = """\
rabbitmq:
  hosts: {ctl2: {}, ctl1: {}, ctl3: {}}
nova_compute:
  hosts: {cmp1: {}, cmp2: {}}
control:
  children: {rabbitmq: {}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "group_vars").mkdir(parents=True)
    (site / "hosts.yml").write_text(HOSTS)
    (site / "group_vars" / "all.yml").write_text("city: lisbon\nholdfast_site: '{{ city }}'\n")
    for name in ("right", "wrong"):
        (tmp_path / name).write_text(f"{name}\n")
    return site


def inventory(**environ: str) -> AnsibleInventory:
    return AnsibleInventory(PROJECT, os.environ | environ)


def vault(site: Path, *arguments: str, given: Sequence[str] = ()) -> str:
    program = Path(sys.executable).with_name("ansible-vault")
    password = given or ("--vault-password-file", str(site.parent / "right"))
    done = subprocess.run(
        [program, *arguments, *password],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_groups_keep_the_inventorys_order_and_the_site_its_name(site: Path) -> None:
    found = inventory().read(site, "")

    assert (found.name, found.path) == ("lisbon", str(site))
    assert found.groups["rabbitmq"] == found.groups["control"] == ("ctl2", "ctl1", "ctl3")
    assert found.selected is None


def test_a_limit_is_ansibles_own_pattern(site: Path) -> None:
    found = inventory().read(site, "rabbitmq,!ctl2,cmp*")

    assert found.selected == frozenset({"ctl1", "ctl3", "cmp1", "cmp2"})
    assert found.groups["rabbitmq"] == ("ctl2", "ctl1", "ctl3")


def test_lengths_of_gates_are_read_and_no_other_variable(site: Path) -> None:
    lines = "holdfast_soak_seconds: '{{ 6 * 5 }}'\nholdfast_poll_seconds: 3\n"
    (site / "group_vars" / "rabbitmq.yml").write_text(lines)
    (site / "group_vars" / "nova_compute.yml").write_text("holdfast_soak_seconds: 9.5\n")

    assert inventory().read(site, "").lengths == {"holdfast_soak_seconds": 30}
    assert inventory().read(site, "cmp1").lengths == {"holdfast_soak_seconds": 9.5}


def test_a_length_that_is_no_number_of_seconds_is_named(site: Path) -> None:
    (site / "group_vars" / "rabbitmq.yml").write_text("holdfast_soak_seconds: half an hour\n")

    with pytest.raises(InvalidInput, match="holdfast_soak_seconds is 'half an hour'"):
        inventory().read(site, "")


def test_two_names_of_a_site_are_refused_unless_the_limit_selects_one(site: Path) -> None:
    """Leases are named after it: two names for the same hosts would not exclude each other."""
    (site / "host_vars").mkdir()
    (site / "host_vars" / "cmp2.yml").write_text("holdfast_site: porto\n")

    with pytest.raises(InvalidInput, match=r"lisbon \(\w+\), porto \(cmp2\)"):
        inventory().read(site, "")
    assert inventory().read(site, "cmp2").name == "porto"
    assert inventory().read(site, "all,!cmp2").name == "lisbon"


@pytest.mark.parametrize("limit", ["nobody", "ctl9*", "rabbitmq:&nova_compute"])
def test_a_limit_that_matches_nothing_is_refused(site: Path, limit: str) -> None:
    with pytest.raises(InvalidInput, match="matches no host"):
        inventory().read(site, limit)


@pytest.mark.parametrize("limit", ["ctl1,ctl9", "all:!ctl22", "rabbitmq:&nova_compte", "@{file}"])
def test_a_part_of_a_limit_that_matches_nothing_is_refused(site: Path, limit: str) -> None:
    """Ansible warns and goes on: a host that was to be left out would be restarted."""
    hosts = site.parent / "hosts.txt"
    hosts.write_text("ctl1\nctl77\n")

    with pytest.raises(InvalidInput, match=r"'(ctl9|ctl22|nova_compte|ctl77)' matches no host"):
        inventory().read(site, limit.format(file=hosts))


@pytest.mark.parametrize("limit", [",", "[", ":", "ctl[1", "ctl1]", "~ctl[", "@{file}", "@{blank}"])
def test_a_limit_without_a_pattern_is_not_all_hosts(site: Path, limit: str) -> None:
    """Ansible drops what it cannot read of a limit, and a limit of nothing is none."""
    (site.parent / "hosts.txt").write_text("")
    (site.parent / "blank.txt").write_text("\n \n")
    limit = limit.format(file=site.parent / "hosts.txt", blank=site.parent / "blank.txt")

    with pytest.raises(InvalidInput, match="matches no host"):
        inventory().read(site, limit)


@pytest.mark.parametrize("name", ["'two words'", "a/b", "[1, 2]", '"a\\nb"', "'é'"])
def test_a_sites_name_is_one_word(site: Path, name: str) -> None:
    """It is part of a lease's scope, ``<site>/<service>``."""
    (site / "group_vars" / "all.yml").write_text(f"holdfast_site: {name}\n")

    with pytest.raises(InvalidInput, match="holdfast_site") as caught:
        inventory().read(site, "")
    assert "letters" in caught.value.remedy


def test_an_unsupported_locale_has_its_own_remedy(site: Path) -> None:
    with pytest.raises(InvalidInput, match="UTF-8") as caught:
        inventory(LC_ALL="C").read(site, "")
    assert "LC_ALL=C.UTF-8" in caught.value.remedy


def test_a_site_that_is_not_there_is_named(site: Path) -> None:
    with pytest.raises(InvalidInput, match=r"there is no inventory .*/gone"):
        inventory().read(site / "gone", "")


def test_a_site_without_a_name_is_refused(site: Path) -> None:
    (site / "group_vars" / "all.yml").unlink()

    with pytest.raises(InvalidInput, match="holdfast_site is not set"):
        inventory().read(site, "")


def test_an_inventory_that_is_read_in_part_is_refused(site: Path) -> None:
    (site / "more.yml").write_text("nova_compute: [")

    with pytest.raises(InvalidInput, match=r"cannot be read.*more\.yml"):
        inventory().read(site, "")


def test_variables_that_cannot_be_read_are_named_with_file_and_line(site: Path) -> None:
    file = site / "group_vars/rabbitmq.yml"
    file.write_text("city: porto\nname: {{ city }}\n")
    with pytest.raises(InvalidInput, match="YAML parsing failed") as caught:
        inventory().read(site, "")
    assert f"({file}:2)" in caught.value.message


def test_a_link_to_an_inventory_that_is_gone_is_named(site: Path) -> None:
    (site / "10-theirs").symlink_to(site / "gone")
    with pytest.raises(InvalidInput, match=rf"10-theirs leads to {site}/gone, which is not"):
        inventory().read(site, "")


@pytest.mark.parametrize(
    ("text", "mode", "cause", "remedy"),
    [
        ("#!/bin/sh\necho slow\necho '{}'\n", 0o755, "could not be parsed as JSON", "--list"),
        ("#!/bin/sh\nexit 3\n", 0o755, "returned non-zero exit code 3", "JSON and nothing else"),
        ("#!/nosuch/python\n", 0o755, "Failed to execute", "--list"),
        ("#!/bin/sh\necho '{}'\n", 0o644, "a program that may not be executed", "chmod"),
    ],
)
def test_the_text_of_a_program_that_fails_is_not_read_as_an_inventory(
    site: Path, text: str, mode: int, cause: str, remedy: str
) -> None:
    """Ansible takes its lines for hosts, and the rest of the site would be all there is."""
    program = site / "rest.sh"
    program.write_text(text)
    program.chmod(mode)
    with pytest.raises(InvalidInput, match=cause) as caught:
        inventory().read(site, "")
    assert str(program) in caught.value.message
    assert remedy in caught.value.remedy


def test_a_vault_of_another_team_is_warned_of(site: Path) -> None:
    """Only its own hosts can be in no run; a host that gates ask about would be."""
    (site / "more.yml").write_text("billing: {hosts: {bill1: {}}}\n")
    secrets = site / "group_vars" / "billing.yml"
    secrets.write_text(f"their_password: {SECRET}\nholdfast_soak_seconds: 7\n")
    vault(site, "encrypt", str(secrets))
    said: list[str] = []
    found = AnsibleInventory(PROJECT, os.environ, said.append).read(site, "")

    assert (found.name, list(found.closed), found.lengths) == ("lisbon", ["bill1"], {})
    cause = f"Attempting to decrypt but no vault secrets found ({secrets})"
    assert said == [f"bill1 can be in no run: variables of billing: {cause}"]
    assert "name a file" in found.closed["bill1"][1]
    (site / "more.yml").write_text("billing: {hosts: {cmp1: {}}}\n")
    with pytest.raises(InvalidInput, match="variables of billing"):
        inventory().read(site, "")


@pytest.mark.parametrize("kind", ["file", "value"])
@pytest.mark.parametrize("password", ["", "wrong", "gone", "right"])
def test_a_vault_is_opened_or_the_site_is_refused(site: Path, kind: str, password: str) -> None:
    variables = site / "group_vars" / "rabbitmq.yml"
    if kind == "file":
        variables.write_text(f"rabbitmq_probe_password: {SECRET}\n")
        vault(site, "encrypt", str(variables))
    else:
        variables.write_text(vault(site, "encrypt_string", SECRET, "--name", "deep"))
    environ = {"ANSIBLE_VAULT_PASSWORD_FILE": str(site.parent / password)} if password else {}
    environ["UNRELATED"] = "x"

    if password == "right":  # noqa: S105  # the name of a file
        assert inventory(**environ).read(site, "").name == "lisbon"
        return
    with pytest.raises(InvalidInput, match="vault") as caught:
        inventory(**environ).read(site, "")
    assert SECRET not in str(caught.value)
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in caught.value.remedy
    assert "UNRELATED" not in caught.value.remedy
    begin = {"": "name a file", "wrong": "this vault has", "gone": "make that file"}[password]
    assert caught.value.remedy.startswith(begin)


def test_vaults_with_ids_are_each_opened_with_the_password_of_theirs(site: Path) -> None:
    (site / "more.yml").write_text("billing: {hosts: {bill1: {}}}\n")
    for label, group in (("ours", "rabbitmq"), ("theirs", "billing")):
        (site.parent / label).write_text(f"password of {label}\n")
        variables = site / "group_vars" / f"{group}.yml"
        variables.write_text(f"{group}_password: {SECRET}\n")
        given = f"{label}@{site.parent / label}"
        vault(site, "encrypt", str(variables), given=("--vault-id", given))
    ours, theirs = (f"{label}@{site.parent / label}" for label in ("ours", "theirs"))

    both = inventory(ANSIBLE_VAULT_IDENTITY_LIST=f"{theirs},{ours}").read(site, "")
    assert (both.name, both.closed) == ("lisbon", {})
    one = inventory(ANSIBLE_VAULT_IDENTITY_LIST=ours).read(site, "")
    assert list(one.closed) == ["bill1"]
    with pytest.raises(InvalidInput, match="variables of rabbitmq: Decryption failed") as caught:
        inventory(ANSIBLE_VAULT_IDENTITY_LIST=theirs).read(site, "")
    assert "another password than the one given" in caught.value.remedy
    assert SECRET not in str(caught.value)


def test_what_an_inventory_reads_of_the_environment_must_be_passed_to_plays(site: Path) -> None:
    """By hand it works; in a run it would be empty, and keystone would answer 401."""
    line = "nova_auth_password: \"{{ lookup('ansible.builtin.env', 'NOVA_PASSWORD') }}\"\n"
    (site / "group_vars" / "nova_compute.yml").write_text(line)
    environ = {"NOVA_PASSWORD": "x"}

    with pytest.raises(InvalidInput, match="reads NOVA_PASSWORD from the environment") as caught:
        inventory(**environ).read(site, "")
    assert "export HOLDFAST_PASS_ENVIRONMENT='NOVA_PASSWORD'" in caught.value.remedy
    passed = inventory(**environ, **{FURTHER: "NOVA_PASSWORD"})
    assert passed.read(site, "").name == "lisbon"


def test_a_program_that_fails_for_want_of_a_variable_is_told_what_it_did_not_get(
    site: Path,
) -> None:
    vault(site, "encrypt", str(site / "group_vars" / "all.yml"))
    program = site.parent / "program"
    program.write_text('#!/bin/sh\n[ -n "$KEEPER_SESSION" ] && echo right\n')
    program.chmod(0o755)
    environ = {"ANSIBLE_VAULT_PASSWORD_FILE": str(program), "KEEPER_SESSION": "s", "OTHER": "x"}

    with pytest.raises(InvalidInput, match="Vault password script") as caught:
        inventory(**environ).read(site, "")
    assert caught.value.remedy == (
        "not passed to it: KEEPER_SESSION; export HOLDFAST_PASS_ENVIRONMENT='KEEPER_SESSION'"
    )
    passed = inventory(**environ, **{FURTHER: "KEEPER_SESSION"})
    assert passed.read(site, "").name == "lisbon"


@pytest.mark.parametrize("identity", ["dev@prompt", "prompt"])
def test_a_prompt_is_refused_at_once(site: Path, identity: str) -> None:
    with pytest.raises(InvalidInput, match=f"asks for a password .{identity}.") as caught:
        inventory(ANSIBLE_VAULT_IDENTITY_LIST=identity).read(site, "")
    assert "a program that prints it" in caught.value.remedy
