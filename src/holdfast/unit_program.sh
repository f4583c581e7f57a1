# Reads or changes one systemd unit on its host, under the unit's lock (docs/adr/0003, 0022). Run there by `sh -c`, without any
# other file or interpreter: holdfast/unit_program.py sends it and reads the lines that it prints.
#
#   read UNIT LOG PROC                                 the unit, the host's clock, and where the file LOG ends; changes nothing
#   observe UNIT SECONDS                               the same under the lock; from now on no earlier intent counts
#   restart ID SECONDS BOOT READ UNTIL SERVICE RUN INVOCATION    restart it, if INVOCATION is still its start
#   command ID SECONDS BOOT READ UNTIL SERVICE RUN ARGV…         run a command that acts on it
#
# UNIT may be any name of the unit, ID is the one by which systemd knows it. What lies before an act has no process of its own
# where the shell can do it: hosts wait for each other meanwhile.
#
# Before these come DIRECTORY, where locks and marks are, and how long systemd may take to answer, in seconds: the caller says so,
# since what the environment of a login says must not lead one of two acts to another lock.
#
# SECONDS: how long the lock, and then the act, may take. BOOT, READ, UNTIL: the host's boot and its clock when the intent was
# prepared, and when its leases end. SERVICE, RUN: whose mark the host must have. PROC: where the host's processes are listed.
# Prints `name=value` lines under the headings [clock], [log], [before], [after] and [output]; the line `end=…` says what was
# done, and without it that is not known.
set -u
umask 077
directory=$1 answer_seconds=$2
shift 2
what=$1 unit=$2 seconds=${3:-0}

finish() { # WORD [MESSAGE]: not_begun, read, already_restarted, done, failed, unreadable
    printf 'message=%s\nend=%s\n' "$(printf '%s' "${2:-}" | tr '\n' ' ')" "$1"
    exit 0
}

# Passwords in URLs, in `password=…`, `--password …`, `Authorization: …` and Erlang's `{password,…}` stay on the host. They are
# bytes: in a locale of UTF-8 a pattern ends at a byte that is none.
without_secrets() {
    LC_ALL=C sed -E -e "s/(authorization['\"]?[[:space:]]*[=:][[:space:]]*['\"]?([[:alpha:]]+[[:space:]]+)?)[^[:space:]'\"]+/\1***/Ig" \
        -e 's/(--?[[:alnum:]_-]*(password|passwd|_pass|secret|token|cookie)[[:space:]]+)[^[:space:]]+/\1***/Ig' -e 's#(://[^[:space:]:/@]*:)[^[:space:]]+@#\1***@#g' \
        -e "s/([[:alnum:]_]*(password|passwd|_pass|secret|token|cookie)[[:alnum:]_]*['\"]?[[:space:]]*[=:][[:space:]]*)[^[:space:]]+/\1***/Ig" \
        -e 's/(\{"?[[:alnum:]_]*(pass|secret|token|cookie)[[:alnum:]_]*"?,[[:space:]]*)[^}]+/\1***/Ig'
}

# Sets `now` to the hundredths of a second since the host's boot, sleep included; with however many decimals the kernel prints.
clock() {
    read -r up _ < /proc/uptime
    case $up in *.*) decimals=${up#*.}00 ;; *) decimals=00 ;; esac
    decimals=${decimals%"${decimals#??}"}
    now=$((${up%%.*} * 100 + 1$decimals - 100)) # 1: else 08 would be octal
}

# Sets `shown` to the unit's properties, or `unreadable` to why there are none.
show() {
    unreadable=
    shown=$(timeout "$answer_seconds" systemctl show \
        --property Id,LoadState,ActiveState,SubState,Result,InvocationID,NRestarts,Job,ControlGroup -- "$unit" 2>&1)
    status=$?
    case $status in
        0) ;;
        124) unreadable="\`systemctl show $unit\` gave no answer in $answer_seconds s" ;;
        127) unreadable="systemctl cannot be run: $shown" ;;
        *) unreadable="systemd shows no state of $unit: ${shown:-no output}" ;;
    esac
    [ -z "$unreadable" ] || return 1
    value ActiveState
    [ -n "$value" ] || { unreadable="systemd shows no state of $unit: ${shown:-no output}"; return 1; }
    value LoadState
    [ "$value" = loaded ] || { unreadable="the unit $unit cannot run here: its load state is $value"; return 1; }
}

# Sets `value` to one of the properties shown, or to nothing.
value() {
    between "$newline$shown$newline" "$newline$1=" "$newline"
    value=$between
}

# Sets `between` to what stands between the first START and the next END, or to nothing.
between() { # TEXT START END
    between=
    case $1 in *"$2"*"$3"*) between=${1#*"$2"} between=${between%%"$3"*} ;; esac
}

# Where a log ends: the digest of its last 1,024 bytes tells it from another file, also after a rotation. What the processes
# that run now still log until they have stopped is not the next start's (docs/adr/0052).
position() { # LOG PROC
    [ -f "$1" ] && found=$(stat -Lc '%i %s' -- "$1") || return 0
    inode=${found% *} size=${found#* }
    value ControlGroup
    first=$((size > 1024 ? size - 1023 : 1)) group=$value processes=
    [ -z "$group" ] || processes=$(grep -lF ":$group" "$2"/[0-9]*/cgroup 2> /dev/null |
        sed -E 's#.*/([0-9]+)/cgroup$#\1#' | sort -n | tr '\n' ' ')
    digest=$(tail -c "+$first" -- "$1" | head -c $((size - first + 1)) | sha256sum | cut -d ' ' -f 1)
    section log "$(printf 'inode=%s\nsize=%s\ndigest=%s\nprocesses=%s' "$inode" "$size" "$digest" "$processes")"
}

section() { printf '[%s]\n%s\n' "$1" "$2"; }

# A redirection that fails would end the shell without a word, or be taken for a failure of the command.
writable() { (: >> "$1") 2>/dev/null || finish not_begun "$1 cannot be written"; }

# Everybody who acts on the host has the same lock, for as long as the act lasts.
lock() {
    [ -d "$directory" ] || mkdir -p -m 0755 "$directory" 2>/dev/null
    writable "$directory/$unit.lock"
    exec 9>>"$directory/$unit.lock"
    said=$(flock -w "$seconds" 9 2>&1)
    status=$?
    case $status in
        0) ;;
        1) finish not_begun "another act on $unit still held $directory/$unit.lock after $seconds s; who, on the host: find /proc/[0-9]*/fd -lname $directory/$unit.lock" ;;
        *) finish not_begun "$directory/$unit.lock cannot be locked: flock ended with $status: $said" ;;
    esac
    # Left by an act whose shell was killed before its output was masked.
    [ ! -e "$directory/$unit.output" ] || rm -f -- "$directory/$unit.output"
}

# The lock's file has the boot and the clock of the unit's last observation.
in_time() {
    noted_boot='' noted=
    clock
    [ "$1" = "$boot" ] || finish not_begun 'the host has booted since the intent'
    [ "$now" -lt "$3" ] || finish not_begun \
        "too late by $(((now - $3) / 100)).$(((now - $3) / 10 % 10)) s: since the intent its lease may have expired, and another run may act"
    [ -s "$directory/$unit.lock" ] || return 0
    read -r noted_boot noted < "$directory/$unit.lock"
    case $noted in '' | *[!0-9]*) finish not_begun "$directory/$unit.lock cannot be read; remove it" ;; esac
    [ "$noted_boot" != "$1" ] || [ "$noted" -lt "$2" ] ||
        finish not_begun 'too late: since the intent the host was observed, for a resume or a report'
}

# The mark of the service must be that of the run: one line of JSON, which holdfast/marks.py writes (docs/adr/0023).
marked() { # SERVICE RUN
    mark=$directory/$1.mark
    [ -n "$1" ] || finish not_begun 'the task does not say which mark this host must have'
    [ -e "$mark" ] || finish not_begun "this host has no mark of run $2 any more ($mark)"
    line=
    read -r line < "$mark"
    between "$line" '"run": "' '"'
    owner=$between
    before=${line%%'", "expires": '*} # the host's boot; the holder's, of the controller, stands before it
    marked_boot=${before##*'"'}
    between "$line" '", "expires": ' '}'
    expires=${between%%.*}
    case $before in *'"boot_id": "'"$marked_boot") ;; *) owner= ;; esac
    case $expires in '' | *[!0-9]*) owner= ;; esac
    [ -n "$owner" ] && [ -n "$marked_boot" ] || finish not_begun "the mark $mark cannot be read"
    [ "$owner" = "$2" ] || finish not_begun "this host is marked by another run, $owner of $(sed -nE 's/.*"by": "(([^"\]|\\.)*)".*/\1/p' "$mark")"
    clock
    [ "$marked_boot" = "$boot" ] && [ "$now" -lt "${expires}00" ] ||
        finish not_begun "the mark of run $2 on this host has expired; another run may act"
}

newline='
'
read -r boot < /proc/sys/kernel/random/boot_id
clock
section clock "boot=$boot${newline}seconds=$now"
case $what in read | observe)
    show || finish not_begun "$unreadable"
    value Id
    unit=$value
    ;;
esac
[ "$what" = read ] && { position "$3" "$4"; section before "$shown"; finish read; }
lock
if [ "$what" = observe ]; then
    clock
    # Over the last one, which is as long: where /run is full it stays.
    printf '%s %s\n' "$boot" "$now" 2> /dev/null 1<> "$directory/$unit.lock" ||
        finish not_begun "$directory/$unit.lock cannot be written, so earlier intents would still count"
else
    in_time "$4" "$5" "$6"
    marked "$7" "$8"
fi
show || finish not_begun "$unreadable"
value Id
[ "$value" = "$unit" ] || finish not_begun "since the intent $unit has become another name of $value"
section before "$shown"
[ "$what" != observe ] || finish read
if [ "$what" = restart ]; then
    value InvocationID
    [ "$value" = "$9" ] || finish already_restarted
    value Job
    [ -z "$value" ] || finish not_begun "systemd has a job in progress for the unit: wait until \`systemctl list-jobs\` no longer lists $unit"
    set -- systemctl restart -- "$unit"
else
    shift 8
    command -v "$1" > /dev/null || finish not_begun "$1 is not found on the host"
fi

writable "$directory/$unit.output"
clock
began=$now
# Into a file: what a command leaves behind may hold a pipe open for ever. `timeout` has the lock as well, since this shell may
# be killed or hung up before the act has ended; the act itself has not.
timeout --kill-after=5 "$seconds" sh -c 'exec "$@" 9>&-' sh "$@" > "$directory/$unit.output" 2>&1 < /dev/null
rc=$?
clock
took=$((now - began))
# Masked before it is cut, so that no half of a secret is left.
output=$(without_secrets < "$directory/$unit.output" | tail -c 8000)
rm -f "$directory/$unit.output"
section after "$(printf 'rc=%s\ntook=%s\nlimit=%s' "$rc" "$took" "$seconds")"
if [ "$what" = restart ]; then
    show && printf '%s\n' "$shown"
    [ "$rc" = 0 ] || [ -n "$unreadable" ] || output="$output
$(timeout "$answer_seconds" journalctl -u "$unit" -n 8 -o cat --no-pager --quiet 2>&1 | without_secrets)"
fi
section output "$(printf '%s\n' "$output" | sed 's/^/> /')"
[ -z "$unreadable" ] || finish unreadable "$unreadable"
[ "$rc" = 0 ] && finish done || finish failed
