#!/bin/sh
# Builds the control plane for tests into target/controlplane. About eight minutes the first time, seconds when cached.
set -eu
cd "$(dirname "$0")"
command -v go >/dev/null || { echo "build.sh: 'go' is missing (1.26 or newer)" >&2; exit 1; }
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
out="${CARGO_TARGET_DIR:-../../target}/controlplane"
mkdir -p "$out"
package=k8s.io/component-base/version
# The revision is left out, as every commit would be a reason to link anew.
go build -buildvcs=false -ldflags "-X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$(echo "$version" | cut -d. -f2)" \
    -o "$out/controlplane" .
