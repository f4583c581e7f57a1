"""What every probe is given: the host's shell and the site's variables, already resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.errors import InvalidInput
from holdfast.model import Json


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command on the task's host printed, and its exit status ``rc``."""

    rc: int
    stdout: str
    stderr: str


class Shell(Protocol):
    """Runs commands on the task's host, over the task's connection and with its privileges.

    Safe to share between threads; commands run one at a time. No shell interprets ``argv``.
    """

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run one command to its end, whatever its exit status.

        Raises:
            CannotTell: the host is unreachable, or the command did not end in time.
        """
        ...


class SiteVariables(BaseModel):
    """Base of the models of site variables; a field is named like its Ansible variable.

    Secrets are ``SecretStr``. No value appears in an error, since it may be a secret.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def needs(cls) -> tuple[str, ...]:
        """Return the names of the variables, for ``Claim.needs``."""
        return tuple(cls.model_fields)


SiteVariablesT = TypeVar("SiteVariablesT", bound=SiteVariables)


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """The inventory as one gate's probes see it; ``host`` is the task's host, by its inventory name.

    ``variables`` has, for every host of the claims' groups, the needed variables that are defined
    there. ``shell`` reaches the task's host alone.
    """

    host: str
    groups: Mapping[str, Sequence[str]]
    variables: Mapping[str, Mapping[str, Json]]
    shell: Shell

    def site(self, host: str, model: type[SiteVariablesT]) -> SiteVariablesT:
        """Return the host's variables as a checked model.

        Raises:
            InvalidInput: a variable is missing or of the wrong type; the message has no value.
        """
        try:
            return model.model_validate(dict(self.variables.get(host, {})))
        except ValidationError as error:
            faults = "; ".join(f"{_path(e['loc'])}: {e['msg']}" for e in error.errors())
        raise InvalidInput(
            f"{host}: site variables are missing or invalid: {faults}",
            remedy=f"set them for {host} in the inventory's group_vars or host_vars",
        )


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)
