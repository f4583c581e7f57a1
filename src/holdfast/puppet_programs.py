"""The programs that read and disable a Puppet agent on its host, and the units in which Holdfast runs it there.

An agent is run as a one-shot unit, so that a run of it is a restart like any other: once, by a compare-and-swap of the
unit's InvocationID (docs/adr/0081).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from holdfast.model import HOST_DIRECTORY
from holdfast.observations.puppet import OURS

RUN_UNIT = "holdfast-puppet.service"
PREVIEW_UNIT = "holdfast-puppet-preview.service"
UNIT_DIRECTORY = "/run/systemd/system"

_FILES = files("holdfast")
_PATHS, _STATE, _LOCK = (
    _FILES.joinpath(name).read_text("utf-8")
    for name in ("agent_paths.sh", "agent_state.sh", "agent_lock.sh")
)
_OPTIONS = (
    "--onetime --no-daemonize --no-splay --no-usecacheonfailure --detailed-exitcodes --verbose --report"
    " --color=false --no-show_diff"
)
_UNIT = """[Unit]
Description={description}
[Service]
Type=oneshot
RemainAfterExit=yes
KillMode=process
SuccessExitStatus=2
Environment=LC_ALL=C.UTF-8
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/puppetlabs/bin
ExecStart=/usr/bin/env puppet agent {options} --agent_disabled_lockfile={directory}/puppet.none{more}
"""
_INSTALL = """set -eu
umask 022
mkdir -p "$1" "$2"
changed=no
write() {
    [ -e "$1" ] && [ "$(cat "$1")" = "$2" ] && return
    new=$(mktemp "$1.XXXXXX") && printf '%s\\n' "$2" > "$new" && chmod 0644 "$new" && mv "$new" "$1" || exit 1
    changed=yes
}
write "$2/$3" "$4"
write "$2/$5" "$6"
[ $changed = no ] || systemctl daemon-reload
echo "changed=$changed"
"""


def state_command(directory: str = HOST_DIRECTORY, *, reports: bool = False) -> list[str]:
    """Return the command that prints the state of an agent; ``directory`` is Holdfast's own on the host."""
    return _command(_STATE, directory, *(["reports"] if reports else []))


def disable_command(run: str, reason: str, directory: str = HOST_DIRECTORY) -> list[str]:
    """Return the command that disables an agent for a run, unless it is disabled."""
    content = json.dumps({"disabled_message": f"{OURS}{run}: {reason}"}, separators=(",", ":"))
    return _command(_LOCK, directory, "disable", _mark(run), content)


def enable_command(run: str, directory: str = HOST_DIRECTORY) -> list[str]:
    """Return the command that enables an agent that the run has disabled."""
    return _command(_LOCK, directory, "enable", _mark(run))


def install_command(directory: str = HOST_DIRECTORY, units: str = UNIT_DIRECTORY) -> list[str]:
    """Return the command that puts the units of a run and of a preview on a host, where they are gone with its boot."""
    run = _UNIT.format(
        description="Puppet agent, run by Holdfast", options=_OPTIONS, directory=directory, more=""
    )
    own = f"{directory}/puppet-preview"
    preview = _UNIT.format(
        description="Puppet agent with noop, run by Holdfast",
        options=_OPTIONS,
        directory=directory,
        more=f" --noop --lastrunfile={own}.summary --lastrunreport={own}.report",
    )
    texts = (RUN_UNIT, run.rstrip("\n"), PREVIEW_UNIT, preview.rstrip("\n"))
    return ["sh", "-c", _INSTALL, "sh", directory, units, *texts]


def unsaid(output: Sequence[str], rc: int | None, seconds: float) -> str:
    """Return why the lines that a program has printed do not say what it did or found.

    ``rc`` is None where it was ended for taking more than its time.
    """
    error = next((line.removeprefix("error=") for line in output if line.startswith("error=")), "")
    if said := error or "; ".join(output):
        return f"the program on the host says {said}"
    if rc is None:
        return f"the program on the host was ended after {seconds:.1f} s, and has said nothing"
    return f"the program on the host ended with {rc}, and has said nothing"


def _mark(run: str) -> str:
    """Return how the lock of a run begins, up to where its reason is."""
    return json.dumps({"disabled_message": f"{OURS}{run}: "}, separators=(",", ":")).removesuffix(
        '"}'
    )


def _command(program: str, *arguments: str) -> list[str]:
    return ["sh", "-c", _PATHS + program, "sh", *arguments]
