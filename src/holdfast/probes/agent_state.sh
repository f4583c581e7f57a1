# Prints the state of Puppet's agent on this host, and changes nothing. Run there by `sh -c`, without any other file;
# holdfast/probes/puppet.py sends it and reads the lines that it prints: `name=value`, and `name> line` for each line of a file.
#
# $1 is the directory in which it keeps what `puppet config print` has said until puppet.conf changes: to start Ruby takes seconds.
set -u
umask 022
export PATH="$PATH:/opt/puppetlabs/bin" LC_ALL=C
cache=$1/puppet.paths
fail() { printf 'error=%s\n' "$(printf '%s' "$1" | tr '\n' ' ')"; exit 0; }

puppet=$(command -v puppet) || fail 'the command puppet is not found'
key=$(stat -Lc '%n %Y %i %s' "$puppet" /etc/puppet/puppet.conf /etc/puppetlabs/puppet/puppet.conf 2> /dev/null | tr '\n' ' ')
if [ -r "$cache" ] && [ "$(head -n 1 "$cache")" = "$key" ]; then
    paths=$(cat "$cache")
else
    paths=$("$puppet" config print lastrunfile lastrunreport agent_disabled_lockfile agent_catalog_run_lockfile --section agent 2>&1) ||
        fail "puppet config print failed: $paths"
    { mkdir -p "$1" && new=$(mktemp "$cache.XXXXXX") && printf '%s\n%s\n' "$key" "$paths" > "$new" && mv "$new" "$cache"; } 2> /dev/null || :
fi
path() { printf '%s\n' "$paths" | sed -n "s/^$1 = //p"; }
summary=$(path lastrunfile) report=$(path lastrunreport) disabled=$(path agent_disabled_lockfile) lock=$(path agent_catalog_run_lockfile)
for each in "$summary" "$report" "$disabled" "$lock"; do
    [ -n "$each" ] || fail "puppet config print does not name the files of an agent: $paths"
    directory=$(dirname "$each")
    [ -e "$each" ] && [ ! -r "$each" ] || { [ -e "$directory" ] && [ ! -x "$directory" ]; } && fail "$each cannot be read: root can"
done

echo "now=$(date +%s)"
# A file that vanishes while it is read was not there.
if content=$(cat -- "$disabled" 2> /dev/null); then
    echo disabled=yes
    printf '%s\n' "$content" | sed 's/^/disabled> /'
fi
if [ -s "$lock" ]; then
    pid=$(head -c 20 -- "$lock" | tr -cd 0-9)
    echo "pid=${pid:-0}"
    command=$(cat "/proc/${pid:-0}/cmdline" 2> /dev/null | tr '\0\n' '  ')
    echo "command=$command"
fi
[ ! -e "$summary" ] || grep '' -- "$summary" | sed 's/^/summary> /' # also a last line without an end gets one
# Of the report its own values alone: the resources may be thousands of lines.
[ ! -e "$report" ] || grep -E '^[a-z_]+: .' -- "$report" | sed 's/^/report> /'
for unit in puppet.service puppet-agent.service; do
    [ "$(systemctl is-active "$unit" 2> /dev/null)" != active ] || echo "driver=$unit"
done
systemctl list-timers --all --no-legend --plain 2> /dev/null | grep -oE '[^ ]*puppet[^ ]*\.timer' | sed 's/^/driver=/'
grep -lsE '^[^#]*puppet +agent' /etc/crontab /etc/cron.d/* /var/spool/cron/crontabs/* /var/spool/cron/root | sed 's/^/driver=/'
echo end=read
