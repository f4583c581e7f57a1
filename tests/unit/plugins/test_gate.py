"""The gate as plays use it: what it refuses, shows, returns and journals, and what it never says."""

from __future__ import annotations

from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from holdfast.journal.events import GateJudged
from holdfast.model import Outcome
from tests.unit.plugins.stage import BIN, Sealed, Stage

RUN = {"holdfast_run": "r1", "holdfast_grant": {"east/cron": 1}}
ACTIVE = {"claim": "systemd.active", "unit": "cron"}
SECRET = "planted-Hunter2"  # noqa: S105 - what a leak would look like


class Broker:
    """A management API that answers nothing and remembers who asked."""

    def __init__(self) -> None:
        self.authorizations: list[str] = []
        seen = self.authorizations

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.headers["Authorization"])
                self.send_error(404)

            def log_message(self, *_: Any) -> None:
                """Keep the test's output to itself."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._thread = Thread(target=self._server.serve_forever)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def gate(register: str, *claims: Any, **more: Any) -> dict[str, Any]:
    return {
        "name": "Cron is well",
        "holdfast_gate": {"claims": list(claims), "phase": "verify", "deadline_seconds": 0, **more},
        "register": register,
        "ignore_errors": True,
        "vars": RUN,
    }


def test_a_gate_returns_shows_and_journals_what_it_found(stage: Stage) -> None:
    stage.unit(ActiveState="failed", SubState="failed", Result="signal")
    played = stage.play(gate("it", ACTIVE))
    it = played.results["it"]
    assert it["failed"]
    assert not it["changed"]
    assert it["holdfast"]["outcome"] == "FAIL"
    assert it["holdfast"]["readings"] == 1
    said = "cron.service on a is failed (failed), result signal"
    assert f"systemd.active FAIL (not_active): {said}" in it["msg"]
    assert f"gate a systemd.active FAIL 1/1: {said} (0 s)" in played.printed
    (event,) = stage.journal("r1")
    assert isinstance(event, GateJudged)
    assert (event.host, event.gate, event.phase) == ("a", "Cron is well", "verify")
    assert event.outcome is Outcome.FAIL
    assert event.verdicts == it["holdfast"]["verdicts"]


def test_what_a_gate_refuses_it_refuses_before_looking(stage: Stage) -> None:
    played = stage.play(
        gate("unknown", "systemd.activ"),
        gate("parameter", {**ACTIVE, "units": "x"}),
        gate("missing", "systemd.active"),
        gate("nothing"),
        gate("empty", {"claim": "nova.rpc_answers"}),
        gate("option", ACTIVE, setle_seconds=3),
        gate("nobody", {"claim": "rabbitmq.members_agree"}, spread=True),
        hosts="b",
        # The group exists, and the play does not reach its only host.
    )
    said = {name: it["msg"] for name, it in played.results.items()}
    assert all(it["failed"] for it in played.results.values())
    assert "did you mean systemd.active?" in said["unknown"]
    assert "did you mean unit?" in said["parameter"]
    assert "unit: Field required" in said["missing"]
    assert "this gate names no claim" in said["nothing"]
    assert "which has no hosts in this inventory" in said["empty"]
    assert "setle_seconds" in said["option"]
    assert (
        "rabbitmq.members_agree is about the group rabbitmq, which has no host in this play"
        in said["nobody"]
    )
    assert stage.journal("r1") == []
    assert "gate b systemd" not in played.printed


def test_in_check_mode_a_gate_looks_once_and_journals_nothing(stage: Stage) -> None:
    stage.unit(ActiveState="failed")
    patient = {"settle_seconds": 60, "settle_readings": 3, "deadline_seconds": 300}
    played = stage.play(
        gate("now", ACTIVE, **patient),
        gate("later", ACTIVE, since_restart=True, **patient),
        arguments=["--check"],
    )
    now, later = played.results["now"], played.results["later"]
    assert now["failed"]
    assert now["holdfast"]["readings"] == 1
    assert later["skipped"]
    assert later["msg"] == (
        "would wait up to 300 s for systemd.active to hold for 3 readings over 60 s"
    )
    assert f"gate a {later['msg']}" in played.printed
    assert stage.journal("r1") == []


def test_readings_are_seen_while_the_gate_settles(stage: Stage) -> None:
    task = gate("it", ACTIVE, settle_readings=3, poll_seconds=0.3, deadline_seconds=60)
    stage.unit(ActiveState="activating", SubState="start")
    play = {"hosts": "a", "gather_facts": False, "tasks": [task]}
    lines: list[str] = []
    with stage.start(stage.command([play])) as playing:
        for line in playing.stdout or ():
            lines.append(line)
            if "FAIL 1/1: cron.service on a is activating (start)" in line:
                stage.unit()  # a line that came after the gate gave up would not make it pass
    assert playing.returncode == 0
    shown = [line.rpartition(" (")[0] for line in lines if line.startswith("gate a ")]
    assert shown[-3:] == [
        "gate a systemd.active PASS 1/3 readings",
        "gate a systemd.active PASS 2/3 readings",
        "gate a systemd.active PASS 3/3 readings",
    ]


def test_a_host_that_cannot_be_reached_is_unknown_and_never_passes(stage: Stage) -> None:
    it = stage.play(gate("it", ACTIVE), hosts="away").results["it"]
    assert it["failed"]
    assert it["holdfast"]["outcome"] == "UNKNOWN"
    assert "the host is unreachable" in it["msg"]


def test_claims_are_shared_between_the_hosts_of_a_check(stage: Stage) -> None:
    played = stage.play(
        gate("it", ACTIVE, "rabbitmq.members_agree", spread=True), hosts="web", arguments=["-v"]
    )
    judged = {event.host: event for event in stage.journal("r1") if isinstance(event, GateJudged)}
    claims = {host: [v["claim"] for v in event.verdicts] for host, event in judged.items()}
    assert claims == {"a": ["systemd.active", "rabbitmq.members_agree"], "b": ["systemd.active"]}
    assert played.results


def test_standing_claims_are_those_of_the_groups_that_exist(stage: Stage) -> None:
    stage.play(gate("it", "standing"))
    (event,) = stage.journal("r1")
    assert isinstance(event, GateJudged)
    systems = {verdict["claim"].partition(".")[0] for verdict in event.verdicts}
    assert systems == {"rabbitmq"}


def test_a_secret_of_the_site_is_nowhere_to_be_seen(stage: Stage) -> None:
    """Not on the screen at any verbosity, not in the result, not in the journal."""
    secret = {
        "rabbitmq_management_port": 1,
        "rabbitmq_amqp_port": 1,
        "rabbitmq_management_user": "holdfast",
        "rabbitmq_management_password": "{{ lookup('file', playbook_dir ~ '/secret') }}",
        "rabbitmq_probe_user": "holdfast",
        "rabbitmq_probe_password": "{{ rabbitmq_management_password }}",
        "ansible_host": "127.0.0.1",
    }
    (stage.place / "secret").write_text(SECRET)
    stage.set(**secret)
    claims = ["rabbitmq.members_agree", "rabbitmq.amqp_round_trip"]
    played = stage.play(gate("it", *claims), arguments=["-vvvv"])
    it = played.results["it"]
    assert it["holdfast"]["outcome"] != "PASS", "the probes were given a broker that is not there"
    assert SECRET not in played.printed
    assert SECRET not in str(played.results)
    for path in (stage.place / "state").iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_a_vaulted_secret_reaches_the_broker_and_an_unread_vault_stops_the_gate(
    stage: Stage,
) -> None:
    (stage.place / "key").write_text("vault password")
    vault = ["--vault-password-file", str(stage.place / "key")]
    sealed = stage.run(
        [str(BIN / "ansible-vault"), "encrypt_string", "--output", "-", *vault, SECRET]
    ).stdout
    stage.set(
        rabbitmq_management_user="holdfast",
        rabbitmq_management_password=Sealed(sealed.split("\n", 1)[1].replace(" ", "")),
        ansible_host="127.0.0.1",
    )
    with Broker() as broker:
        stage.set(rabbitmq_management_port=broker.port)
        opened = stage.play(gate("it", "rabbitmq.members_agree"), arguments=vault)
        seen = set(broker.authorizations)
        shut = stage.play(gate("it", "rabbitmq.members_agree"))
    assert seen == {"Basic " + b64encode(f"holdfast:{SECRET}".encode()).decode()}
    assert opened.results["it"]["failed"], "the broker of this test answers nothing useful"
    assert SECRET not in opened.printed
    assert shut.results["it"]["failed"]
    assert "decrypt" in shut.results["it"]["msg"]
    assert len(stage.journal("r1")) == 1, "only the gate that could look was judged"


def test_a_variable_of_the_wrong_kind_is_named_without_its_value(stage: Stage) -> None:
    stage.set(rabbitmq_management_port=SECRET)
    played = stage.play(gate("it", "rabbitmq.members_agree"), arguments=["-vvv"])
    assert "rabbitmq_management_port: " in played.results["it"]["msg"]
    assert SECRET not in played.results["it"]["msg"]
