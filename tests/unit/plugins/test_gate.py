"""holdfast_gate in real plays: what it refuses, shows, returns and journals, and that it never shows a secret."""

from __future__ import annotations

import socket
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import pytest

from holdfast.journal.events import GateJudged
from holdfast.model import Outcome
from tests.unit.plugins.fake_hosts import BIN, ROOT, FakeHosts, VaultedText

RUN = {"holdfast_run": "r1", "holdfast_grant": {}}
ACTIVE = {"claim": "systemd.active", "unit": "cron"}
SECRET = "planted-Hunter2"  # noqa: S105 - what a leak would look like


class FakeManagementApi:
    """A management API that answers every request with 404 and keeps the requests' credentials."""

    def __init__(self) -> None:
        self.authorizations: list[str] = []
        authorizations = self.authorizations

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                authorizations.append(self.headers["Authorization"])
                self.send_error(404)

            def log_message(self, *_: Any) -> None:
                """Keep the test's output to itself."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def hosts(hosts: FakeHosts) -> FakeHosts:
    hosts.open_run("r1")
    return hosts


def gate(register: str, *claims: Any, **more: Any) -> dict[str, Any]:
    return {
        "name": "Cron is healthy",
        "holdfast_gate": {"claims": list(claims), "phase": "verify", "deadline_seconds": 0, **more},
        "register": register,
        "ignore_errors": True,
        "vars": RUN,
    }


def test_a_gate_returns_shows_and_journals_its_verdicts(hosts: FakeHosts) -> None:
    hosts.set_unit(ActiveState="failed", SubState="failed", Result="signal")
    played = hosts.run_tasks(gate("it", ACTIVE))
    it = played.results["it"]
    assert it["failed"]
    assert not it["changed"]
    assert it["holdfast"]["outcome"] == "FAIL"
    assert it["holdfast"]["readings"] == 1
    message = "cron.service on a is failed (failed), result signal"
    assert f"systemd.active FAIL (not_active): {message}" in it["msg"]
    assert f"gate a systemd.active FAIL 1/1: {message} (0 s)" in played.output
    (event,) = hosts.journal("r1")
    assert isinstance(event, GateJudged)
    assert (event.host, event.gate, event.phase) == ("a", "Cron is healthy", "verify")
    assert event.outcome is Outcome.FAIL
    assert event.verdicts == it["holdfast"]["verdicts"]


def test_wrong_arguments_are_refused_before_any_probe(hosts: FakeHosts) -> None:
    played = hosts.run_tasks(
        gate("unknown", "systemd.activ"),
        gate("parameter", {**ACTIVE, "units": "x"}),
        gate("missing", "systemd.active"),
        gate("nothing"),
        gate("empty", {"claim": "nova.rpc_answers"}),
        gate("option", ACTIVE, setle_seconds=3),
        gate("nobody", {"claim": "rabbitmq.members_agree"}, spread=True),
        pattern="b",  # "nobody": the group exists, and its only host is not in the play
    )
    messages = {name: it["msg"] for name, it in played.results.items()}
    assert all(it["failed"] for it in played.results.values())
    assert "did you mean systemd.active?" in messages["unknown"]
    assert "did you mean unit?" in messages["parameter"]
    assert "unit: Field required" in messages["missing"]
    assert "this gate names no claim" in messages["nothing"]
    assert "which has no hosts in this inventory" in messages["empty"]
    assert "setle_seconds" in messages["option"]
    assert (
        "rabbitmq.members_agree is about the group rabbitmq, which has no host in this play"
        in messages["nobody"]
    )
    assert hosts.journal("r1") == []
    assert "gate b systemd" not in played.output


def test_in_check_mode_a_gate_takes_one_reading_and_journals_nothing(hosts: FakeHosts) -> None:
    hosts.set_unit(ActiveState="failed")
    settling = {"settle_seconds": 60, "settle_readings": 3, "deadline_seconds": 300}
    played = hosts.run_tasks(
        gate("now", ACTIVE, **settling),
        gate("later", ACTIVE, since_restart=True, **settling),
        arguments=["--check"],
    )
    now, later = played.results["now"], played.results["later"]
    assert now["failed"]
    assert now["holdfast"]["readings"] == 1
    assert later["skipped"]
    assert later["msg"] == (
        "would wait up to 300 s for systemd.active to hold for 3 readings over 60 s"
    )
    assert f"gate a {later['msg']}" in played.output
    assert hosts.journal("r1") == []


def test_readings_are_shown_while_the_gate_settles(hosts: FakeHosts) -> None:
    task = gate("it", ACTIVE, settle_readings=3, poll_seconds=0.3, deadline_seconds=60)
    hosts.set_unit(ActiveState="activating", SubState="start")
    play = {"hosts": "a", "gather_facts": False, "tasks": [task]}
    lines: list[str] = []
    with hosts.start(hosts.playbook_command([play])) as playing:
        for line in playing.stdout or ():
            lines.append(line)
            if "FAIL 1/1: cron.service on a is activating (start)" in line:
                hosts.set_unit()  # a line that came after the gate gave up would not make it pass
    assert playing.returncode == 0
    shown = [line.rpartition(" (")[0] for line in lines if line.startswith("gate a ")]
    assert shown[-3:] == [
        "gate a systemd.active PASS 1/3 readings",
        "gate a systemd.active PASS 2/3 readings",
        "gate a systemd.active PASS 3/3 readings",
    ]


def test_a_claim_about_an_unreachable_host_is_unknown_and_never_passes(hosts: FakeHosts) -> None:
    it = hosts.run_tasks(gate("it", ACTIVE), pattern="away").results["it"]
    assert it["failed"]
    assert it["holdfast"]["outcome"] == "UNKNOWN"
    assert "away is unreachable" in it["msg"]


def test_with_spread_each_claim_is_checked_once(hosts: FakeHosts) -> None:
    played = hosts.run_tasks(
        gate("it", ACTIVE, "rabbitmq.members_agree", spread=True), pattern="web", arguments=["-v"]
    )
    judged = {event.host: event for event in hosts.journal("r1") if isinstance(event, GateJudged)}
    claims = {host: [v["claim"] for v in event.verdicts] for host, event in judged.items()}
    assert claims == {"a": ["systemd.active", "rabbitmq.members_agree"], "b": ["systemd.active"]}
    assert played.results


def test_the_standing_claims_are_those_about_groups_of_the_inventory(hosts: FakeHosts) -> None:
    """The inventory's group galera has no account, so nothing is asked about it."""
    tasks = str(ROOT / "playbooks/tasks/check.yml")
    at_once = {"holdfast_gate_deadline_seconds": 0}
    hosts.run_tasks({"ansible.builtin.include_tasks": tasks, "vars": {**RUN, **at_once}})
    (event,) = hosts.journal("r1")
    assert isinstance(event, GateJudged)
    claims = {verdict["claim"]: verdict["reason"] for verdict in event.verdicts}
    assert {name.partition(".")[0] for name in claims} == {"rabbitmq"}
    # What a run counts before its first restart is asked for as well.
    assert claims["rabbitmq.load_known"] == "cannot_be_told"


def test_a_secret_of_the_site_is_shown_and_stored_nowhere(hosts: FakeHosts) -> None:
    """Neither in the output at any verbosity, nor in the result, nor in the journal."""
    secret = {
        "rabbitmq_management_port": 1,
        "rabbitmq_amqp_port": 1,
        "rabbitmq_management_user": "holdfast",
        "rabbitmq_management_password": "{{ lookup('file', playbook_dir ~ '/secret') }}",
        "rabbitmq_probe_user": "holdfast",
        "rabbitmq_probe_password": "{{ rabbitmq_management_password }}",
        "ansible_host": "127.0.0.1",
    }
    (hosts.directory / "secret").write_text(SECRET)
    hosts.set_variables(**secret)
    claims = ["rabbitmq.members_agree", "rabbitmq.amqp_round_trip"]
    played = hosts.run_tasks(gate("it", *claims), arguments=["-vvvv"])
    it = played.results["it"]
    assert it["holdfast"]["outcome"] != "PASS", "the probes were given a broker that is not there"
    assert SECRET not in played.output
    assert SECRET not in str(played.results)
    for path in (hosts.directory / "state").iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_a_vaulted_secret_reaches_the_broker_and_without_the_vault_password_the_gate_fails(
    hosts: FakeHosts,
) -> None:
    (hosts.directory / "key").write_text("vault password")
    vault = ["--vault-password-file", str(hosts.directory / "key")]
    sealed = hosts.run(
        [str(BIN / "ansible-vault"), "encrypt_string", "--output", "-", *vault, SECRET]
    ).stdout
    hosts.set_variables(
        rabbitmq_management_user="holdfast",
        rabbitmq_management_password=VaultedText(sealed.split("\n", 1)[1].replace(" ", "")),
        ansible_host="127.0.0.1",
    )
    with FakeManagementApi() as broker:
        hosts.set_variables(rabbitmq_management_port=broker.port)
        opened = hosts.run_tasks(gate("it", "rabbitmq.members_agree"), arguments=vault)
        seen = set(broker.authorizations)
        shut = hosts.run_tasks(gate("it", "rabbitmq.members_agree"))
    assert seen == {"Basic " + b64encode(f"holdfast:{SECRET}".encode()).decode()}
    assert opened.results["it"]["failed"], "the broker of this test answers nothing useful"
    assert SECRET not in opened.output
    assert shut.results["it"]["failed"]
    assert "decrypt" in shut.results["it"]["msg"]
    assert len(hosts.journal("r1")) == 1, "only the gate that could read the secret was judged"


def test_a_network_device_or_windows_is_not_contacted(hosts: FakeHosts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as device:
        device.settimeout(0)
        of_device = hosts.directory / "host_vars/away.yml"
        of_device.parent.mkdir()
        port = device.getsockname()[1]
        of_device.write_text(f"ansible_port: {port}\nansible_shell_type: powershell\n")
        everywhere = {**ACTIVE, "claim": "systemd.active_everywhere", "hosts": ["a", "away"]}
        # How the task's own host is reached says nothing of another: ansible-core 2.21 writes it into the task.
        played = hosts.run_tasks({**gate("it", everywhere), "connection": "local"})
        with pytest.raises(BlockingIOError):
            device.accept()
    it = played.results["it"]
    assert it["holdfast"]["outcome"] == "UNKNOWN"
    assert "away is reached by ssh powershell, as network devices and Windows are" in it["msg"]


_SUDO = """#!/bin/sh
# As `sudo -H -S -p PROMPT -u USER COMMAND` asks and refuses.
while :; do case $1 in -p) prompt=$2; shift 2 ;; -u) shift 2 ;; -*) shift ;; *) break ;; esac; done
printf %s "$prompt" >&2
IFS= read -r given
[ "$given" = "$(cat '{directory}/expected')" ] || {{ echo 'Sorry, try again.' >&2; exit 1; }}
echo became >> '{directory}/used'
exec "$@"
"""


@pytest.mark.parametrize("expected", [SECRET, "another"])
def test_a_host_is_read_by_root_with_a_password_from_the_vault(
    hosts: FakeHosts, expected: str
) -> None:
    (hosts.directory / "key").write_text("vault password")
    (hosts.directory / "expected").write_text(f"{expected}\n")
    sudo = hosts.directory / "sudo"
    sudo.write_text(_SUDO.format(directory=hosts.directory))
    sudo.chmod(0o755)
    vault = ["--vault-password-file", str(hosts.directory / "key")]
    sealed = hosts.run(
        [str(BIN / "ansible-vault"), "encrypt_string", "--output", "-", *vault, SECRET]
    ).stdout
    hosts.set_variables(
        ansible_become_exe=str(sudo),
        ansible_become_user="another",  # to itself nobody becomes
        ansible_become_password=VaultedText(sealed.split("\n", 1)[1].replace(" ", "")),
    )
    hosts.set_unit(ActiveState="active", SubState="running")
    asked = gate("it", ACTIVE) | {"become": True}
    played = hosts.run_tasks(asked, arguments=[*vault, "-vvvv"])
    right = expected == SECRET
    it = played.results["it"]
    assert it["failed"] is not right, it["msg"]
    assert right or "Sorry, try again" in it["msg"], it["msg"]
    assert (hosts.directory / "used").exists() is right
    assert SECRET not in played.output


def test_a_variable_of_the_wrong_type_is_named_without_its_value(hosts: FakeHosts) -> None:
    hosts.set_variables(rabbitmq_management_port=SECRET)
    played = hosts.run_tasks(gate("it", "rabbitmq.members_agree"), arguments=["-vvv"])
    assert "rabbitmq_management_port: " in played.results["it"]["msg"]
    assert SECRET not in played.results["it"]["msg"]


@pytest.mark.parametrize(
    ("given", "readings"),
    [
        # By hand and from monitoring a check is one reading, however patient the site's gates are.
        ({}, "1 reading in"),
        # In a run it is as patient as they are.
        (RUN, "2 readings in"),
    ],
)
def test_a_check_waits_only_in_a_run(
    hosts: FakeHosts, given: dict[str, Any], readings: str
) -> None:
    hosts.set_unit(ActiveState="failed", SubState="failed", Result="signal")
    site = {"holdfast_gate_deadline_seconds": 1, "holdfast_check_claims": [ACTIVE]}
    tasks = str(ROOT / "playbooks/tasks/check.yml")
    played = hosts.run_tasks(
        {"ansible.builtin.include_tasks": tasks, "vars": {**site, **given}},
    )
    assert played.rc != 0
    assert readings in played.output, played.output


def test_what_cannot_be_told_after_the_act_fails_before_it(hosts: FakeHosts) -> None:
    log = {"claim": "nova.no_messaging_timeouts", "unit": "cron", "log": "/no/such.log"}
    down = {**ACTIVE, "claim": "systemd.stays_up", "invocation_id": "of-no-start"}
    played = hosts.run_tasks(
        gate("told", ACTIVE, can_be_told=[down]), gate("untold", ACTIVE, can_be_told=[log, down])
    )
    assert played.results["told"]["holdfast"]["outcome"] == "PASS"
    untold = played.results["untold"]
    assert untold["failed"]
    assert "nova.no_messaging_timeouts UNKNOWN (cannot_be_told)" in untold["msg"]
    assert "is asked for after the act" in untold["msg"]


def test_a_check_asks_no_host_of_a_group_that_no_claim_is_about(hosts: FakeHosts) -> None:
    """It may be a switch, whose connection plugin is not even installed."""
    check = ["-i", str(hosts.directory / "hosts.yml"), "playbooks/check.yml", "--check"]
    claims = '{"holdfast_check_claims": ["rabbitmq.no_alarms"]}'
    played = hosts.run([str(BIN / "ansible-playbook"), *check, "-e", claims])
    assert "rabbitmq.no_alarms" in played.stdout, played.stdout
    # The one host of the group haproxy is left out of the gate: no claim about it is standing here.
    for contact in ("ok", "changed", "fatal"):
        assert f"{contact}: [away]" not in played.stdout.partition("PLAY [Check]")[2]
