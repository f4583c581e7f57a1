"""``PlaybookPolicy``: what a restart playbook declares about its service, under ``holdfast_policy``.

The plan is made from it before a run, and the play itself takes its leases by it; both check it here.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from holdfast.errors import InvalidInput
from holdfast.model import ClaimEntry, Json, LeaseMode

POLICY_VARIABLE = "holdfast_policy"

Order = Literal["unhealthy_first", "dependencies_first", "fewest_leaders_first"]


class PlaybookPolicy(BaseModel):
    """A playbook's service, the leases it needs, its largest batch, its order and its survey.

    ``batch_max_reason`` is shown to whoever asks for a larger batch. ``estimate_seconds`` is what
    one host's turn usually takes; only the plan's estimate uses it. ``not_for`` has, by runbook, a
    regular expression for services that this playbook must not restart, because that runbook has
    gates for them; it is checked here and is no part of a plan. ``outlasts`` has, by variable of the
    site, why a host's verify must last longer than so many seconds after the restart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9@._:-]*$", max_length=120)]
    shared: tuple[StrictStr, ...] = ()
    group: Annotated[StrictStr, Field(min_length=1)]
    batch_max: Annotated[StrictInt, Field(ge=1)]
    batch_max_reason: Annotated[StrictStr, Field(min_length=1)]
    order: tuple[Order, ...] = ()
    survey: tuple[ClaimEntry, ...] = ()
    estimate_seconds: Annotated[StrictInt, Field(ge=1)] = 60
    outlasts: dict[StrictStr, StrictStr] = Field(default_factory=dict, exclude=True)
    not_for: dict[StrictStr, re.Pattern[str]] = Field(default_factory=dict, exclude=True)

    @classmethod
    def parse(cls, declared: Json) -> PlaybookPolicy:
        """Check a policy as a playbook declares it, its templates already resolved.

        Raises:
            InvalidInput: a key is missing, unknown or has a wrong value; the message names the key.
                Or the service has a runbook of its own; the message names it.
        """
        try:
            policy = cls.model_validate(declared)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = [POLICY_VARIABLE, ".".join(str(part) for part in fault["loc"]), fault["msg"]]
            raise InvalidInput(": ".join(part for part in place if part)) from None
        for runbook, pattern in policy.not_for.items():
            if pattern.fullmatch(policy.service):
                raise InvalidInput(
                    f"{policy.service} has a runbook with gates of its own, {runbook}; nothing was touched",
                    remedy=f"holdfast show {runbook}",
                )
        return policy

    def leases(self) -> dict[str, LeaseMode]:
        """Return the services to lease: the shared ones, and the playbook's own exclusively."""
        return {**dict.fromkeys(self.shared, LeaseMode.SHARED), self.service: LeaseMode.EXCLUSIVE}
