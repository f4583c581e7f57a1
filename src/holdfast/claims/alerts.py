"""Claims about the site's alerting: what it reports of the services stops progress."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import alerts
from holdfast.probes.alerts.alertmanager import probe_alertmanager
from holdfast.probes.alerts.icinga import probe_icinga
from holdfast.probes.alerts.site import AlertmanagerSite, IcingaSite


class AlertmanagerParameters(Parameters):
    """``matchers``: an alert that matches all of them counts, such as ``severity="critical"``."""

    matchers: tuple[str, ...] = Field(min_length=1)


class IcingaParameters(Parameters):
    """``objects``: a filter of Icinga, such as ``"brokers" in host.groups``. ``kind``: Host or Service.

    ``intervals``: so many of its own intervals may have passed since an object's last check.
    """

    objects: str = Field(min_length=1)
    kind: Literal["Host", "Service"] = "Service"
    intervals: float = Field(default=3.0, gt=0)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="alerts.none_firing",
        remedy="amtool alert query --silenced --inhibited",
        probe=probe_alertmanager,
        judge=alerts.none_firing,
        parameters=AlertmanagerParameters,
        needs=AlertmanagerSite.needs(),
    ),
    Claim(
        name="alerts.no_problems",
        remedy="in Icinga Web, handled ones too; or: curl -u USER https://ICINGA:5665/v1/objects/services",
        probe=probe_icinga,
        judge=alerts.no_problems,
        parameters=IcingaParameters,
        needs=IcingaSite.needs(),
    ),
)
