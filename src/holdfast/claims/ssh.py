"""Claims about SSH: what answers behind a name is the machine that it should be, and lets people in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import ssh
from holdfast.probes.ssh import probe_host_keys, probe_logins

PublicKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$")]


class HostKeyParameters(Parameters):
    """``name``: what people log in to. ``port``: of its SSH server.

    ``keys``: its host keys as ``known_hosts`` has them, type and key, at most one of each type.
    """

    name: str = Field(min_length=1, pattern=r"^[\w.:-]+$")
    port: int = Field(22, ge=1, le=65535)
    keys: tuple[PublicKey, ...] = Field(min_length=1)


class LoginParameters(Parameters):
    """``login``: who logs in to what, as ``USER@NAME``. ``port``: of its SSH server.

    ``keys``: its host keys, as for ``ssh.shows_pinned_key``.

    ``identity``: the file of the test key, on the host that is asked from.
    """

    login: str = Field(pattern=r"^[\w.][\w.-]*@[\w.:-]+$")
    port: int = Field(22, ge=1, le=65535)
    keys: tuple[PublicKey, ...] = Field(min_length=1)
    identity: str = Field(min_length=1, pattern=r"^/[\w./@-]+$")


CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="ssh.shows_pinned_key",
        remedy="at its console, to compare: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        probe=probe_host_keys,
        judge=ssh.shows_pinned_key,
        parameters=HostKeyParameters,
    ),
    Claim(
        name="ssh.lets_key_in",
        remedy="at its console: journalctl -u ssh -n 50",
        probe=probe_logins,
        judge=ssh.lets_key_in,
        parameters=LoginParameters,
    ),
)
