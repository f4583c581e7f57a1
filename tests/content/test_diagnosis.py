"""Every kind of diagnosis has an entry in every runbook, and the section that a diagnosis names is there."""

from __future__ import annotations

from holdfast.diagnosis.kinds import BY_CAUSE, KINDS
from holdfast.runbook.sections import section_names, section_of, slug_of
from tests.content.repository import ROOT, assert_no_faults, files, text_of

RUNBOOKS = files("runbooks/*.md")


def test_if_it_holds_has_an_entry_for_every_kind() -> None:
    assert_no_faults(
        RUNBOOKS,
        lambda path: [
            kind.name
            for kind in KINDS
            if slug_of(kind.name) not in section_names(text_of(path), "if-it-holds")
        ],
    )


def test_the_section_that_a_diagnosis_names_says_what_repairs_it() -> None:
    for kind in KINDS:
        runbook, _, section = kind.section.partition("#")
        text = section_of(text_of(ROOT / "runbooks" / f"{runbook}.md"), section, runbook)
        assert "holdfast show" not in text, f"{kind.name}: its own section points elsewhere"


def test_every_kind_is_one_of_the_list() -> None:
    assert set(BY_CAUSE.values()) <= set(KINDS)
    assert len({kind.name for kind in KINDS}) == len(KINDS)
