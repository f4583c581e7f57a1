"""What no file may hold: names of one machine, one network or one planning tool, or a linter's rule switched off.

That nothing catches every exception (BLE001, E722) and nothing sleeps (TID251) is ruff's to check.
"""

from __future__ import annotations

import re

import pytest

from tests.content.repository import assert_no_faults, files, text_of

CODE = files("src/*.py", "plugins/*.py")
TEXTS = [path for path in files() if text_of(path)]

# A file that names a registry or a mirror works in one place only; pip, apt and podman know theirs from the machine.
REGISTRIES = re.compile(
    r"\b((docker|quay|ghcr|gcr)\.io|pypi\.org|pythonhosted\.org|(deb|security|ftp\.\w+)\.debian\.org|galaxy\.ansible\.com"
    r"|registry\.[\w-]+\.\w+|npmjs\.(org|com)|crates\.io|rubygems\.org)\b"
)
MACHINE_PATHS = re.compile(r"(?<![\w.$}~*-])/(work|root|tmp|home/\w+)/")
ISSUES = re.compile(r"\b[Ii]ssue #?\d+\b")

# Rules that safety rests on: no error swallowed, no sleep in place of a gate.
SWITCHED_OFF = re.compile(r"# *(?:ruff: *)?noqa(?:$|:? .*\b(?:BLE001|E722|TID251)\b)")
ANSIBLE_RUNNER = re.compile(r"^import ansible_runner  # noqa: TID251 ")


def switched_off(text: str) -> list[str]:
    """Return the lines on which ruff may not report a catch-all handler or a sleep."""
    return [
        f"line {number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if SWITCHED_OFF.search(line) and not ANSIBLE_RUNNER.match(line)
    ]


def local_names(text: str) -> list[str]:
    """Return the lines that name a registry, a path of one machine or a number of a planning tool."""
    return [
        f"line {number}: {match[0]}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in (REGISTRIES, MACHINE_PATHS, ISSUES)
        for match in pattern.finditer(line)
    ]


def test_there_are_files_to_check() -> None:
    assert len(CODE) > 20
    assert len(TEXTS) > 50


def test_no_code_switches_off_the_rules_on_handlers_and_sleeps() -> None:
    assert_no_faults(CODE, lambda path: switched_off(text_of(path)))


def test_every_file_works_on_any_machine() -> None:
    assert_no_faults(TEXTS, lambda path: local_names(text_of(path)))


@pytest.mark.parametrize(
    "line",
    [
        "    except Exception:  # " + "noqa: BLE001",
        "    except:  # " + "noqa",
        "    except:  # " + "noqa: S110, E722  # reason",
        "    time.sleep(1)  # " + "noqa: TID251  # reason",
        "# ruff: " + "noqa: TID251",
    ],
)
def test_a_rule_switched_off_is_reported(line: str) -> None:
    assert len(switched_off(line)) == 1


def test_another_rule_may_be_switched_off_with_its_reason() -> None:
    assert switched_off("subprocess.run(argv)  # " + "noqa: S603  # reason") == []


@pytest.mark.parametrize(
    "text",
    [
        "image: " + "docker" + ".io/debian",
        "https://" + "pypi" + ".org/simple",
        "deb http://" + "deb.debian" + ".org/debian bookworm main",
        "see /" + "work/main",
        "'/" + "root/.ssh/id'",
        "cache: /" + "tmp/x",
        "# as issue" + " 7 says",
    ],
)
def test_a_name_of_one_machine_or_network_is_reported(text: str) -> None:
    assert len(local_names(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["~/tmp/x", "{{ lab_dir }}/work/x", "docs/work/x", "$HOME/tmp/x", "https://docs.ansible.com"],
)
def test_a_path_or_address_that_works_anywhere_is_not(text: str) -> None:
    assert local_names(text) == []
