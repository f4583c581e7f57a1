"""``load_settings``: where Holdfast keeps its state, from the configuration file and the environment.

The database's URL comes from the file or is the default, never from the environment: ansible-runner's
artifacts contain the environment, and a URL may contain a password.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from holdfast.errors import InvalidInput
from holdfast.files import exists

_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another default directory of this machine that holds state, or that this user cannot look into."""

    directory: Path
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the state is. ``state_url`` may contain a password, so it is never shown."""

    state_url: str = field(repr=False)
    state_dir: Path
    elsewhere: tuple[Elsewhere, ...] = ()
    named: bool = False
    """Whether the directory was named, by HOLDFAST_STATE_DIR or the configuration file."""
    warning: str = ""
    """A sentence, where the leases exclude nobody but this user's own runs."""
    may_vanish: bool = False
    """Whether the person said that the state may go with its container (``MAY_VANISH``)."""

    @property
    def runs_dir(self) -> Path:
        """The directory of the files of plays: ``<runs_dir>/<run>/<play>``."""
        return self.state_dir / "runs"

    def describe_elsewhere(self, command: str) -> str:
        """Return a sentence that names ``elsewhere``, with the command for each; "" without any."""
        parts = [
            f"there is state elsewhere too: HOLDFAST_STATE_DIR={each.directory} holdfast {command}"
            if each.readable
            else f"{each.directory} may have state that you cannot read: "
            f'sudo "$(command -v holdfast)" {command}'
            for each in self.elsewhere
        ]
        return f"This is {self.state_dir}; {'; '.join(parts)}" if parts else ""


class _File(BaseModel):
    """The configuration file: both keys are optional, any other key is an error."""

    model_config = ConfigDict(extra="forbid")

    state_url: SecretStr | None = None
    state_dir: Annotated[str, Field(min_length=1)] | None = None


MACHINE_CONFIG = Path("/etc/holdfast")
"""What all users of a machine share: inventories, runbooks, people.yml."""

MACHINE_DIRECTORY = Path("/var/lib/holdfast")
"""Where state is kept by default, for all users of a machine: their runs then exclude each other."""

MAY_VANISH = "HOLDFAST_STATE_MAY_VANISH"

_STATE = ("XDG_STATE_HOME", ".local/state")


def load_settings(
    environ: Mapping[str, str],
    machine: Path = MACHINE_DIRECTORY,
    machine_config: Path = MACHINE_CONFIG,
) -> Settings:
    """Return the settings of the file ``HOLDFAST_CONFIG``, else of the user's ``config.yml``, else of the machine's.

    The state's directory is the first of: ``HOLDFAST_STATE_DIR``; the file's ``state_dir``;
    ``$XDG_STATE_HOME/holdfast``; ``machine``, where this user can write it; ``~/.local/state/holdfast``.
    The default SQLite file is in it (docs/architecture.md, "Interfaces").

    Raises:
        InvalidInput: the named file is missing, or a file cannot be read, is wrong, or contains a
            password and is readable by other users.
    """
    configured = _from_file(environ, machine_config / "config.yml")
    named = environ.get("HOLDFAST_STATE_DIR") or configured.state_dir
    own = _xdg(environ, *_STATE)
    default = own if environ.get("XDG_STATE_HOME") or not _can_write(machine) else machine
    directory = Path(named or default).expanduser().absolute()
    places = [machine, own, _xdg({**environ, "XDG_STATE_HOME": ""}, *_STATE)]
    if before_sudo := _home_before_sudo(environ):
        places.append(_xdg({"HOME": before_sudo}, *_STATE))
    others = (_look(each) for each in dict.fromkeys(places) if each != directory)
    url = configured.state_url.get_secret_value() if configured.state_url else ""
    return Settings(
        url or f"sqlite:///{directory / 'state.db'}",
        directory,
        tuple(filter(None, others)),
        bool(named),
        "" if url or named or directory == machine else _only_yours(directory, machine),
        environ.get(MAY_VANISH, "") == "yes",
    )


def config_directory(environ: Mapping[str, str]) -> Path:
    """Return the user's own directory of Holdfast: ``$XDG_CONFIG_HOME/holdfast``, else ``~/.config/holdfast``."""
    return _xdg(environ, "XDG_CONFIG_HOME", ".config")


def _can_write(directory: Path) -> bool:
    """Return whether this user can write the directory, or make it."""
    place = directory if directory.exists() else directory.parent
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _home_before_sudo(environ: Mapping[str, str], uid: int | None = None) -> str:
    """Return the home of who called sudo, where this is root; else ""."""
    name = environ.get("SUDO_USER", "") if (os.getuid() if uid is None else uid) == 0 else ""
    try:
        return pwd.getpwnam(name).pw_dir if name else ""
    except KeyError:
        return ""


def _look(directory: Path) -> Elsewhere | None:
    """Return a directory with a default database, or one that this user cannot look into; None without either."""
    try:
        (directory / "state.db").stat()
    except PermissionError:
        return Elsewhere(directory, readable=False)
    except OSError:
        return None
    return Elsewhere(directory)


def _only_yours(directory: Path, machine: Path) -> str:
    return (
        f"journal and leases are in {directory}, which other users of this machine do not share: their runs do "
        f"not exclude yours. To share them: install -d -m 2770 -g GROUP {machine}"
    )


def read_config(path: Path, shape: type[_M], *, unreadable: str, wrong: str) -> _M:
    """Return a configuration file in YAML as its model.

    Args:
        path: the file; an empty one is the model with nothing set.
        shape: the model.
        unreadable: the remedy where the file cannot be read.
        wrong: the remedy where something in it is wrong.

    Raises:
        InvalidInput: it cannot be read or is wrong; the error names the line or the key, never a value,
            which may be a password.
    """
    try:
        return shape.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except OSError as error:
        raise InvalidInput(
            f"{path}: the configuration cannot be read: {error.strerror}", remedy=unreadable
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # The parser's message quotes the line.
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InvalidInput(f"{where}: the configuration is not valid YAML") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInput(f"{path}: {key}: {first['msg']}", remedy=wrong) from None


def _from_file(environ: Mapping[str, str], of_machine: Path) -> _File:
    named = environ.get("HOLDFAST_CONFIG", "")
    path = Path(named or config_directory(environ) / "config.yml").expanduser()
    if not named and not exists(path):
        path = of_machine
        if not exists(path):
            return _File()
    shared = path == of_machine
    unreadable = "correct HOLDFAST_CONFIG, or unset it to use the defaults"
    if shared:  # passed over, it would give this user a state of their own, which excludes nobody
        unreadable = f"join the group that may read it: ls -l {path}"
    configured = read_config(
        path, _File, unreadable=unreadable, wrong="known keys are state_url and state_dir"
    )
    if configured.state_url is not None:
        mode = 0o640 if shared else 0o600
        _refuse_open_password(path, configured.state_url.get_secret_value(), mode)
    return configured


def _refuse_open_password(path: Path, url: str, mode: int) -> None:
    try:
        password = make_url(url).password
    except ArgumentError:
        # SQLAlchemy's message quotes the URL.
        raise InvalidInput(
            f"{path}: state_url is not a database URL",
            remedy="for example: state_url: mysql+pymysql://holdfast:PASSWORD@db.example.org/holdfast",
        ) from None
    if password and stat.S_IMODE(path.stat().st_mode) & 0o077 & ~mode:
        raise InvalidInput(
            f"{path} contains a password, and other users can read it",
            remedy=f"chmod {mode:o} {path}",
        )


def _xdg(environ: Mapping[str, str], variable: str, under_home: str) -> Path:
    """Return Holdfast's own directory in one of the user's, as the XDG Base Directory Specification has it."""
    named = environ.get(variable) or Path(environ.get("HOME") or Path.home(), under_home)
    return Path(named) / "holdfast"
