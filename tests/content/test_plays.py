"""Plays carry the keys that make a roll stop, and nothing that would let it go on.

An unreachable host does not stop a serial roll unless `max_fail_percentage` is 0, `any_errors_fatal` is absent and
`serial` is 1; with larger batches only an assertion at the start of the next batch does. Hence every key below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from holdfast.claims import all_claims
from tests.content.repository import (
    ROOT,
    Yaml,
    assert_no_faults,
    files,
    text_of,
    walk,
    yaml_in,
    yaml_of,
)

PLAYBOOKS = files("playbooks/*.yml")
PARTS = files("playbooks/parts/*.yml", "playbooks/tasks/*.yml")  # imported by playbooks, never run
LOOKS = {"boots", "check", "marks", "observe", "sweep"}  # these restart nothing
ROLLS = tuple(p for p in PLAYBOOKS if p.parent.name == "playbooks" and p.stem not in LOOKS)
TASK_FILES = files("playbooks/*.yml", "roles/*/tasks/*.yml", "roles/*/handlers/*.yml")
HANDLERS = files("roles/*/handlers/*.yml")

POLICY_KEYS = {"service", "shared", "group", "batch_max", "batch_max_reason", "order", "survey"}
ASSERTS = {"assert", "ansible.builtin.assert"}
IMPORTS = {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"}
PLAYBOOK_IMPORTS = {"import_playbook", "ansible.builtin.import_playbook"}
PAUSES = {"pause", "ansible.builtin.pause"}
SWEEP = "sweep.yml"  # beside the tasks that include it
SERVICES = {"service", "systemd", "systemd_service"}


ACTS = {
    "holdfast_act",
    "holdfast_commands",
    "holdfast_nova_service",
    "holdfast_haproxy",
    "holdfast_puppet",
}


def plays_of(path: Path) -> Iterator[dict[str, Yaml]]:
    """Yield a playbook's plays, each with its file's directory under `directory`.

    The plays of an imported file come with the import's variables. Other restart playbooks are not
    followed: they are checked themselves.
    """
    for play in yaml_of(path) or ():
        imported = [path.parent / play[key] for key in PLAYBOOK_IMPORTS & play.keys()]
        if not imported:
            yield {**play, "directory": path.parent}
        elif (file := imported[0].resolve()) not in ROLLS:
            for inner in plays_of(file):
                yield {**inner, "vars": {**inner.get("vars", {}), **play.get("vars", {})}}


def first_task(tasks: Yaml, directory: Path) -> dict[str, Yaml]:
    """Return the first task of a list, following an import relative to the playbook's directory."""
    task: dict[str, Yaml] = (tasks or [{}])[0]
    for key in IMPORTS & task.keys():
        target = task[key]["file"] if isinstance(task[key], dict) else task[key]
        return first_task(yaml_of((directory / target).resolve()), directory)
    return task


def asserts_no_host_lost(task: dict[str, Yaml]) -> bool:
    """Tell whether a task asserts that no host of the play was lost on the way."""
    for key in ASSERTS & task.keys():
        condition = str(task[key].get("that"))
        return (
            "when" not in task
            and "ansible_play_hosts_all" in condition
            and "difference(ansible_play_hosts)" in condition
        )
    return False


def is_refusal(play: dict[str, Yaml]) -> bool:
    """Tell whether a play only asserts, and that some host of the group is within reach."""
    tasks = play.get("tasks") or []
    conditions = [str(task[key].get("that")) for task in tasks for key in ASSERTS & task.keys()]
    return len(tasks) == len(conditions) and any(
        "intersect(ansible_play_hosts_all)" in c for c in conditions
    )


def is_options_refusal(play: dict[str, Yaml]) -> bool:
    """Tell whether a play has no task and fails in `hosts`, which no option leaves out."""
    return not play.get("tasks") and "undef(hint=" in str(play.get("hosts"))


def play_faults(play: dict[str, Yaml]) -> list[str]:
    """Return what a play of a restart playbook lacks to be one that stops."""
    found = []
    if play.get("gather_facts") is not False:
        found.append("gather_facts: false is missing")
    if "any_errors_fatal" in play:
        found.append("any_errors_fatal lets the next play run after an unreachable host")
    if play.get("strategy") != "linear":
        found.append("strategy: linear is missing; run_once and max_fail_percentage rest on it")
    if is_refusal(play) or is_options_refusal(play):
        return found  # it changes no host
    if play.get("max_fail_percentage") != 0:
        found.append("max_fail_percentage: 0 is missing")
    return found + roll_faults(play)


def sweeps(play: dict[str, Yaml]) -> bool:
    """Tell whether a batch's first tasks sweep the hosts done earlier, themselves or in a file that they import."""
    files_of = (task[key] for task in play.get("pre_tasks") or () for key in IMPORTS & task.keys())
    return any(
        file == SWEEP or SWEEP in walk(yaml_of(play["directory"] / file)) for file in files_of
    )


def ends(play: dict[str, Yaml]) -> bool:
    """Tell whether a batch's last task ends a run by hand, whatever was done before."""
    last = (play.get("post_tasks") or [{}])[-1]
    role = last.get("ansible.builtin.include_role", {})
    wanted = {"name": "holdfast_run", "tasks_from": "end", "rolespec_validate": False}
    return role == wanted and "when" not in last


def roll_faults(play: dict[str, Yaml]) -> list[str]:
    """Return what a play that changes hosts lacks beyond what every play needs."""
    found = []
    if not play.get("serial"):
        found.append("serial is missing")
    if "holdfast_batch" not in str(play.get("hosts")):
        found.append("hosts must come from holdfast_batch, with the group as default")
    if not asserts_no_host_lost(first_task(play.get("pre_tasks"), play["directory"])):
        found.append("the first pre_task must assert that no host was lost")
    if not ends(play):
        found.append(
            "the last post_task must be the end of holdfast_run: by hand nothing else ends the run"
        )
    policy = play.get("vars", {}).get("holdfast_policy", {})
    if not sweeps(play):
        found.append("no pre_task sweeps the hosts done earlier")
    if missing := POLICY_KEYS - policy.keys():
        found.append(f"holdfast_policy lacks {sorted(missing)}")
    return found


def tasks_of(content: Yaml) -> Iterator[dict[str, Yaml]]:
    """Yield every mapping of a playbook or task file: plays, blocks and tasks."""
    return (part for part in walk(content) if isinstance(part, dict))


def keys_of(content: Yaml) -> Iterator[str]:
    """Yield the keys of every task of a file."""
    return (key for part in tasks_of(content) for key in part)


def forbidden(content: Yaml) -> list[str]:
    """Return the keys and tasks of a file that hide a failure, or wait without a gate."""
    found = []
    for part in tasks_of(content):
        name = part.get("name", "a task")
        found += [
            f"{name}: {key}"
            for key in ("ignore_errors", "ignore_unreachable", "vars_prompt")
            if key in part
        ]
        found += [f"{name}: {key}" for key in PAUSES & part.keys()]
        if part.get("failed_when") in (False, "false", "False", []):
            found.append(f"{name}: failed_when: false")
        if "rescue" in part and not ends_in_failure(part["rescue"]):
            found.append(f"{name}: a rescue that does not end in fail clears the failure")
    return found


def ends_in_failure(tasks: Yaml) -> bool:
    """Tell whether the last of some tasks is an unconditional `fail`."""
    last = tasks[-1] if tasks else {}
    return bool({"fail", "ansible.builtin.fail"} & last.keys()) and "when" not in last


def restarting_handlers(content: Yaml) -> list[str]:
    """Return the handlers that restart: one is lost, silently, when a later task fails."""
    return [
        part.get("name", "a handler")
        for part in tasks_of(content)
        for key, value in part.items()
        if (key.rpartition(".")[2] in SERVICES and "restart" in str(value)) or key == "holdfast_act"
    ]


def restart_faults(plays: Sequence[dict[str, Yaml]]) -> list[str]:
    """Return what keeps a restart playbook from stopping at the first failure."""
    return [f"{play.get('name')}: {fault}" for play in plays for fault in play_faults(play)]


def silence_faults(path: Path) -> list[str]:
    """Return the tasks that would silence a host in a turn without a restart: a resume is not stopped by that.

    A restarted host would stay drained for as long as Alertmanager is away (docs/adr/0096).
    """
    return [
        f"{task['name']!r} does not ask for 'restart' in phases"
        for task in tasks_of(yaml_of(path))
        if (task.get("ansible.builtin.include_role") or {}).get("name") == "holdfast_silence"
        and task["ansible.builtin.include_role"]["tasks_from"] == "place"
        and "'restart' in phases" not in str(task.get("when")).split(" and ")
    ]


def order_faults(plays: Sequence[dict[str, Yaml]]) -> list[str]:
    """Return a fault unless a playbook's plays are two refusals (no hosts, options), and a roll."""
    kinds = [kind_of(play) for play in plays]
    wanted = ["refuse", "options", "roll"]
    return [] if kinds == wanted else [f"its plays must be {wanted}: {kinds}"]


def kind_of(play: dict[str, Yaml]) -> str:
    """Return which of a restart playbook's plays it is."""
    if is_options_refusal(play):
        return "options"
    return "refuse" if is_refusal(play) else "roll"


def plays_gathering_facts(plays: Yaml) -> list[str]:
    """Return the plays that gather facts: it costs seconds per host, and no playbook here needs any."""
    return [
        f"{play.get('name')}: gather_facts: false is missing"
        for play in plays
        if "hosts" in play and play.get("gather_facts") is not False
    ]


def test_every_restart_playbook_has_plays() -> None:
    assert_no_faults(ROLLS, lambda path: [] if yaml_of(path) else ["it would restart nothing"])


def test_every_restart_playbook_stops_at_the_first_failure() -> None:
    assert_no_faults(ROLLS, lambda path: restart_faults(list(plays_of(path))))


def test_every_restart_playbook_refuses_before_it_rolls() -> None:
    rolls = [path for path in ROLLS if list(plays_of(path))]
    assert len(rolls) >= len(ROLLS) - 1, "only nova_restart.yml is made of other playbooks alone"
    assert_no_faults(rolls, lambda path: order_faults(list(plays_of(path))))


def asks_gate(path: Path) -> bool:
    """Tell whether a file of tasks asks a gate, or one of the files that it includes."""
    return any(
        "holdfast_gate" in task
        or any(asks_gate(path.parent / str(task[key])) for key in IMPORTS & task.keys())
        for task in tasks_of(yaml_of(path) or [])
    )


def preflight_faults(path: Path) -> list[str]:
    """Return the preflights of a playbook's rolls that ask no gate: the act would come before any question."""
    plays = [play for play in plays_of(path) if kind_of(play) == "roll"]
    roles = [play["tasks"][0]["ansible.builtin.include_role"] for play in plays]
    return [
        f"{role['name']} {role['tasks_from']} asks no gate"
        for role in roles
        if not asks_gate(ROOT / f"roles/{role['name']}/tasks/{role['tasks_from']}.yml")
    ]


def test_every_roll_asks_a_gate_before_its_first_act() -> None:
    assert_no_faults(ROLLS, preflight_faults)


def waiting_faults(path: Path) -> list[str]:
    """Return a fault where a play leaves the wait for its word to an act that does not come first, or does not wait."""
    faults = []
    for play in plays_of(path):
        tasks = play.get("tasks", [])
        waits = any("waits" in str(task.get("vars", {}).get("first_act")) for task in tasks)
        roles = [task.get("ansible.builtin.include_role", {}) for task in tasks] if waits else []
        for role in (role["name"] for role in roles if role.get("tasks_from") == "restart"):
            first = yaml_of(ROOT / f"roles/{role}/tasks/restart.yml")[0]
            if used := first.get("ansible.builtin.import_role"):
                first = yaml_of(ROOT / f"roles/{used['name']}/tasks/{used['tasks_from']}.yml")[0]
            if not first.get("holdfast_act", {}).get("waits"):
                faults.append(f"{role}: its restart begins with {first['name']!r}")
    return faults


def test_what_waits_for_the_word_in_place_of_the_park_is_the_first_act() -> None:
    """Else something would be done before the word, or be refused there."""
    assert_no_faults(ROLLS, waiting_faults)


def options_faults(plays: Sequence[dict[str, Yaml]]) -> list[str]:
    """Return a fault unless options are refused before any play but the refusal of a call without hosts."""
    others = (play for play in plays if not is_refusal(play))
    first = next(others, None)
    if first is None or is_options_refusal(first):
        return []
    return [f"{first.get('name')} comes before options are refused"]


def test_every_playbook_refuses_options_that_leave_out_tasks() -> None:
    """--tags with a name that no task has would do nothing and succeed."""
    runnable = [path for path in PLAYBOOKS if path not in PARTS]
    assert len(runnable) > len(ROLLS)
    assert_no_faults(runnable, lambda path: options_faults(list(plays_of(path))))


def nobody_faults(path: Path) -> list[str]:
    """Return a fault where a playbook that changes nothing would also ask nothing, and succeed."""
    parts = [play for play in plays_of(path) if is_refusal(play)]
    return [] if parts else ["it would ask no host and succeed"]


def test_every_playbook_fails_where_it_reaches_no_host() -> None:
    """The lab's playbooks have all of their hosts."""
    others = {*files("playbooks/lab/*.yml"), *PARTS}
    playbooks = [path for path in PLAYBOOKS if path not in others and list(plays_of(path))]
    assert_no_faults(playbooks, nobody_faults)


def test_nothing_hides_a_failure() -> None:
    assert_no_faults(TASK_FILES, lambda path: forbidden(yaml_of(path)))


def test_marks_are_renewed_before_every_act() -> None:
    """A wait may outlast them; the plugin that acts renews them, before it journals its intent."""
    acting = [path for path in files("roles/*/tasks/*.yml") if ACTS & set(keys_of(yaml_of(path)))]
    assert {path.parent.parent.name for path in acting} == {
        "galera",
        "haproxy",
        "nova",
        "placement_extraction",
        "puppet",
        "rabbitmq",
        "systemd_unit",
    }
    for plugin in ACTS:
        text = text_of(ROOT / f"plugins/action/{plugin}.py")
        assert 0 < text.find("self.renew_marks(") < text.find("ActIntended("), plugin


def test_only_a_turn_that_restarts_is_silenced() -> None:
    placing = [path for path in PLAYBOOKS if "tasks_from: place" in text_of(path)]
    assert_no_faults(placing, silence_faults)


def test_every_turn_with_a_restart_is_silenced_and_that_is_ended() -> None:
    """By hand, with `holdfast run` and from chat the same playbooks run, so here it is held for all of them."""
    turns = [path for path in PLAYBOOKS if "tasks_from: verify" in text_of(path)]
    assert len(turns) >= 5
    for path in turns:
        roles = [task.get("ansible.builtin.include_role") or {} for task in tasks_of(yaml_of(path))]
        asked = [each["tasks_from"] for each in roles if each.get("name") == "holdfast_silence"]
        assert asked == ["place", "end"], path


def test_no_handler_restarts() -> None:
    faults = [fault for path in HANDLERS for fault in restarting_handlers(yaml_of(path))]
    assert faults == []  # there may be no handlers at all


def test_no_playbook_gathers_facts() -> None:
    assert_no_faults(PLAYBOOKS, lambda path: plays_gathering_facts(yaml_of(path)))


def test_the_plays_of_an_imported_file_have_the_variables_of_the_import() -> None:
    plays = list(plays_of(ROOT / "playbooks/nova_api_restart.yml"))
    assert [play["vars"]["nova_layer"] for play in plays] == ["api"] * 3


@pytest.mark.parametrize("missing", ["refuse", "options", "roll"])
def test_a_playbook_without_one_of_its_plays_is_reported(missing: str) -> None:
    plays = {kind_of(play): play for play in plays_of(ROOT / "playbooks/rabbitmq_restart.yml")}
    assert not order_faults(list(plays.values()))
    assert order_faults(list(plays.values())[::-1])
    assert order_faults([play for name, play in plays.items() if name != missing])


def test_a_play_that_gathers_facts_is_reported() -> None:
    assert len(plays_gathering_facts([{"hosts": "x"}, {"import_playbook": "y"}])) == 1


GOOD_ROLL = """
name: Roll
hosts: "{{ holdfast_batch | default('rabbitmq') }}"
gather_facts: false
strategy: linear
serial: 1
max_fail_percentage: 0
vars:
  holdfast_policy: {service: x, shared: [], group: rabbitmq, batch_max: 1, batch_max_reason: y, order: [], survey: []}
pre_tasks:
  - name: No host was lost
    ansible.builtin.assert:
      that: ansible_play_hosts_all | difference(ansible_play_hosts) | length == 0
  - ansible.builtin.include_tasks: sweep.yml
post_tasks:
  - ansible.builtin.include_role: {name: holdfast_run, rolespec_validate: false, tasks_from: end}
"""


def good_roll(change: str = "", to: str = "") -> dict[str, Yaml]:
    return {**yaml_in(GOOD_ROLL.replace(change, to)), "directory": ROOT / "playbooks"}


def test_a_good_roll_has_no_fault() -> None:
    assert play_faults(good_roll()) == []


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("serial: 1", ""),
        ("strategy: linear", ""),
        ("strategy: linear", "strategy: free"),
        ("max_fail_percentage: 0", ""),
        ("max_fail_percentage: 0", "max_fail_percentage: 10"),
        ("serial: 1", "serial: 1\nany_errors_fatal: true"),
        ("gather_facts: false", ""),
        ("ansible_play_hosts_all |", "ansible_play_batch |"),
        ("length == 0", "length == 0\n    when: false"),
        ("- name: No host", "- name: First\n    ansible.builtin.debug:\n  - name: No host"),
        ("holdfast_batch", "other"),
        ("include_tasks: sweep.yml", "include_tasks: tasks/check.yml"),
        ("batch_max_reason: y, ", ""),
        ("tasks_from: end", "tasks_from: done"),
        ("tasks_from: end}", "tasks_from: end}\n    when: false"),
    ],
)
def test_each_missing_key_is_reported(change: str, to: str) -> None:
    assert change in GOOD_ROLL
    assert len(play_faults(good_roll(change, to))) == 1


@pytest.mark.parametrize(
    "task",
    [
        "ignore_errors: true",
        "ignore_unreachable: true",
        "failed_when: false",
        "ansible.builtin.pause: {seconds: 1}",
        "pause:",
        "vars_prompt: []",
        "{block: [], rescue: [{ansible.builtin.debug: }]}",
        "{block: [], rescue: [{ansible.builtin.fail: , when: false}]}",
        "{block: [{block: [{ignore_errors: true}]}]}",
    ],
)
def test_each_forbidden_thing_is_reported(task: str) -> None:
    assert len(forbidden([yaml_in(task)])) == 1


@pytest.mark.parametrize(
    "handler",
    [
        "ansible.builtin.systemd_service: {state: restarted}",
        "service: name=x state=restarted",
        "holdfast_act: {}",
    ],
)
def test_a_handler_that_restarts_is_reported(handler: str) -> None:
    assert restarting_handlers([yaml_in(handler)])


def test_a_check_asks_the_first_host_of_every_group_that_a_claim_is_about() -> None:
    (check,) = (play for play in yaml_of(ROOT / "playbooks/check.yml") if "tasks" in play)
    about = {claim.group for claim in all_claims().values()} - {""}
    assert set(check["vars"]["_check_groups"]) == about
