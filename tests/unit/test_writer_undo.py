"""What a person types after a run was abandoned never makes two writers, in whatever order hosts answer."""

from __future__ import annotations

import re
import shlex

import pytest

from holdfast.probes.haproxy import Haproxy, HaproxySite
from holdfast.writer_move import states_in
from holdfast.writer_undo import undo_command
from tests.unit.probes.shells import NoShell
from tests.unit.test_writer_move import FakeHaproxies, assert_never_two, drain, words

SITES = {
    "lb1": HaproxySite(),
    "lb2": HaproxySite(
        haproxy_socket="/run/h2.sock",
        haproxy_galera_backend="sql",
        haproxy_command_prefix=("docker", "exec", "h2"),
    ),
}


def undo(noted: dict[str, dict[str, str]], server: str, *, writes: bool) -> list[list[str]]:
    haproxies = {host: Haproxy(host, site, NoShell()) for host, site in SITES.items()}
    line = undo_command(haproxies, noted, server, writes=writes, inventory="/site")
    return [shlex.split(part) for part in line.split(" && ansible ")]


def type_it(haproxies: FakeHaproxies, parts: list[list[str]]) -> None:
    """Run each part on its hosts; a part begins when the one before has ended."""
    for part in parts:
        [sent] = re.findall(r"set server [^'\"|]*", part[-2])
        for host in part[-1].split(","):
            for command in sent.strip().split(";"):
                haproxies.run(host, command)


@pytest.mark.parametrize("host", ["db1", "db3"])
def test_every_server_gets_its_state_back_with_never_two_writers(host: str) -> None:
    haproxies = FakeHaproxies()
    noted = states_in(haproxies.look())
    drain(haproxies, host)
    type_it(haproxies, undo(noted, host, writes=host == "db1"))
    assert words(haproxies) == ["ready ready ready"] * 2
    assert haproxies.state("lb1").elected == haproxies.state("lb2").elected == ("db1",)
    assert_never_two(haproxies)


def test_what_the_configuration_disables_is_left_alone() -> None:
    noted = {host: {"db1": "ready", "db2": "maint", "db3": "ready"} for host in SITES}
    assert not [part for part in undo(noted, "db1", writes=True) if "db2" in part[-2]]
    assert undo(noted, "db2", writes=False) == [[]]


def test_each_haproxy_is_asked_by_its_own_socket_backend_and_container() -> None:
    noted = states_in(FakeHaproxies().look())
    first, second = undo(noted, "db3", writes=False)
    assert first[-1] == "lb1"
    assert "echo 'set server galera/db3 state ready' | socat - /run/haproxy/admin.sock" in first[-2]
    assert second[-1] == "lb2"
    assert second[-2].startswith("docker exec h2 sh -c ")
    assert "set server sql/db3 state ready" in second[-2]
    assert "/run/h2.sock" in second[-2]


def test_haproxies_that_are_alike_are_one_command() -> None:
    noted = states_in(FakeHaproxies().look())
    alike = {host: Haproxy(host, HaproxySite(), NoShell()) for host in noted}
    line = undo_command(alike, noted, "db1", writes=True, inventory="/site")
    stop, restore = line.split(" && ansible ")
    assert stop.endswith(" lb1,lb2")
    assert "ready" not in stop
    assert restore.endswith(" lb1,lb2")
