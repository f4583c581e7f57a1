from __future__ import annotations

import pytest

from holdfast.errors import InvalidInput, RunbookError
from holdfast.runbook.inputs import fill, read_inputs
from holdfast.runbook.model import ApproveStep, CheckStep, Input, RollStep, Runbook, WaitStep
from holdfast.runbook.parser import parse_runbook

TEXT = """\
---
name: broker-restart
summary: Restart every broker
leases: {nova: shared}
inputs:
  group: {summary: which hosts, pattern: '[a-z]+', default: broker}
  size:
    type: int
    summary: how many at a time
    minimum: 1
    maximum: 5
sweep_seconds: 600
approvals: {count: 2}
---

# Restart brokers

What it does.

## Before you begin
Look around.

## 1. Look

Broken brokers stay untouched. By hand:

```sh
rabbitmqctl cluster_status
```

```step
check: [rabbitmq.no_alarms, {claim: systemd.active, unit: cron}]
```

## 2. Ask
Somebody has to know.

```step
approve: Go on?
```

## 3. Brokers
One at a time.

```step
roll: rabbitmq_restart.yml
hosts: $group
vars: {unit: $group}
batch: $size
settle: {seconds: 30, readings: 3}
```

## 4. Soak
It has to stay.

```step
wait:
  gates: [rabbitmq.no_alarms]
  seconds: 300
```

## If it holds

Look at the broker.
"""


def parse(text: str = TEXT) -> Runbook:
    return parse_runbook("runbooks/broker-restart.md", text)


def test_a_runbook_is_read_step_by_step() -> None:
    runbook = parse()

    assert [(step.number, step.title) for step in runbook.steps] == [
        (1, "Look"),
        (2, "Ask"),
        (3, "Brokers"),
        (4, "Soak"),
    ]
    kinds = [type(step.work) for step in runbook.steps]
    assert kinds == [CheckStep, ApproveStep, RollStep, WaitStep]
    assert runbook.leases == {"nova": "shared"}
    assert (runbook.approvals.count, runbook.approvals.by_others) == (2, True)
    assert runbook.sweep_seconds == 600
    assert runbook.if_it_holds == "Look at the broker."


def test_the_prose_of_a_step_keeps_its_commands_and_leaves_its_block() -> None:
    step = parse().steps[0]

    assert step.prose.startswith("Broken brokers stay untouched.")
    assert "rabbitmqctl cluster_status" in step.prose
    assert "check:" not in step.prose
    assert TEXT.splitlines()[step.line - 1] == "```step"


def test_every_change_of_the_text_changes_the_hash() -> None:
    assert parse().hash != parse(TEXT + "\n").hash


@pytest.mark.parametrize(
    ("line", "instead", "complaint"),
    [
        ("batch: $size", "bach: $size", "unknown key 'bach'; did you mean batch"),
        ("summary: Restart every broker", "summary: x\nlease: {}", "unknown key 'lease'"),
        ("settle: {seconds: 30, readings: 3}", "settle: {reading: 3}", "settle.reading"),
        ("batch: $size", "serial: $size", "unknown key 'serial'; here it is called batch"),
        ("hosts: $group", "hosts: '{{ $group }}'", r"\$group is not replaced inside a longer text"),
        ("batch: $size", "batch: 0", "batch: "),
        ("batch: $size", "batch: several", "batch: "),
        ("batch: $size", "batch: 1.5", "batch: "),
        ("batch: $size", "batch: true", "batch: "),
        ("batch: $size", "growth: [2, 1]", "growth: .*must not shrink"),
        ("batch: $size", "growth: []", "growth: "),
        ("batch: $size", "canary: true\ngrowth: [1, 2]", "leave out batch and canary"),
        ("hosts: $group", "hosts: $grupo", r"\$grupo is no input"),
        ("hosts: $group", "hosts: a\nhosts: b", "hosts is given twice"),
        ("hosts: $group", "hosts: ]", "not YAML"),
        ("hosts: $group", "hosts: &all [*all]", r"\*all: write the value out, without an alias"),
        ("roll: rabbitmq_restart.yml", "canary: true", "exactly one of these keys"),
        ("approve: Go on?", "approve: Go on?\ncheck: [a.b]", "exactly one of these keys"),
        ("  gates: [rabbitmq.no_alarms]", "  gates: []", "wait.gates"),
        ("  seconds: 300", "  second: 300", "wait.second"),
        ("    maximum: 5", "    maximum: 5\n    default: 7", "7 is not at least 1 and at most 5"),
        ("    maximum: 5", "    max: 5", "inputs.size.max"),
    ],
)
def test_a_mistake_names_file_and_line(line: str, instead: str, complaint: str) -> None:
    assert TEXT.count(f"{line}\n") == 1
    text = TEXT.replace(line, instead)

    with pytest.raises(RunbookError, match=complaint) as caught:
        parse(text)

    place = TEXT.splitlines().index(line) + 1 + instead.count("\n")
    assert (caught.value.path, caught.value.line) == ("runbooks/broker-restart.md", place)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("---\nname: broker-restart", "name: broker-restart", "begins with its front matter"),
        ("count: 2}\n---", "count: 2}\n", "no closing"),
        ("name: broker-restart", "name: other", "differ"),
        ("## 3. Brokers", "## 4. Brokers", "expected step 3, not 4"),
        ("## If it holds", "## If it breaks", "ends with"),
        ("Look at the broker.", "", "ends with"),
        ("```step\nroll", "```yaml\nroll", "exactly one fenced block"),
        ("```step\nroll", "```step\ncheck: [a.b]\n```\n\n```step\nroll", "it has 2"),
        ("One at a time.", "", "needs prose that says why"),
        ("Look around.", "```step\ncheck: [a.b]\n```", "belongs under a heading"),
        ("What it does.", "```step\ncheck: [a.b]\n```", "above the first heading"),
        ("batch: $size", "batch: 1", "no step uses the input size"),
        ("batch: $size", "batch: 2026-13-45", "not YAML: month must be in 1..12"),
    ],
)
def test_a_violation_of_the_format_is_refused(old: str, new: str, complaint: str) -> None:
    with pytest.raises(RunbookError, match=complaint):
        parse(TEXT.replace(old, new))


def test_without_steps_it_is_no_runbook() -> None:
    with pytest.raises(RunbookError, match="at least one step"):
        parse_runbook("x.md", "---\nname: x\nsummary: y\n---\n\n## If it holds\nLook.\n")


# --- inputs


def test_inputs_are_typed_and_have_defaults() -> None:
    assert read_inputs(parse().inputs, {"size": "3"}) == {"group": "broker", "size": 3}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "needs the input size"),
        ({"size": "three"}, "not a whole number"),
        ({"size": "6"}, "not at least 1 and at most 5"),
        ({"size": "1", "group": "a b"}, "does not match"),
        ({"size": "1", "group": "{{ x }}"}, "does not match"),
        ({"size": "1", "group": "broker\n"}, "does not match"),
        ({"sise": "1"}, "did you mean size"),
    ],
)
def test_a_wrong_input_is_refused(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        read_inputs(parse().inputs, given)


def test_a_boolean_input_is_true_or_false() -> None:
    declared = {"force": Input(type="bool", summary="restart all")}

    assert read_inputs(declared, {"force": "Yes"}) == {"force": True}
    with pytest.raises(InvalidInput, match="'maybe' is neither true nor false"):
        read_inputs(declared, {"force": "maybe"})


def test_an_input_replaces_a_whole_value_as_its_type() -> None:
    runbook = parse()
    inputs = read_inputs(runbook.inputs, {"size": "2", "group": "spare"})

    filled = fill(runbook.steps[2].work, inputs)

    assert isinstance(filled, RollStep)
    assert (filled.hosts, filled.vars, filled.batch) == ("spare", {"unit": "spare"}, 2)


def test_a_text_that_looks_like_an_input_is_no_input() -> None:
    text = TEXT.replace("approve: Go on?", "approve: costs $group dollars")
    [step] = [step for step in parse(text).steps if isinstance(step.work, ApproveStep)]

    filled = fill(step.work, {"group": "ten"})

    assert isinstance(filled, ApproveStep)
    assert filled.approve == "costs $group dollars"


def test_text_input_needs_a_pattern() -> None:
    text = TEXT.replace(", pattern: '[a-z]+'", "")

    with pytest.raises(RunbookError, match="needs a pattern"):
        parse(text)
