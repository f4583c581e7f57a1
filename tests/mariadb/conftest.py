"""Servers of MariaDB with accounts, and the role's own files for them (``make check-store``)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.observations.placement import TABLES
from holdfast.probes.base import CommandResult, ProbeContext
from tests.unit.store import servers
from tests.unit.store.servers import (
    Server,
    connect_to,
    environment,
    find,
    new_directory,
)

HERE = Path(__file__).parent
ROLE = HERE.parents[1] / "roles/placement_extraction"
TABLES_PROGRAM = (ROLE / "files/tables.sh").read_text()
SOURCE, TARGET = "nova_api", "placement"
NASTY = 'it\'s "50%" #;\\n ü'
"""One that an option file would read otherwise if it were not quoted."""


@dataclass(frozen=True)
class Database:
    """A running server; ``sql`` asks it as root, past all accounts."""

    directory: Path
    programs: Path

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.directory / "s"

    def sql(self, statements: str, database: str = "") -> list[str]:
        """Return the lines that the statements print."""
        command = [
            str(self.programs / "mariadb"),
            "--no-defaults",
            "--user=root",
            f"--socket={self.socket}",
            "-BN",
        ]
        done = subprocess.run(
            [*command, database] if database else command,
            input=statements.encode(),
            env=environment(self.directory),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().splitlines()


@contextmanager
def database(*options: str, port: int = 0, running: Sequence[str] = ()) -> Iterator[Database]:
    """Run a server with the accounts of a site: one for each of the two databases.

    ``port``: where it listens beside its socket, 0 for nowhere. ``running``: options for the server that serves alone.
    """
    program = find("usr/sbin/mariadbd")
    usr = program.parents[1]
    with new_directory() as directory:
        (directory / "data").mkdir()
        common: list[str | Path] = [
            program, "--no-defaults", "--user=root", f"--basedir={usr}", f"--lc-messages-dir={usr / 'share/mysql'}",
            f"--character-sets-dir={usr / 'share/mysql/charsets'}", f"--datadir={directory / 'data'}",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M",
            *options,
        ]  # fmt: skip
        scripts = [next(usr.glob(f"share/m*/m*_system_tables{part}.sql")) for part in ("", "_data")]
        system = "CREATE DATABASE mysql;\nUSE mysql;\n" + "".join(
            each.read_text() for each in scripts
        )
        subprocess.run(
            [*common, "--bootstrap", "--skip-grant-tables"],
            input=system.encode(), env=environment(directory), check=True, capture_output=True,
        )  # fmt: skip
        socket = directory / "s"
        network = [f"--port={port}", "--bind-address=127.0.0.1"] if port else ["--skip-networking"]
        listening = [*network, f"--socket={socket}", f"--pid-file={directory / 'pid'}"]
        command = [*common, *listening, *running]
        server = Server("", command, directory, lambda: connect_to(socket))
        with servers.running(server):
            found = Database(directory, find("usr/bin/mariadb-dump").parent)
            quoted = NASTY.replace("\\", "\\\\").replace("'", "''")
            found.sql(
                f"CREATE USER nova IDENTIFIED BY '{quoted}'; GRANT ALL ON {SOURCE}.* TO nova;"
                f"CREATE USER placement IDENTIFIED BY '{quoted}'; GRANT ALL ON {TARGET}.* TO placement;"
            )
            yield found


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    with database() as found:
        yield found


@dataclass(frozen=True)
class Site:
    """Both databases of one test, and the directory with the accounts, as the role leaves it on the host."""

    source: Database
    target: Database
    directory: Path

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run a command with Debian's client programs, those of ``bin`` first; a probe's shell."""
        known = environment(self.target.directory)
        known["PATH"] = f"{self.directory / 'bin'}:{self.target.programs}:{known['PATH']}"
        done = subprocess.run(argv, env=known, capture_output=True, check=False)
        return CommandResult(done.returncode, done.stdout.decode(), done.stderr.decode())

    def program(self, *arguments: str) -> CommandResult:
        """Run the role's program."""
        return self.run(
            [
                "sh",
                "-c",
                TABLES_PROGRAM,
                "holdfast",
                arguments[0],
                str(self.directory),
                *arguments[1:],
            ]
        )

    def copy(self, run: str = "r1") -> CommandResult:
        """Copy the eleven tables."""
        return self.program("copy", SOURCE, TARGET, run, *TABLES)

    @property
    def context(self) -> ProbeContext:
        """What the probes are given."""
        return ProbeContext(
            "ctl1", {"placement": ["ctl1"], "nova_api": ["ctl1"]}, {}, self, reach=lambda _: self
        )


@contextmanager
def site(source: Database, target: Database) -> Iterator[Site]:
    """Yield both databases, the old one filled and the new one empty."""
    tables = (HERE / "placement.sql").read_text()
    source.sql(
        f"DROP DATABASE IF EXISTS {SOURCE}; CREATE DATABASE {SOURCE}; USE {SOURCE};\n{tables}"
    )
    target.sql(f"DROP DATABASE IF EXISTS {TARGET}; CREATE DATABASE {TARGET}")
    with new_directory() as directory, ExitStack():
        for name, user, database in (("source", "nova", source), ("target", "placement", target)):
            write_account(directory / f"{name}.cnf", user, NASTY, database)
        yield Site(source, target, directory)


def write_account(file: Path, user: str, password: str, database: Database) -> None:
    """Write an option file in the form of the role's template."""
    escaped = password.replace("\\", "\\\\")
    file.write_text(
        f'[client]\nuser = "{user}"\npassword = "{escaped}"\nsocket = "{database.socket}"\n'
    )


@pytest.fixture
def two(server: Database) -> Iterator[Site]:
    with site(server, server) as found:
        yield found
