#!/bin/sh
# Runs a command in a network namespace of its own, in which lo is up and has the addresses of a small cluster:
# 10.77.0.1 to 10.77.0.60. EndpointSlices must not hold loopback addresses, so tests need others, and all traffic
# between them stays inside. Processes and mounts are its own as well: whatever the command started ends with it, and
# /run is empty, so that a ServiceAccount can be mounted there. Needs root, or a kernel that lets users make namespaces.
set -eu

if [ "${IN_TEST_NAMESPACE:-}" != yes ]; then
    export IN_TEST_NAMESPACE=yes
    own="--net --mount --pid --fork --kill-child --mount-proc"
    if [ "$(id -u)" = 0 ]; then
        exec unshare $own -- "$0" "$@"
    elif unshare --user --map-root-user --net true 2>/dev/null; then
        exec unshare --user --map-root-user $own -- "$0" "$@"
    fi
    echo "in-namespace.sh: this user may not make network namespaces; run as root or allow user namespaces" >&2
    exit 1
fi

command -v ip >/dev/null || { echo "in-namespace.sh: 'ip' is missing (Debian: iproute2)" >&2; exit 1; }
mount -t tmpfs tmpfs /run
ip link set lo up
host=1
while [ "$host" -le 60 ]; do
    ip address add "10.77.0.$host/32" dev lo
    host=$((host + 1))
done
"$@"
