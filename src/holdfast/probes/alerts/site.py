"""The site's variables about its alerting (roles/holdfast_silence/meta/argument_specs.yml)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from holdfast.probes.base import CaFile, ReachedSite
from holdfast.probes.connections import Connect

ANSWER_SECONDS = 10.0


def _without_login(url: str) -> str:
    if "@" in url:
        raise ValueError(
            "there is a user or a password in it, which messages and the journal would show;"
            " they have variables of their own, whose names end in _user and _password"
        )
    return url


Url = Annotated[str, AfterValidator(_without_login)]


class Account(BaseModel):
    """Where an alerting service is, and as whom it is asked. ``name`` is what messages call it."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    name: str
    variable: str
    url: str
    user: str
    password: SecretStr
    ca_file: str
    tls_name: str
    connect: Connect


class AlertmanagerSite(ReachedSite):
    """``holdfast_alertmanager_silence``: matchers that select the alerts of one host, all of which must match."""

    holdfast_alertmanager_url: Url = ""
    holdfast_alertmanager_user: str = ""
    holdfast_alertmanager_password: SecretStr = SecretStr("")
    holdfast_alertmanager_ca_file: CaFile = ""
    holdfast_alertmanager_tls_name: str = ""
    holdfast_alertmanager_silence: tuple[str, ...] = ()
    holdfast_alertmanager_heartbeat: str = 'alertname="Watchdog"'
    holdfast_silence_minutes: int = Field(default=30, ge=1)

    @property
    def account(self) -> Account:
        """Where it is."""
        return Account(
            name="Alertmanager",
            variable="holdfast_alertmanager",
            url=self.holdfast_alertmanager_url,
            user=self.holdfast_alertmanager_user,
            password=self.holdfast_alertmanager_password,
            ca_file=self.holdfast_alertmanager_ca_file,
            tls_name=self.holdfast_alertmanager_tls_name,
            connect=self.connect,
        )


class Downtime(BaseModel):
    """Which objects of Icinga are one host's: ``filter`` is an expression of Icinga; of a Host also all services."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["Host", "Service"] = "Host"
    filter: str = Field(min_length=1)


class IcingaSite(ReachedSite):
    """``holdfast_icinga_downtime``: the objects of one host."""

    holdfast_icinga_url: Url = ""
    holdfast_icinga_user: str = ""
    holdfast_icinga_password: SecretStr = SecretStr("")
    holdfast_icinga_ca_file: CaFile = ""
    holdfast_icinga_tls_name: str = ""
    holdfast_icinga_downtime: Downtime | None = None
    holdfast_silence_minutes: int = Field(default=30, ge=1)

    @property
    def account(self) -> Account:
        """Where it is."""
        return Account(
            name="Icinga",
            variable="holdfast_icinga",
            url=self.holdfast_icinga_url,
            user=self.holdfast_icinga_user,
            password=self.holdfast_icinga_password,
            ca_file=self.holdfast_icinga_ca_file,
            tls_name=self.holdfast_icinga_tls_name,
            connect=self.connect,
        )
