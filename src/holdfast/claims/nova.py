"""The claims about nova."""

from __future__ import annotations

from holdfast.claims.base import Claim

CLAIMS: tuple[Claim, ...] = ()
