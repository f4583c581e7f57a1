"""The claims about rabbitmq."""

from __future__ import annotations

from holdfast.claims.base import Claim

CLAIMS: tuple[Claim, ...] = ()
