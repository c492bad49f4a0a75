#!/bin/sh
# compare.sh PROGRAM PYTHON NAME: both must print the same trace for the scenario NAME (or --list).
# Skipped (77) where this Python's asyncio is too old for what is compared.
# A turn that lasts because the machine has other work must not change the order.
set -u
export CIO_TURN_BUDGET=inf
program=$1 python=$2 name=$3
here=$(dirname "$0")
ours=$(mktemp) || exit 1
theirs=$(mktemp) || exit 1
trap 'rm -f "$ours" "$theirs"' EXIT

"$python" "$here/scenarios.py" "$name" >"$theirs"
rc=$?
[ $rc -eq 77 ] && exit 77
[ $rc -eq 0 ] || { echo "asyncio failed: $rc"; exit 1; }
"$program" "$name" >"$ours"
rc=$?
[ $rc -eq 0 ] || { echo "cio failed: $rc"; cat "$ours"; exit 1; }
if [ "$name" = --list ]; then
    sort -o "$ours" "$ours"
    sort -o "$theirs" "$theirs"
fi
diff -U 100 --label asyncio --label cio "$theirs" "$ours"
