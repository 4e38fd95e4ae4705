#!/bin/sh
# Builds the HTTP/2 conformance test into target/h2spec.
set -eu
cd "$(dirname "$0")"
command -v go >/dev/null || { echo "build.sh: 'go' is missing (1.26 or newer)" >&2; exit 1; }
go build -buildvcs=false -o "${CARGO_TARGET_DIR:-../../target}/h2spec/" .
