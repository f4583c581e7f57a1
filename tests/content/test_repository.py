"""How the content tests report what they find."""

from __future__ import annotations

import pytest

from tests.content.repository import ROOT, assert_no_faults, files


def test_every_fault_of_every_file_is_reported_with_the_files_name() -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        assert_no_faults([ROOT / "a.md", ROOT / "b/c.md"], lambda path: [path.stem, "second"])
    assert str(failed.value).splitlines() == [
        "a.md: a", "a.md: second", "b/c.md: c", "b/c.md: second",
    ]  # fmt: skip


def test_a_rule_without_files_to_check_fails() -> None:
    with pytest.raises(AssertionError, match="no files to check"):
        assert_no_faults(files("*.no-such-suffix"), lambda _: [])


def test_files_without_faults_pass() -> None:
    assert_no_faults(files("*.md"), lambda _: [])
