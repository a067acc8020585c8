#!/usr/bin/env bash
# Three nodes on loopback, as one cluster. Ctrl-C ends them and removes what they wrote.
#
#   examples/three-node/start.sh                 uses target/release/bulkhead or target/debug/bulkhead
#   BULKHEAD=/usr/bin/bulkhead PORT=9200 examples/three-node/start.sh
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
port=${PORT:-8200}

case ${1:-} in
    -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    '') ;;
    *) echo "unknown argument $1; see $0 --help" >&2; exit 2 ;;
esac

bulkhead=${BULKHEAD:-}
for built in "$root/target/release/bulkhead" "$root/target/debug/bulkhead"; do
    if [[ -z $bulkhead && -x $built ]]; then bulkhead=$built; fi
done
if [[ ! -x $bulkhead ]]; then
    echo "there is no bulkhead to run; first: cargo xtask build" >&2
    exit 1
fi

data=$(mktemp -d)
pids=()
end() {
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait
    rm -rf "$data"
}
trap end EXIT
trap 'exit 0' INT TERM

# A command of the client, on node 1, 2 or 3.
on() {
    local node=$1
    shift
    VAULT_ADDR=http://127.0.0.1:$((port + (node - 1) * 10)) "$bulkhead" "$@"
}

# Waits until a command succeeds.
until_done() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 300; tries++)); do
        if "$@" > /dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "$what: not within 30 s. The nodes' logs:" >&2
    tail -n 5 "$data"/node*.log >&2
    exit 1
}

# `status` ends with 2 for a node that is sealed, which is an answer.
answers() { on "$1" status || [[ $? == 2 ]]; }

for node in 1 2 3; do
    api=$((port + (node - 1) * 10))
    mkdir "$data/node$node"
    cat > "$data/node$node.hcl" << EOF
storage "raft" {
  path    = "$data/node$node"
  node_id = "node$node"
$(for other in 1 2 3; do
    if [[ $other != "$node" ]]; then
        echo "  retry_join { leader_api_addr = \"http://127.0.0.1:$((port + (other - 1) * 10))\" }"
    fi
done)
}
listener "tcp" {
  address         = "127.0.0.1:$api"
  cluster_address = "127.0.0.1:$((api + 1))"
  tls_disable     = true
}
api_addr     = "http://127.0.0.1:$api"
cluster_addr = "https://127.0.0.1:$((api + 1))"
EOF
    "$bulkhead" server -config="$data/node$node.hcl" > "$data/node$node.log" 2>&1 &
    pids+=($!)
done

for node in 1 2 3; do until_done "node $node answers" answers "$node"; done
keys=$(on 1 operator init -key-shares=1 -key-threshold=1)
share=$(sed -n 's/^Unseal Key 1: //p' <<< "$keys")
VAULT_TOKEN=$(sed -n 's/^Initial Root Token: //p' <<< "$keys")
export VAULT_TOKEN
for node in 1 2 3; do
    # A node that joins takes shares once it has found its cluster.
    unsealed() { on "$node" operator unseal "$share" && on "$node" status; }
    until_done "node $node is unsealed" unsealed
done
votes() { [[ $(on 1 operator raft list-peers | grep -c true) == 3 ]]; }
until_done "all nodes vote" votes
on 1 secrets enable -version=2 -path=secret kv > /dev/null

cat << EOF

  Three nodes: http://127.0.0.1:$port, :$((port + 10)), :$((port + 20)). One key share. All is in $data.

  In a second terminal, in this folder:

    export VAULT_TOKEN=$VAULT_TOKEN
    alias on1='VAULT_ADDR=http://127.0.0.1:$port $bulkhead'
    alias on2='VAULT_ADDR=http://127.0.0.1:$((port + 10)) $bulkhead'
    alias on3='VAULT_ADDR=http://127.0.0.1:$((port + 20)) $bulkhead'

    on1 operator raft list-peers                     # who leads
    on2 kv put -mount=secret app/db password=s3cret  # any node takes a write
    on3 kv get -mount=secret app/db                  # and shows it

  A failover: kill node 1 the hard way, and write and read at once by way of the others.

    kill -9 ${pids[0]}
    on2 kv put -mount=secret app/db password=other
    on3 kv get -mount=secret app/db
    on3 operator raft list-peers

  Ctrl-C ends all of it and removes $data.

EOF
while :; do sleep 1; done
