"""Site variables are checked before a probe uses them, and an invalid value never appears in a message."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.probes.base import ProbeContext, SiteVariables
from holdfast.probes.nova.site import MetadataSite
from tests.unit.probes.shells import NoShell


class Broker(SiteVariables):
    port: int = 5672
    password: SecretStr
    url: str


def context(variables: Mapping[str, Json]) -> ProbeContext:
    return ProbeContext(host="ctl1", groups={}, variables={"ctl2": variables}, shell=NoShell())


def test_the_names_of_the_variables_are_the_needs() -> None:
    assert Broker.needs() == ("port", "password", "url")


def test_a_site_is_read_with_defaults_and_without_other_variables() -> None:
    site = context({"password": "hunter2", "url": "x", "other": 1}).site("ctl2", Broker)
    assert (site.port, site.password.get_secret_value()) == (5672, "hunter2")
    assert "hunter2" not in repr(site)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"password": "hunter2"}, "url: Field required"),
        ({"password": "hunter2", "url": "x", "port": "hunter2"}, "port: "),
        ({"password": ["hunter2"], "url": "x"}, "password: "),
        ({}, "password: Field required; url: Field required"),
    ],
)
def test_a_wrong_variable_is_named_with_its_host_and_without_its_value(
    variables: Mapping[str, Json], named: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        context(variables).site("ctl2", Broker)
    assert named in str(refused.value)
    assert "ctl2" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_pydantic_s_own_message_would_not_show_the_value_either() -> None:
    with pytest.raises(ValidationError) as raw:
        Broker.model_validate({"password": ["hunter2"], "url": 3})
    assert "hunter2" not in str(raw.value)


def test_a_host_that_the_inventory_does_not_have_is_missing_everything() -> None:
    with pytest.raises(InvalidInput, match="ctl9"):
        context({}).site("ctl9", Broker)


def test_a_missing_file_of_authorities_is_named_with_its_variable(tmp_path: Path) -> None:
    """It is read deep inside of a library, whose error names the file alone, or not even that."""
    there = tmp_path / "ca.pem"
    with pytest.raises(InvalidInput, match=f"nova_ca_file: .*no file {there} on this machine"):
        context({"nova_metadata_url": "x", "nova_ca_file": str(there)}).site("ctl2", MetadataSite)
    there.touch()
    found = context({"nova_metadata_url": "x", "nova_ca_file": str(there)}).site(
        "ctl2", MetadataSite
    )
    assert found.metadata.ca_file == str(there)
