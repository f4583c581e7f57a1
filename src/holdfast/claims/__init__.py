"""The registry: from a claim's name to its probe and judge.

A system's claims, and with them its client libraries, are imported only when one of them is needed:
most commands probe nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from pydantic import ValidationError

from holdfast.claims.base import BoundClaim, Claim
from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.text import did_you_mean

SYSTEMS: tuple[str, ...] = (
    "systemd",
    "rabbitmq",
    "nova",
    "puppet",
    "alerts",
    "galera",
    "haproxy",
    "replica",
    "placement",
    "ssh",
)


def claims_of(system: str) -> Mapping[str, Claim]:
    """Return the claims of one system of ``SYSTEMS`` by their full names."""
    claims: tuple[Claim, ...] = import_module(f"holdfast.claims.{system}").CLAIMS
    return {claim.name: claim for claim in claims}


def all_claims() -> Mapping[str, Claim]:
    """Return every claim, in the order of ``SYSTEMS``; imports every client library."""
    return {name: claim for system in SYSTEMS for name, claim in claims_of(system).items()}


def find_claim(name: str) -> Claim:
    """Return the claim of that name.

    Raises:
        InvalidInput: there is none; the message names the closest one.
    """
    system = name.partition(".")[0]
    known = claims_of(system) if system in SYSTEMS else all_claims()
    if name in known:
        return known[name]
    raise InvalidInput(
        f"there is no claim {name!r}; {did_you_mean(name, known)}", remedy="holdfast check --list"
    )


def standing(
    groups: Mapping[str, Sequence[str]], is_set: Callable[[str, str], bool]
) -> list[BoundClaim]:
    """Return the standing claims about the groups that have hosts, and whose ``standing_with`` the site has set.

    ``is_set`` is given a host and the name of a site variable.
    """
    claims = [claim for claim in all_claims().values() if claim.standing]
    stand = {
        needed: not needed[1] or any(is_set(host, needed[1]) for host in groups.get(needed[0], ()))
        for needed in dict.fromkeys(claim.standing_with for claim in claims)
    }
    return [
        bind_claim(claim.name)
        for claim in claims
        if groups.get(claim.group) and stand[claim.standing_with]
    ]


def bind_claim(entry: str | Mapping[str, Json]) -> BoundClaim:
    """Bind one entry of a gate: a claim's name, or ``{claim: name, parameter: value, …}``.

    Raises:
        InvalidInput: the claim or a parameter is unknown, or a parameter is missing or invalid.
    """
    values = {"claim": entry} if isinstance(entry, str) else dict(entry)
    name = values.pop("claim", None)
    if not isinstance(name, str):
        raise InvalidInput(
            f"a gate's entry is a claim's name or has the key `claim`, not {entry!r}"
        )
    claim = find_claim(name)
    try:
        return BoundClaim(claim, claim.parameters(**values))
    except ValidationError as error:
        faults = "; ".join(_fault(claim, fault) for fault in error.errors())
        raise InvalidInput(f"{name}: {faults}") from None


def _fault(claim: Claim, fault: Mapping[str, Json]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"there is no parameter {key!r}; {did_you_mean(key, claim.parameters.model_fields)}"
    return f"{key}: {fault['msg']}"
