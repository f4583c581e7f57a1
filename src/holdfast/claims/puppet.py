"""Claims about Puppet's agents on the hosts of the group ``puppet_agents``."""

from __future__ import annotations

from functools import partial

from pydantic import Field, field_validator

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import puppet, puppet_rollout
from holdfast.model import Json
from holdfast.probes.nova.fleet import UnitSite
from holdfast.probes.puppet import GROUP, probe_agents, probe_mass_runs, probe_reports

MAX_AGE_SECONDS = 5400
"""Three times the agent's usual interval, half an hour."""


class AgentsParameters(Parameters):
    """``hosts``: their names in the inventory; by default every host of the group."""

    hosts: tuple[str, ...] = ()


class FreshParameters(AgentsParameters):
    """``max_age_seconds``: how old the last run may be. ``since``: when it must have begun at the earliest (epoch)."""

    max_age_seconds: float = Field(MAX_AGE_SECONDS, gt=0)
    since: float = Field(0, ge=0)


class DisabledParameters(AgentsParameters):
    """``run``: the run of Holdfast that must have disabled the agents."""

    run: str = Field(min_length=1)


class PreviewedParameters(AgentsParameters):
    """``run``: the run that has disabled the agents; any if not given. ``services``: those that may be restarted."""

    run: str = ""
    services: tuple[str, ...] = ()

    @field_validator("services", mode="before")
    @classmethod
    def _from_text(cls, given: Json) -> Json:
        """Read names with commas between them, as an input of a runbook has them; ``none`` for none."""
        if not isinstance(given, str):
            return given
        return tuple(name for name in given.replace(" ", "").split(",") if name not in {"", "none"})


_claim = partial(Claim, group=GROUP, parameters=AgentsParameters, probe=probe_agents)

CLAIMS: tuple[Claim, ...] = (
    _claim(
        name="puppet.agents_fresh",
        remedy="on the host: puppet agent --test --noop; its report: puppet config print lastrunreport --section agent",
        parameters=FreshParameters,
        judge=puppet.agents_fresh,
        standing=True,
    ),
    _claim(
        name="puppet.none_disabled",
        remedy="ask who disabled it; then, on the host: puppet agent --enable",
        judge=puppet.none_disabled,
        standing=True,
    ),
    _claim(
        name="puppet.none_left_disabled",
        remedy="holdfast show puppet-release#before-you-begin; on one host alone: puppet agent --enable",
        judge=puppet.none_left_disabled,
        standing=True,
    ),
    _claim(
        name="puppet.no_run_in_flight",
        remedy="on the host: ps -fp $(cat $(puppet config print agent_catalog_run_lockfile --section agent))",
        judge=puppet.no_run_in_flight,
    ),
    _claim(
        name="puppet.disabled_by_run",
        remedy="on the host: puppet config print agent_disabled_lockfile names the file that says who",
        parameters=DisabledParameters,
        judge=puppet.disabled_by_run,
        final=(puppet.NOT_OURS,),
    ),
    _claim(
        name="puppet.previewed",
        remedy="holdfast show puppet-rollout#if-it-holds",
        parameters=PreviewedParameters,
        probe=probe_reports,
        needs=UnitSite.needs(),
        judge=puppet_rollout.previewed,
        final=(puppet_rollout.NOT_NAMED, puppet_rollout.NOT_OURS),
    ),
    _claim(
        name="puppet.ran_as_previewed",
        remedy="holdfast show puppet-rollout#if-it-holds",
        probe=probe_reports,
        needs=UnitSite.needs(),
        judge=puppet_rollout.ran_as_previewed,
        final=(puppet_rollout.DIFFERS, puppet_rollout.RUN_FAILED),
    ),
    _claim(
        name="puppet.no_mass_run",
        remedy="wait until it has ended, or stop it where it was begun: salt-run jobs.active",
        probe=probe_mass_runs,
        judge=puppet.no_mass_run,
    ),
)
