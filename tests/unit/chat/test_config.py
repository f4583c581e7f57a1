"""The configuration: errors name the key, and no value."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from holdfast.chat.config import Config, Role, load_config
from holdfast.chat.permissions import Permissions
from holdfast.chat.transport import Person
from holdfast.errors import InvalidInput
from holdfast.model import Json
from tests.unit.chat.chat_harness import CONFIG


def written(path: Path, **changed: Json) -> Path:
    target = path / "chat.yml"
    target.write_text(yaml.safe_dump(CONFIG | changed))
    return target


def test_the_tests_own_configuration_is_read(tmp_path: Path) -> None:
    assert load_config(written(tmp_path)) == Config.model_validate(CONFIG)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"roles": [{"role": "operator", "people": ["adda"], "sites": ["lab"]}]},
            "did you mean ada?",
        ),
        (
            {"roles": [{"role": "operator", "people": ["ada"], "sites": ["lob"]}]},
            "did you mean lab?",
        ),
        ({"roles": [{"role": "root", "people": ["ada"], "sites": ["lab"]}]}, "roles.0.role"),
        ({"roles": [{"role": "viewer", "people": [], "sites": ["lab"]}]}, "roles.0.people"),
        ({"log": {"transport": "slac", "channel": "C1"}}, "there is no transport 'slac'"),
        ({"people": {"ada": ["memory:x"], "bob": ["memory:x"]}, "roles": []}, "both ada and bob"),
        ({"people": {"ada": ["Ada"]}}, "people.ada.0"),
        ({"transports": {}}, "transports"),
        ({"sites": {}}, "sites"),
        ({"roels": []}, "roels"),
        ({"rates": {"commands": 0}}, "rates.commands"),
    ],
)
def test_an_error_names_the_key(tmp_path: Path, changed: dict[str, Json], expected: str) -> None:
    with pytest.raises(InvalidInput) as error:
        load_config(written(tmp_path, **changed))
    assert expected in str(error.value)
    assert "docs/chat.md" in str(error.value)


def test_an_error_never_quotes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "chat.yml"
    path.write_text("transports: {slack: {bot_token: planted-secret-4711\n")
    with pytest.raises(InvalidInput) as error:
        load_config(path)
    assert "not valid YAML" in str(error.value)
    assert "planted" not in str(error.value)


def test_a_missing_file_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_config(tmp_path / "gone.yml")


def permissions(*roles: dict[str, Json]) -> Permissions:
    return Permissions(Config.model_validate(CONFIG | {"roles": roles}))


def test_permissions_depend_on_ids_not_on_names() -> None:
    known = permissions()
    assert known.member(Person("memory:ada", "whoever")) is not None
    assert known.member(Person("", "ada")) is None
    assert known.member(Person("other:ada", "ada")) is None


@pytest.mark.parametrize(
    ("sites", "runbooks", "expected"),
    [
        (["lab"], ["*"], {"a", "b"}),
        (["*"], ["a"], {"a"}),
        (["lab"], ["b"], {"b"}),
    ],
)
def test_roles_are_by_site_and_runbook(
    sites: list[str], runbooks: list[str], expected: set[str]
) -> None:
    known = permissions({"role": "viewer", "people": ["ada"], "sites": sites, "runbooks": runbooks})
    ada = known.member(Person("memory:ada", "Ada"))
    assert ada is not None
    assert {name for name in ("a", "b") if known.may_view(ada, "lab", name)} == expected
    assert known.people(Role.OPERATOR, "lab", "a") == []
