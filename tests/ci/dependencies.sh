#!/bin/sh
# Judges the crates of the tree without a network: which are banned, where they come from, under which licences, and which of
# them are there twice. Known vulnerabilities need a database from elsewhere: SECURITY.md says how they are looked for.
set -eu
failed=no
fail() {
    echo "dependencies.sh: $*" >&2
    failed=yes
}

# One library does all cryptography here.
for banned in ring openssl openssl-sys native-tls; do
    if cargo tree --locked --quiet --edges normal,build,dev --invert "$banned" 2>/dev/null | grep -q .; then
        fail "$banned is in the tree:"
        cargo tree --locked --edges normal,build,dev --invert "$banned" >&2
    fi
done

# Everything but the two packages of this repository is from one registry, and its content is known by its hash: no git, no
# other registry, no other folder.
lock=${LOCK:-Cargo.lock}
packages=$(grep -c '^\[\[package\]\]' "$lock")
from_registries=$(grep -c '^source = "registry+' "$lock")
sources=$(grep '^source = ' "$lock" | sort -u | wc -l)
checksums=$(grep -cE '^checksum = "[0-9a-f]{64}"$' "$lock")
if [ "$from_registries" -ne $((packages - 2)) ] || [ "$checksums" -ne "$from_registries" ] || [ "$sources" -ne 1 ]; then
    fail "of $packages packages in $lock, $from_registries are from a registry, $checksums have a checksum, and there are $sources sources"
    grep '^source = ' "$lock" | sort | uniq -c | sort -n | head >&2 || true
fi

# Words of licences, those of which a program under Apache-2.0 may be made. MPL-2.0 is of files: theirs stay as they are.
known='MIT|MIT-0|Apache-2\.0|BSD-2-Clause|BSD-3-Clause|0BSD|ISC|Zlib|BSL-1\.0|Unlicense|CC0-1\.0|Unicode-3\.0|MPL-2\.0|OR|AND|WITH|LLVM-exception'
tree=$(cargo tree --locked --edges normal,build --prefix none --format '{p}|{l}')
unknown=$(echo "$tree" | sed 's/ (\*)$//' | sort -u | while IFS='|' read -r package licence; do
    words=$(echo "$licence" | tr '()/' '   ' | tr -s ' ' '\n' | grep . || echo none)
    echo "$words" | grep -vxqE "$known" && echo "$package: ${licence:-no licence}" || true
done)
[ -z "$unknown" ] || fail "licences that nobody has looked at:
$unknown"

# Two versions of one crate are twice the code to trust. These are there because others need them; a new one is looked at first.
twice='base64 getrandom hashbrown syn untrusted'
found=$(cargo tree --locked --edges normal --prefix none --format '{p}' | awk 'NF { print $1, $2 }' | sort -u |
    awk '{ print $1 }' | uniq -d)
for name in $found; do
    case " $twice " in
    *" $name "*) ;;
    *) fail "$name is there in two versions: cargo tree --invert $name" ;;
    esac
done

[ "$failed" = no ]
