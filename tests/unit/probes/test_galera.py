"""What a Galera node's report is read from, and what is said where a node gives none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.errors import InvalidInput
from holdfast.model import Json, Unanswered
from holdfast.observations.galera import GaleraNode, GaleraViews, GroupRound
from holdfast.probes.base import ProbeContext
from holdfast.probes.galera.nodes import probe_nodes, probe_return, probe_rounds
from tests.unit.probes.fake_mariadb import FakeMariaDB, Rows, mariadb
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.shells import NoShell

RECORDED = json.loads((Path(__file__).parent / "recorded/galera_10_11.json").read_text())
CLIENTS = [
    ("nova", "10.0.0.5:41000"),
    ("nova", "10.0.0.5:41001"),
    ("holdfast", "10.0.0.9:1"),
    ("root", "localhost"),
]


def rows(**changed: str) -> dict[str, Rows]:
    """Return what a node of MariaDB 10.11 answers, with other values of its status and variables."""
    status, variables = (
        {name: changed.get(name, value) for name, value in RECORDED[part].items()}
        for part in ("status", "variables")
    )
    return {
        "SHOW GLOBAL STATUS": list(status.items()),
        "SHOW GLOBAL VARIABLES": list(variables.items()),
        "SELECT user, host": CLIENTS,
        "SELECT CEILING": [["812"]],
    }


def site(port: int, **variables: Json) -> ProbeContext:
    of_host = {
        "ansible_host": "127.0.0.1",
        "galera_port": port,
        "galera_user": "holdfast",
        "galera_password": "planted-pässwörd",
        "galera_answer_seconds": 10,
        **variables,
    }
    return ProbeContext("ctl1", {"galera": ["ctl1"]}, {"ctl1": of_host}, NoShell())


def asked(server: FakeMariaDB, **variables: Json) -> GaleraViews:
    with mariadb(server) as port:
        return probe_nodes(site(port, **variables))


def silent(server: FakeMariaDB, **variables: Json) -> str:
    return asked(server, **{"galera_answer_seconds": 0.2, **variables}).silent["ctl1"]


def reported(**changed: str) -> GaleraNode:
    return asked(FakeMariaDB(rows(**changed))).answered["ctl1"]


def test_a_node_is_what_mariadb_reports() -> None:
    node = reported()
    assert node.serves
    assert (node.name, node.view, node.size, node.weight) == ("ctl1", 3, 3, 1)
    assert (node.committed, node.cached_from, node.read_only) == (9, 1, False)
    assert node.counters.start == "e49b8811-ea3a-11f1-a4ca-3b9a2f2aab39"


def test_connections_of_gates_and_of_the_nodes_own_socket_are_no_clients() -> None:
    assert reported().clients == {"nova@10.0.0.5": 2}


def test_a_client_of_the_same_host_that_came_over_tcp_is_a_client() -> None:
    """Where haproxy, nova and the database share hosts, a second writer may be on the node itself."""
    listed = {**rows(), "SELECT user, host": [*CLIENTS, ("nova", "localhost:41002")]}
    clients = asked(FakeMariaDB(listed)).answered["ctl1"].clients
    assert clients == {"nova@10.0.0.5": 2, "nova@localhost": 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"wsrep_ready": "OFF"},
        {"wsrep_connected": "OFF"},
        {"wsrep_cluster_status": "non-Primary"},
        {"wsrep_local_state": "2"},
        {"wsrep_desync_count": "1"},
        {"wsrep_desync": "ON"},
    ],
)
def test_a_node_serves_only_where_everything_is_well(changed: dict[str, str]) -> None:
    assert not reported(**changed).serves


def test_what_is_told_in_another_way_is_read_alike() -> None:
    assert reported(wsrep_cluster_status="primary").serves
    assert reported(wsrep_local_cached_downto=str(2**64 - 1)).cached_from is None
    assert reported(wsrep_provider_options="a = 1;pc.weight = 3; b = 2").weight == 3
    assert reported(wsrep_provider_options="gcache.size = 2G; b = 2").cache_bytes == 2 << 30
    assert reported(wsrep_provider_options="gcache.size = 4096").cache_bytes == 4096
    assert reported(wsrep_provider_options="gcache.page_size = 1G").cache_bytes == 0
    assert reported(read_only="NO_LOCK").read_only


def test_nothing_waits_for_the_cluster() -> None:
    """With wsrep_sync_wait a read hangs on a node that has lost its cluster."""
    server = FakeMariaDB(rows())
    asked(server, galera_answer_seconds=0.2)
    statements = [
        each for each in server.received if not each.startswith(("SET NAMES", "SET AUTO"))
    ]
    assert statements[0].startswith("SET SESSION wsrep_sync_wait = 0")
    assert statements[0].endswith("max_statement_time = 0.2"), (
        "nor goes on when nobody waits for it"
    )


def test_a_round_through_the_group_waits_for_the_cluster_and_the_rest_does_not() -> None:
    server = FakeMariaDB({**rows(), "SELECT 'holdfast'": [["holdfast"]]})
    with mariadb(server) as port:
        seen = probe_rounds(site(port)).nodes["ctl1"]
    assert isinstance(seen, GroupRound)
    assert (seen.view, seen.size) == (3, 3)
    asked = [each for each in server.received if "wsrep_sync_wait" in each or "holdfast" in each]
    waits = [each.rpartition(" = ")[2] if "SET" in each else each for each in asked[1:]]
    assert waits == ["1", "SELECT 'holdfast'", "0"]


def test_a_node_whose_group_does_not_answer_is_silent() -> None:
    with mariadb(FakeMariaDB(rows(), hangs="SELECT 'holdfast'")) as port:
        seen = probe_rounds(site(port, galera_answer_seconds=0.2)).nodes["ctl1"]
    assert isinstance(seen, Unanswered)
    assert "gave no answer in 0.2 s: `SELECT 'holdfast'`" in seen.cause


FAULTS = {
    "the password is wrong": (
        FakeMariaDB(
            login=(1045, "Access denied for user 'holdfast'@'10.0.0.9' (using password: YES)")
        ),
        "refused 'holdfast': Access denied for user 'holdfast'@'10.0.0.9' (using password: YES) (1045)",
    ),
    "all connections are taken": (
        FakeMariaDB(greeting=(1040, "Too many connections")),
        "Too many connections (1040): all connections are taken (max_connections)",
    ),
    "the account may not see others": (
        FakeMariaDB(rows(), refused={"SELECT user": (1227, "Access denied; you need PROCESS")}),
        "(1227): the account lacks a privilege; it needs PROCESS",
    ),
    "it was built without Galera": (
        FakeMariaDB(refused={"SET SESSION": (1193, "Unknown system variable 'wsrep_sync_wait'")}),
        "(1193): the server was built without Galera",
    ),
    "it is a server of its own": (
        FakeMariaDB(rows(wsrep_on="OFF")),
        "ctl1's MariaDB is no node of a Galera cluster: wsrep_on is OFF",
    ),
    "a value is in another shape": (
        FakeMariaDB(rows(wsrep_local_state="four")),
        "ctl1's MariaDB reports no usable wsrep_local_state: 'four'",
    ),
    "it says nothing": (FakeMariaDB(silent=True), "gave no answer in 0.2 s"),
    "it hangs": (
        FakeMariaDB(rows(), hangs="SHOW GLOBAL STATUS"),
        "gave no answer in 0.2 s: `SHOW GLOBAL STATUS",
    ),
}


@pytest.mark.parametrize(("server", "cause"), FAULTS.values(), ids=FAULTS.keys())
def test_a_node_that_gives_no_report_says_why_and_no_password(
    server: FakeMariaDB, cause: str
) -> None:
    said = silent(server)
    assert cause in said
    assert "planted" not in said


def test_a_wrong_password_is_named_with_its_variable() -> None:
    said = silent(FakeMariaDB(login=(1045, "Access denied for user 'holdfast'")))
    assert said.endswith("the account or its password is wrong (galera_user, galera_password)")


def test_a_server_that_is_down_is_no_answer() -> None:
    said = probe_nodes(site(closed_port())).silent["ctl1"]
    assert said.startswith("ctl1's MariaDB (127.0.0.1 port ")
    assert "refused" in said


def test_a_server_that_asks_for_the_password_itself_does_not_get_it() -> None:
    """A server of somebody else could ask for it in clear text."""
    server = FakeMariaDB(rows(), switch=b"mysql_clear_password")
    assert "planted" not in silent(server)
    assert all(b"planted" not in each for each in server.logins)


def test_the_size_of_the_state_is_told_or_unknown() -> None:
    whole = FakeMariaDB(rows())
    with mariadb(whole) as port:
        assert probe_return(site(port), "").megabytes == 812
    [asked_for] = [each for each in whole.received if each.startswith("SELECT CEILING")]
    assert "innodb_sys_tablespaces" in asked_for, "the account sees no table, and all files"
    refused = FakeMariaDB(
        rows(), refused={"SELECT CEILING": (1047, "WSREP has not yet prepared node")}
    )
    with mariadb(refused) as port:
        assert probe_return(site(port), "ctl1").megabytes is None


def test_a_single_node_without_an_account_gives_no_answer_and_the_others_are_asked() -> None:
    with mariadb(FakeMariaDB(rows())) as port:
        first = site(port).variables["ctl1"]
        second = {**first, "galera_user": "", "galera_port": 1}
        both = {"ctl1": first, "ctl2": second}
        seen = probe_nodes(ProbeContext("ctl1", {"galera": ["ctl1", "ctl2"]}, both, NoShell()))
    assert [*seen.answered] == ["ctl1"]
    assert seen.silent["ctl2"].startswith("ctl2: galera_user is not set")


def test_what_the_site_must_correct_is_named() -> None:
    with pytest.raises(InvalidInput, match="ctl1: galera_user is not set"):
        probe_nodes(site(1, galera_user=""))
    with pytest.raises(InvalidInput, match="db9 is no Galera node of this inventory"):
        probe_return(site(1), "db9")
    twins = site(1)
    both = ProbeContext(
        "ctl1",
        {"galera": ["ctl1", "ctl2"]},
        dict.fromkeys(("ctl1", "ctl2"), twins.variables["ctl1"]),
        NoShell(),
    )
    with pytest.raises(InvalidInput, match="ctl1 and ctl2 are one listener"):
        probe_nodes(both)
