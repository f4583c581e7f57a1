"""Every site variable that a claim needs is documented, with the default that probes use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from holdfast.claims import all_claims
from holdfast.model import Json
from holdfast.probes.base import SiteVariables

ROLES = Path(__file__).resolve().parents[3] / "roles"
PRESETS = ROLES.parent / "inventories/presets"
ANSIBLE_S_OWN = {"ansible_host", "ansible_ssh_host", "inventory_hostname"}
NEEDED = sorted({name for claim in all_claims().values() for name in claim.needs} - ANSIBLE_S_OWN)


@cache
def documented() -> dict[str, Mapping[str, Json]]:
    """Return every option of every role's argument specs."""
    found: dict[str, Mapping[str, Json]] = {}
    for path in ROLES.glob("*/meta/argument_specs.yml"):
        for spec in yaml.safe_load(path.read_text())["argument_specs"].values():
            found |= spec.get("options", {})
    return found


def sites(base: type[SiteVariables] = SiteVariables) -> Iterator[type[SiteVariables]]:
    """Yield every model of site variables."""
    for model in base.__subclasses__():
        if model.__module__.startswith("holdfast."):
            yield model
        yield from sites(model)


def plain(value: Json) -> Json:
    found = value.get_secret_value() if isinstance(value, SecretStr) else value
    return list(found) if isinstance(found, tuple) else found


@pytest.mark.parametrize("name", NEEDED)
def test_a_variable_that_a_claim_needs_is_documented(name: str) -> None:
    assert name in documented()


@pytest.mark.parametrize(
    "model", sorted(set(sites()), key=str), ids=lambda model: str(model.__name__)
)
def test_a_probe_s_default_is_the_documented_one(model: type[SiteVariables]) -> None:
    """A probe reads variables of hosts whose role is not running, so it has defaults of its own.

    A default in the specs is the same; one that only the probe has is in the description.
    """
    options = documented()
    for name, field in model.model_fields.items():
        default, option = plain(field.default), options.get(name, {})
        if field.is_required() or name in ANSIBLE_S_OWN or default in (None, "", False):
            continue
        documented_default = option.get("default", option["description"])
        number = isinstance(default, int | float) and not isinstance(default, bool)
        text = f"{default:g}" if number else str(default)
        assert documented_default == default or text in str(documented_default), name


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*/group_vars/all/10-preset.yml")), ids=str)
def test_every_variable_of_a_preset_is_documented(preset: Path) -> None:
    """Those of a preset's own begin with ``site_``."""
    names = yaml.safe_load(preset.read_text("utf-8"))
    assert [name for name in names if name not in documented() and name[:5] != "site_"] == []


def test_there_are_variables_to_check() -> None:
    assert len(NEEDED) > 10
    assert len(set(sites())) > 2
