"""One section of a runbook by its name: a heading, or an entry of a list."""

from __future__ import annotations

import pytest

from holdfast.errors import InvalidInput
from holdfast.runbook.sections import section_names, section_of

TEXT = """---
name: toys
---

# Toys

## If it holds

Read this.

- **a first thing:** do this
  and that.

        a command

- **second**, **third**
  and **fourth:** do **something** else

```sh
## no heading
- **no entry**
```

### Deeper

More.

## After
"""


def test_a_heading_has_all_below_it() -> None:
    shown = section_of(TEXT, "if-it-holds", "toys")
    assert shown.startswith("## If it holds")
    assert shown.endswith("More.")


def test_an_entry_ends_before_the_next() -> None:
    shown = section_of(TEXT, "a-first-thing", "toys")
    assert shown == "- **a first thing:** do this\n  and that.\n\n        a command"


@pytest.mark.parametrize("name", ["second", "third", "fourth"])
def test_an_entry_goes_by_each_of_its_names(name: str) -> None:
    assert "something" in section_of(TEXT, name, "toys")


def test_what_stands_in_code_or_within_a_sentence_is_none() -> None:
    names = ["if-it-holds", "a-first-thing", "second", "third", "fourth", "deeper", "after"]
    assert section_names(TEXT) == ["toys", *names]
    assert section_names(TEXT, "if-it-holds") == names[1:-1]


def test_another_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="toys has no section 'thrid': did you mean third"):
        section_of(TEXT, "thrid", "toys")
