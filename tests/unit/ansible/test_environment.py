from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible import config

from holdfast.ansible.environment import (
    _ANSIBLE,
    _NAMES,
    _PREFIXES,
    FURTHER,
    filter_environment,
    find_project,
    not_passed,
)
from holdfast.ansible.interfaces import Play, StopSignal
from holdfast.ansible.play_runner import AnsibleRunner, _PlayDirectory
from holdfast.errors import InvalidInput


def test_only_what_ansible_needs_is_passed_on() -> None:
    given = {
        "PATH": "/bin",
        "ANSIBLE_VAULT_PASSWORD_FILE": "/f",
        "HOLDFAST_STATE_DIR": "/s",
        "LAB_NAME": "x",
        "SSH_AUTH_SOCK": "/a",
        "OS_PASSWORD": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "PYTHONPATH": "/evil",
    }

    assert sorted(filter_environment(given)) == [
        "ANSIBLE_VAULT_PASSWORD_FILE",
        "HOLDFAST_STATE_DIR",
        "LAB_NAME",
        "PATH",
        "SSH_AUTH_SOCK",
    ]


# What any file of ansible-core documents as a variable of the environment.
SETTINGS = {
    name
    for path in (Path(config.__file__).parents[1]).rglob("*.[yp][my]*")
    if path.suffix in {".yml", ".py"}
    and path.parts[-2] in {"config", "connection", "become", "doc_fragments"}
    for name in re.findall(r"name: ANSIBLE_([A-Z_]+)", path.read_text("utf-8"))
}


@pytest.mark.parametrize(
    "name",
    ["STRATEGY", "RUN_TAGS", "SKIP_TAGS", "ANY_ERRORS_FATAL", "CONFIG", "ROLES_PATH", "ASK_PASS",
     "SSH_HOST_KEY_CHECKING", "HOST_KEY_CHECKING", "LOOKUP_PLUGINS", "BECOME_ASK_PASS"],
)  # fmt: skip
def test_nothing_that_changes_what_a_play_does_is_passed_on(name: str) -> None:
    assert filter_environment({f"ANSIBLE_{name}": "x"}) == {}


def test_every_setting_that_is_passed_on_is_one_of_ansibles() -> None:
    assert {name.removeprefix("ANSIBLE_") for name in _ANSIBLE} - SETTINGS <= {"PYTHON_INTERPRETER"}


def test_further_names_are_passed_on_where_a_setting_says_so() -> None:
    given = {"VAULT_ADDR": "a", "VAULT_TOKEN": "t", "BW": "b", "http_proxy": "p", "TERM": "vt"}

    assert filter_environment({**given, FURTHER: " VAULT_ADDR,BW  NOT_SET"}) == {
        FURTHER: " VAULT_ADDR,BW  NOT_SET",
        "VAULT_ADDR": "a",
        "BW": "b",
    }
    assert not_passed({**given, FURTHER: "VAULT_ADDR"}) == ["BW", "VAULT_TOKEN", "http_proxy"]


@pytest.mark.parametrize("name", ["ANSIBLE_STRATEGY", "PYTHONPATH", "LD_PRELOAD", "BASH_ENV"])
def test_what_changes_plays_is_not_passed_by_request_either(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"{FURTHER} names {name}, which would change"):
        filter_environment({FURTHER: f"VAULT_ADDR {name}"})


def test_host_keys_are_checked_whatever_the_shell_says(tmp_path: Path) -> None:
    """ansible-runner switches that off unless it is set."""
    shell = {"ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_SSH_HOST_KEY_CHECKING": "False"}
    runner = AnsibleRunner(tmp_path, shell, "sqlite://", tmp_path, lambda run: [])
    play = Play("r1", "0001-check", "check.yml", "site")
    given = runner._environment(play, _PlayDirectory(tmp_path), {})
    assert {name: value for name, value in given.items() if "HOST_KEY" in name} == {
        "ANSIBLE_HOST_KEY_CHECKING": "True"
    }


def test_the_page_about_the_environment_names_all_that_is_passed() -> None:
    page = (Path(__file__).parents[3] / "docs" / "environment.md").read_text("utf-8")
    assert [name for name in (*_NAMES, *_PREFIXES) if f"`{name}" not in page] == []


def test_the_project_is_here_or_above(tmp_path: Path) -> None:
    (tmp_path / "playbooks" / "tasks").mkdir(parents=True)
    (tmp_path / "ansible.cfg").touch()

    assert find_project({}, tmp_path / "playbooks" / "tasks") == tmp_path
    assert find_project({"HOLDFAST_PROJECT": str(tmp_path)}, Path("/")) == tmp_path


def test_what_a_wheel_carries_is_the_project_where_there_is_no_checkout(tmp_path: Path) -> None:
    carried = tmp_path / "project"
    (carried / "playbooks").mkdir(parents=True)
    (carried / "ansible.cfg").touch()
    here = tmp_path / "elsewhere"
    here.mkdir()

    assert find_project({}, here, (tmp_path / "no-checkout", carried)) == carried
    assert find_project({}, carried / "playbooks", (tmp_path / "no-checkout",)) == carried


def test_a_named_directory_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a Holdfast project") as caught:
        find_project({"HOLDFAST_PROJECT": str(tmp_path)}, Path("/"))
    assert "HOLDFAST_PROJECT" in caught.value.remedy


def test_a_directory_that_cannot_be_looked_into_is_passed_over_unless_it_is_named(
    tmp_path: Path,
) -> None:
    """As with `sudo -u ops holdfast …` in root's home; a name that is too long stands for it."""
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "ansible.cfg").touch()
    closed = Path("/", "x" * 300)

    assert find_project({}, closed, (tmp_path,)) == tmp_path
    with pytest.raises(InvalidInput, match="cannot be read: File name too long"):
        find_project({"HOLDFAST_PROJECT": str(closed)}, Path("/"), (tmp_path,))


def test_the_second_request_to_stop_is_the_hard_one() -> None:
    stop = StopSignal()
    assert (stop.at_boundary, stop.hard) == (False, False)
    stop.request()
    assert (stop.at_boundary, stop.hard) == (True, False)
    stop.request()
    assert (stop.at_boundary, stop.hard) == (True, True)


def test_a_hard_stop_may_be_requested_at_once() -> None:
    stop = StopSignal()
    stop.request(hard=True)
    assert (stop.at_boundary, stop.hard) == (True, True)
