"""Prints the names of one system's standing claims, those of `holdfast check`, as JSON."""

from __future__ import annotations

import json
import sys

from holdfast.claims import claims_of

if __name__ == "__main__":
    print(json.dumps([name for name, claim in claims_of(sys.argv[1]).items() if claim.standing]))
