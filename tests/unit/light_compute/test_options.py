"""A light compute reads its options from the nova.conf that nova-compute would read."""

from __future__ import annotations

from pathlib import Path

from tests.lab.light_compute.options import BrokerLogin, brokers_of, read_options

CONF = """
[DEFAULT]
transport_url = rabbit://nova:s%40cret@10.0.0.1:5672,nova:s%40cret@10.0.0.2:5672/
report_interval = 3

[oslo_messaging_rabbit]
rabbit_quorum_queue = true

[light_compute]
start_calls = 0
"""


def test_every_broker_of_the_transport_url_is_an_address_with_a_login() -> None:
    logins = brokers_of("rabbit://nova:s%40cret@10.0.0.1:5672,nova:s%40cret@10.0.0.2:5672/cell%2F1")
    assert [login.address for login in logins] == ["10.0.0.1:5672", "10.0.0.2:5672"]
    assert logins[0] == BrokerLogin("10.0.0.1:5672", "nova", "s@cret", "cell/1")
    assert "cret" not in repr(logins)


def test_what_is_not_set_is_novas_default_and_the_hostname() -> None:
    options = read_options(CONF, "cmp7")
    assert options.host == "cmp7"
    assert options.brokers[0].vhost == "/"
    assert options.log_file == Path("/var/log/nova/nova-compute.log")
    assert (options.report_interval, options.reply_timeout, options.heartbeat) == (3, 60, 60)
    assert (options.quorum_queues, options.transient_quorum_queues) == (True, False)
    assert (options.start_calls, options.start_seconds, options.stop_seconds) == (0, 5, 1)


def test_a_name_of_its_own_wins_over_the_hostname() -> None:
    assert read_options(CONF.replace("[DEFAULT]", "[DEFAULT]\nhost = c7"), "cmp7").host == "c7"


def test_a_change_is_a_further_text_and_may_break_the_service() -> None:
    assert not read_options(CONF, "cmp7").unusable
    changed = read_options(f"{CONF}\n[light_compute]\nunusable = true\ndeaf_after = 120", "cmp7")
    assert (changed.unusable, changed.deaf_after, changed.start_calls) == (True, 120, 0)
