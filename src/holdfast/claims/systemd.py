"""The claims about systemd."""

from __future__ import annotations

from holdfast.claims.base import Claim

CLAIMS: tuple[Claim, ...] = ()
