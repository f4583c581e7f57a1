# Copies placement's tables from nova's API database into one of their own, on the host whose `sh -c` runs it.
#
#   copy DIRECTORY SOURCE TARGET RUN TABLE…    copy these tables; a copy that was never used is replaced, any other table refuses
#   upgrade DIRECTORY REVISION                 tell alembic which revision the copy has, bring it up to date, and check it
#   use DIRECTORY TARGET                       placement is going to use the copy: from now on it is no copy to drop
#   drop DIRECTORY TARGET                      drop a copy that was never used
#
# DIRECTORY has the accounts as option files, source.cnf and target.cnf, and target.conf, with which placement's tools find the new
# database. The table `holdfast_copy` is in the new database from before the first row until `use`: only where it is there
# may tables be dropped. Exit status: 0 done, 3 refused with nothing touched, 1 failed.
set -u
what=$1 directory=$2
shift 2

refuse() { echo "$1; nothing was touched" >&2; exit 3; }
fail() { echo "$1" >&2; exit 1; }

client=$(command -v mariadb || command -v mysql) || refuse 'neither mariadb nor mysql is installed here'
dump=$(command -v mariadb-dump || command -v mysqldump) || refuse 'neither mariadb-dump nor mysqldump is installed here'

# A statement that fails is not to be printed, with the rows in it.
ask() { # source|target DATABASE: statements come from standard input
    "$client" --defaults-extra-file="$directory/$1.cnf" --connect-timeout=5 --batch --loose-skip-print-query-on-error --skip-column-names --database="$2"
}

names() { # what the new database has
    echo 'SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()' | ask target "$1"
}

drop() {
    found=$(names "$1") || fail "$1 cannot be asked for its tables"
    case " $(echo $found) " in
        '  ') return 0 ;;
        *' holdfast_copy '*) ;;
        *) refuse "$1 has tables that are no copy of Holdfast's, or a copy that placement uses: $(echo $found)" ;;
    esac
    # The mark last: what is left of an interrupted drop is still known.
    { echo 'SET foreign_key_checks = 0;'
      for name in $found; do [ "$name" = holdfast_copy ] || printf 'DROP TABLE `%s`;\n' "$name"; done
      echo 'DROP TABLE holdfast_copy;'; } | ask target "$1" || fail "the copy in $1 could not be dropped"
}

case $what in
    copy)
        source=$1 target=$2 run=$3
        shift 3
        drop "$target"
        printf "CREATE TABLE holdfast_copy (run VARCHAR(255) NOT NULL PRIMARY KEY) ENGINE=InnoDB; INSERT INTO holdfast_copy VALUES ('%s');\n" "$run" |
            ask target "$target" || fail "$target takes no table"
        # A shell knows the status of the last program of a pipe alone, and half a dump is good SQL.
        status=$directory/dump.status
        echo unknown > "$status" || fail "$directory cannot be written"
        { "$dump" --defaults-extra-file="$directory/source.cnf" --single-transaction --quick --skip-lock-tables --skip-add-locks \
            --skip-triggers --no-tablespaces --hex-blob --skip-comments "$source" "$@"
          echo $? > "$status"; } | ask target "$target"
        loaded=$? dumped=$(cat "$status")
        rm -f "$status"
        [ "$dumped $loaded" = '0 0' ] ||
            fail "the copy is not whole: the dump of $source ended with $dumped, what $target took of it with $loaded"
        echo "copied $# tables from $source to $target"
        ;;
    upgrade)
        placement-manage --config-file "$directory/target.conf" db stamp "$1" || fail 'placement-manage db stamp failed'
        placement-manage --config-file "$directory/target.conf" db sync || fail 'placement-manage db sync failed'
        placement-status --config-file "$directory/target.conf" upgrade check || fail "placement-status upgrade check ended with $?"
        ;;
    use) echo 'DROP TABLE holdfast_copy' | ask target "$1" || fail "$1 is still marked as a copy that was never used" ;;
    drop) drop "$1" ;;
    *) refuse "no such word: $what" ;;
esac
