#!/bin/sh
# Proves that a backup of a running ledger restores: dumps it, restores the dump into a database of its own, verifies
# every row there, compares it with the source, and drops it again. The source is only read.
#
#   DRILL_SOURCE_URL   the ledger: a login that may read all of it (pg_read_all_data)
#   DRILL_SERVER_URL   where to restore: any database of a server, best of another one, as a superuser; the roles
#                      ledger_owner and ledger_service have to be there
#   DRILL_POLICY       optional: a policy file (C2SP tlog-policy) that says whose checkpoints are believed
#   DRILL_KEEP         optional: a folder; the dump and the checkpoint of before stay there, as a backup
#   DRILL_LEDGER       the command, 'ledger' unless it is said
#
# Passwords belong into ~/.pgpass (PGPASSFILE), not into the URLs: others on this machine see what programs are called
# with. psql, pg_dump and pg_restore are those on PATH, and not older than either server.
# Exit codes: 0 the copy is what the source was, 1 it could not be done, 2 it differs.
set -eu

say() { echo "drill: $*"; }
fail() { echo "drill: FAILED: $*" >&2; exit 1; }
differs() { echo "drill: DIFFERS: $*" >&2; exit 2; }
ask() { psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname "$1" --command "$2"; }
take() { ask "$1" "$2" || fail "$3"; }

source=${DRILL_SOURCE_URL:?the ledger to dump}
server=${DRILL_SERVER_URL:?the server to restore it on}
ledger=${DRILL_LEDGER:-ledger}
for program in psql pg_dump pg_restore "$ledger"; do
    command -v "$program" >/dev/null || fail "there is no program $program"
done
case $server in
    postgres*://*/*) ;;
    *) fail "DRILL_SERVER_URL has to be like postgresql://user@host:5432/postgres" ;;
esac
# What this shell sets for a service is not meant for the copy.
for name in $(env | sed -n 's/^\(LEDGER_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done

copy=ledger_drill_$$
target=$(printf '%s\n' "$server" | sed "s|^\(postgres[a-z]*://[^/]*/\)[^?]*|\1$copy|")
scratch=$(mktemp -d)
folder=${DRILL_KEEP:-$scratch}
is_made=no
clean() {
    if [ "$is_made" = yes ]; then
        ask "$server" "drop database $copy with (force)" || echo "drill: database $copy is still there" >&2
    fi
    rm -rf "$scratch"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM
umask 077
mkdir -p "$folder"

# The only ledger of an installation has the id 1.
last="from work.notary_checkpoints where ledger_id = 1 and published_at is not null order by size desc limit 1"
size=$(take "$source" "select size $last" "the source cannot be read")
[ -n "$size" ] || fail "nothing was sealed yet: there is no checkpoint to compare with"
of_size="from work.notary_checkpoints where ledger_id = 1 and size = $size"
root="select encode(root, 'hex') $of_size"
note="select note $of_size"
root_before=$(take "$source" "$root" "the source cannot be read")
note_before=$(take "$source" "$note" "the source cannot be read")
printf '%s\n' "$note_before" >"$folder/checkpoint"
say "before: checkpoint of $size events, root $root_before"

pg_dump --no-password --format=custom --file="$folder/ledger.dump" --dbname="$source" || fail "the dump"
say "dumped: $(wc -c <"$folder/ledger.dump" | tr -d ' ') bytes"

take "$server" "create database $copy template template0 encoding 'UTF8'" "no database can be made on the server"
is_made=yes
pg_restore --no-password --exit-on-error --dbname="$target" "$folder/ledger.dump" ||
    fail "the restore (are the roles ledger_owner and ledger_service there?)"
head=$(take "$target" "select coalesce(max(position), 0) from ledger.events where ledger_id = 1" "the copy cannot be read")
say "restored: $head events, in database $copy"

[ "$head" -ge "$size" ] || differs "the copy ends at position $head, before the checkpoint of $size events"
root_after=$(take "$target" "$root" "the copy cannot be read")
[ "$root_after" = "$root_before" ] || differs "the root of $size events is $root_after"
note_after=$(take "$target" "$note" "the copy cannot be read")
[ "$note_after" = "$note_before" ] || differs "the checkpoint of $size events has other words or signatures"

# What came after the checkpoint has no root yet: the source still holds it.
tail="select count(*), md5(string_agg(encode(leaf_hash, 'hex'), '' order by position)) from ledger.events
      where ledger_id = 1 and position > $size and position <= $head"
identity="select namespace, md5(request_key) from ledger.ledger_identity where ledger_id = 1"
for what in "$tail" "$identity"; do
    there=$(take "$source" "$what" "the source cannot be read")
    here=$(take "$target" "$what" "the copy cannot be read")
    [ "$there" = "$here" ] || differs "the source says $there, the copy $here"
done
say "compared: root and checkpoint of $size events, the $((head - size)) after it, the ledger's identity"

export LEDGER_DATABASE_URL="$target" LEDGER_DATA_DIR="$scratch" LEDGER_NOTARY=false
verdict=0
if [ -n "${DRILL_POLICY:-}" ]; then
    "$ledger" audit verify --database --since "$folder/checkpoint" --policy "$DRILL_POLICY" || verdict=$?
    [ "$verdict" -ne 0 ] || say "verified: every row, and who signed the checkpoint"
else
    "$ledger" audit verify --database --since "$folder/checkpoint" || verdict=$?
    if [ "$verdict" -eq 5 ]; then
        verdict=0
        say "verified: every row; not who signed the checkpoint (DRILL_POLICY says whom to believe)"
    fi
fi
case $verdict in
    0) ;;
    1 | 64) fail "the copy could not be verified" ;;
    *) differs "the rows do not verify (ledger audit verify: $verdict)" ;;
esac
[ -z "${DRILL_KEEP:-}" ] || say "kept: $folder/ledger.dump and $folder/checkpoint"
say "the backup restores: the copy is what the source was"
