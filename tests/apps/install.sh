#!/bin/sh
# Installs the dashboards that tests/control_plane/apps opens, and a browser: Debian's packages as root, Python's into a
# virtual environment in target/apps, from wheels with pinned versions only. It does nothing where all is there; about two
# minutes the first time. No service of these packages is started.
set -eu
cd "$(dirname "$0")"
out="${CARGO_TARGET_DIR:-../../target}/apps"
PATH="$PATH:/usr/sbin:/sbin"
policy=/usr/sbin/policy-rc.d

# A daemon that a package would start as it is installed is refused by the policy, which is put back as it was.
forbid_daemons() {
    [ -e "$policy" ] && return
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
}

python_with_venv() {
    for python in /usr/bin/python3 python3; do
        "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$python" && return
    done
}

needs="chromium:chromium prometheus:prometheus rabbitmq-server:rabbitmq-server python3:python3"
[ -n "$(python_with_venv)" ] || needs="$needs ensurepip-of-python3:python3-venv"
for need in $needs; do
    if ! command -v "${need%%:*}" >/dev/null && [ "$(id -u)" = 0 ]; then forbid_daemons; fi
done
../ci/needs.sh $needs

python=$(python_with_venv)
[ -n "$python" ] || { echo "install.sh: no Python of 3.11 or newer that can make virtual environments" >&2; exit 1; }
mkdir -p "$out"
cmp -s requirements.txt "$out/installed.txt" && [ -x "$out/venv/bin/python" ] && exit 0
rm -rf "$out/venv" "$out/installed.txt"
"$python" -m venv "$out/venv"
"$out/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-deps --no-compile \
    --requirement requirements.txt
"$out/venv/bin/pip" --disable-pip-version-check check
cp requirements.txt "$out/installed.txt"
