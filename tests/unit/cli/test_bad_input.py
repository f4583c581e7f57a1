"""Invalid input: a clear error, exit code 2, and no play is started.

Sites, playbooks, claims and runbooks are read by the program's own readers.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.ansible.interfaces import Play, PlayResult, Progress
from holdfast.cli.adapters import ansible_adapters
from holdfast.cli.context import Adapters, CommandContext
from holdfast.cli.project import find_site
from holdfast.errors import InvalidInput
from holdfast.settings import Settings
from holdfast.store.database import open_store
from tests.fakes.play_runner import RunsAtOnce
from tests.unit.cli.cli_harness import CliResult, InMemoryProject

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


class RunnerThatMustNotStart(RunsAtOnce):
    """A runner that must not be asked."""

    def run(
        self,
        play: Play,
        on_progress: Callable[[Progress], None],
        interrupted: Callable[[], bool],
    ) -> PlayResult:
        raise AssertionError(f"{play.playbook} was started")

    def end_strays(self, run: str) -> list[int]:
        return []


class ProjectOnDisk(InMemoryProject):
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

    def adapters(self, context: CommandContext) -> Adapters:
        return dataclasses.replace(
            ansible_adapters(context), runner=lambda _: RunnerThatMustNotStart()
        )

    def runs(self, *more: str, name: str = "test-restart") -> CliResult:
        return self.call("run", name, "--reason", "x", "--yes", *more)


@pytest.fixture
def project(tmp_path: Path) -> ProjectOnDisk:
    return ProjectOnDisk(tmp_path / "project")


def assert_refused(result: CliResult, *words: str, code: int = 2) -> None:
    assert result.code == code, result.output
    for word in words:
        assert word in result.err
    assert "Traceback" not in result.output


def write_roll(
    project: ProjectOnDisk, playbook: str = "nova_compute_restart.yml", group: str = "nova_compute",
    batch: int = 1, more: str = "",
) -> None:  # fmt: skip
    block = ROLL.format(playbook=playbook, group=group, batch=batch)
    project.write(f"{block}\n{more}".rstrip(), name="test-restart")


def test_site_without_a_fault_is_planned(project: ProjectOnDisk) -> None:
    """Whatever is refused below is refused for its own reason."""
    write_roll(project)
    result = project.call("plan", "test-restart")
    assert result.code == 0, result.output
    assert "compute1 | compute2" in result.out


def test_unknown_runbook(project: ProjectOnDisk) -> None:
    write_roll(project)
    assert_refused(project.runs(name="test-restrat"), "No runbook", "did you mean test-restart?")


def test_unknown_step_key(project: ProjectOnDisk) -> None:
    write_roll(project, more="batchsize: 2")
    lines = (project.path / "runbooks" / "test-restart.md").read_text().splitlines()
    where = f"test-restart.md:{lines.index('batchsize: 2') + 1}:"
    assert_refused(project.runs(), where, "unknown key 'batchsize'", "did you mean batch?")


HAPROXY = "vars: {{systemd_unit_name: haproxy, systemd_unit_group: {}}}"


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        ({"playbook": "nova_compute_restrat.yml"}, ["no playbook", "did you mean nova_compute_restart.yml?"]),
        ({"playbook": "unit_restart.yml", "group": "haproxi", "more": HAPROXY.format("haproxi")},
         ["has no group 'haproxi'", "did you mean haproxy?"]),
        ({"playbook": "unit_restart.yml", "group": "haproxy", "more": HAPROXY.format("haproxy")},
         ["the group haproxy", "has no hosts"]),
        ({"playbook": "unit_restart.yml", "group": "rabbitmq",
          "more": "vars: {systemd_unit_name: rabbitmq-server.service, systemd_unit_group: rabbitmq}"},
         ["rabbitmq-server has a runbook with gates of its own", "touched", "holdfast show rabbitmq-restart"]),
        ({"group": "rabbitmq"}, ["acts on nova_compute, not on rabbitmq"]),
        ({"batch": 6}, ["a batch of 6 is larger", "(5): each start opens many connections"]),
        ({"playbook": "rabbitmq_restart.yml", "group": "rabbitmq", "batch": 2},
         ["a batch of 2 is larger", "(1): quorum queues"]),
        ({"more": "vars: {nova_layr: api}"}, ["no variable 'nova_layr'", "did you mean nova_layer?"]),
    ],
    ids=["playbook", "group", "group without hosts",
         "unit with a runbook of its own", "group of another playbook",
         "batch above the maximum", "RabbitMQ batch above one", "variable"],
)  # fmt: skip
def test_fault_in_a_roll(project: ProjectOnDisk, faulty: dict[str, Any], words: list[str]) -> None:
    write_roll(project, **faulty)
    assert_refused(project.runs(), *words)


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("rabbitmq.members_agre", ["rabbitmq.members_agre", "did you mean rabbitmq.members_agree?"]),
        ("{claim: systemd.active, unitt: x}", ["unitt"]),
    ],
)  # fmt: skip
def test_fault_in_a_gate(project: ProjectOnDisk, gate: str, words: list[str]) -> None:
    project.write(f"check: [{gate}]", name="test-restart")
    assert_refused(project.runs(), *words)


@pytest.mark.parametrize("limit", ["nosuchhost", "rabbit1", "compute1:!compute1"])
def test_limit_that_leaves_nothing(project: ProjectOnDisk, limit: str) -> None:
    write_roll(project)
    assert_refused(project.runs("--limit", limit), f"--limit {limit!r}")


@pytest.mark.parametrize("limit", ["", " "])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_empty_limit_does_not_mean_all_hosts(
    project: ProjectOnDisk, command: str, limit: str
) -> None:
    """As in ``--limit "$HOSTS"`` where nobody set HOSTS."""
    write_roll(project)
    assert_refused(project.call(command, "test-restart", "--limit", limit), "--limit", "empty")


VAULTED = """\
$ANSIBLE_VAULT;1.1;AES256
33363036336261653264386662313763313939316661623332356466613437343463623761373431
6234333765356637326165393031656236363961396666620a313131313131313131313131313131
31313131313131313131313131313131313131310a62626262
"""


def test_unreadable_vault(project: ProjectOnDisk) -> None:
    write_roll(project)
    variables = project.inventory.parent / "group_vars" / "all"
    variables.mkdir(parents=True)
    (variables / "secrets.yml").write_text(VAULTED)
    assert_refused(project.runs(), "away", "vault", "next:")
    assert "3336303633" not in project.runs().output


def test_inventory_that_is_not_yaml(project: ProjectOnDisk) -> None:
    write_roll(project)
    project.inventory.write_text("all: [")
    assert_refused(project.runs(), "away", "cannot be read")


def test_unknown_site(project: ProjectOnDisk) -> None:
    write_roll(project)
    assert_refused(project.runs("--site", "awey"), "No site 'awey'", "did you mean away?")


def test_skeleton_is_not_a_site(project: ProjectOnDisk) -> None:
    write_roll(project)
    (project.path / "inventories" / "example").mkdir()
    assert_refused(project.runs("--site", "example"), "example", "copy it")


def test_unknown_claim_names_the_command_that_lists_claims(project: ProjectOnDisk) -> None:
    assert_refused(
        project.call("check", "no.claim"), "no claim 'no.claim'", "next: holdfast check --list"
    )


def test_site_must_be_named_where_there_are_several(project: ProjectOnDisk) -> None:
    write_roll(project)
    (project.path / "inventories" / "home").mkdir()
    assert_refused(project.runs(), "Which site?", "away, home", "--site NAME")


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
def test_inputs(project: ProjectOnDisk, inputs: list[str], words: str) -> None:
    project.write(
        "check: [{claim: systemd.active, unit: $unit}]",
        name="test-restart",
        inputs="{unit: {summary: the unit, pattern: '[a-z]+'}}",
    )
    assert_refused(project.runs(*inputs), words)


def test_missing_runbook_argument_is_a_usage_error(project: ProjectOnDisk) -> None:
    assert project.call("run").code == 2
    assert project.call("frobnicate").code == 2
    assert project.call("run", "x", "--frobnicate").code == 2


# --- the state database


def database(project: ProjectOnDisk) -> Path:
    project.state.mkdir(parents=True)
    return project.state / "state.db"


def configure_state(project: ProjectOnDisk, url: str) -> None:
    path = project.path / "config.yml"
    path.write_text(f"state_url: {url}\n")
    project.environ["HOLDFAST_CONFIG"] = str(path)


def test_an_input_without_its_option_is_shown_with_it(project: ProjectOnDisk) -> None:
    result = project.call("plan", "unit-restart", "unit=cron", "group=a b", "--site", "away")
    assert result.code == 2
    assert (
        "next: an input is given with its option: --input unit=cron --input 'group=a b'"
        in result.err
    )
    assert "with its option" not in project.call("plan", "--input", "unit=cron").err


def test_corrupt_state_database(project: ProjectOnDisk) -> None:
    write_roll(project)
    path = database(project)
    path.write_bytes(b"this is no database" * 500)
    assert_refused(project.runs(), str(path), "next:")
    assert path.read_bytes() == b"this is no database" * 500


def test_locked_state_database(project: ProjectOnDisk) -> None:
    write_roll(project)
    path = database(project)
    configure_state(project, f"sqlite:///{path}?timeout=0.1")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert_refused(project.runs(), str(path), "locked", "next:")


def test_read_only_state_database(project: ProjectOnDisk) -> None:
    write_roll(project)
    path = database(project)
    open_store(Settings(f"sqlite:///{path}", project.state))
    configure_state(project, f"sqlite:///file:{path}?mode=ro&uri=true")
    assert_refused(project.runs(), "state.db", "readonly", "next:")


def test_state_directory_that_is_a_file(project: ProjectOnDisk) -> None:
    write_roll(project)
    project.state.write_text("")
    assert_refused(project.runs(), str(project.state), "next:")


def test_a_site_is_found_by_the_name_that_it_calls_itself(project: InMemoryProject) -> None:
    """Chat, and what it suggests, calls a site by that name alone."""
    inventories = project.path / "inventories"
    for directory, name in (("prod", "eqiad"), ("old", "twin"), ("new", "twin")):
        (inventories / directory / "group_vars" / "all").mkdir(parents=True)
        (inventories / directory / "group_vars" / "all" / "main.yml").write_text(
            f"holdfast_site: {name}\n"
        )
    (inventories / "old" / "group_vars" / "all" / "broken.yml").write_text("a: [")
    assert find_site([project.path], "eqiad") == inventories / "prod"
    assert find_site([project.path], "prod") == inventories / "prod"
    with pytest.raises(InvalidInput, match="Several inventories call themselves twin"):
        find_site([project.path], "twin")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("prod/hosts.yml", "all: {vars: {holdfast_site: eqiad}, hosts: {a: }}"),
        ("prod/hosts.yaml", "all: {vars: {holdfast_site: eqiad}}"),
        ("prod/hosts", "a\n[all:vars]\nx=1\nholdfast_site = 'eqiad'  # here\n[b]\nc"),
        ("prod/hosts.ini", "[b:vars]\nholdfast_site=other\n[all:vars]\nholdfast_site=eqiad"),
        ("prod/group_vars/all", "holdfast_site: eqiad"),
        ("prod/group_vars/all.yaml", "holdfast_site: eqiad"),
        ("prod/group_vars/all/site", "holdfast_site: eqiad"),
        ("prod/group_vars/all/deeper/site.yaml", "holdfast_site: eqiad"),
        ("prod.yml", "all: {vars: {holdfast_site: eqiad}}"),
    ],
)
def test_a_sites_own_name_is_read_wherever_a_plain_file_has_it(
    project: InMemoryProject, file: str, text: str
) -> None:
    """What chat prints can be typed in a terminal of a site whose directory has another name."""
    inventories = project.path / "inventories"
    place = inventories / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    assert find_site([project.path], "eqiad") == inventories / Path(file).parts[0]


def test_a_templated_name_is_asked_of_ansible_where_no_plain_one_fits(
    project: InMemoryProject,
) -> None:
    """Chat suggests the name that Ansible knows, and a terminal has to take it."""
    inventories = project.path / "inventories"
    for directory, name in (("prod", "'{{ cell }}1'"), ("old", "plain")):
        (inventories / directory / "group_vars").mkdir(parents=True)
        (inventories / directory / "group_vars" / "all.yml").write_text(f"holdfast_site: {name}\n")
    asked: list[str] = []

    def name_of(inventory: Path) -> str:
        asked.append(inventory.name)
        return {"prod": "eqiad1"}.get(inventory.name, "")

    assert find_site([project.path], "plain", name_of) == inventories / "old"
    assert asked == []
    assert find_site([project.path], "eqiad1", name_of) == inventories / "prod"
    assert asked == ["prod"]
    with pytest.raises(InvalidInput, match="No site 'eqiad2'"):
        find_site([project.path], "eqiad2", name_of)


def test_a_templated_name_of_a_site_is_found_by_the_program(project: ProjectOnDisk) -> None:
    templated = "holdfast_site: '{{ cell }}1'\n    cell: eqiad"
    project.inventory.write_text(INVENTORY.replace("holdfast_site: away", templated))
    write_roll(project)
    assert "at eqiad1: " in project.call("plan", "test-restart", "--site", "eqiad1").out


def test_a_file_that_ansible_takes_last_names_the_site(project: InMemoryProject) -> None:
    site = project.path / "inventories" / "prod"
    (site / "group_vars" / "all").mkdir(parents=True)
    (site / "hosts.yml").write_text("all: {vars: {holdfast_site: first}}")
    for name in ("a", "b"):
        (site / "group_vars" / "all" / f"{name}.yml").write_text(f"holdfast_site: {name}ite")
    assert find_site([project.path], "bite") == site
    for name in ("first", "aite"):
        with pytest.raises(InvalidInput, match="No site"):
            find_site([project.path], name)


@pytest.mark.parametrize("verb", ["run", "resume", "reject"])
def test_the_reason_of_a_suggestion_that_was_pasted_as_it_is_is_refused(
    project: InMemoryProject, verb: str
) -> None:
    name = {"run": "broker-restart"}.get(verb, "k3f9")
    assert_refused(
        project.call(verb, name, "--reason", "\u2026"), "needs a reason, in place of '\u2026'"
    )


def test_who_forgot_the_reason_is_given_the_whole_command(project: InMemoryProject) -> None:
    typed = ["run", "broker-restart", "--site", "a b", "--limit", "ctl1", "--input", "x=1"]
    assert_refused(
        project.call(*typed),
        "next: holdfast run broker-restart --site 'a b' --limit ctl1 --input x=1 --reason '\u2026'",
    )
    assert_refused(project.call("resume", "k3f9"), "next: holdfast resume k3f9 --reason '\u2026'")
    assert_refused(project.call("reject"), "next: holdfast reject --reason '\u2026'")
