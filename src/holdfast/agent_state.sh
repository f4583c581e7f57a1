# Prints the state of Puppet's agent on this host, and changes nothing. Run there by `sh -c` behind agent_paths.sh, without any
# other file; holdfast/probes/puppet.py sends it and reads the lines that it prints: `name=value`, and `name> line` for each
# line of a file. With `reports` as $2 the reports of the last run and of the last preview follow, packed.
echo "now=$(date +%s)"
# A file that vanishes while it is read was not there.
if content=$(cat -- "$disabled" 2> /dev/null); then
    echo disabled=yes
    echo "disabled_at=$(stat -c %Y -- "$disabled" 2> /dev/null)"
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
if [ "${2:-}" = reports ]; then
    [ ! -e "$report" ] || gzip -c -- "$report" | base64 -w 0 | sed 's/^/run64=/; s/$/\n/'
    preview=$1/puppet-preview.report
    [ ! -e "$preview" ] || gzip -c -- "$preview" | base64 -w 0 | sed 's/^/preview64=/; s/$/\n/'
fi
echo end=read
