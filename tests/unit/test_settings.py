from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from holdfast.errors import InvalidInput
from holdfast.settings import Elsewhere, Settings, _home_before_sudo, load_settings


def config(path: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    file = path / "config.yml"
    file.write_text(text)
    file.chmod(mode)
    return {"HOLDFAST_CONFIG": str(file), "HOME": str(path)}


def test_by_default_all_users_of_a_machine_share_the_state(tmp_path: Path) -> None:
    machine = tmp_path / "machine"

    settings = load_settings({"HOME": str(tmp_path)}, machine)

    assert settings.state_dir == machine
    assert settings.state_url == f"sqlite:///{machine}/state.db"
    assert settings.runs_dir == machine / "runs"
    assert settings.warning == ""
    assert not machine.exists(), "reading the settings makes nothing"


def test_who_cannot_write_it_has_state_of_his_own_and_is_told_so(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path)}, tmp_path / "missing" / "machine")

    assert settings.state_dir == tmp_path / ".local/state/holdfast"
    assert f"are in {settings.state_dir}, which other users" in settings.warning
    assert "install -d -m 2770 -g GROUP" in settings.warning


@pytest.mark.parametrize("named", ["HOLDFAST_STATE_DIR", "XDG_STATE_HOME"])
def test_a_directory_that_is_named_wins_over_that_of_the_machine(
    tmp_path: Path, named: str
) -> None:
    environ = {"HOME": "/nowhere", named: str(tmp_path / "named")}

    settings = load_settings(environ, tmp_path)

    assert settings.state_dir.is_relative_to(tmp_path / "named")


def test_other_directories_with_state_are_known(tmp_path: Path) -> None:
    """A run that was held where state was kept before is not forgotten."""
    before, machine = tmp_path / ".local/state/holdfast", tmp_path / "machine"
    for directory in (before, machine):
        directory.mkdir(parents=True)
        (directory / "state.db").touch()

    assert load_settings({"HOME": str(tmp_path)}, machine).elsewhere == (Elsewhere(before),)
    own = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "x")}
    assert load_settings(own, machine).elsewhere == (Elsewhere(machine), Elsewhere(before))
    named = {"HOME": str(tmp_path), "HOLDFAST_STATE_DIR": str(tmp_path / "x")}
    settings = load_settings(named, machine)
    assert (settings.named, len(settings.elsewhere)) == (True, 2)


def test_a_directory_that_cannot_be_read_is_named_with_the_command_of_root() -> None:
    elsewhere = (Elsewhere(Path("/srv/a")), Elsewhere(Path("/srv/b"), readable=False))
    settings = Settings("sqlite:////x/state.db", Path("/x"), elsewhere)
    assert settings.describe_elsewhere("status k3f9") == (
        "This is /x; there is state elsewhere too: HOLDFAST_STATE_DIR=/srv/a holdfast status k3f9; "
        '/srv/b may have state that you cannot read: sudo "$(command -v holdfast)" status k3f9'
    )


def test_the_directory_of_who_called_sudo_is_known_to_root(tmp_path: Path) -> None:
    assert (
        _home_before_sudo({"SUDO_USER": pwd.getpwuid(0).pw_name}, uid=0) == pwd.getpwuid(0).pw_dir
    )
    assert _home_before_sudo({"SUDO_USER": "nobody-of-this-name"}, uid=0) == ""
    assert _home_before_sudo({"SUDO_USER": pwd.getpwuid(0).pw_name}, uid=1000) == ""


def test_the_users_own_directories_hold_configuration_and_state(tmp_path: Path) -> None:
    (tmp_path / "config" / "holdfast").mkdir(parents=True)
    environ = {"HOME": "/nowhere", "XDG_STATE_HOME": str(tmp_path / "state")}
    environ["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    assert load_settings(environ).state_dir == tmp_path / "state" / "holdfast"
    (tmp_path / "config" / "holdfast" / "config.yml").write_text("state_dir: /elsewhere\n")
    assert load_settings(environ).state_dir == Path("/elsewhere")


def test_the_state_directory_moves_the_default_database(tmp_path: Path) -> None:
    settings = load_settings({"HOME": "/nowhere", "HOLDFAST_STATE_DIR": str(tmp_path)})

    assert settings.state_url == f"sqlite:///{tmp_path}/state.db"


def test_the_file_names_another_database(tmp_path: Path) -> None:
    url = "mysql+pymysql://holdfast:hunter2@db/holdfast"
    settings = load_settings(config(tmp_path, f"state_url: {url}\nstate_dir: ~/runs\n"))

    assert settings.state_url == url
    assert settings.state_dir == Path("~/runs").expanduser()
    assert "hunter2" not in repr(settings)


def test_the_database_is_never_named_by_the_environment(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path), "HOLDFAST_STATE_URL": "sqlite:////elsewhere"})

    assert "elsewhere" not in settings.state_url


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("state_urls: x", "state_urls"),
        ("state_url: [1]", "state_url"),
        ("state_url: hunter2 is no url", "is not a database URL"),
        ("- a list", "the file"),
        ("state_url: 'hunter2\n", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_an_error_that_shows_no_password(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(InvalidInput, match=complaint) as caught:
        load_settings(config(tmp_path, text))

    assert "config.yml" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_settings({"HOLDFAST_CONFIG": str(tmp_path / "gone.yml")})


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    environ = config(tmp_path, "state_url: mysql+pymysql://u:hunter2@db/holdfast\n", mode=0o640)

    with pytest.raises(InvalidInput, match="other users can read it") as caught:
        load_settings(environ)
    assert "chmod 600" in caught.value.remedy


def test_the_machines_file_counts_where_the_user_has_none(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("state_dir: /var/lib/shared\n")
    own = tmp_path / "own" / "holdfast" / "config.yml"
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "own")}
    assert load_settings(environ, machine_config=tmp_path).state_dir == Path("/var/lib/shared")
    own.parent.mkdir(parents=True)
    own.write_text("state_dir: /mine\n")
    assert load_settings(environ, machine_config=tmp_path).state_dir == Path("/mine")


def test_the_machines_file_may_be_read_by_its_group_and_by_nobody_else(tmp_path: Path) -> None:
    shared = tmp_path / "config.yml"
    shared.write_text("state_url: mysql+pymysql://a:b@db.example.org/holdfast\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "own")}
    shared.chmod(0o640)
    assert load_settings(environ, machine_config=tmp_path).state_url.startswith("mysql")
    shared.chmod(0o644)
    with pytest.raises(InvalidInput, match="other users can read it") as caught:
        load_settings(environ, machine_config=tmp_path)
    assert caught.value.remedy == f"chmod 640 {shared}"


def test_a_machines_file_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "config.yml").mkdir()
    with pytest.raises(InvalidInput, match="cannot be read") as caught:
        load_settings({"XDG_CONFIG_HOME": str(tmp_path / "own")}, machine_config=tmp_path)
    assert "join the group" in caught.value.remedy
