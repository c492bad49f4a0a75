#!/bin/sh
# Installs a build into a prefix of its own, then builds and runs a program against it: through find_package
# and through pkg-config, with the shared and the static library.
#
#     tests/install/run.sh BUILD_DIR [CMAKE]
set -eu

build=$1
cmake=${2:-cmake}
consumer=$(cd "$(dirname "$0")" && pwd)/consumer
work=$build/install-test
prefix=$work/prefix
rm -rf "$work"

say() { printf -- '--- %s\n' "$*"; }

say "install"
"$cmake" --install "$build" --prefix "$prefix" >"$work.log" || { cat "$work.log"; exit 1; }

say "find_package"
"$cmake" -G Ninja -S "$consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix"
"$cmake" --build "$work/consumer"
"$work/consumer/consumer"
"$work/consumer/consumer_static"

pc=$(find "$prefix" -name cio.pc)
libdir=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
strict="-std=c11 -Wall -Wextra -Werror"

# $flags and the like are lists of words, split on purpose.
say "pkg-config, shared"
flags=$(pkg-config --cflags --libs cio)
${CC:-cc} $strict -o "$work/shared" "$consumer/main.c" $flags
LD_LIBRARY_PATH=$libdir "$work/shared"

say "pkg-config, static"
flags=$(pkg-config --cflags --static --libs cio | sed 's/-lcio/-l:libcio.a/')
${CC:-cc} $strict -o "$work/static" "$consumer/main.c" $flags
"$work/static"

say "the shared library exports cio_ and nothing else"
others=$(nm -D --defined-only "$libdir/libcio.so" | awk '{ print $NF }' | grep -v '^cio_[^_]' || true)
[ -z "$others" ] || { printf '%s\n' "$others"; exit 1; }

say "every header can be included alone"
(cd "$prefix/include" && ls cio.h cio/*.h) | while read -r header; do
    printf '#include <%s>\nint main(void) { return 0; }\n' "$header" |
        ${CC:-cc} $strict -pedantic -fsyntax-only -I"$prefix/include" -x c -
done
say "ok"
