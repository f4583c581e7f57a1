"""``HoldfastAction``: the base class of the action plugins in ``plugins/action``.

Ansible loads each plugin by itself from its file, so what the plugins share is in this package.
"""

from __future__ import annotations

import contextvars
import os
import shlex
import socket
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import Any, ClassVar, Self, TypeVar

from ansible import constants
from ansible import context as given
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.executor.task_executor import TaskExecutor
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import become_loader, connection_loader, shell_loader
from ansible.utils.path import unfrackpath

from holdfast.errors import CannotTell, HoldfastError, InvalidInput
from holdfast.marks import has_shell
from holdfast.model import Json
from holdfast.play_context import Variables
from holdfast.probes.base import CommandResult, Shell
from holdfast.probes.ssh_forward import NoMaster, open_through
from holdfast.settings import load_settings
from holdfast.store.database import Store, open_store, open_store_of, preload
from holdfast.text import host_key_advice
from holdfast.word import is_ahead

# Ansible loads a plugin once, in the process that forks a worker for each task: what it imports, no task imports again.
with suppress(HoldfastError):
    preload(load_settings(os.environ))
# So are the plugins that reach most hosts; reading their documentation, which has their options, takes longest.
for loader, name in ((connection_loader, "ssh"), (shell_loader, "sh"), (become_loader, "sudo")):
    loader.get(name, class_only=True)

COMMAND_SECONDS = 20  # the limit for one command on a host

RETRIES = "reconnection_retries"  # an option of ssh's connection plugin

HOST_DONE = "holdfast_host_done"
"""In a task's result: it has journaled that the host is done, so the engine need not wait for the play's end."""

ResolvedT = TypeVar("ResolvedT")

ArgumentSpec = Mapping[str, Mapping[str, Json]]
"""A task's arguments in Ansible's form: ``{"unit": {"type": "str", "required": True}}``."""


class HoldfastAction(ActionBase):
    """Checks the task's arguments, calls ``act`` on the controller, and reports an error as a failed task.

    A plugin's class is called ``ActionModule``, as Ansible requires, and declares its arguments in
    Ansible's form. A task has changed nothing unless ``act`` returns otherwise.
    """

    ARGUMENTS: ClassVar[ArgumentSpec]
    REQUIRED_IF: ClassVar[Sequence[Sequence[Json]]] = ()

    ACTS: ClassVar[bool] = True
    """Whether it changes the fleet or journals that something was done (``acts``)."""

    _requires_connection = False

    host: str
    arguments: dict[str, Json]

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the task's result.

        Raises:
            AnsibleActionFail: an argument is wrong, or ``act`` raised a HoldfastError.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec, required_if = self.ARGUMENTS, self.REQUIRED_IF
        _, self.arguments = self.validate_argument_spec(spec, required_if=required_if)
        variables = Variables(task_vars or {}, self._templar.template)
        self.host = str(variables["inventory_hostname"])
        if self.acts and is_ahead(variables):
            raise AnsibleActionFail(
                f"{self.host}: this play waits for the engine's word and may not act"
            )
        try:
            return result | {"changed": False} | self.act(self.arguments, variables)
        except HoldfastError as error:
            failed = self.failed()
            raise AnsibleActionFail(f"{failed}: {error}" if failed else str(error)) from None

    @abstractmethod
    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Do the task and return what its result has beyond ``changed: false``."""

    def failed(self) -> str:
        """Return what an error's message is prefixed with, such as ``ctl2: may not restart cron``."""
        return ""

    @property
    def acts(self) -> bool:
        """Whether the task changes the fleet or journals that something was done: never before the engine's word."""
        return self.ACTS

    @property
    def check_mode(self) -> bool:
        """Whether the play only reports what it would do."""
        return bool(self._task.check_mode)

    def variables_of(self, host: str, variables: Variables) -> Variables:
        """Return another host's variables, resolved as on that host; ``hostvars[host]`` itself lacks ``hostvars``."""
        hostvars = variables.raw["hostvars"]
        raw = {**hostvars.raw_get(host), "hostvars": hostvars}
        return Variables(raw, self._templar.copy_with_new_env(available_variables=raw).template)

    def on_host(self, host: str, variables: Variables) -> Self:
        """Return this action with a connection to another host, as for a task that is delegated to it.

        The host need not be in the play or in its ``--limit``. The connection is Ansible's own, made as its
        task executor makes it: no public interface makes one.

        Raises:
            CannotTell: it is a network device, or Windows; it is not contacted.
        """
        hostvars = variables.raw["hostvars"]
        raw = {**hostvars.raw_get(host), "hostvars": hostvars}
        templar = self._templar.copy_with_new_env(available_variables=raw)
        # Not the task's own: ansible-core 2.21 writes there how the task's host is reached.
        default = given.CLIARGS.get("connection") or constants.DEFAULT_TRANSPORT
        kind = str(templar.template(raw.get("ansible_connection", default)))
        shell_type = str(templar.template(raw.get("ansible_shell_type", "")))
        if not has_shell(kind, shell_type):
            how = " ".join(filter(None, (kind, shell_type)))
            raise CannotTell(
                f"{host} is reached by {how}, as network devices and Windows are, and was asked nothing",
                final=True,
            )
        task = self._task.copy()
        executor = _Connector(task, self._loader, self._shared_loader_obj)
        context = self._play_context.set_task_and_variable_override(task, raw, templar)
        context.post_validate(templar)
        context.remote_addr = templar.template(raw.get("ansible_host", host))
        executor._play_context = context  # noqa: SLF001 - see above
        connection = executor._get_connection(raw, templar, kind)  # noqa: SLF001
        executor._connection = connection  # noqa: SLF001
        executor._set_connection_options(raw, templar)  # noqa: SLF001
        other = copy(self)
        other._task, other._play_context, other._connection = task, context, connection  # noqa: SLF001
        return other

    def execute(self, argv: Sequence[str]) -> dict[str, Any]:
        """Run a command on the task's host over the task's connection, with its privileges.

        What it printed has plain ends of lines, also where ssh gives a task that becomes root a terminal.
        """
        answer: dict[str, Any] = self._low_level_execute_command(shlex.join(argv), sudoable=True)
        printed = {name: answer[name].replace("\r\n", "\n") for name in ("stdout", "stderr")}
        return answer | printed

    def send_once(self) -> None:
        """Send every command from now on once: a site's retries of ssh would send an act again where it breaks."""
        if self._connection.has_option(RETRIES):
            self._connection.set_option(RETRIES, 0)

    def show(self, line: str) -> None:
        """Print a line at once: Ansible shows no message of a task that succeeds."""
        self._display.display(line)


class _Connector(TaskExecutor):
    """The part of Ansible's task executor that makes connections.

    Its own constructor takes the task in ansible-core 2.19. In 2.21 it takes none, and ``_task`` is a property
    that asks for the worker's present task.
    """

    _task: Any = None  # also where the base class has a property

    def __init__(self, task: object, loader: object, plugins: object) -> None:
        self._task, self._loader, self._shared_loader_obj = task, loader, plugins
        self._connection = self._host = self._play_context = None


class ConnectionShell:
    """``Shell`` over the connection of an action's task, which serves one thread at a time."""

    def __init__(
        self, action: HoldfastAction, host: str, context: contextvars.Context | None = None
    ) -> None:
        self._action, self._host = action, host
        self._lock = threading.Lock()
        # Ansible keeps the current task in context variables, which new threads do not have.
        self._context = context or contextvars.copy_context()

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run one command to its end; raises CannotTell where it gives no answer in time."""
        bounded = ["timeout", "--kill-after=2", str(COMMAND_SECONDS), *argv]
        with self._lock:
            try:
                answer = self._context.run(self._action.execute, bounded)
            except AnsibleConnectionFailure as error:
                raise _unreachable(self._host, str(error)) from error
        if answer["rc"] in {124, 137}:
            command = shlex.join(argv).partition("\n")[0]  # of a script its first line
            raise CannotTell(f"`{command}` gave no answer in {COMMAND_SECONDS} s")
        return CommandResult(answer["rc"], answer["stdout"], answer["stderr"])


def _unreachable(host: str, text: str) -> CannotTell:
    """Return the error for a failed connection; no waiting mends a host key that is not the known one."""
    advice = host_key_advice(text)
    return CannotTell(f"{host} is unreachable: {advice or text}", final=bool(advice))


class ReadingShell:
    """``Shell`` that runs a command once in each reading: the answer is for all that ask the same in it.

    ``reading`` returns the number of the reading. An answer that comes after its reading has ended is not for the
    next one.
    """

    def __init__(self, shell: Shell, reading: Callable[[], int]) -> None:
        self._shell, self._reading = shell, reading
        self._lock = threading.Lock()
        self._asked_in = -1
        self._answers: dict[tuple[str, ...], CommandResult | CannotTell] = {}

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run the command, or return its answer of this reading; raises CannotTell, likewise."""
        with self._lock:
            reading, command = self._reading(), tuple(argv)
            if reading != self._asked_in:
                self._answers, self._asked_in = {}, reading
            if command not in self._answers:
                self._answers[command] = self._run(command)
            answer = self._answers[command]
        if isinstance(answer, CannotTell):
            raise answer
        return answer

    def _run(self, command: Sequence[str]) -> CommandResult | CannotTell:
        try:
            return self._shell.run(command)
        except CannotTell as error:
            return error


class OneAtATime:
    """Resolves Ansible's templates for threads: one at a time, with the context variables of the task."""

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self._lock = threading.Lock()

    def __call__(self, resolve: Callable[[], ResolvedT]) -> ResolvedT:
        """Return what ``resolve`` returns."""
        with self._lock:
            return self.context.run(resolve)


class HostShells:
    """The shell of any host, each made when it is first asked for; with ``once`` no command is sent again by ssh."""

    def __init__(
        self,
        action: HoldfastAction,
        variables: Variables,
        run: OneAtATime | None = None,
        *,
        once: bool = False,
    ) -> None:
        self._action, self._variables, self._once = action, variables, once
        self._shells: dict[str, ConnectionShell] = {}
        self._run = run or OneAtATime()

    def __call__(self, host: str) -> ConnectionShell:
        """Return the shell of the host."""
        return self._run(lambda: self._shell(host))

    def _shell(self, host: str) -> ConnectionShell:
        if host not in self._shells:
            action = self._action.on_host(host, self._variables)
            if self._once:
                action.send_once()
            self._shells[host] = ConnectionShell(action, host, self._run.context.copy())
        return self._shells[host]


class ReadingShells:
    """The shells that probes are given: each command is run once on its host until ``next_reading``."""

    def __init__(self, action: HoldfastAction, variables: Variables, run: OneAtATime) -> None:
        self._shells = {action.host: self._once(ConnectionShell(action, action.host))}
        self._others = HostShells(action, variables, run)
        self.look_from = Forwards(action, variables, run)
        self._lock = threading.Lock()
        self._reading = 0

    def __call__(self, host: str) -> ReadingShell:
        """Return the shell of the host."""
        with self._lock:
            if host not in self._shells:
                self._shells[host] = self._once(self._others(host))
            return self._shells[host]

    def next_reading(self) -> None:
        """Let every command be run again, and every host that was not reached be tried again."""
        self._reading += 1
        self.look_from.next_reading()

    def _once(self, shell: Shell) -> ReadingShell:
        return ReadingShell(shell, lambda: self._reading)


class Forwards:
    """What opens connections from other hosts, each over Ansible's own ssh to it (docs/adr/0078)."""

    def __init__(
        self, action: HoldfastAction, variables: Variables, run: OneAtATime | None = None
    ) -> None:
        self._action, self._variables = action, variables
        self._forwards: dict[str, Forward] = {}
        self._run = run or OneAtATime()

    def __call__(self, host: str) -> Forward:
        """Return what opens connections from the host.

        Raises:
            InvalidInput: the inventory does not have the host.
        """
        return self._run(lambda: self._forward(host))

    def _forward(self, host: str) -> Forward:
        if host not in self._forwards:
            if host not in self._variables.raw["hostvars"]:
                raise InvalidInput(
                    f"holdfast_look_from: the inventory has no host {host}",
                    remedy="add it to the inventory, in no group of a service",
                )
            action = self._action.on_host(host, self._variables)
            self._forwards[host] = Forward(action, host, self._run.context.copy())
        return self._forwards[host]

    def next_reading(self) -> None:
        """Let hosts that were not reached be tried again."""
        for forward in self._forwards.values():
            forward.failure = None


class Forward:
    """Opens connections from a host. Where no ssh to it runs, Ansible starts one; it ends by its ControlPersist.

    ``failure``: why the host was not reached; it is tried once in each reading.
    """

    def __init__(self, action: HoldfastAction, host: str, context: contextvars.Context) -> None:
        self._action, self._host, self._context = action, host, context
        self._lock = threading.Lock()
        self._control_path = ""
        self.failure: CannotTell | None = None

    def __call__(self, host: str, port: int, timeout: float) -> socket.socket:
        """Open a connection, as ``open_through`` does; raises CannotTell where this host itself is not reached."""
        before = self._control_path
        try:
            path = before or self._started(before)
            return open_through(path, self._host, host, port, timeout)
        except NoMaster:
            path = self._started(before)
        try:
            return open_through(path, self._host, host, port, timeout)
        except NoMaster as error:
            raise CannotTell(f"nothing can be looked at from {self._host}: {error}") from None

    def _started(self, before: str) -> str:
        """Return the control path of an ssh that runs; another thread may have started it since ``before``."""
        with self._lock:
            if self.failure:
                raise self.failure
            if self._control_path == before:
                try:
                    self._control_path = self._context.run(self._start)
                except CannotTell as failure:
                    self.failure = failure
                    raise
            return self._control_path

    def _start(self) -> str:
        """Let Ansible connect, as for a task, and return where its ssh listens.

        What the command answers does not matter: a jump host may permit none.
        """
        try:
            self._action._low_level_execute_command("true", sudoable=False)  # noqa: SLF001 - as in a task
        except AnsibleConnectionFailure as error:
            raise _unreachable(self._host, str(error)) from error
        connection = self._action._connection  # noqa: SLF001
        path = getattr(connection, "control_path", None)
        if not path or "%" in (
            path := path % {"directory": unfrackpath(connection.control_path_dir)}
        ):
            raise CannotTell(
                f"nothing can be looked at from {self._host}: Ansible keeps no ssh to it. It needs ansible_connection"
                " ssh, ControlPersist in ssh_args, and no control path of its own",
                final=True,
            )
        return str(path)


def open_state(run: str = "") -> Store:
    """Open the state database that the settings name; for the run of a play, only one that has its journal.

    Without ``run``, for a play that begins a run of its own, the database is made where it is missing.

    Raises:
        JournalGone: the run's journal is not there any more; nothing was made.
        StateUnusable: the database cannot be used.
    """
    settings = load_settings(os.environ)
    return open_store_of(settings, run) if run else open_store(settings)
