"""Ask every address behind a name for its SSH host keys, or to let a test key in, from the task's host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from holdfast.errors import CannotTell
from holdfast.observations.ssh import ShownKeys, SshLogin, SshLogins
from holdfast.probes.base import ProbeContext

_SECONDS = 5
# $1 name, $2 port, $3 types. ssh-keyscan asks all addresses at the same time.
_SCRIPT = r"""
addresses=$(getent ahosts "$1" | cut -d ' ' -f 1 | sort -u)
[ -n "$addresses" ] || exit 3
command -v ssh-keyscan >/dev/null || exit 4
for each in $addresses; do echo "address $each"; done
ssh-keyscan -T "$4" -p "$2" -t "$3" $addresses 2>/dev/null
exit 0
"""

# $1 name, $2 port, $3 user, $4 the file of the test key, then the pinned host keys, a type and a key each. A login is
# proved by its command, which runs or is replaced by the account's own. The host keys are known by
# an alias, so that no file of the host's has a part in it, and its own configuration is not read.
_LOGIN = r"""
name=$1 port=$2 user=$3 identity=$4 seconds=$5; shift 5
addresses=$(getent ahosts "$name" | cut -d ' ' -f 1 | sort -u)
[ -n "$addresses" ] || exit 3
command -v ssh >/dev/null || exit 4
[ -r "$identity" ] || exit 5
known=$(mktemp) && trap 'rm -f "$known"' EXIT || exit 6
for each; do echo "holdfast-pinned $each"; done > "$known"
for each in $addresses; do
  said=$(ssh -F none -T -o BatchMode=yes -o IdentitiesOnly=yes -i "$identity" -o IdentityAgent=none \
    -o PreferredAuthentications=publickey -o UserKnownHostsFile="$known" -o GlobalKnownHostsFile=/dev/null \
    -o HostKeyAlias=holdfast-pinned -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o LogLevel=ERROR \
    -o ConnectTimeout="$seconds" -o ServerAliveInterval=2 -p "$port" -- "$user@$each" true 2>&1 </dev/null)
  echo "login $each $? $(printf '%s' "$said" | tail -n 1)"
done
"""
_LOCAL = 126  # from this exit status on, ssh may not have run, may have been killed, or tells its own failure with 255
_MEANS: Mapping[str, Literal["refused", "another_key"]] = {
    "Permission denied": "refused",
    "Host key verification failed": "another_key",
}


def probe_logins(
    context: ProbeContext, login: str, port: int, identity: str, keys: Sequence[str]
) -> SshLogins:
    """Return how each address behind the name answers a login with a test key, whose file is on the task's host.

    Raises:
        CannotTell: the task's host does not answer, has no ssh or no such key, or does not know the name.
    """
    pinned = [" ".join(each.split()[:2]) for each in keys]
    user, _, name = login.rpartition("@")
    asked = [name, str(port), user, identity, str(_SECONDS), *pinned]
    done = context.shell.run(["sh", "-c", _LOGIN, "sh", *asked])
    lacks = {3: f"knows no address of {name}", 4: "has no ssh", 5: f"has no {identity} to read"}
    if done.rc != 0:
        cause = done.stderr.strip() or f"exit status {done.rc}"
        raise CannotTell(f"{context.host} {lacks.get(done.rc) or f'could not log in: {cause}'}")
    lines = [line.split(" ", 3) for line in done.stdout.splitlines() if line.startswith("login ")]
    tried = {each[1]: _login(each[2], each[3:]) for each in lines}
    return SshLogins(login, context.host, tried)


def _login(rc: str, said: Sequence[str]) -> SshLogin:
    """Return what the exit status of ssh, and its last line, say of a login."""
    if int(rc) < _LOCAL:
        return SshLogin("in")
    words = said[0].strip() if said else ""
    known = next((meant for part, meant in _MEANS.items() if part in words), None)
    return SshLogin(known or "none", words)


def probe_host_keys(context: ProbeContext, name: str, port: int, keys: Sequence[str]) -> ShownKeys:
    """Return the host keys of the pinned types that each address behind the name shows.

    Raises:
        CannotTell: the task's host does not answer, has no ssh-keyscan, or does not know the name.
    """
    types = ",".join(sorted({each.split()[0] for each in keys}))
    done = context.shell.run(["sh", "-c", _SCRIPT, "sh", name, str(port), types, str(_SECONDS)])
    if done.rc == 3:
        raise CannotTell(f"{context.host} knows no address of {name}")
    if done.rc == 4:
        raise CannotTell(f"{context.host} has no ssh-keyscan")
    if done.rc != 0:
        raise CannotTell(f"{context.host}: {done.stderr.strip() or f'exit status {done.rc}'}")
    lines = [line.split() for line in done.stdout.splitlines() if line and not line.startswith("#")]
    found: dict[str, list[tuple[str, str]]] = {
        each[1]: [] for each in lines if each[0] == "address"
    }
    for shown in (each for each in lines if each[0] != "address" and len(each) >= 3):
        address = shown[0].partition("]")[0].removeprefix("[")
        found.setdefault(address, []).append((shown[1], shown[2]))
    return ShownKeys(name, context.host, found)
