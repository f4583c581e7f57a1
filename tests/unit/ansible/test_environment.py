from __future__ import annotations

from pathlib import Path

import pytest
from ansible import config

from holdfast.ansible.environment import _CHANGES_PLAYS, filter_environment, find_project
from holdfast.ansible.interfaces import StopSignal
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


@pytest.mark.parametrize(
    "name",
    ["STRATEGY", "RUN_TAGS", "SKIP_TAGS", "ANY_ERRORS_FATAL", "CONFIG", "ROLES_PATH", "ASK_PASS"],
)
def test_nothing_that_changes_what_a_play_does_is_passed_on(name: str) -> None:
    assert filter_environment({f"ANSIBLE_{name}": "x"}) == {}


def test_every_setting_that_is_kept_back_is_one_of_ansibles() -> None:
    """A name that Ansible does not know, or no longer, would keep nothing back."""
    known = (Path(config.__file__).parent / "base.yml").read_text("utf-8")
    kept_back = sorted(_CHANGES_PLAYS - {"ANSIBLE_CONFIG"})  # this one names the file of the others
    assert [
        name
        for name in kept_back
        if f"name: {name}\n" not in known and f"name: {name}}}" not in known
    ] == []


def test_the_project_is_here_or_above(tmp_path: Path) -> None:
    (tmp_path / "playbooks" / "tasks").mkdir(parents=True)
    (tmp_path / "ansible.cfg").touch()

    assert find_project({}, tmp_path / "playbooks" / "tasks") == tmp_path
    assert find_project({"HOLDFAST_PROJECT": str(tmp_path)}, Path("/")) == tmp_path


def test_a_named_directory_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a Holdfast project") as caught:
        find_project({"HOLDFAST_PROJECT": str(tmp_path)}, Path("/"))
    assert "HOLDFAST_PROJECT" in caught.value.remedy


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
