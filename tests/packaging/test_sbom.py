"""The bill of materials names every locked package with its hashes."""

from __future__ import annotations

from deploy.sbom import LOCK, bill
from holdfast import __version__

TEXT = """\
# by hand
one==1.2 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
Two_Words==3 ; python_full_version < '3.12' \\
    --hash=sha256:cc
"""


def test_every_package_has_its_version_its_hashes_and_its_marker() -> None:
    one, two = bill(TEXT)["components"]
    assert (one["purl"], two["purl"]) == ("pkg:pypi/one@1.2", "pkg:pypi/two-words@3")
    assert [each["hashes"][0]["content"] for each in one["externalReferences"]] == ["aa", "bb"]
    assert two["properties"][0]["value"] == 'python_full_version < "3.12"'


def test_the_real_lock_is_billed_whole_and_each_name_once() -> None:
    made = bill(LOCK.read_text())
    pins = [
        line for line in LOCK.read_text().splitlines() if "==" in line and not line.startswith("#")
    ]
    references = [each["bom-ref"] for each in made["components"]]
    assert len(references) == len(set(references)) == len(pins) > 50
    assert made["metadata"]["component"]["version"] == __version__
    assert made == bill(LOCK.read_text())
