# Disables Puppet's agent on this host, or enables it. Run there by `sh -c` behind agent_paths.sh, as an act of unit_program.sh.
#
#   DIRECTORY disable MARK CONTENT   unless it is disabled; CONTENT is the lock's whole text, which begins with MARK
#   DIRECTORY enable MARK            if its lock begins with MARK
#
# `puppet agent --enable` removes anybody's lock, and `--disable` may overwrite one that was made in the same moment; so neither is
# used. Prints `state=…`: disabled or enabled for what was done, ours, others or none for what was found.
what=$2 mark=$3
found() { case $(cat -- "$1" 2> /dev/null) in "$mark"*) echo state=ours ;; *) echo state=others ;; esac; }
if [ "$what" = disable ]; then
    # `ln` makes the whole lock at once, and not where there is one.
    new=$(mktemp "$disabled.XXXXXX") && printf '%s' "$4" > "$new" && chmod 0644 "$new" || fail "no lock can be made beside $disabled"
    if ln -T "$new" "$disabled" 2> /dev/null; then echo state=disabled
    elif [ -e "$disabled" ]; then found "$disabled"
    else rm -f "$new"; fail "$disabled cannot be made"; fi
    rm -f "$new"
else
    # What is not ours is not touched. What is ours is taken away and looked at again: somebody may have exchanged it in between, and
    # then it is given back, or kept.
    [ -e "$disabled" ] || { echo state=none; exit 0; }
    [ "$(found "$disabled")" = state=ours ] || { echo state=others; exit 0; }
    old=$disabled.$$
    mv -T "$disabled" "$old" || fail "$disabled cannot be taken away"
    if [ "$(found "$old")" = state=ours ]; then
        rm -f "$old" && echo state=enabled
    elif ln -T "$old" "$disabled" 2> /dev/null || [ -e "$disabled" ]; then
        rm -f "$old"; echo state=others
    else fail "$disabled is somebody else's and cannot be put back; it is kept as $old"; fi
fi
