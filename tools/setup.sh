#!/bin/sh
# Installs what is missing, by Debian's packages, when it may (root, or sudo without a password).
# Otherwise it names what is missing and fails. When all is there it changes nothing and asks nobody.
#
#     tools/setup.sh demo|test|bench
set -eu
cd "$(dirname "$0")/.."

# A line: packages (the first that the archive has is installed), and after a colon
# the command that shows that the machine has it from elsewhere.
demo='
gcc:cc
libc6-dev
make:make
cmake:cmake
ninja-build:ninja
pkgconf|pkg-config:pkg-config
libssl-dev
'
# What the demonstration does without where it may not be installed.
wished='
python3-dev:python3-config
'
test_packages='
clang:clang
clang-tidy:clang-tidy
clang-format:clang-format
CLANG_RT
libcmocka-dev
libdw-dev
libexpat1-dev
valgrind:valgrind
libc6-dbg
gdb:gdb
python3:python3
strace:strace
openssl:openssl
curl:curl
ncat:ncat
wrk:wrk
python3-dev
python3-dbg
python3-venv
PYTHON_TESTSUITE
redis-server:redis-server
postgresql:initdb
'
aarch64='
qemu-user:qemu-aarch64
gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc
libc6-dev-arm64-cross
'
bench='
libuv1-dev
libst-dev
libevent-dev
libpcre2-8-0
libssl3|libssl3t64
zlib1g
'

level=${1:-demo}
case $level in
demo) wanted=$demo ;;
test) wanted="$demo $test_packages" wished='' ;;
bench) wanted="$demo $wished $bench" wished='' ;;
*)
    echo "usage: $0 demo|test|bench" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not Debian; what is needed, by Debian's names:" $wanted
    exit 0
fi
architecture=$(dpkg --print-architecture)
if [ "$level" = test ] && [ "$architecture" = amd64 ]; then
    wanted="$wanted $aarch64"
fi

is_installed() { # PACKAGE
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

has() { # LINE
    packages=${1%%:*}
    case $1 in *:*) command -v "${1#*:}" >/dev/null && return 0 ;; esac
    for package in $(echo "$packages" | tr '|' ' '); do
        is_installed "$package" && return 0
    done
    return 1
}

# The runtime of clang's sanitizers goes by clang's version.
clang_rt() {
    version=$(dpkg-query -W -f '${Version}' clang 2>/dev/null || true)
    [ -n "$version" ] || version=$(apt-cache policy clang 2>/dev/null | sed -n 's/^ *Candidate: //p')
    version=$(echo "$version" | sed 's/^[0-9]*://; s/[^0-9].*//')
    echo "libclang-rt-${version:-14}-dev|libclang-rt-dev"
}

# CPython's own tests are a package of the version's name.
python_testsuite() {
    version=$(apt-cache depends python3 2>/dev/null | sed -n 's/^ *Depends: python\(3\.[0-9]*\)$/\1/p' | head -1)
    [ -n "$version" ] || version=$(readlink /usr/bin/python3 | sed 's/^python//')
    echo "libpython${version:-3}-testsuite"
}

missing=''
for line in $wanted; do
    [ "$line" != CLANG_RT ] || line=$(clang_rt)
    [ "$line" != PYTHON_TESTSUITE ] || line=$(python_testsuite)
    has "$line" || missing="$missing $line"
done

as_root=''
if [ "$(id -u)" = 0 ]; then
    as_root='env'
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root='sudo -n env'
fi
for line in $wished; do
    if has "$line"; then
        :
    elif [ -n "$as_root" ]; then
        missing="$missing $line"
    else
        echo "setup: ${line%%:*} is not installed: done without"
    fi
done

if [ -n "$missing" ]; then
    if [ -z "$as_root" ]; then
        echo "setup: missing:$(echo "$missing" | sed 's/[:|][^ ]*//g')" >&2
        echo "setup: install them (apt-get install ...), or run this as root" >&2
        exit 1
    fi
    $as_root apt-get update -qq || echo "setup: apt-get update failed; trying with what is known" >&2

    packages=''
    for line in $missing; do
        case $line in
        libclang-rt-*) line=$(clang_rt) ;;
        libpython*-testsuite) line=$(python_testsuite) ;;
        esac
        chosen=''
        for package in $(echo "${line%%:*}" | tr '|' ' '); do
            [ -n "$chosen" ] || ! apt-cache show "$package" >/dev/null 2>&1 || chosen=$package
        done
        packages="$packages ${chosen:-${line%%[:|]*}}"
    done
    echo "setup: installing$packages"
    $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi

if [ "$level" = test ] && [ "$architecture" = amd64 ]; then
    tools/aarch64-sysroot.sh
fi
if [ "$level" = bench ]; then
    tools/nginx.sh
fi
