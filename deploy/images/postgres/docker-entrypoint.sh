#!/bin/sh
# Makes the data directory when there is none, then becomes PostgreSQL. Reads the variables of the public image, so that
# one pod specification serves both.
set -eu
if [ "${1:-postgres}" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD_FILE:?names the file that holds the password}"
  # A directory that was left half made would look made: it gets its name when it is whole.
  made="$PGDATA.making"
  rm -rf "$made"
  # shellcheck disable=SC2086 # several options in one variable, as in the public image
  initdb --pgdata="$made" --username="${POSTGRES_USER:-postgres}" --pwfile="$POSTGRES_PASSWORD_FILE" \
    --auth=scram-sha-256 ${POSTGRES_INITDB_ARGS:-} >&2
  echo 'host all all all scram-sha-256' >>"$made/pg_hba.conf"
  if [ -n "${POSTGRES_DB:-}" ] && [ "$POSTGRES_DB" != postgres ]; then
    echo "create database \"$POSTGRES_DB\";" | postgres --single -D "$made" postgres >&2
  fi
  # Its own sync, because a rename is not durable by itself.
  sync
  rmdir "$PGDATA" 2>/dev/null || true
  mv "$made" "$PGDATA"
fi
[ $# -gt 0 ] || set -- postgres
case $1 in
  postgres) shift; exec postgres -c listen_addresses='*' "$@" ;;
  *) exec "$@" ;;
esac
