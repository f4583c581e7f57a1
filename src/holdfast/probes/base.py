"""What every probe is given (the host's shell, the site's variables), and how it asks several hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
)

from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json, Unanswered
from holdfast.probes.connections import Connect, directly

PARALLEL = 16  # hosts asked at the same time
TargetT = TypeVar("TargetT")
AnswerT = TypeVar("AnswerT")


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


def first_address(*addresses: str) -> str:
    """Return the first that is set, without the brackets that an IPv6 address has in a URL."""
    return next(filter(None, addresses)).removeprefix("[").removesuffix("]")


class ReachedSite(SiteVariables):
    """Base for what connections are opened to: from this machine, or from the host that the site names."""

    holdfast_look_from: str = ""
    _connect: Connect | None = PrivateAttr(default=None)

    @property
    def connect(self) -> Connect:
        """How connections to it are opened."""
        return self._connect or directly

    def reach_by(self, connect: Connect) -> None:
        """Open connections in this way from now on."""
        self._connect = connect


SiteVariablesT = TypeVar("SiteVariablesT", bound=SiteVariables)


@dataclass(frozen=True, slots=True)
class PrefixedShell:
    """A shell that puts words in front of each command, such as ``docker exec rabbitmq``: tools in a container."""

    shell: Shell
    prefix: tuple[str, ...]

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run the command behind the words, as ``Shell.run`` says."""
        return self.shell.run([*self.prefix, *argv])


def _reach_none(host: str) -> Shell:
    raise CannotTell(f"{host}: this gate reaches no other host")


def _look_from_none(host: str) -> Connect:
    raise CannotTell(f"{host}: nothing is looked at from there here (holdfast_look_from)")


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """The inventory as one gate's probes see it; ``host`` is the task's host, by its inventory name.

    ``variables`` has, for every host of the claims' groups, the needed variables that are defined
    there, each resolved when it is first read. ``shell`` reaches the task's host alone, ``reach(host)`` returns the
    shell of any host, whether or not it is in the play; it raises CannotTell where there is none. ``look_from(host)``
    returns what opens connections from another host. ``in_hand`` are hosts
    of this run's other batches that are under way, of the group ``rolled``: their own gates ask them as members of that
    group, and no other gate does. What else such a host serves is asked as of any other.
    """

    host: str
    groups: Mapping[str, Sequence[str]]
    variables: Mapping[str, Mapping[str, Json]]
    shell: Shell
    reach: Callable[[str], Shell] = _reach_none
    look_from: Callable[[str], Connect] = _look_from_none
    in_hand: frozenset[str] = frozenset()
    rolled: str = ""

    def members(self, group: str) -> tuple[str, ...]:
        """Return the hosts of a group that the gate asks about: of the one that is rolled without those in hand."""
        left_out = self.in_hand if group == self.rolled else ()
        return tuple(host for host in self.groups.get(group, ()) if host not in left_out)

    def site(self, host: str, model: type[SiteVariablesT]) -> SiteVariablesT:
        """Return the host's variables as a checked model.

        Raises:
            InvalidInput: a variable is missing or of the wrong type; the message has no value.
        """
        known = self.variables.get(host, {})
        try:
            found = model.model_validate(
                {name: known[name] for name in model.needs() if name in known}
            )
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            )
        else:
            if isinstance(found, ReachedSite) and found.holdfast_look_from:
                found.reach_by(self.look_from(found.holdfast_look_from))
            return found
        raise InvalidInput(
            f"{host}: site variables are missing or invalid: {faults}",
            remedy=f"set them for {host} in the inventory's group_vars or host_vars",
        )


def _existing(path: str) -> str:
    if path and not Path(path).is_file():
        raise ValueError(f"there is no file {path} on this machine")
    return path


def _words(given: Json) -> Json:
    if isinstance(given, str) or any(" " in str(word) for word in given or ()):
        raise ValueError("must be a list of words, such as [docker, exec, rabbitmq]")
    return given


CommandPrefix = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""A site variable: the words in front of a command that runs in a container; none where it runs on the host."""

CaFile = Annotated[str, AfterValidator(_existing)]
"""A site variable: a file of trusted authorities on the controller; empty for the system's own."""


def require_shape(answer: Json, shape: TypeAdapter[Json], source: str) -> None:
    """Check that an answer has the shape in which it is going to be read; every probe checks each answer once.

    An answer of another shape says nothing: it is asked for again at the next reading. ``source`` begins the
    message: who answered, and what was asked.

    Raises:
        CannotTell: it has another shape; the message names the first difference, and no value.
    """
    try:
        shape.validate_python(answer)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise CannotTell(
            f"{source} in another shape than expected: {f'{where}: ' if where else ''}{fault['msg']}"
        ) from None


def ask_all(
    targets: Mapping[str, TargetT], ask: Callable[[TargetT], AnswerT]
) -> dict[str, AnswerT]:
    """Return each host's answer; all are asked at the same time, so one that hangs costs only its own timeout."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return dict(zip(targets, pool.map(ask, targets.values()), strict=True))


def first_answer(
    targets: Mapping[str, TargetT], ask: Callable[[TargetT], AnswerT]
) -> tuple[str, AnswerT]:
    """Return the first host that answers, with its answer.

    Raises:
        CannotTell: no host answers; the message has every cause, once.
    """
    errors = []
    for host, target in targets.items():
        try:
            return host, ask(target)
        except CannotTell as error:
            errors.append(error)
    message = "; ".join(dict.fromkeys(map(str, errors))) or "there is no broker to ask"
    raise CannotTell(message, login_refused=all_refuse(errors))


def all_refuse(errors: Sequence[CannotTell]) -> bool:
    """Return whether the site's login was refused by all that were asked."""
    return bool(errors) and all(error.login_refused for error in errors)


def of_host(known: Mapping[str, AnswerT], host: str, what: str, group: str) -> AnswerT:
    """Return what is known by the host's name; ``what`` it is and its inventory group are for the message.

    Raises:
        InvalidInput: the group does not have ``host``.
    """
    if host not in known:
        raise InvalidInput(
            f"{host} is no {what} of this inventory",
            remedy=f"name a host of the group {group}: {', '.join(known) or 'it is empty'}",
        )
    return known[host]


def or_unanswered(ask: Callable[[TargetT], AnswerT], target: TargetT) -> AnswerT | Unanswered:
    """Return the answer, or why there is none."""
    try:
        return ask(target)
    except CannotTell as error:
        return Unanswered(str(error), login_refused=error.login_refused)
