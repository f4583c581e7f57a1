"""Ask every address behind a name for its SSH host keys, from the task's host; no login is tried."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import CannotTell
from holdfast.observations.ssh import ShownKeys
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
