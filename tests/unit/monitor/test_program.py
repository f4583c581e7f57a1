"""``holdfast check SYSTEM --endpoint …``: a plugin's line and exit code, text for Prometheus, secrets, its cost."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.main import get_command

from holdfast.claims import SYSTEMS as CLAIM_SYSTEMS
from holdfast.claims import claims_of, find_claim
from holdfast.cli.app import app
from holdfast.model import Json
from holdfast.monitor.arguments import SYSTEM_NAMES
from holdfast.monitor.program import MonitorClock, run
from holdfast.monitor.systems import SYSTEMS
from tests.unit.cli.cli_harness import InMemoryProject
from tests.unit.probes.fake_mariadb import FakeMariaDB, mariadb
from tests.unit.probes.fake_nova import running_nova
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.rabbitmq.recorded_brokers import HOSTS, PASSWORD, USER, node, recorded
from tests.unit.probes.test_galera import rows as galera_rows

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
CLOCK = MonitorClock(now=lambda: NOW)
# Monitoring Plugins Development Guidelines, "Performance data": 'label'=value[UOM];[warn];[crit];[min];[max]
PERFDATA = re.compile(r"('[^'=]+'|[^'= ]+)=-?[0-9.]+(s|B)?(;[0-9.]*){0,4}")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(text: str, mode: int = 0o600) -> Path:
        path = tmp_path / "credentials.yml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return written


CREDENTIALS = f"rabbitmq_management_user: {USER}\nrabbitmq_management_password: {PASSWORD}\n"


@contextmanager
def brokers(version: str = "3.10", state: str = "healthy") -> Iterator[list[str]]:
    """Serve the recorded nodes; yield the endpoints as they are typed."""
    http, load = recorded(version, state)["http"], recorded(version, "load")["http"]
    with ExitStack() as stack:
        routes = {host: http[host] and http[host] | load[host] for host in HOSTS}
        ports = {host: stack.enter_context(node(routes[host])) for host in HOSTS}
        yield [f"--endpoint={host}=http://127.0.0.1:{port}" for host, port in ports.items()]


def checked(system: str, *arguments: str) -> tuple[int, str]:
    return run(["check", system, "--nagios", *arguments], CLOCK)


@pytest.mark.parametrize("version", ["3.10", "4.0"])
def test_a_healthy_cluster_is_one_line_with_perfdata(
    version: str, write: Callable[..., Path]
) -> None:
    with brokers(version) as endpoints:
        code, line = checked("rabbitmq", *endpoints, f"--credentials={write(CREDENTIALS)}")
    text, bar, perfdata = line.partition(" | ")
    assert (code, text) == (0, "HOLDFAST RABBITMQ OK - 7 claims passed")
    assert bar
    assert "\n" not in line
    figures = perfdata.split(" ")
    assert all(PERFDATA.fullmatch(each) for each in figures), perfdata
    names = {each.partition("=")[0].strip("'") for each in figures}
    assert {"connections", "churn", "ready", "unacknowledged"} <= names
    assert {"memory_used:ctl1", "disk_free:ctl3", "replies_unread", "time"} <= names


def test_a_stopped_node_is_critical(write: Callable[..., Path]) -> None:
    with brokers(state="stopped") as endpoints:
        code, line = checked("rabbitmq", *endpoints, f"--credentials={write(CREDENTIALS)}")
    assert code == 2
    assert "CRITICAL - rabbitmq.members_agree: ctl1 not running" in line


def test_a_member_that_no_endpoint_names_is_critical(write: Callable[..., Path]) -> None:
    """What is expected is what was typed; the cluster's own list is never taken for it."""
    with brokers() as endpoints:
        code, line = checked("rabbitmq", *endpoints[:2], f"--credentials={write(CREDENTIALS)}")
    assert code == 2
    assert "ctl3" in line


def test_a_refused_account_is_unknown_and_no_password_is_shown(
    write: Callable[..., Path],
) -> None:
    planted = CREDENTIALS.replace(PASSWORD, "planted-and-wrong")
    with brokers() as endpoints:
        code, line = checked("rabbitmq", *endpoints, f"--credentials={write(planted)}")
    assert (code, "401" in line, "planted" in line) == (3, True, False)


UP = {"status": "enabled", "state": "up", "updated_at": "2026-11-27T08:00:00.0", "id": "1"}
NOVA = (
    "nova_auth_username: observer\nnova_auth_password: planted-secret-of-the-site\nnova_auth_project: admin\n"
    "nova_auth_url: {}/v3\n"
    "groups: {{nova_conductor: [ctl1], nova_scheduler: [ctl1], nova_compute: [cmp1, cmp2]}}\n"
)


def nova_line(write: Callable[..., Path], hosts: list[str]) -> tuple[int, str]:
    listed = [("nova-conductor", "ctl1"), ("nova-scheduler", "ctl1")]
    listed += [("nova-compute", host) for host in hosts]
    services = [{"binary": binary, "host": host, **UP} for binary, host in listed]
    with running_nova() as fake:
        fake.routes |= {
            "/v2.1/os-services": (200, {"services": services}),
            "/": (200, {"versions": []}),
            "/v2.1/servers": (200, {"servers": []}),
        }
        path = write(NOVA.format(fake.url))
        return checked("nova", f"--endpoint=ctl1={fake.url}", f"--credentials={path}")


def test_nova_is_asked_through_its_api(write: Callable[..., Path]) -> None:
    code, line = nova_line(write, ["cmp1", "cmp2"])
    assert (code, line.partition(" | ")[0]) == (0, "HOLDFAST NOVA OK - 3 claims passed")
    assert "services_up=4;;;0;4" in line


def test_a_compute_that_nova_does_not_list_is_critical(write: Callable[..., Path]) -> None:
    code, line = nova_line(write, ["cmp1"])
    assert code == 2
    assert "nova-compute on cmp2" in line


GALERA = "galera_user: holdfast\ngalera_password: planted-pässwörd\n"


@contextmanager
def databases(**changed: str) -> Iterator[list[str]]:
    """Serve the recorded node three times; ``changed`` is what the second reports instead."""
    with ExitStack() as stack:
        endpoints = []
        for host in ("ctl1", "ctl2", "ctl3"):
            differs = changed if host == "ctl2" else {}
            answers = galera_rows(wsrep_node_name=host, wsrep_gcomm_uuid=f"of-{host}", **differs)
            port = stack.enter_context(mariadb(FakeMariaDB(answers)))
            endpoints.append(f"--endpoint={host}=mysql://127.0.0.1:{port}")
        yield endpoints


def test_galera_is_asked_through_its_nodes(write: Callable[..., Path]) -> None:
    with databases() as endpoints:
        code, line = checked("galera", *endpoints, f"--credentials={write(GALERA)}")
    text, _, perfdata = line.partition(" | ")
    assert (code, text) == (0, "HOLDFAST GALERA OK - 3 claims passed")
    assert "nodes_serving=3;;;0;3" in perfdata
    assert all(PERFDATA.fullmatch(each) for each in perfdata.split(" ")), perfdata
    assert {f"deadlocks:{host}" for host in ("ctl1", "ctl2", "ctl3")} <= {
        each.partition("=")[0].strip("'") for each in perfdata.split(" ")
    }


def test_a_node_that_is_not_synced_is_critical(write: Callable[..., Path]) -> None:
    joining = {"wsrep_local_state": "1", "wsrep_local_state_comment": "Joining"}
    with databases(**joining) as endpoints:
        code, line = checked("galera", *endpoints, f"--credentials={write(GALERA)}")
    assert code == 2
    assert "CRITICAL - galera.nodes_synced: " in line
    assert "ctl2" in line
    assert "nodes_serving=2;;;0;3" in line


def test_a_node_that_is_silent_is_unknown(write: Callable[..., Path]) -> None:
    with databases() as endpoints:
        away = [*endpoints[:2], f"--endpoint=ctl3=127.0.0.1:{closed_port()}"]
        code, line = checked("galera", *away, f"--credentials={write(GALERA)}")
    assert (code, "UNKNOWN - galera." in line, "ctl3" in line) == (3, True, True)
    assert "planted" not in line


def test_a_database_has_no_endpoint_of_the_web(write: Callable[..., Path]) -> None:
    code, line = checked("galera", ENDPOINT, f"--credentials={write(GALERA)}")
    assert code == 3
    assert "is no endpoint: db1=mysql://192.0.2.1:3306 is one" in line


PLANTED = "planted-3Nh2"
ENDPOINT = "--endpoint=ctl1=http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (f"rabbitmq_management_password: {PLANTED}", 0o644, "lets others read"),
        (f"rabbitmq_management_password: {PLANTED}", 0o660, "lets others read or change"),
        (f"rabbitmq_managment_password: {PLANTED}", 0o600, "did you mean rabbitmq_management_pass"),
        (f"rabbitmq_management_password: !vault {PLANTED}", 0o600, "a vault is not opened"),
        (f"rabbitmq_management_password: [{PLANTED}", 0o600, "line 2: no plain YAML"),
        (f"- {PLANTED}", 0o600, "expected site variables"),
        (f"groups: {PLANTED}", 0o600, "groups: Input should be a valid dictionary"),
        (f"rabbitmq_management_port: {PLANTED}", 0o600, "rabbitmq_management_port"),
    ],
)
def test_a_file_that_is_not_right_is_unknown_and_shows_no_secret(
    text: str, mode: int, said: str, write: Callable[..., Path]
) -> None:
    path = write(f"{text}\n", mode)
    code, line = checked("rabbitmq", "--endpoint=ctl1", f"--credentials={path}")
    assert (code, PLANTED in line) == (3, False)
    assert said in line


def test_debian_s_mode_for_a_plugin_is_accepted(write: Callable[..., Path]) -> None:
    """root:nagios 0640."""
    line = checked("rabbitmq", ENDPOINT, f"--credentials={write(CREDENTIALS, 0o640)}")[1]
    assert "Connection refused" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "rabbit", ENDPOINT], "invalid choice: 'rabbit'"),
        (["check", ENDPOINT], "system"),
        (["check", "rabbitmq", ENDPOINT], "--credentials"),
        (["check", "rabbitmq", ENDPOINT, "--credentials"], "expected one argument"),
        (["check", "rabbitmq", ENDPOINT, "--credentials=/nowhere"], "No such file"),
        (["check", "rabbitmq", ENDPOINT, "--credentials=/nowhere", "--limit=x"], "unrecognized"),
    ],
)
def test_a_wrong_command_is_unknown(arguments: list[str], said: str) -> None:
    code, line = run(arguments, CLOCK)
    assert code == 3
    assert "UNKNOWN - " in line
    assert said in line


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (f"http://monitor:{PLANTED}@ctl1:15672", "no user and password in it"),
        ("http://192.0.2.1:15672", "--endpoint NAME="),
        ("ctl1=ftp://ctl1", "no endpoint"),
        ("ctl1=http://ctl1:port", "no URL"),
        ("", "no endpoint"),
    ],
)
def test_a_wrong_endpoint_is_unknown(endpoint: str, said: str, write: Callable[..., Path]) -> None:
    code, line = checked(
        "rabbitmq", f"--endpoint={endpoint}", f"--credentials={write(CREDENTIALS)}"
    )
    assert (code, PLANTED in line) == (3, False)
    assert said in line


def test_two_endpoints_of_one_host_are_refused(write: Callable[..., Path]) -> None:
    """Of two tunnels only the second was asked."""
    tunnels = [f"--endpoint=http://localhost:{port}" for port in (1, 2)]
    code, line = checked("rabbitmq", *tunnels, f"--credentials={write(CREDENTIALS)}")
    assert code == 3
    assert "two endpoints are those of localhost" in line


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("hosts: {ctl: {rabbitmq_node_name: rabbit@one}}\n", "the host ctl, which is not asked about; did you mean"),
        ("groups: {rabbitmq: [ctl1, ctl2]}\n", "the group rabbitmq, which is not asked about; known: none"),
    ],
)  # fmt: skip
def test_hosts_that_are_not_asked_about_are_refused(
    more: str, said: str, write: Callable[..., Path]
) -> None:
    """The brokers that are expected are those of the endpoints."""
    code, line = checked("rabbitmq", ENDPOINT, f"--credentials={write(CREDENTIALS + more)}")
    assert code == 3
    assert said in line


def test_nova_s_hosts_must_be_named(write: Callable[..., Path]) -> None:
    """A compute that is in no list would not be missed."""
    path = write("nova_auth_username: observer\n")
    code, line = checked("nova", "--endpoint=ctl1", f"--credentials={path}")
    assert code == 3
    assert "names no host of nova_conductor, nova_scheduler, nova_compute" in line


def test_text_for_prometheus_is_whole_and_readable_by_all(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "holdfast.prom"
    with brokers() as endpoints:
        options = [f"--credentials={write(CREDENTIALS)}", f"--prometheus={file}"]
        assert checked("rabbitmq", *endpoints, *options)[0] == 0
    families = {each.name: each for each in text_string_to_metric_families(file.read_text())}
    of = {name: [(s.labels, s.value) for s in each.samples] for name, each in families.items()}
    assert ({"system": "rabbitmq", "outcome": "pass"}, 1.0) in of["holdfast_check_outcome"]
    assert sum(value for _, value in of["holdfast_claim_outcome"]) == 7
    assert len(of["holdfast_rabbitmq_memory_used_bytes"]) == 3
    assert of["holdfast_check_timestamp_seconds"] == [({"system": "rabbitmq"}, NOW.timestamp())]
    assert all(each.documentation and each.type == "gauge" for each in families.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["credentials.yml", "holdfast.prom"]


def test_an_error_replaces_the_last_reading_for_prometheus(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    """An old file would say that all is well."""
    file = tmp_path / "holdfast.prom"
    file.write_text("old")
    options = [f"--credentials={write(CREDENTIALS, 0o644)}", f"--prometheus={file}"]
    assert checked("rabbitmq", ENDPOINT, *options)[0] == 3
    text = file.read_text()
    assert 'holdfast_check_outcome{system="rabbitmq",outcome="unknown"} 1.0' in text
    assert 'holdfast_check_outcome{system="rabbitmq",outcome="pass"} 0.0' in text


def test_a_file_that_cannot_be_written_is_unknown(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    options = [f"--credentials={write(CREDENTIALS)}", f"--prometheus={tmp_path}/no/such.prom"]
    with brokers() as endpoints:
        code, line = checked("rabbitmq", *endpoints, *options)
    assert code == 3
    assert "cannot be written" in line


def test_a_file_that_cannot_be_written_hides_no_fault(
    write: Callable[..., Path], tmp_path: Path, project: InMemoryProject
) -> None:
    unwritable = f"--prometheus={tmp_path}/no/such.prom"
    with brokers() as endpoints:
        two = endpoints[:2]
        code, line = checked("rabbitmq", *two, f"--credentials={write(CREDENTIALS)}", unwritable)
    assert code == 2, line
    assert "CRITICAL - rabbitmq.members_agree" in line
    assert "/no/such.prom cannot be written" in line

    of_site = project.call("check", "fake.serves", "--nagios", unwritable)
    assert (of_site.code, of_site.out[:18]) == (3, "HOLDFAST UNKNOWN -")
    project.fleet.hosts["ctl3"].healthy = False
    of_site = project.call("check", "fake.serves", "--nagios", unwritable)
    assert (of_site.code, of_site.out[:19]) == (2, "HOLDFAST CRITICAL -")
    assert "cannot be written" in of_site.out

    for_people = project.call("check", "fake.serves", unwritable)
    assert for_people.code == 2
    assert "ctl3" in for_people.out


def test_the_whole_process_takes_less_than_a_second_of_processor_time(
    write: Callable[..., Path],
) -> None:
    """And has nothing of Ansible, the state or the terminal: a plugin runs every minute."""
    program = "import sys; from holdfast.cli import main; import atexit; main(sys.argv[1:])"
    with brokers() as endpoints:
        command = [
            "check",
            "rabbitmq",
            "--nagios",
            *endpoints,
            f"--credentials={write(CREDENTIALS)}",
        ]
        child = subprocess.Popen(
            [sys.executable, "-c", program, *command], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        line = child.stdout.read()
        child.stdout.close()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert (child.returncode, line.startswith("HOLDFAST RABBITMQ OK")) == (0, True)
    assert used.ru_utime + used.ru_stime < 1.0


def test_nothing_of_the_other_commands_is_imported() -> None:
    program = "import sys, holdfast.cli, holdfast.monitor.program; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"ansible", "ansible_runner", "sqlalchemy", "typer", "rich", "jinja2", "markdown_it"}
    assert heavy & set(found.stdout.split()) == set()


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_asked_by_default_is_known_and_standing(system: str) -> None:
    claims = [find_claim(name) for name in SYSTEMS[system].chosen(dict.fromkeys(_needs(system)))]
    assert all(each.standing for each in claims)
    assert {each.partition(".")[0] for each in (claim.name for claim in claims)} == {system}


def test_the_systems_are_named_once_for_the_parser() -> None:
    assert tuple(SYSTEMS) == SYSTEM_NAMES
    assert set(SYSTEM_NAMES) <= set(CLAIM_SYSTEMS)


def _needs(system: str) -> set[str]:
    return {name for claim in claims_of(system).values() for name in claim.needs}


def test_both_parsers_have_the_same_options() -> None:
    """Help shows those of typer; a plugin's command line is read by the other one."""
    commands: Json = vars(get_command(app))["commands"]
    shown = {option for parameter in commands["check"].params for option in parameter.opts}
    for option in ("--endpoint", "--credentials", "--prometheus", "--nagios"):
        assert option in shown


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


def test_a_check_of_a_site_is_written_for_prometheus_too(
    project: InMemoryProject, tmp_path: Path
) -> None:
    """Where several hosts are asked one claim, it has one sample, of the worst."""
    file = tmp_path / "site.prom"
    project.fleet.hosts["ctl3"].healthy = False
    project.call("check", "fake.serves", "--nagios", f"--prometheus={file}")
    families = {each.name: each for each in text_string_to_metric_families(file.read_text())}
    samples = families["holdfast_claim_outcome"].samples
    assert [s.labels["outcome"] for s in samples if s.value] == ["fail"]


@pytest.mark.parametrize(
    ("system", "group", "claims"), [("puppet", "puppet_agents", 3), ("galera", "galera", 4)]
)
def test_a_system_of_a_site_is_asked_through_its_hosts(
    project: InMemoryProject, system: str, group: str, claims: int
) -> None:
    """Agents have no API to ask; a site without the group is UNKNOWN, and never OK for want of anything to ask."""
    without = project.call("check", system, "--nagios")
    assert without.code == 3
    assert f"no group that a standing claim of {system} is about" in without.out
    project.groups[group] = ("ctl1", "ctl2")
    well = project.call("check", system, "--nagios")
    assert (well.code, well.out.partition(" | ")[0]) == (0, f"HOLDFAST OK - {claims} claims passed")
    project.fleet.hosts["ctl2"].healthy = False
    ill = project.call("check", system, "--nagios")
    assert (ill.code, ill.out.startswith("HOLDFAST CRITICAL - "), "ctl2" in ill.out) == (
        2,
        True,
        True,
    )


def test_the_whole_program_asks_endpoints_too(
    project: InMemoryProject, write: Callable[..., Path]
) -> None:
    options = [ENDPOINT, f"--credentials={write(CREDENTIALS)}"]
    result = project.call("check", "rabbitmq", "--nagios", *options)
    assert (result.code, "Connection refused" in result.out) == (3, True)


def test_a_wrong_option_of_the_whole_program_is_unknown(project: InMemoryProject) -> None:
    """Typer's own exit code for it is 2, which monitoring takes for CRITICAL."""
    result = project.call("check", "--nagios", "--no-such-option")
    assert (result.code, result.out) == (
        3,
        "HOLDFAST UNKNOWN - the command is wrong; next: holdfast check --help\n",
    )
    assert project.call("check", "--no-such-option").code == 2
