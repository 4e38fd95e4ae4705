#!/bin/sh
# Makes sure that commands are there, each given as COMMAND:DEBIAN-PACKAGE. As root on Debian it installs what is missing;
# otherwise it says what is.
set -eu
missing=
for need in "$@"; do
    command -v "${need%%:*}" >/dev/null || missing="$missing ${need##*:}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
else
    echo "missing Debian packages:$missing" >&2
    exit 1
fi
