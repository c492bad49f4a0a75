#!/bin/sh
# Compiles every C block of the documents, and runs those that are programs: what they print must be
# the text block that follows them.
#
#     docs/check.sh BUILD_DIR      (where libcio.so is)
set -eu
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
cc=${CC:-cc}
flags="-std=gnu11 -Wall -Wextra -Wno-unused-function -Werror -I$root/include"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# Writes DOCUMENT's blocks as PREFIX.N.c; the text block after N is PREFIX.N.text.
split() { # DOCUMENT PREFIX
    awk -v prefix="$2" '
        /^```/ && !inside { inside = 1; language = substr($0, 4); out = ""
            if (language == "c") out = sprintf("%s.%02d.c", prefix, ++n)
            if (language == "text" && last == "c") out = sprintf("%s.%02d.text", prefix, n)
            if (out != "") printf "" > out
            next }
        /^```/ { inside = 0; last = language; next }
        inside && out != "" { print > out }' "$1"
}

check() { # BLOCK.c
    program=${1%.c}
    # Fragments are spared the includes and what the text around them has named.
    if grep -q '^int main' "$1"; then
        "$cc" $flags -o "$program" "$1" -L"$build" -lcio -Wl,-rpath,"$build" -pthread || return 1
        timeout 20 "$program" >"$program.out" || return 1
        [ ! -e "$program.text" ] || diff -u "$program.text" "$program.out"
    else
        "$cc" $flags -include "$root/docs/fragment.h" -fsyntax-only "$1"
    fi
}

for document in README.md docs/guide.md; do
    split "$root/$document" "$work/$(basename "$document" .md)"
done
n=0
for block in "$work"/*.c; do
    n=$((n + 1))
    check "$block" || { echo "FAILED: $(basename "$block")"; failed=1; }
done
echo "$n blocks"
exit $failed
