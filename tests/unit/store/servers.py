"""Throwaway servers of MariaDB and PostgreSQL on Unix sockets, from Debian's packages (``servers-unpacked``).

A server that cannot be started is an error of its tests, never a reason to skip them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from holdfast.store.connection import make_engine

UNPACKED = Path(__file__).parents[3] / ".databases" / "root"
START_SECONDS = 60


@contextmanager
def mariadb() -> Iterator[str]:
    """Yield the URL of an empty database of MariaDB."""
    program = _find("usr/sbin/mariadbd")
    usr = program.parents[1]
    with _directory() as directory:
        command: list[str | Path] = [
            program,
            "--no-defaults",
            "--user=root",  # it is the tests' user in any case, and root only if that is root
            "--skip-grant-tables",  # no tables of users need be made
            "--skip-networking",
            f"--basedir={usr}",
            f"--lc-messages-dir={usr / 'share/mysql'}",
            f"--character-sets-dir={usr / 'share/mysql/charsets'}",
            f"--datadir={directory / 'data'}",
            f"--socket={directory / 's'}",
            f"--pid-file={directory / 'pid'}",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M",
        ]
        (directory / "data").mkdir()
        server = f"mysql+pymysql://root@localhost/{{}}?unix_socket={directory / 's'}"
        with _running(command, directory, lambda: _connect(directory / "s")):
            _execute(server.format(""), "CREATE DATABASE holdfast")
            yield server.format("holdfast")


@contextmanager
def postgresql(driver: str = "psycopg") -> Iterator[str]:
    """Yield the URL of an empty database of PostgreSQL."""
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with _directory() as directory:
        if os.geteuid() == 0:  # as root it does not start
            shutil.chown(directory, user)
        programs = _find("usr/lib/postgresql/*/bin/initdb", reachable_from=directory).parent
        data = directory / "data"
        options = ["-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8"]
        _check([programs / "initdb", "-D", data, *options], directory, user)
        fast = [f"-c{name}=off" for name in ("fsync", "synchronous_commit", "full_page_writes")]
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
        with _running(command, directory, lambda: _execute(url, "SELECT 1"), user):
            yield url


def _find(pattern: str, reachable_from: Path | None = None) -> Path:
    """Return the newest installed or unpacked program; for another user, a copy of what was unpacked."""
    for root in (Path("/"), UNPACKED):
        found = sorted(root.glob(pattern))
        if not found:
            continue
        if root == UNPACKED and reachable_from is not None and os.geteuid() == 0:
            copy = shutil.copytree(UNPACKED, reachable_from / "root", symlinks=True)
            return copy / found[-1].relative_to(UNPACKED)
        return found[-1]
    raise FileNotFoundError(
        f"there is no {pattern}: run {Path(__file__).with_name('servers-unpacked')}"
    )


@contextmanager
def _directory() -> Iterator[Path]:
    """Yield a new directory: pytest's own are longer than the path of a socket may be."""
    path = Path(tempfile.mkdtemp(prefix="hf-db-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _environment(directory: Path) -> dict[str, str]:
    roots = (UNPACKED, directory / "root")
    libraries = {str(path.parent) for root in roots for path in root.glob("usr/lib/*/*.so*")}
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(sorted(libraries))}


def _check(command: Sequence[str | Path], directory: Path, user: str | None) -> None:
    done = subprocess.run(
        command,
        env=_environment(directory),
        cwd=directory,
        user=user if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


@contextmanager
def _running(
    command: Sequence[str | Path],
    directory: Path,
    ask: Callable[[], object],
    user: str | None = None,
) -> Iterator[None]:
    """Run the server until the end of the context; it answers at its beginning."""
    log = directory / "log"
    as_root = os.geteuid() == 0
    with (
        log.open("w") as output,
        subprocess.Popen(
            command,
            env=_environment(directory),
            cwd=directory,
            user=user if as_root else None,
            extra_groups=[] if as_root and user else None,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            for _ in range(START_SECONDS * 20):
                assert process.poll() is None, f"{command[0]} ended: {log.read_text()}"
                try:
                    ask()
                except (OSError, OperationalError):
                    threading.Event().wait(0.05)
                    continue
                break
            else:
                raise TimeoutError(f"{command[0]} does not answer: {log.read_text()}")
            yield
        finally:
            process.kill()  # nothing in it is kept


def _connect(path: Path) -> None:
    # Not with the driver, which leaves its socket open where it is refused.
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))


def _execute(url: str, statement: str) -> None:
    with make_engine(url).connect() as connection:
        connection.execute(text(statement))
