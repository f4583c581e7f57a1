"""What judges have in common."""

from __future__ import annotations

import pytest

from holdfast.judges.base import first_few


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "0"), (3, "0; 1; 2"), (4, "0; 1; 2 and 1 more"), (9, "0; 1; 2 and 6 more")],
)
def test_a_message_names_the_first_three(count: int, text: str) -> None:
    assert first_few([str(number) for number in range(count)]) == text
