# Changes the database of placement-api in its configuration: CONFIG FROM TO. FROM and TO are files, each with one URL.
#
# Only the value of `connection` in [placement_database] is changed, and only if it is FROM's. Where it is TO's already nothing is
# done. Exit status: 0 it is TO's now, 3 refused with nothing touched, 1 failed.
set -u
umask 077
config=$1 from=$2 to=$3

refuse() { echo "$1; nothing was touched" >&2; exit 3; }

value() {
    awk '/^[ \t]*\[/ { inside = ($0 ~ /^[ \t]*\[placement_database\][ \t]*$/) }
        inside && /^connection[ \t]*=/ { sub(/^connection[ \t]*=[ \t]*/, ""); sub(/[ \t]+$/, ""); print }' "$1"
}

now=$(value "$config") || refuse "$config cannot be read"
wanted=$(cat "$to") && expected=$(cat "$from") && [ -n "$wanted" ] && [ -n "$expected" ] || refuse 'a URL is missing'
[ "$now" != "$wanted" ] || { echo "already so"; exit 0; }
[ "$now" = "$expected" ] || refuse "$config has another connection in [placement_database] than expected"

# Beside it, with its owner and mode, so that the move puts a whole file into its place.
new=$config.holdfast
cp -p -- "$config" "$new" && awk -v file="$to" 'BEGIN { getline url < file }
    /^[ \t]*\[/ { inside = ($0 ~ /^[ \t]*\[placement_database\][ \t]*$/) }
    inside && /^connection[ \t]*=/ { print "connection = " url; next }
    { print }' "$config" > "$new" && [ "$(value "$new")" = "$wanted" ] && mv -f -- "$new" "$config" && exit 0
rm -f -- "$new"
echo "$config could not be written" >&2
exit 1
