#!/bin/sh
# Fetches cmocka and OpenSSL for 64-bit ARM into build/aarch64-sysroot, where cmake/aarch64.cmake looks for them.
# apt works on lists of its own there: the machine's packages and architectures stay as they are.
# What cannot be had is no error: tools/test.sh then says that aarch64 was not run.
set -eu
cd "$(dirname "$0")/.."

sysroot=$PWD/build/aarch64-sysroot
[ ! -e "$sysroot/ok" ] || [ ! -e "$sysroot/usr/include/openssl/ssl.h" ] || exit 0

rm -rf "$sysroot"
mkdir -p "$sysroot/apt/state/lists/partial" "$sysroot/apt/cache/archives/partial"
: >"$sysroot/apt/status"

apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= \
        -o Dir::State="$sysroot/apt/state" -o Dir::State::status="$sysroot/apt/status" \
        -o Dir::Cache="$sysroot/apt/cache" -o Acquire::Languages=none \
        -o Acquire::http::Timeout=15 -o Acquire::Retries=1 "$@"
}

packages='libcmocka0 libcmocka-dev libssl3 libssl-dev'
if (cd "$sysroot/apt" && apt update && apt download $packages) >"$sysroot/log" 2>&1; then
    for package in "$sysroot"/apt/*.deb; do
        dpkg-deb -x "$package" "$sysroot"
    done
    cp "$sysroot"/usr/include/aarch64-linux-gnu/openssl/* "$sysroot/usr/include/openssl/"
    touch "$sysroot/ok"
else
    echo "setup: no cmocka or OpenSSL for arm64 (see build/aarch64-sysroot/log): the aarch64 tests will not run"
fi
rm -rf "$sysroot/apt"
