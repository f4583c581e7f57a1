"""Which brokers a transport URL names, as oslo.messaging reads it, and that no error has anything of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

from holdfast.errors import CannotTell, InvalidInput
from holdfast.observations.nova import ExpectedService
from holdfast.probes.nova.rpc_client import ping
from holdfast.probes.nova.site import RpcSite
from holdfast.probes.nova.transport_url import brokers_of

CONDUCTOR = ExpectedService("conductor", "ctl1", "ctl1")
FOUND = [
    ("rabbit://nova:s3@b1:5673/", [("b1", 5673, "nova", "s3", "/", False)]),
    ("rabbit://nova:s3@b1", [("b1", 5672, "nova", "s3", "/", False)]),
    ("rabbit://nova:s3@b1/nova", [("b1", 5672, "nova", "s3", "nova", False)]),
    ("rabbit://nova:s3@b1//", [("b1", 5672, "nova", "s3", "/", False)]),
    ("rabbit://n%40va:p%2F%3A@b1/a%2Fb", [("b1", 5672, "n@va", "p/:", "a/b", False)]),
    ("rabbit://nova:a@b@b1/", [("b1", 5672, "nova", "a@b", "/", False)]),
    ("rabbit://nova:a:b@b1/", [("b1", 5672, "nova", "a:b", "/", False)]),
    ("rabbit://nova:s3@[::1]:5673/", [("::1", 5673, "nova", "s3", "/", False)]),
    ("rabbit://nova:s3@[2001:DB8::A]/", [("2001:db8::a", 5672, "nova", "s3", "/", False)]),
    ("rabbit://nova:s3@2001:DB8::A/", [("2001:db8::a", 5672, "nova", "s3", "/", False)]),
    (
        "rabbit://nova:s3@[::1]:5673,nova:s3@[::2],nova:s3@B3:1,/?ssl=yes",
        [
            ("::1", 5673, "nova", "s3", "/", True),
            ("::2", 5671, "nova", "s3", "/", True),
            ("b3", 1, "nova", "s3", "/", True),
        ],
    ),
    (
        "rabbit://nova:s3@b1:5672,nova:s4@b2:5672/v",
        [("b1", 5672, "nova", "s3", "v", False), ("b2", 5672, "nova", "s4", "v", False)],
    ),
    ("rabbit://nova:s3@b1/?ssl=1", [("b1", 5671, "nova", "s3", "/", True)]),
    ("rabbit://nova:s3@b1?ssl=TRUE&ssl_ca_file=/x", [("b1", 5671, "nova", "s3", "/", True)]),
]


@pytest.mark.parametrize(("url", "found"), FOUND)
def test_a_transport_url(url: str, found: list[tuple[str, int, str, str, str, bool]]) -> None:
    assert [(b.host, b.port, b.user, b.password, b.vhost, b.tls) for b in brokers_of(url)] == found


@pytest.mark.parametrize(
    ("query", "configured", "tls"),
    [("", True, True), ("", False, False), ("?ssl=0", True, False), ("?ssl=on", False, True), ("?ssl=", True, True)],
)  # fmt: skip
def test_what_the_url_says_of_tls_counts_before_nova_conf(
    query: str, configured: bool, tls: bool
) -> None:
    (broker,) = brokers_of(f"rabbit://nova:s3@b1/{query}", configured)
    assert (broker.tls, broker.port) == (tls, 5671 if tls else 5672)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "planted",
        "http://nova:planted@b1/",
        "rabbit://b1:5672/",
        "rabbit:///",
        "rabbit://nova:planted@:5672/",
        "rabbit://nova:planted@b1:port/",
        "rabbit://nova:planted@b1:0/",
        "rabbit://nova:planted@[b1/",
        "rabbit://nova:planted@[::1]5672/",
        "rabbit://nova:planted@b1:5672:5673/",
        "rabbit://nova:planted@b1/?ssl=maybe",
        "rabbit://nova:planted@b1/?ssl=1&ssl=0",
        *(
            f"rabbit://nova:{password}@b1:5672,nova:{password}@b2:5672/"
            for password in (
                "p@planted#word", "p#planted", "planted/x", "p@planted/x", "p@planted?x", "planted,x",
                "p@planted,x", "planted[x", "p@plan ted,nova:x", "planted?x",
            )
        ),
    ],
)  # fmt: skip
def test_an_invalid_transport_url_is_refused_and_nothing_of_it_is_in_the_message(url: str) -> None:
    site = RpcSite.model_validate({"nova_transport_url": url})
    with pytest.raises(InvalidInput) as caught:
        site.brokers("ctl1")
    message = str(caught.value)
    assert message.startswith("ctl1: nova_transport_url: ")
    assert "URL-encoded" in message
    assert "plan" not in message + repr(caught.value.__cause__)


def test_a_password_that_is_not_in_the_vault_yet_is_told_from_one_that_is_not_encoded() -> None:
    with pytest.raises(InvalidInput, match="the password of address 2 of 2 is empty; is it in"):
        brokers_of("rabbit://nova:x@b1:5672,nova:@b2:5672/")


def test_a_broker_does_not_show_its_password() -> None:
    assert "planted" not in repr(brokers_of("rabbit://nova:planted-secret@b1/"))


@pytest.mark.parametrize("password", ["p@planted.invalid,x:y", "x"])
def test_a_host_that_may_be_a_piece_of_a_password_is_not_shown(password: str) -> None:
    url = f"rabbit://nova:{password}@planted.invalid/"
    with pytest.raises(CannotTell) as caught:
        ping(brokers_of(url), {CONDUCTOR: 1})
    assert "no such host name" in str(caught.value)
    assert "URL-encoded" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_the_example_inventory_and_the_error_s_advice_encode_any_password() -> None:
    example = Path(__file__).parents[3] / "inventories/example/group_vars/all/nova.yml"
    template = yaml.safe_load(example.read_text())["nova_transport_url"]
    password = "p@/?#,:[%]! 'w0rd"  # noqa: S105 - made up
    values = {"groups": {"rabbitmq": ["b1", "b2"]}, "vault_nova_transport_password": password}
    brokers = brokers_of(Environment(autoescape=False).from_string(template).render(values))  # noqa: S701 - no HTML
    assert [(broker.host, broker.password) for broker in brokers] == [
        ("b1", password),
        ("b2", password),
    ]
    with pytest.raises(InvalidInput) as caught:
        brokers_of("")
    advice = re.search(r"vault_nova_transport_password \|.*", caught.value.message)
    assert advice
    assert advice[0] in template


def test_every_inventory_encodes_the_passwords_of_its_urls() -> None:
    """Jinja's own filter leaves a slash as it is."""
    inventories = Path(__file__).parents[3] / "inventories"
    halves = [
        path
        for path in inventories.rglob("*.yml")
        if re.search(r"vault_\w+ \| urlencode(?! \| replace\('/', '%2F'\))", path.read_text())
    ]
    assert halves == []
