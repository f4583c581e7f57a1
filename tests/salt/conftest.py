"""A real salt master and a minion on loopback, in a directory of their own, and an agent that only waits."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from tests.chat.servers.synapse import free_port

MASTER = """\
interface: 127.0.0.1
publish_port: {publish}
ret_port: {answer}
auto_accept: true
user: {user}
root_dir: {root}
"""
MINION = """\
id: cmp1
master: 127.0.0.1
publish_port: {publish}
master_port: {answer}
user: {user}
root_dir: {root}
"""
PUPPET = "#!/bin/sh\necho $$ > {running}\nwhile [ -e {running} ]; do sleep 0.2; done\n"
SECONDS = 120


@dataclass(frozen=True, slots=True)
class Salt:
    """A master with one minion; an agent writes its PID to ``running``, and ends when that is gone."""

    programs: Path
    root: Path
    environ: dict[str, str]

    @property
    def running(self) -> Path:
        return self.root / "running"

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return a command of salt with this configuration."""
        return [str(self.programs / program), "-c", str(self.root), *arguments]

    @contextmanager
    def started(self, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command of salt until the end of the block; it and what it has started end then."""
        log = (self.root / f"{program}.log").open("wb")
        process = subprocess.Popen(
            self.command(program, *arguments), env=self.environ, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
            log.close()

    def wait_for_the_minion(self) -> None:
        """Return when the minion answers its master."""
        for _ in range(SECONDS):
            ping = self.command("salt", "--timeout=2", "cmp1", "test.ping")
            said = subprocess.run(ping, env=self.environ, capture_output=True, check=False).stdout
            if b"True" in said:
                return
            Event().wait(1)
        raise AssertionError((self.root / "salt-minion.log").read_text())

    @contextmanager
    def agent(self) -> Iterator[int]:
        """Wait until an agent runs, and give its PID; it ends with the block."""
        try:
            yield self._pid_of_the_agent()
        finally:
            self.running.unlink(missing_ok=True)

    def _pid_of_the_agent(self) -> int:
        for _ in range(SECONDS * 10):
            if self.running.exists() and (pid := self.running.read_text().strip()):
                return int(pid)
            Event().wait(0.1)
        raise AssertionError((self.root / "salt.log").read_text())


@pytest.fixture(scope="session")
def salt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Salt]:
    root = tmp_path_factory.mktemp("salt")
    bin_ = root / "bin"
    bin_.mkdir()
    (bin_ / "puppet").write_text(PUPPET.format(running=root / "running"))
    (bin_ / "puppet").chmod(0o755)
    environ = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"}
    made = Salt(Path(os.environ["SALT_PROGRAMS"]), root, environ)
    ports = {"publish": free_port(), "answer": free_port()}
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    for name, text in (("master", MASTER), ("minion", MINION)):
        (root / name).write_text(text.format(**ports, root=root, user=user))
    with ExitStack() as stack:
        stack.enter_context(made.started("salt-master"))
        stack.enter_context(made.started("salt-minion"))
        made.wait_for_the_minion()
        yield made
