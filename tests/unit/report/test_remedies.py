"""What to type about the cause that a message names: complete commands, with no placeholder to fill in."""

from __future__ import annotations

import pytest

from holdfast.evidence import QUEUE
from holdfast.report.remedies import fill, remedy_for

PROBE = "(rabbitmq_probe_user 'probe' in virtual host 'a b')"
MANAGEMENT = "(rabbitmq_management_user 'watch')"
SITE = "inventories/eqiad"
UNTRUSTED = (
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer"
    " certificate (_ssl.c:1006)"
)

CAUSES = [
    (
        f"401 from ctl1's management API to /api/queues/%2F: User not authorised to access virtual host {MANAGEMENT}",
        "list_user_permissions watch; it needs: rabbitmqctl set_permissions -p / watch '^$' '^$' '^$'",
    ),
    (
        f"ctl1: login: NOT_ALLOWED - access to vhost 'a b' refused for user 'probe' {PROBE}",
        "it needs: rabbitmqctl set_permissions -p 'a b' probe '.*' '.*' '.*'",
    ),
    (
        f"ctl1: login: ACCESS_REFUSED - Login was refused {PROBE}",
        "where there is no such user: rabbitmqctl add_user probe",
    ),
    (
        "ctl3: connect: [Errno 113] No route to host",
        "ansible -i inventories/eqiad ctl3 -m ansible.builtin.ping",
    ),
    (
        "ctl3: connect: [Errno 111] Connection refused",
        "on ctl3: rabbitmq-diagnostics check_port_connectivity",
    ),
    (
        "rep1 (a): the last error of its replication: 'Could not find GTID state requested by slave' (1236)",
        "let rep1 follow another node, or fill it anew: holdfast show galera-restart#if-it-holds",
    ),
    (
        f"ctl1's management API (192.0.2.1:15672): {UNTRUSTED}; ctl2's management API (192.0.2.2:15672): {UNTRUSTED}",
        "set rabbitmq_management_ca_file of the site to the file, on this machine, of the authority",
    ),
    (
        "ctl1's management API (192.0.2.1:15672): certificate verify failed: self-signed certificate (_ssl.c:1006",
        "set rabbitmq_management_ca_file of the site",
    ),
    (
        f"ctl1: login: {UNTRUSTED}; ctl2: login: {UNTRUSTED}",
        "set rabbitmq_amqp_ca_file of the site",
    ),
    (
        f"no broker of nova_transport_url serves: 192.0.2.1:5671: {UNTRUSTED}",
        "set nova_ca_file of the site",
    ),
    (
        f"no token from keystone at https://kilo:5000/v3: SSL exception: ('{UNTRUSTED}')",
        "set nova_ca_file of the site",
    ),
    (
        f"ctl1: login: {UNTRUSTED}".replace(
            "unable to get local issuer certificate", "certificate has expired"
        ),
        "renew that certificate",
    ),
    (
        "ctl1: login: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate",
        "let the site name the host as its certificate does",
    ),
    (
        "the probe did not end within 25 s",
        "holdfast check --site inventories/eqiad --wait 1m",
    ),
    (
        "the log file of nova-api is not there, and journal on ctl1 has 2 lines: which file does it log to",
        "set nova_SERVICE_log of the site to the file that nova-api logs to, or to `journal`",
    ),
    (
        "so it is not the log of nova: which file does nova-api log to (nova_*_log)?",
        "set nova_SERVICE_log of the site to the file that nova-api logs to",
    ),
    (
        "ctl3's management API (192.0.2.3:15672): [Errno 113] No route to host",
        "ansible -i inventories/eqiad ctl3 -m ansible.builtin.ping",
    ),
]


@pytest.mark.parametrize(("message", "remedy"), CAUSES)
def test_what_is_typed_names_the_host_the_account_and_what_it_lacks(
    message: str, remedy: str
) -> None:
    assert remedy in remedy_for(message, SITE)


def test_an_untrusted_certificate_is_no_matter_of_the_host() -> None:
    remedy = remedy_for(f"ctl1's management API (192.0.2.1:15672): {UNTRUSTED}", SITE)
    assert remedy.startswith("set rabbitmq_management_ca_file")
    assert "ansible" not in remedy


def test_a_jump_host_that_refuses_is_told_from_a_host_that_does() -> None:
    """Recorded: ssh's own words about the jump do not come through the ssh that Ansible starts."""
    of_ssh = "Failed to connect to the host via ssh: kex_exchange_identification: Connection closed"
    at_jump = f"b1 is unreachable: {of_ssh} by remote host Connection closed by UNKNOWN port 65535"
    other = "b2 is unreachable: Failed to connect to the host via ssh: Permission denied"
    ping = "ansible -i inventories/eqiad b2 -m ansible.builtin.ping"
    jump = remedy_for(at_jump, SITE)
    assert jump.startswith("log in to the jump host alone")
    assert "ping" not in jump
    assert remedy_for(f"b1: {at_jump}; b2: {other}", SITE) == f"{jump}; {ping}"


def test_a_refusal_that_names_no_virtual_host_gives_away_nothing() -> None:
    message = f"403 from ctl1's management API to /api/nodes: {MANAGEMENT}"
    assert "set_permissions" not in remedy_for(message.replace(": (", ":  ("), SITE)


@pytest.mark.parametrize(
    ("queue", "words"),
    [("orders", "orders"), ("two words (virtual host a b)", "--vhost 'a b' 'two words'")],
)
def test_a_queue_that_is_at_fault_is_in_the_command_that_shows_it(queue: str, words: str) -> None:
    shown = fill("on a broker: any", {QUEUE: queue})
    assert shown == f"on a broker: rabbitmq-queues quorum_status {words}"
