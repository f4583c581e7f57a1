"""The on-call suite, in memory: each fault is named by the first line, and what follows from it is folded under it."""

from __future__ import annotations

import pytest

from holdfast.diagnosis.lines import headline
from tests.unit.diagnosis.cases import CASES, Case
from tests.unit.diagnosis.whole_fleet import Fleet

every = pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])


@every
def test_the_first_line_names_host_and_cause(case: Case) -> None:
    fleet = Fleet()
    case.plant(fleet)
    found = fleet.diagnoses()
    assert headline(found, len(fleet.verdicts())) == case.line
    assert tuple(each.kind for each in found.causes) == case.kinds


@every
def test_nothing_red_stands_beside_its_cause(case: Case) -> None:
    fleet = Fleet()
    case.plant(fleet)
    assert [each["claim"] for each in fleet.diagnoses().unexplained] == []
