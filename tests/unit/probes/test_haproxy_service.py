"""How one haproxy's words about its process and proxies are read: recorded from 2.6 in Debian's master-worker mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Unanswered
from holdfast.observations.haproxy_service import ConfigurationCheck
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.haproxy_service import probe_configuration, probe_service
from tests.unit.probes.shells import NoShell

RECORDED = (Path(__file__).parent / "recorded/haproxy_service_2_6.txt").read_text()
PROCESS = "/usr/sbin/haproxy (deleted)\n/usr/sbin/haproxy\n-Ws\n-f\n/etc/haproxy/haproxy.cfg\n-p\n/run/haproxy.pid\n"
WITH_MASTER = PROCESS + "-S\n/run/haproxy-master.sock,mode,600\n"
PROCESSES = """#<PID>          <type>          <reloads>       <uptime>        <version>
625             master          1 [failed: 0]   0d00h08m43s     2.6.12-1+deb12u3
# workers
1327            worker          0               0d00h00m38s     2.6.12-1+deb12u3
# old workers
627             worker          1               0d00h08m42s     2.6.12-1+deb12u3
# programs
"""
VALID = CommandResult(0, "Configuration file is valid\n", "")


class Host:
    """A host with a haproxy: answers each command by what is sent or asked; ``commands`` keeps them."""

    def __init__(self, **answers: str | CommandResult) -> None:
        known: dict[str, str | CommandResult] = {
            "show info;show stat -1 5 -1;show servers state": RECORDED,
            "show info": RECORDED,
            "process": WITH_MASTER,
            "show proc": PROCESSES,
            "@!627 show info": "Pid: 627\nCurrConns: 2\n",
            "check": VALID,
            "reload": "CanReload=yes\n",
        }
        self._answers = {**known, **answers}
        self.commands: list[list[str]] = []

    def run(self, argv: Sequence[str]) -> CommandResult:
        self.commands.append(list(argv))
        asked = "check" if "-c" in argv[1:2] and argv[0] != "sh" else argv[-1]
        asked = (
            "reload" if argv[0] == "systemctl" else "process" if "readlink" in argv[2] else asked
        )
        answer = self._answers[asked]
        return answer if isinstance(answer, CommandResult) else CommandResult(0, answer, "")


def context(reach: Callable[[str], Host], host: str = "lb1") -> ProbeContext:
    return ProbeContext(host, {"haproxy": ["lb1", "lb2"]}, {}, NoShell(), reach=reach)


def test_process_proxies_and_servers_are_read() -> None:
    found = probe_service(context(lambda _: Host()))
    assert (found.host, found.pid, found.uptime, found.sessions) == ("lb1", 1327, 22, 0)
    assert found.frontends == {"galera": True}
    assert [(each.place, each.up) for each in found.servers] == [
        ("galera/ctl1", True),
        ("galera/ctl2", True),
        ("galera/ctl3", False),
    ]
    assert found.servers[2].commands == ("set server galera/ctl3 state maint",)
    assert found.old == {627: 2}


def test_old_processes_are_asked_on_the_master_s_socket() -> None:
    host = Host()
    probe_service(context(lambda _: host))
    sent = [(each[-2], each[-1]) for each in host.commands if each[0] == "sh"]
    assert ("/run/haproxy-master.sock", "@!627 show info") in sent


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({"process": PROCESS}, "no socket that tells (option -S of haproxy)"),
        ({"show proc": "Unknown command."}, "its master answers 'Unknown command.'"),
        ({"@!627 show info": "Can't find the target PID"}, "the old process 627 does not tell"),
        ({"process": CommandResult(1, "", "")}, "how the haproxy with process 1327 was started"),
    ],
)
def test_old_sessions_that_are_not_told_are_no_zero(
    answers: dict[str, str | CommandResult], cause: str
) -> None:
    old = probe_service(context(lambda _: Host(**answers))).old
    assert isinstance(old, Unanswered)
    assert cause in old.cause


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Permission denied\n",
        RECORDED.replace("Pid: 1327\n", ""),
        RECORDED.replace("galera,ctl3,", "galera,ctl4,"),
        RECORDED.replace("192.0.2.13 0 1 1 1", "192.0.2.13 0 x 1 1"),
        RECORDED.partition("\n# be_id")[0],
    ],
)
def test_another_shape_is_no_answer(text: str) -> None:
    asked = {"show info;show stat -1 5 -1;show servers state": text}
    with pytest.raises(CannotTell, match="lb1's haproxy"):
        probe_service(context(lambda _: Host(**asked)))


def test_a_host_without_haproxy_is_invalid_input() -> None:
    with pytest.raises(InvalidInput, match="db1 is no haproxy of this inventory"):
        probe_service(context(lambda _: Host(), host="db1"))
    with pytest.raises(InvalidInput, match="db1 is no haproxy of this inventory"):
        probe_configuration(context(lambda _: Host()), "db1", "")


def test_the_files_of_the_running_process_are_checked_by_the_program_that_is_there_now() -> None:
    hosts = {
        "lb1": Host(),
        "lb2": Host(process=PROCESS.replace("-p\n", "-C\n/etc\n-p\n") + "--\n/a.cfg\n"),
    }
    seen = probe_configuration(context(hosts.__getitem__), "", "haproxy")
    assert seen["lb1"] == ConfigurationCheck(
        files=("/etc/haproxy/haproxy.cfg",),
        rc=0,
        output="Configuration file is valid\n\n",
        can_reload=True,
    )
    checks = {
        host: [c for c in each.commands if c[0] == "/usr/sbin/haproxy"]
        for host, each in hosts.items()
    }
    assert checks["lb1"] == [["/usr/sbin/haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"]]
    [second] = checks["lb2"]
    assert second[2:] == ["-f", "/etc/haproxy/haproxy.cfg", "-C", "/etc", "--", "/a.cfg"]


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({"process": "/usr/sbin/haproxy\nhaproxy\n-W\n"}, "names no file of configuration"),
        ({"show info": "Permission denied\n"}, "does not tell its process"),
        ({"reload": "Failed to connect to bus\n"}, "whether haproxy can be reloaded"),
    ],
)
def test_what_cannot_be_checked_is_no_answer(answers: dict[str, str], cause: str) -> None:
    seen = probe_configuration(context(lambda _: Host(**answers)), "lb1", "haproxy")["lb1"]
    assert isinstance(seen, Unanswered)
    assert cause in seen.cause
