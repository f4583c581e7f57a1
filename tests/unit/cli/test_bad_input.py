"""Bad input, given to the program as people give it: a clear error, the right code, nothing touched.

Sites, playbooks, claims and runbooks are read by the program's own readers; a play that is started
fails the test.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import Play, PlayResult, Progress
from holdfast.cli.adapters import real
from holdfast.cli.context import Adapters, CommandContext
from tests.unit.cli.desks import Office, Said

REPOSITORY = Path(__file__).resolve().parents[3]
INVENTORY = """\
all:
  vars:
    holdfast_site: away
  children:
    rabbitmq:
      hosts: {rabbit1: {}, rabbit2: {}, rabbit3: {}}
    nova_compute:
      hosts: {compute1: {}, compute2: {}}
    haproxy:
      hosts: {}
    control:
      hosts: {control1: {}}
      children: {nova_conductor: {}, nova_scheduler: {}, nova_api: {}, nova_metadata: {}}
    nova_conductor: {hosts: {control1: {}}}
    nova_scheduler: {hosts: {control1: {}}}
    nova_api: {hosts: {control1: {}}}
    nova_metadata: {hosts: {control1: {}}}
"""
ROLL = "roll: {playbook}\nhosts: {group}\nbatch: {batch}"


class NothingStarts:
    """A runner that must not be asked."""

    def run(
        self, play: Play, on_progress: Callable[[Progress], None], interrupted: Callable[[], bool]
    ) -> PlayResult:
        raise AssertionError(f"{play.playbook} was started")

    def end_strays(self, run: str) -> list[int]:
        return []


class RealOffice(Office):
    """The repository's playbooks and claims, runbooks of the test's own, a site called away."""

    def __post_init__(self) -> None:
        (self.path / "runbooks").mkdir(parents=True)
        (self.path / "inventories" / "away").mkdir(parents=True)
        self.inventory.write_text(INVENTORY)
        for name in ("ansible.cfg", "playbooks", "roles", "plugins"):
            (self.path / name).symlink_to(REPOSITORY / name)
        self.environ |= {
            "HOLDFAST_STATE_DIR": str(self.state),
            "HOLDFAST_PROJECT": str(self.path),
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.path),
        }

    @property
    def inventory(self) -> Path:
        return self.path / "inventories" / "away" / "hosts.yml"

    def adapters(self, desk: CommandContext) -> Adapters:
        return dataclasses.replace(real(desk), runner=lambda _: NothingStarts())

    def runs(self, *more: str, name: str = "test-restart") -> Said:
        return self.call("run", name, "--reason", "x", "--yes", *more)


@pytest.fixture
def office(tmp_path: Path) -> RealOffice:
    return RealOffice(tmp_path / "project")


def refused(said: Said, *words: str, code: int = 2) -> None:
    assert said.code == code, said.everything
    for word in words:
        assert word in said.err
    assert "Traceback" not in said.everything


def rolling(
    office: RealOffice, playbook: str = "nova_compute_restart.yml", group: str = "nova_compute",
    batch: int = 1, more: str = "",
) -> None:  # fmt: skip
    block = ROLL.format(playbook=playbook, group=group, batch=batch)
    office.write(f"{block}\n{more}".rstrip(), name="test-restart")


def test_the_site_of_these_tests_is_good(office: RealOffice) -> None:
    """Whatever is refused below is refused for its own reason."""
    rolling(office)
    said = office.call("plan", "test-restart")
    assert said.code == 0, said.everything
    assert "compute1 | compute2" in said.out


def test_unknown_runbook(office: RealOffice) -> None:
    rolling(office)
    refused(office.runs(name="test-restrat"), "No runbook", "did you mean test-restart?")


def test_unknown_step_key(office: RealOffice) -> None:
    rolling(office, more="batchsize: 2")
    lines = (office.path / "runbooks" / "test-restart.md").read_text().splitlines()
    where = f"test-restart.md:{lines.index('batchsize: 2') + 1}:"
    refused(office.runs(), where, "unknown key 'batchsize'", "did you mean 'batch'?")


def test_unknown_playbook(office: RealOffice) -> None:
    rolling(office, playbook="nova_compute_restrat.yml")
    refused(office.runs(), "no playbook", "did you mean nova_compute_restart.yml?")


def test_unknown_group(office: RealOffice) -> None:
    values = "vars: {systemd_unit_name: haproxy, systemd_unit_group: haproxi}"
    rolling(office, playbook="unit_restart.yml", group="haproxi", more=values)
    refused(office.runs(), "has no group 'haproxi'", "did you mean haproxy?")


def test_group_that_is_not_the_playbooks(office: RealOffice) -> None:
    rolling(office, group="rabbitmq")
    refused(office.runs(), "acts on nova_compute, not on rabbitmq")


def test_unknown_gate(office: RealOffice) -> None:
    office.write("check: [rabbitmq.members_agre]", name="test-restart")
    refused(office.runs(), "rabbitmq.members_agre", "did you mean rabbitmq.members_agree?")


def test_unknown_parameter_of_a_gate(office: RealOffice) -> None:
    office.write("check: [{claim: systemd.active, unitt: x}]", name="test-restart")
    refused(office.runs(), "unitt")


def test_group_without_hosts(office: RealOffice) -> None:
    values = "vars: {systemd_unit_name: haproxy, systemd_unit_group: haproxy}"
    rolling(office, playbook="unit_restart.yml", group="haproxy", more=values)
    refused(office.runs(), "the group haproxy", "has no hosts")


@pytest.mark.parametrize("limit", ["nosuchhost", "rabbit1", "compute1:!compute1"])
def test_limit_that_leaves_nothing(office: RealOffice, limit: str) -> None:
    rolling(office)
    refused(office.runs("--limit", limit), f"--limit {limit!r}")


@pytest.mark.parametrize("limit", ["", " "])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_limit_that_is_empty_is_no_wish_for_everything(
    office: RealOffice, command: str, limit: str
) -> None:
    """As in ``--limit "$HOSTS"`` where nobody set HOSTS."""
    rolling(office)
    refused(office.call(command, "test-restart", "--limit", limit), "--limit", "empty")


def test_batch_above_the_maximum_says_why(office: RealOffice) -> None:
    rolling(office, batch=6)
    refused(office.runs(), "a batch of 6 is larger", "(5): each start is a burst of connections")


def test_rabbitmq_batch_above_one_says_why(office: RealOffice) -> None:
    rolling(office, playbook="rabbitmq_restart.yml", group="rabbitmq", batch=2)
    refused(office.runs(), "a batch of 2 is larger", "(1): quorum queues")


def test_variable_that_the_playbook_does_not_know(office: RealOffice) -> None:
    rolling(office, more="vars: {nova_layr: api}")
    refused(office.runs(), "no variable 'nova_layr'", "did you mean nova_layer?")


VAULTED = """\
$ANSIBLE_VAULT;1.1;AES256
33363036336261653264386662313763313939316661623332356466613437343463623761373431
6234333765356637326165393031656236363961396666620a313131313131313131313131313131
31313131313131313131313131313131313131310a62626262
"""


def test_unreadable_vault(office: RealOffice) -> None:
    rolling(office)
    variables = office.inventory.parent / "group_vars" / "all"
    variables.mkdir(parents=True)
    (variables / "secrets.yml").write_text(VAULTED)
    refused(office.runs(), "away", "vault", "next:")
    assert "3336303633" not in office.runs().everything


def test_inventory_that_is_no_yaml(office: RealOffice) -> None:
    rolling(office)
    office.inventory.write_text("all: [")
    refused(office.runs(), "away", "cannot be read")


def test_unknown_site(office: RealOffice) -> None:
    rolling(office)
    refused(office.runs("--site", "awey"), "No site 'awey'", "did you mean away?")


def test_the_skeleton_is_no_site_and_says_so(office: RealOffice) -> None:
    rolling(office)
    (office.path / "inventories" / "example").mkdir()
    refused(office.runs("--site", "example"), "example", "copy it")


def test_unknown_claim_says_where_they_are_listed(office: RealOffice) -> None:
    refused(office.call("check", "no.claim"), "no claim 'no.claim'", "next: holdfast check --list")


def test_site_must_be_named_where_there_are_several(office: RealOffice) -> None:
    rolling(office)
    (office.path / "inventories" / "home").mkdir()
    refused(office.runs(), "Which site?", "away, home", "--site NAME")


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([], "--input unit="),
        (["--input", "unit"], "expected NAME=VALUE"),
        (["--input", "unit=a b"], "does not match the pattern"),
        (["--input", "unit=a", "--input", "unit=b"], "given twice"),
        (["--input", "unit=a", "--input", "uint=b"], "did you mean unit?"),
        (["--input", "unit={{ lookup('pipe', 'id') }}"], "does not match the pattern"),
    ],
)
def test_inputs(office: RealOffice, inputs: list[str], words: str) -> None:
    office.write(
        "check: [{claim: systemd.active, unit: $unit}]",
        name="test-restart",
        inputs="{unit: {summary: the unit, pattern: '[a-z]+'}}",
    )
    refused(office.runs(*inputs), words)


def test_missing_runbook_argument_is_a_usage_error(office: RealOffice) -> None:
    assert office.call("run").code == 2
    assert office.call("frobnicate").code == 2
    assert office.call("run", "x", "--frobnicate").code == 2


# --- the state database


def database(office: RealOffice) -> Path:
    office.state.mkdir(parents=True)
    return office.state / "state.db"


def configured(office: RealOffice, url: str) -> None:
    path = office.path / "config.yml"
    path.write_text(f"state_url: {url}\n")
    office.environ["HOLDFAST_CONFIG"] = str(path)


def test_corrupt_state_database(office: RealOffice) -> None:
    rolling(office)
    path = database(office)
    path.write_bytes(b"this is no database" * 500)
    refused(office.runs(), str(path), "next:")
    assert path.read_bytes() == b"this is no database" * 500


def test_locked_state_database(office: RealOffice) -> None:
    rolling(office)
    path = database(office)
    configured(office, f"sqlite:///{path}?timeout=0.1")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        refused(office.runs(), str(path), "locked", "next:")


def test_read_only_state_database(office: RealOffice) -> None:
    rolling(office)
    path = database(office)
    office.call("status")  # makes it
    configured(office, f"sqlite:///file:{path}?mode=ro&uri=true")
    refused(office.runs(), "state.db", "readonly", "next:")


def test_state_directory_that_is_a_file(office: RealOffice) -> None:
    rolling(office)
    office.state.write_text("")
    refused(office.runs(), str(office.state), "next:")
