#!/bin/sh
# Fails if a crate is in the tree that must not be: one library does all cryptography here.
set -eu
for banned in ring openssl openssl-sys native-tls; do
    if cargo tree --locked --quiet --edges normal,build,dev --invert "$banned" 2>/dev/null | grep -q .; then
        echo "dependencies.sh: $banned is in the tree:" >&2
        cargo tree --locked --edges normal,build,dev --invert "$banned" >&2
        exit 1
    fi
done
