"""The shapes of the answers of nova's API: each is checked once, so that what reads it may rely on its shape.

Fields that nobody reads are ignored (nova's API reference; the microversion is in ``api_client``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, StrictBool, TypeAdapter

from holdfast.model import Json

SERVICES, MIGRATIONS = "/v2.1/os-services", "/v2.1/os-migrations"
SERVERS, SERVER_NAMES = "/v2.1/servers/detail", "/v2.1/servers"
FLAVORS, LIMITS = "/v2.1/flavors/detail", "/v2.1/limits"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Service(_Answer):
    """An entry of the service list; one of a silent cell has binary, host and status alone."""

    binary: str
    host: str
    status: str
    id: str = ""
    state: str = ""
    updated_at: str | None = None
    disabled_reason: str | None = None
    forced_down: StrictBool | None = None


class Services(_Answer):
    """The service list."""

    services: list[Service]


class Server(_Answer):
    """An instance; ``task`` is its task_state. One of a silent cell has little more than its id."""

    id: str
    status: str
    task: str | None = Field(None, alias="OS-EXT-STS:task_state")


class OneServer(_Answer):
    """One instance that was asked for by its id."""

    server: Server


class Servers(_Answer):
    """A page of instances."""

    servers: list[Server]


class ServerName(_Answer):
    """An instance in a list without details."""

    id: str


class ServerNames(_Answer):
    """A page of instances without details."""

    servers: list[ServerName]


class MigrationRow(_Answer):
    """A migration; pages are continued after its uuid."""

    id: int | str
    uuid: str
    status: str
    migration_type: str | None = None
    instance_uuid: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Migrations(_Answer):
    """A page of migrations."""

    migrations: list[MigrationRow]


class Flavor(_Answer):
    """A size of servers; ``ram`` in MB."""

    id: str
    name: str
    vcpus: int
    ram: int


class Flavors(_Answer):
    """A page of flavors."""

    flavors: list[Flavor]


class Quotas(_Answer):
    """What the account's project may have, -1 for as much as it likes, and has; memory in MB."""

    maxTotalInstances: int  # noqa: N815  # nova's own names, so in the others
    totalInstancesUsed: int  # noqa: N815
    maxTotalCores: int  # noqa: N815
    totalCoresUsed: int  # noqa: N815
    maxTotalRAMSize: int  # noqa: N815
    totalRAMUsed: int  # noqa: N815


class _Absolute(_Answer):
    absolute: Quotas


class ProjectLimits(_Answer):
    """The limits of the account's project."""

    limits: _Absolute


ONE_SERVER = TypeAdapter[Json](OneServer)

BY_PATH: Mapping[str, TypeAdapter[Json]] = {
    SERVICES: TypeAdapter(Services),
    SERVERS: TypeAdapter(Servers),
    SERVER_NAMES: TypeAdapter(ServerNames),
    MIGRATIONS: TypeAdapter(Migrations),
    FLAVORS: TypeAdapter(Flavors),
    LIMITS: TypeAdapter(ProjectLimits),
}
"""Per path."""
