#!/usr/bin/env bash
# Fuzzes the running service from its own OpenAPI document, against a private PostgreSQL and Redis.
# Needs: python3-venv, postgresql, redis-server, curl. Usage: service/tests/fuzz.sh [examples for each operation, default 200]
set -euo pipefail

examples=${1:-200}
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
service=$(realpath -m "${SERVICE:-$target/debug/causal-service}")
pg=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
need() { [ -x "$1" ] || command -v "$1" >/dev/null || { echo "fuzz: $1 is missing: install $2" >&2; exit 2; }; }
need "$pg/postgres" postgresql
need redis-server redis-server
need curl curl
need python3 python3-venv

[ -n "${SERVICE:-}" ] || cargo build --quiet --manifest-path "$root/Cargo.toml" -p causal-service --bin causal-service
venv=$target/fuzz-venv
if [ ! -x "$venv/bin/st" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.32.5'
fi

# Not in a checkout: PostgreSQL's user must be able to enter.
dir=$(mktemp -d /var/tmp/causal-service-fuzz.XXXXXX)
chmod 755 "$dir"
pids=()
finish() {
  # The last that was started goes first. INT is a fast shutdown to PostgreSQL.
  local at pid
  for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
    pid=${pids[at]}
    kill -INT "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || continue 2; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap finish EXIT

# PostgreSQL refuses to be root.
as_postgres=()
mkdir "$dir/pg"
if [ "$(id -u)" = 0 ]; then
  as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups --)
  chown postgres "$dir/pg"
fi
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
pg_port=$(port) redis_port=$(port) http_port=$(port) metrics_port=$(port)

"${as_postgres[@]}" "$pg/initdb" --no-sync --auth=trust --username=gauntlet --encoding=UTF8 --locale=C -D "$dir/pg" >/dev/null
"${as_postgres[@]}" "$pg/postgres" -D "$dir/pg" -h 127.0.0.1 -p "$pg_port" -c unix_socket_directories= >"$dir/pg.log" 2>&1 &
pids+=($!)
redis-server --bind 127.0.0.1 --port "$redis_port" --save '' --daemonize no >/dev/null &
pids+=($!)
env HOST=127.0.0.1 DRAIN_DELAY=0s PORT="$http_port" METRICS_PORT="$metrics_port" \
  DATABASE_URL="postgres://gauntlet@127.0.0.1:$pg_port/postgres" REDIS_URL="redis://127.0.0.1:$redis_port" \
  "$service" >"$dir/service.log" 2>&1 &
service_pid=$!
pids+=("$service_pid")

base=http://127.0.0.1:$http_port
ready=0
for _ in $(seq 150); do
  if curl -sf "$base/health/ready" >/dev/null; then ready=1; break; fi
  sleep 0.1
done
[ "$ready" = 1 ] || { echo 'fuzz: the service did not become ready' >&2; cat "$dir/service.log" >&2; exit 1; }

# positive_data_acceptance is left out: a schema cannot say that a graph has no cycle, or that a name is one of its nodes.
# It keeps notes in the working directory.
cd "$dir"
result=0
"$venv/bin/st" run "$base/openapi.json" --checks all --exclude-checks positive_data_acceptance \
  --max-examples "$examples" --seed 7 --generation-database none --request-timeout 12 --workers 2 --no-color || result=$?

kill -0 "$service_pid" || { echo 'fuzz: the service is gone' >&2; result=1; }
if grep -E '"level":"ERROR"|panicked' "$dir/service.log" >&2; then echo 'fuzz: the service logged errors' >&2; result=1; fi
curl -s "http://127.0.0.1:$metrics_port/metrics" | grep -E '^http_requests_total.*status="5' || true
exit "$result"
