"""Read on a host by what name nova there goes: its option ``host``, else the hostname."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import CannotTell
from holdfast.observations.nova import ServiceHost
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova.site import NovaHost

# $1 is the unit; then the configuration files, where the site names them. Else they are those that the unit's process
# was started with and, without any, oslo.config's own: nova.conf and UNIT.conf in /etc/nova, and the files in
# directories of these names with `.d`. Later files win, and the environment wins over all. A value is split and
# unquoted as oslo.config does it (ConfigOpts, iniparser). Only the name leaves the host: the files have passwords.
_SCRIPT = r"""
set -eu
export LC_ALL=C
unit=${1%.service} default=/etc/nova; shift
fail() { echo "$1: let the play become root, or name nova's files in nova_config_files" >&2; exit 4; }
of_process() {
  [ -r "/proc/$pid/$1" ] || fail "/proc/$pid/$1 is not there or cannot be read"
  tr '\0' '\n' < "/proc/$pid/$1"
}
options() {
  printf '%s\n' "$arguments" | awk -v name="--config-$1" '
    wanted { print; wanted = 0; next }
    $0 == name { wanted = 1; next }
    index($0, name "=") == 1 { print substr($0, length(name) + 2) }'
}
read_host() {
  [ -r "$1" ] || fail "$1 is not there or cannot be read"
  echo "file $1"
  awk '
    function end() { if (open && section == "DEFAULT" && key == "host") print "host " value; open = 0 }
    { sub(/[ \t\r]+$/, "") }
    /^$/ { end(); next }
    /^[ \t]/ { sub(/^[ \t]+/, ""); value = value " " $0; next }
    /^\[/ { end(); section = substr($0, 2, index($0, "]") - 2); next }
    /^[#;]/ { end(); next }
    {
      end(); at = match($0, /[=:]/); if (!at) next
      key = substr($0, 1, at - 1); value = substr($0, at + 1); open = 1
      sub(/[ \t]+$/, "", key); sub(/^[ \t]+/, "", value)
      first = substr(value, 1, 1)
      if (length(value) > 1 && (first == "\"" || first == "\047") && first == substr(value, length(value)))
        value = substr(value, 2, length(value) - 2)
    }
    END { end() }' "$1"
}
readable() { [ -r "$1" ] && [ -x "$1" ] || fail "$1 is not there or cannot be read"; }
read_directory() {
  readable "$1"
  for file in "$1"/*.conf; do [ ! -e "$file" ] || read_host "$file"; done
}
each() { while read -r path; do [ -z "$path" ] || "$1" "$path"; done; }
echo "hostname $(uname -n)"
if [ $# -gt 0 ]; then
  for path in "$@"; do read_host "$path"; done
else
  pid=$(systemctl show --property MainPID -- "$unit" | sed -n 's/^MainPID=//p')
  [ -n "$pid" ] || fail "systemd did not report the process of $unit"
  if [ "$pid" = 0 ]; then arguments="" environment=""; else
    arguments=$(of_process cmdline)
    environment=$(of_process environ)
    [ -n "$arguments" ] || fail "process $pid of $unit has no arguments"
  fi
  files=$(options file) directories=$(options dir)
  [ -n "$files" ] && [ -n "$directories" ] || [ ! -e $default ] || readable $default
  if [ -n "$files" ]; then printf '%s\n' "$files" | each read_host; else
    [ -e $default/nova.conf ] || fail "there is no $default/nova.conf"
    for path in $default/nova.conf "$default/$unit.conf"; do [ ! -e "$path" ] || read_host "$path"; done
  fi
  if [ -n "$directories" ]; then printf '%s\n' "$directories" | each read_directory; else
    for path in $default/nova.conf.d "$default/$unit.conf.d"; do [ ! -e "$path" ] || read_directory "$path"; done
  fi
  printf '%s\n' "$environment" | sed -n 's/^OS_DEFAULT__HOST=/file its environment (OS_DEFAULT__HOST)\nhost /p'
fi
"""

_UNREADABLE = 4  # the script's exit status where no waiting helps


def probe_service_host(context: ProbeContext, unit: str, files: Sequence[str]) -> ServiceHost:
    """Return by what name nova on the task's host goes, and what the inventory calls it.

    ``files`` are nova's configuration files in their order; without any, those of the process of ``unit``.

    Raises:
        CannotTell: the host is unreachable, or the configuration is not there or cannot be read by the play's user.
    """
    result = context.shell.run(["sh", "-c", _SCRIPT, "sh", unit, *files])
    if result.rc != 0:
        cause = result.stderr.strip() or f"exit status {result.rc}, no output"
        text = f"{context.host}: by what name nova there goes is not known: {cause}"
        raise CannotTell(text, final=result.rc == _UNREADABLE)
    hostname, source, name, file = "", "", None, ""
    for line in result.stdout.splitlines():
        key, _, value = line.partition(" ")
        if key == "hostname":
            hostname = value
        elif key == "file":
            file = value
        elif key == "host":
            name, source = value, file
    site = context.site(context.host, NovaHost)
    return ServiceHost(
        host=context.host,
        known_as=site.nova_service_host or context.host,
        from_variable=bool(site.nova_service_host),
        name=hostname if name is None else name,
        source="its hostname" if name is None else f"host in {source}",
    )
