"""Sites made from inventories of other tools' shapes (tests/sites), read and planned by the real readers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from holdfast.ansible.inventory import AnsibleInventory
from holdfast.ansible.playbooks import AnsiblePlaybooks
from holdfast.ansible.site_reader import AnsibleSites, SiteAnswer, SiteQuestion
from holdfast.claims import bind_claim
from holdfast.cli.new_site import SiteFiles, make_site
from holdfast.cli.site_presets import GROUPS
from holdfast.engine.planner import Planner
from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.probes.base import SiteVariables
from holdfast.probes.nova.fleet import UnitSite
from holdfast.probes.nova.site import ApiSite, MetadataSite, NovaHost, RpcSite
from holdfast.probes.rabbitmq.site import RabbitSite
from tests.unit.cli.cli_harness import InMemoryProject

PROJECT = Path(__file__).parents[3]
SHAPES = PROJECT / "tests/sites"
PRESETS = PROJECT / "inventories/presets"
READER = AnsibleSites(PROJECT, os.environ)
PLANNER = Planner(
    AnsibleInventory(PROJECT, os.environ),
    AnsiblePlaybooks(PROJECT),
    lambda entry: bind_claim(entry).claim.group,
)
SECRET = "planted-p@ss"  # noqa: S105  # what a person puts into the vault


@dataclass(frozen=True)
class Expected:
    """What a site is like: sizes of its groups in their order, URLs of its hosts, and other variables of the first."""

    inventory: str
    sizes: Sequence[int]
    transport: str
    apis: Sequence[str]
    first: Mapping[str, Json]
    units: Sequence[str]


SITES = {
    "kolla": Expected(
        "kolla/multinode",
        (3, 3, 3, 3, 3, 5),
        "rabbit://openstack:planted-p%40ss@ctl01:5671,openstack:planted-p%40ss@ctl02:5671,"
        "openstack:planted-p%40ss@ctl03:5671/?ssl=1",
        [f"http://ctl0{n}:8774" for n in (1, 2, 3)],
        {
            "rabbitmq_command_prefix": ("podman", "exec", "rabbitmq"),
            "rabbitmq_management_scheme": "https",
            "rabbitmq_amqp_tls": True,
            "nova_auth_url": "https://internal.lisbon.example:5000/v3",
            "nova_compute_log": "/var/log/kolla/nova/nova-compute.log",
            "nova_api_command_prefix": ("podman", "exec", "nova_api"),
        },
        ["kolla-nova_conductor-container", "kolla-nova_metadata-container"],
    ),
    "osa": Expected(
        "osa/openstack_inventory.json",
        (3, 3, 3, 3, 3, 2),
        "rabbit://nova:planted-p%40ss@172.29.237.100:5671,nova:planted-p%40ss@172.29.237.101:5671,"
        "nova:planted-p%40ss@172.29.237.102:5671/nova?ssl=1",
        [f"http://172.29.238.{n}:8774" for n in (100, 101, 102)],
        {
            "rabbitmq_command_prefix": (),
            "rabbitmq_management_port": 15671,
            "rabbitmq_amqp_tls": True,
            "nova_auth_url": "http://172.29.236.9:5000/v3",
            "nova_compute_log": "journal",
            "nova_service_host": "mad1-nova-api-container-1a2b401e",
        },
        ["nova-conductor", "nova-api-metadata"],
    ),
    "rdo": Expected(
        "rdo/hosts.yaml",
        (3, 3, 3, 3, 3, 3),
        "rabbit://guest:planted-p%40ss@porto-ctl1.cloud.example.org:5672,"
        "guest:planted-p%40ss@[2001:DB8:0:1::12]:5672,guest:planted-p%40ss@198.51.100.13:5672/",
        [
            "http://porto-ctl1.cloud.example.org:8774",
            "http://[2001:DB8:0:1::12]:8774",
            "http://198.51.100.13:8774",
        ],
        {"rabbitmq_node_name": "rabbit@porto-ctl1", "rabbitmq_amqp_tls": False},
        ["openstack-nova-conductor", "openstack-nova-metadata-api"],
    ),
}
OTHERS = ("sw1", "sw2", "win1", "localhost", "net01", "bill1.example.net", "mad1")
MODELS: Sequence[type[SiteVariables]] = (
    NovaHost,
    RabbitSite,
    RpcSite,
    ApiSite,
    MetadataSite,
    UnitSite,
)


@pytest.fixture(scope="module", params=SITES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Expected]:
    """Make a site of this shape, with its vault filled in as a person does."""
    expected = SITES[request.param]
    path = tmp_path_factory.mktemp("inventories") / "atsite"
    made = make_site(path, SHAPES / expected.inventory, request.param, PRESETS, READER)
    made.files.write(path)
    assert all("planted" not in each.read_text() for each in path.rglob("*.yml") if each.is_file())
    vault = path / "group_vars/all/vault.yml"
    vault.write_text(vault.read_text().replace(': ""', f": {SECRET}"))
    file = path / "group_vars/all/20-site.yml"
    if "nova_auth_url" not in made.found:
        file.write_text(
            file.read_text().replace(
                "#nova_auth_url:", "nova_auth_url: http://keystone.example:5000/v3"
            )
        )
    assert [len(made.mapped[group][1]) for group in GROUPS] == list(expected.sizes)
    return path, expected


def test_a_run_of_nova_is_planned_and_no_other_host_is_in_it(site: tuple[Path, Expected]) -> None:
    path, expected = site
    plan = PLANNER.plan(PROJECT / "runbooks/nova-restart.md", path, {})

    hosts = [host for step in plan.steps for host in getattr(step, "hosts", ())]
    assert plan.site == "atsite"
    assert not set(hosts) & set(OTHERS)
    assert len(hosts) >= sum(expected.sizes[1:])


def test_a_network_device_or_windows_is_in_no_run(site: tuple[Path, Expected]) -> None:
    path, expected = site
    if not expected.inventory.startswith("kolla"):
        pytest.skip("its inventory has none")
    for group, how in (("mgmt-switches", "ansible.netcommon.network_cli"), ("all", "sw1")):
        inputs = {"unit": "chrony", "group": group}
        with pytest.raises(InvalidInput, match=how) as caught:
            PLANNER.plan(PROJECT / "runbooks/unit-restart.md", path, inputs)
        assert "hosts with systemd alone" in caught.value.remedy
    of_proxies = {"unit": "kolla-nova_novncproxy-container", "group": "nova-novncproxy"}
    plan = PLANNER.plan(PROJECT / "runbooks/unit-restart.md", path, of_proxies)
    assert {"ctl01", "ctl02", "ctl03"} == {h for s in plan.steps for h in getattr(s, "hosts", ())}


def test_its_variables_are_what_claims_read(site: tuple[Path, Expected]) -> None:
    path, expected = site
    names = {name for model in MODELS for name in model.needs()}
    given = {name: f"{{{{ {name} }}}}" for name in names}
    urls = {"apis": "{{ groups['nova_api'] | map('extract', hostvars, 'nova_api_url') | list }}"}
    question = SiteQuestion(path, ["nova_api"], expressions={**given, **urls})
    values = dict(READER.ask(question).values)

    assert values["apis"] == list(expected.apis)
    assert values["nova_transport_url"] == expected.transport
    found: dict[str, Json] = {}
    for model in MODELS:
        found |= model.model_validate(
            {"rabbitmq_amqp_ca_file": "", "nova_ca_file": "", **values}
        ).model_dump()
    assert {name: found[name] for name in expected.first} == expected.first
    units = [found["nova_conductor_unit"], found["nova_metadata_unit"]]
    assert units == list(expected.units)


@dataclass
class FakeSites:
    """Inventories that have these groups, and nothing else."""

    groups: Mapping[str, Sequence[str]]

    def ask(self, question: SiteQuestion) -> SiteAnswer:
        return SiteAnswer(self.groups, {}, {})


def made_of(path: Path, kind: str = "", **groups: Sequence[str]) -> dict[str, str]:
    """Return each of our groups with the tool's."""
    hosts = path / "hosts"
    hosts.touch()
    named = {name.replace("__", "-"): each for name, each in groups.items()}
    made = make_site(path / "atsite", hosts, kind, PRESETS, FakeSites(named))
    return {made.preset.name: made.preset.tool} | {
        ours: theirs for ours, (theirs, _) in made.mapped.items()
    }


def test_an_inventory_tells_which_tool_made_it(tmp_path: Path) -> None:
    kolla = made_of(tmp_path, compute=["a"], control=["b"], nova__api=["b"], nova__compute=[])
    assert (kolla["kolla"], kolla["nova_compute"]) == ("kolla-ansible", "compute")
    assert "osa" in made_of(tmp_path, nova_api_os_compute=["a"], compute=["x"])
    assert "rdo" in made_of(tmp_path, controller=["a"], compute=["x"])
    with pytest.raises(InvalidInput, match="its groups are not those of"):
        made_of(tmp_path, web=["a"])
    with pytest.raises(InvalidInput, match="no hosts in a group of brokers"):
        made_of(tmp_path, "kolla", web=["a"])


def test_encrypted_passwords_are_linked_and_named(tmp_path: Path) -> None:
    (tmp_path / "hosts").touch()
    (tmp_path / "passwords.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    made = make_site(
        tmp_path / "atsite", tmp_path / "hosts", "kolla", PRESETS, FakeSites({"rabbitmq": ["a"]})
    )

    assert made.files.links["group_vars/all/05-passwords.yml"] == tmp_path / "passwords.yml"
    vault = yaml.safe_load(made.files.texts["group_vars/all/vault.yml"])
    assert "{{ rabbitmq_password }}" in vault.values()
    assert any("nova_conductor has no hosts" in note for note in made.notes)


def test_variables_beside_the_inventory_are_linked_and_ours_are_read_last(tmp_path: Path) -> None:
    for name in ("group_vars/all/x.yml", "group_vars/rabbitmq.yml", "host_vars/a.yml", "hosts.ini"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    made = make_site(
        tmp_path / "s", tmp_path / "hosts.ini", "rdo", PRESETS, FakeSites({"rabbitmq": ["a"]})
    )

    links = {
        name: target.relative_to(tmp_path).as_posix() for name, target in made.files.links.items()
    }
    assert links == {
        "10-theirs": "hosts.ini",
        "group_vars/all/01-theirs": "group_vars/all",
        "group_vars/rabbitmq.yml": "group_vars/rabbitmq.yml",
        "host_vars/a.yml": "host_vars/a.yml",
    }


def closed(path: Path) -> Path:
    """Return a link to itself, which nobody can look at, as a directory of others."""
    path.symlink_to(path)
    return path


@pytest.mark.parametrize("name", ["group_vars", "host_vars", "globals.yml"])
def test_variables_that_cannot_be_read_are_not_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "hosts").touch()
    closed(tmp_path / name)
    with pytest.raises(InvalidInput, match=f"{name} cannot be read"):
        made_of(tmp_path, "kolla", rabbitmq=["a"])


@pytest.mark.parametrize("vip", ["2001:DB8::10", "[2001:DB8::10]"])
def test_a_virtual_address_of_ipv6_is_in_brackets_once(tmp_path: Path, vip: str) -> None:
    (tmp_path / "multinode").write_text((SHAPES / "kolla/multinode").read_text())
    (tmp_path / "globals.yml").write_text(f"kolla_internal_vip_address: '{vip}'\n")
    made = make_site(tmp_path / "s", tmp_path / "multinode", "", PRESETS, READER)
    assert made.found["nova_auth_url"] == "http://[2001:DB8::10]:5000/v3"


@pytest.mark.parametrize(("shape", "named"), [("kolla", "multinode"), ("osa", "openstack_inv")])
def test_a_tool_s_directory_of_variables_is_no_inventory(
    tmp_path: Path, shape: str, named: str
) -> None:
    variables = {"kolla": "passwords.yml", "osa": "user_variables.yml"}[shape]
    (tmp_path / variables).touch()
    with pytest.raises(InvalidInput, match=f"keeps {variables}, and not an inventory") as caught:
        make_site(tmp_path / "s", tmp_path, "", PRESETS, FakeSites({}))
    assert f"such as {tmp_path}/{named}" in caught.value.remedy


def test_whether_passwords_are_encrypted_is_said_to_be_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts").touch()
    groups = FakeSites({"rabbitmq": ["a"]})
    closed(tmp_path / "passwords.yml")
    made = make_site(tmp_path / "s", tmp_path / "hosts", "kolla", PRESETS, groups)
    assert [note for note in made.notes if "passwords.yml cannot be read" in note]

    (tmp_path / "passwords.yml").unlink()
    (tmp_path / "passwords.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    monkeypatch.setattr("holdfast.cli.new_site.os.access", lambda *_: False)
    made = make_site(tmp_path / "s", tmp_path / "hosts", "kolla", PRESETS, groups)
    assert [note for note in made.notes if "not known whether it is encrypted" in note]


def test_another_cluster_of_brokers_is_named(tmp_path: Path) -> None:
    (tmp_path / "hosts").touch()
    groups = FakeSites({"rabbitmq": ["a"], "outward-rabbitmq": ["b"]})
    made = make_site(tmp_path / "s", tmp_path / "hosts", "kolla", PRESETS, groups)
    assert [note for note in made.notes if note.startswith("outward-rabbitmq is another cluster")]
    assert made.mapped["rabbitmq"] == ("rabbitmq", ["a"])


@pytest.mark.parametrize("text", ["[x\nrabbitmq", '{"_meta": {'])
def test_an_inventory_that_cannot_be_read_is_named_as_the_person_named_it(
    tmp_path: Path, text: str
) -> None:
    inventory = tmp_path / "inventory.json"
    inventory.write_text(text)
    with pytest.raises(InvalidInput, match=f"parse inventory source {inventory}") as caught:
        make_site(tmp_path / "s", inventory, "", PRESETS, READER)
    assert caught.value.remedy.endswith(f"ansible-inventory -i {inventory} --graph")
    assert "holdfast-init-" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [\nb", r"globals.yml:3 cannot be read: YAML parsing failed"),
        ("- a\n- b\n", r"globals.yml cannot be read: it has no variables"),
        ("$ANSIBLE_VAULT;1.1;AES256\n00\n", r"globals.yml cannot be read: .*vault"),
    ],
)
def test_a_file_of_variables_that_cannot_be_read_is_named_itself(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "multinode").write_text((SHAPES / "kolla/multinode").read_text())
    (tmp_path / "globals.yml").write_text(text)
    with pytest.raises(InvalidInput, match=rf"^{tmp_path}/{said}") as caught:
        make_site(tmp_path / "s", tmp_path / "multinode", "", PRESETS, READER)
    assert "ansible-inventory" not in caught.value.remedy


def test_a_program_that_prints_more_than_its_inventory_is_named(tmp_path: Path) -> None:
    program = tmp_path / "inventory.py"
    program.write_text("#!/bin/sh\necho slow\necho '{}'\n")
    program.chmod(0o755)
    with pytest.raises(InvalidInput, match="could not be parsed as JSON") as caught:
        make_site(tmp_path / "s", program, "", PRESETS, READER)
    assert f"{program} --list" in caught.value.remedy


def test_groups_without_hosts_are_told_from_groups_of_no_tool(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="hosts has no hosts") as caught:
        made_of(tmp_path, nova__api=[], rabbitmq=[], all=[])
    assert "--graph" in caught.value.remedy


def test_an_inventory_as_programs_print_it_is_known_by_what_it_has(tmp_path: Path) -> None:
    inventory = tmp_path / "openstack_inventory"
    inventory.write_text((SHAPES / "osa/openstack_inventory.json").read_text())
    made = make_site(tmp_path / "s", inventory, "", PRESETS, READER)
    assert (made.preset.name, list(made.files.programs)) == ("osa", ["10-theirs"])


def test_a_site_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    wrong = SiteFiles({"a": "a file", "a/b": "in a file"}, {}, {})
    with pytest.raises(InvalidInput, match="nothing was left there") as caught:
        wrong.write(tmp_path / "s")
    assert "namei -l" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    project = InMemoryProject(tmp_path)
    skeleton = tmp_path / "inventories/example/group_vars/all"
    skeleton.mkdir(parents=True)
    (skeleton / "site.yml").write_text("holdfast_site: example\n")
    (tmp_path / "inventories/presets").symlink_to(PRESETS)
    project.sites = FakeSites({"rabbitmq": ["ctl1"], "nova-api": ["ctl1"]})
    (tmp_path / "multinode").touch()
    return project


def test_a_site_is_written_once(project: InMemoryProject) -> None:
    done = project.call("init", "lisbon", "multinode")
    assert done.code == 0
    assert "holdfast check --site lisbon --explain" in done.out
    file = project.path / "inventories/lisbon/group_vars/all/20-site.yml"
    assert "holdfast_site: lisbon" in file.read_text()
    file.write_text("mine\n")

    again = project.call("init", "lisbon", "multinode")
    assert again.code == 2
    assert "exists; nothing was written" in again.err
    assert file.read_text() == "mine\n"


def test_an_inventory_that_is_a_link_stays_one(project: InMemoryProject) -> None:
    """It may lead to another release tomorrow; what is beside the file is found through it."""
    release = project.path / "release-1"
    release.mkdir()
    (release / "multinode").touch()
    (release / "globals.yml").write_text("kolla_container_engine: podman\n")
    (project.path / "current").symlink_to(release / "multinode")
    done = project.call("init", "lisbon", "current")
    assert done.code == 0
    theirs = project.path / "inventories/lisbon/10-theirs"
    assert theirs.readlink() == project.path / "current"
    assert "globals.yml was not found" not in done.out


def test_without_an_inventory_the_skeleton_is_copied(project: InMemoryProject) -> None:
    assert project.call("init", "porto").code == 0
    file = project.path / "inventories/porto/group_vars/all/site.yml"
    assert file.read_text() == "holdfast_site: porto\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["example"], "not a valid name"),
        (["presets"], "not a valid name"),
        (["../x"], "not a valid name"),
        (["porto", "--from", "kolla"], "needs an inventory"),
        (["porto", "multinode", "--from", "kola"], "kolla"),
        (["porto", "gone"], "holdfast init porto PATH"),
        (["porto", ""], "there is no inventory ''"),
        (["porto", "x" * 300], "cannot be read: File name too long"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_written(
    project: InMemoryProject, typed: list[str], said: str
) -> None:
    done = project.call("init", *typed)
    assert (done.code, said in done.err) == (2, True)
    assert not (project.path / "inventories/porto").exists()
