"""The registry: from a claim's name to how it is looked at and judged.

A system's claims, and with them its client libraries, are imported only when one is asked for: a
gate on the broker must not pay two seconds for nova's libraries (facts measured on ansible-core).
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module

from holdfast.claims.base import Claim
from holdfast.errors import InvalidInput

SYSTEMS: tuple[str, ...] = ("systemd", "rabbitmq", "nova")


def claims_of(system: str) -> Mapping[str, Claim]:
    """The claims of one system of ``SYSTEMS`` by their full names."""
    claims: tuple[Claim, ...] = import_module(f"holdfast.claims.{system}").CLAIMS
    return {claim.name: claim for claim in claims}


def all_claims() -> Mapping[str, Claim]:
    """Every claim there is, in the order of systems; imports every client library."""
    return {name: claim for system in SYSTEMS for name, claim in claims_of(system).items()}


def find_claim(name: str) -> Claim:
    """The claim of that name.

    Raises:
        InvalidInput: there is none; names the nearest that exists.
    """
    system = name.partition(".")[0]
    known = claims_of(system) if system in SYSTEMS else all_claims()
    if name in known:
        return known[name]
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    raise InvalidInput(f"there is no claim {name!r}; {hint}")
