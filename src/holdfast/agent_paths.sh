# Finds Puppet's files on this host: sets `summary`, `report`, `disabled` and `lock`. It is put before agent_state.sh and agent_lock.sh.
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

