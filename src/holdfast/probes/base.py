"""What every probe is given: the host's shell and the site's variables, already resolved.

Owns the look and the base of the sites' models. Never decides whether what was seen is good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.errors import InvalidInput
from holdfast.model import Json


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that ended on the task's host, whatever its exit status ``rc``."""

    rc: int
    stdout: str
    stderr: str


class Shell(Protocol):
    """The task's host, through the task's own connection and privileges; one command at a time.

    Safe to share between threads. Nothing is interpreted by a shell: ``argv`` arrives as it is.
    """

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run one command to its end.

        Raises:
            CannotTell: the host is unreachable or the command gave no answer in time.
        """
        ...


class SiteVariables(BaseModel):
    """Base of the models that name the site variables a probe needs, by their Ansible names.

    Secrets are ``SecretStr``; a value never appears in an error, since it may be one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Names of the variables, for ``Claim.needs``."""
        return tuple(cls.model_fields)


SiteVariablesT = TypeVar("SiteVariablesT", bound=SiteVariables)


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """One gate's view: the task's ``host`` (inventory name), the inventory's groups, the variables.

    ``variables`` holds, for every host of the claims' groups, the needed variables that are
    defined there. ``shell`` is the task's host alone.
    """

    host: str
    groups: Mapping[str, Sequence[str]]
    variables: Mapping[str, Mapping[str, Json]]
    shell: Shell

    def site(self, host: str, model: type[SiteVariablesT]) -> SiteVariablesT:
        """The host's variables as a checked model.

        Raises:
            InvalidInput: a variable is missing or of the wrong kind; names host and variable only.
        """
        try:
            return model.model_validate(dict(self.variables.get(host, {})))
        except ValidationError as error:
            faults = "; ".join(f"{_path(e['loc'])}: {e['msg']}" for e in error.errors())
        raise InvalidInput(
            f"{host}: the site's variables do not serve this gate: {faults}",
            remedy=f"set them for {host} in the inventory's group_vars or host_vars",
        )


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)
