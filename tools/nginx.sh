#!/bin/sh
# Fetches nginx into build/nginx, for the benchmarks to measure by. Installed, it would begin to serve the
# machine's port 80. What cannot be had is no error: its column stays empty.
set -eu
cd "$(dirname "$0")/.."

place=$PWD/build/nginx
if command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || [ -x "$place/usr/sbin/nginx" ]; then
    exit 0
fi
rm -rf "$place"
mkdir -p "$place"
# Debian 12 has the program in "nginx"; before, "nginx-light" had one.
if (cd "$place" && (apt-get -qq download nginx || apt-get -qq download nginx-light)) >"$place/log" 2>&1; then
    dpkg-deb -x "$place"/*.deb "$place"
fi
rm -f "$place"/*.deb
if ! "$place/usr/sbin/nginx" -v >>"$place/log" 2>&1; then
    echo "setup: no nginx (see build/nginx/log): its column stays empty"
    rm -rf "$place/usr"
fi
