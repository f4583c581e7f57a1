"""Which stories a fault in a file of tasks gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.stories import Stories, parse
from tests.mutants.yaml_mutations import FAILED, SKIPPED, YamlMutant

FILE = Path("roles/toy/tasks/restart.yml")
FAST, SLOW, REFUSED, OTHER = "fast", "slow", "refused", "other"


def stories() -> Stories:
    found = Stories()
    found.seconds = {FAST: 1, SLOW: 5, REFUSED: 9, OTHER: 1}
    found.tasks = {
        SLOW: {(str(FILE), 3): {"began", "ran"}},
        FAST: {(str(FILE), 3): {"began", "skipped"}},
        REFUSED: {(str(FILE), 3): {"began", "ran", "failed"}, (str(FILE), 8): {"began"}},
        OTHER: {(str(FILE), 9): {"began"}, ("playbooks/toy.yml", 3): {"began"}},
    }
    return found


@pytest.mark.parametrize(
    ("mutant", "chosen"),
    [
        (YamlMutant(3, "", "", range(3, 6)), [SLOW, REFUSED, FAST]),
        (YamlMutant(3, "", "", range(3, 6), needs=SKIPPED), [FAST]),
        (YamlMutant(3, "", "", range(3, 6), needs=FAILED), [REFUSED]),
        (YamlMutant(6, "", "", range(6, 8)), []),
        (YamlMutant(6, "", "", range(6, 8), static=True), [FAST, OTHER, SLOW, REFUSED]),
    ],
)
def test_a_fault_gets_the_stories_that_come_by_its_task_as_it_needs(
    mutant: YamlMutant, chosen: list[str]
) -> None:
    assert stories().able_to_see(FILE, mutant) == chosen


def test_a_story_that_saw_faults_is_taken_before_a_fast_one_that_saw_none() -> None:
    found = stories()
    found.runs |= {REFUSED: 8, SLOW: 8}
    found.kills[REFUSED] = 8

    assert found.able_to_see(FILE, YamlMutant(3, "", "", range(3, 6)))[:2] == [REFUSED, SLOW]


def test_what_is_recorded_of_the_project_s_own_files_counts() -> None:
    record = (
        "/p/playbooks/tasks/../a.yml:3:began\n/p/playbooks/a.yml:3:ran\n/elsewhere/b.yml:1:ran\n"
    )

    assert parse(record, Path("/p")) == {("playbooks/a.yml", 3): {"began", "ran"}}
