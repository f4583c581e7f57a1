"""Prints a bill of materials in CycloneDX 1.6: Holdfast and what requirements/run.txt locks.

python -m deploy.sbom > dist/holdfast.cdx.json
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from holdfast import __version__

LOCK = Path(__file__).resolve().parents[1] / "requirements/run.txt"


def bill(lock: str) -> dict[str, Any]:
    """Return the bill of a lock; the same lock and version give the same bill."""
    components = list(_components(lock))
    own = _component("holdfast", __version__) | {
        "type": "application",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, __version__ + lock)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
    }


def _components(lock: str) -> Iterator[dict[str, Any]]:
    """Yield the pinned packages; of one that differs between Pythons, each version says for which it is."""
    for line in lock.replace("\\\n", "").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pinned, *hashes = re.split(r"\s+--hash=sha256:", line.strip())
        requirement = Requirement(pinned)
        (specifier,) = requirement.specifier
        component = _component(canonicalize_name(requirement.name), specifier.version)
        component["externalReferences"] = [
            {
                "type": "distribution",
                "url": component["purl"],
                "hashes": [{"alg": "SHA-256", "content": each}],
            }
            for each in hashes
        ]
        if requirement.marker:
            component["properties"] = [
                {"name": "holdfast:marker", "value": str(requirement.marker)}
            ]
        yield component


def _component(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    print(json.dumps(bill(LOCK.read_text("utf-8")), indent=1))  # noqa: T201 - its result is its output
