"""The counters beside a boot test are those of each node, or why it gave none; only where the site has an account."""

from __future__ import annotations

from holdfast.boots.galera import has_account, read_counters
from holdfast.boots.model import Counters
from holdfast.probes.base import ProbeContext
from tests.unit.probes.fake_mariadb import FakeMariaDB, mariadb
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.shells import NoShell
from tests.unit.probes.test_galera import rows, site


def test_a_nodes_counters_are_read() -> None:
    told = rows(wsrep_local_cert_failures="7", wsrep_local_bf_aborts="2", Innodb_deadlocks="1")
    with mariadb(FakeMariaDB(told)) as port:
        assert has_account(site(port))
        found = read_counters(site(port))
    start = "e49b8811-ea3a-11f1-a4ca-3b9a2f2aab39"
    assert found == {"ctl1": Counters(start=start, failures=7, aborts=2, deadlocks=1)}


def test_a_silent_node_has_a_text_in_place_of_counters() -> None:
    found = read_counters(site(closed_port()))["ctl1"]
    assert isinstance(found, str)
    assert "ctl1's MariaDB" in found


def test_without_an_account_no_node_is_asked() -> None:
    assert not has_account(ProbeContext("ctl1", {}, {}, NoShell()))
    assert not has_account(site(closed_port(), galera_user=""))
