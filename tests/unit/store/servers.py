"""Throwaway servers of MariaDB and PostgreSQL on Unix sockets, from Debian's packages (``servers-unpacked``).

A server that cannot be started is an error of its tests, never a reason to skip them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from holdfast.store.connection import make_engine

UNPACKED = Path(__file__).parents[3] / ".databases" / "root"
START_SECONDS = 60


@contextmanager
def mariadb(*options: str) -> Iterator[Sequence[Server]]:
    """Yield a server of MariaDB with an empty database; without further options it is reached by its socket alone."""
    program = find("usr/sbin/mariadbd")
    usr = program.parents[1]
    with new_directory() as directory:
        command: list[str | Path] = [
            program,
            "--no-defaults",
            "--user=root",  # it is the tests' user in any case, and root only if that is root
            "--skip-grant-tables",  # no tables of users need be made
            f"--basedir={usr}",
            f"--lc-messages-dir={usr / 'share/mysql'}",
            f"--character-sets-dir={usr / 'share/mysql/charsets'}",
            f"--datadir={directory / 'data'}",
            f"--socket={directory / 's'}",
            f"--pid-file={directory / 'pid'}",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M",
            *(options or ["--skip-networking"]),
        ]
        (directory / "data").mkdir()
        url = f"mysql+pymysql://root@localhost/{{}}?unix_socket={directory / 's'}"
        server = Server(
            url.format("holdfast"), command, directory, lambda: connect_to(directory / "s")
        )
        with running(server):
            execute(url.format(""), "CREATE DATABASE holdfast")
            yield [server]


@contextmanager
def postgresql(driver: str = "psycopg") -> Iterator[Sequence[Server]]:
    """Yield a server of PostgreSQL with an empty database."""
    user = unprivileged()  # as root it does not start
    with new_directory(user) as directory:
        programs = find("usr/lib/postgresql/*/bin/initdb", reachable_from=directory).parent
        data = directory / "data"
        options = ["-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8"]
        _check([programs / "initdb", "-D", data, *options], directory, user)
        fast = [f"-c{name}=off" for name in ("fsync", "full_page_writes")]
        command: list[str | Path] = [
            programs / "postgres",
            "-D",
            data,
            "-k",
            directory,
            "-clisten_addresses=",
            *fast,
        ]
        url = f"postgresql+{driver}://postgres@/postgres?host={directory}"
        server = Server(url, command, directory, lambda: execute(url, "SELECT 1"), user)
        with running(server):
            yield [server]


def unprivileged() -> str:
    """Return the user that servers run as which must not be root."""
    return "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def as_user(user: str | None) -> dict[str, Any]:
    """Return the arguments with which ``subprocess`` starts a program as that user; None is the present one."""
    if user is None or os.geteuid() != 0:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def find(pattern: str, reachable_from: Path | None = None) -> Path:
    """Return the newest installed or unpacked program; for another user, a copy of what was unpacked."""
    for root in (Path("/"), UNPACKED):
        found = sorted(root.glob(pattern))
        if not found:
            continue
        if root == UNPACKED and reachable_from is not None and os.geteuid() == 0:
            copy = reachable_from / "root"
            if not copy.exists():
                shutil.copytree(UNPACKED, copy, symlinks=True)
            return copy / found[-1].relative_to(UNPACKED)
        return found[-1]
    raise FileNotFoundError(
        f"there is no {pattern}: run {Path(__file__).with_name('servers-unpacked')}"
    )


@contextmanager
def new_directory(user: str | None = None) -> Iterator[Path]:
    """Yield a new directory of that user's: pytest's own are longer than the path of a socket may be."""
    path = Path(tempfile.mkdtemp(prefix="hf-db-"))
    if user is not None and os.geteuid() == 0:
        shutil.chown(path, user)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def environment(directory: Path) -> dict[str, str]:
    roots = (UNPACKED, directory / "root")
    libraries = {str(path.parent) for root in roots for path in root.glob("usr/lib/*/*.so*")}
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(sorted(libraries))}


def _check(command: Sequence[str | Path], directory: Path, user: str | None) -> None:
    done = subprocess.run(
        command,
        env=environment(directory),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        **as_user(user),
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


class Server:
    """A server of a database; ``url`` is that of the state in it."""

    def __init__(
        self,
        url: str,
        command: Sequence[str | Path],
        directory: Path,
        ask: Callable[[], object],
        user: str | None = None,
    ) -> None:
        self.url = url
        self._command, self._directory, self._ask, self._user = command, directory, ask, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it answers when this returns."""
        log = self._directory / "log"
        with log.open("a") as output:
            self._process = subprocess.Popen(
                self._command,
                env=environment(self._directory),
                cwd=self._directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                **as_user(self._user),
            )
        for _ in range(START_SECONDS * 20):
            assert self._process.poll() is None, f"{self._command[0]} ended: {log.read_text()}"
            try:
                self._ask()
            except (OSError, OperationalError):
                threading.Event().wait(0.05)
                continue
            return
        raise TimeoutError(f"{self._command[0]} does not answer: {log.read_text()}")

    def quit(self) -> None:
        """End it at once with all its connections: PostgreSQL's immediate shutdown, after which it recovers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()  # nothing in it is kept
            self._process.wait()


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Run the server until the end of the context; it answers at its beginning."""
    try:
        server.start()
        yield server
    finally:
        server.end()


def connect_to(path: Path) -> None:
    # Not with the driver, which leaves its socket open where it is refused.
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))


def execute(url: str, statement: str) -> None:
    with make_engine(url).connect() as connection:
        connection.execute(text(statement))
