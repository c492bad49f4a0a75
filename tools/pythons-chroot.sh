#!/bin/bash
# The Python front's suites on CPythons that this machine does not have: those of Debian's trixie (3.13) and sid (3.14, 3.15),
# each in a chroot that debootstrap makes under build/chroot. Needs root and about 1 GB for each. The last line is "N passed, N failed".
#
#     tools/pythons-chroot.sh                 trixie and sid
#     tools/pythons-chroot.sh sid [3.14 ...]  one of them, with these versions only
set -u
cd "$(dirname "$0")/.." || exit 1

MIRROR=${CIO_DEBIAN_MIRROR:-http://deb.debian.org/debian}
ROOT=$PWD/build/chroot
BASE=ca-certificates,build-essential,cmake,ninja-build,pkgconf,libssl-dev,openssl,redis-server,postgresql
passed=0
failed=0

[ "$(id -u)" = 0 ] || { echo "a chroot wants root" >&2; exit 1; }
if ! command -v debootstrap >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap || exit 1
fi

versions_of() { # SUITE
    case $1 in trixie) echo 3.13 ;; sid) echo 3.14 3.15 ;; *) echo "no versions known of $1" >&2; return 1 ;; esac
}

# What makes this machine reach its mirrors and registries holds there too: resolver, certificates, settings of apt and pip.
let_out() { # FOLDER
    cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
    cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
    cp /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/*registry* "$1/etc/apt/apt.conf.d/" 2>/dev/null
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$1/etc/"
}

make_chroot() { # SUITE
    local folder=$ROOT/$1
    [ -e "$folder/ready" ] && return
    rm -rf --one-file-system "$folder"
    mkdir -p "$ROOT"
    debootstrap --variant=minbase --include=ca-certificates "$1" "$folder" "$MIRROR" >"$ROOT/$1.log" 2>&1 ||
        { tail -20 "$ROOT/$1.log"; return 1; }
    let_out "$folder"
    enter "$1" "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${BASE//,/ }" \
        >>"$ROOT/$1.log" 2>&1 || { tail -20 "$ROOT/$1.log"; return 1; }
    touch "$folder/ready"
}

# In a mount namespace of its own, which takes the mounts with it when it ends.
enter() { # SUITE COMMAND
    unshare --mount --pid --fork --kill-child sh -c '
        mount --make-rprivate / && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs tmp "$1/tmp" &&
        exec chroot "$1" /bin/bash -c "$2"' sh "$ROOT/$1" "export LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin; $2"
}

count() { # ATTRIBUTE FILE
    local n
    n=$(sed -n "s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$2" 2>/dev/null | head -1)
    echo "${n:-0}"
}

run_version() { # SUITE VERSION
    local log=$ROOT/$1-python$2.log folder=$ROOT/$1 good=0 bad=0 junit
    local packages="python$2 python$2-dev python$2-venv libpython$2-testsuite"
    if ! enter "$1" "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages" >"$log" 2>&1; then
        echo "python$2 of $1: not run: Debian has it not, or not whole ($log)"
        return
    fi
    # The tree as it is, without what was built of it.
    mkdir -p "$folder/cio"
    git ls-files -z --cached --others --exclude-standard | tar c --null -T - 2>/dev/null | tar x -C "$folder/cio"
    rm -rf "$folder/cio/build/logs"
    enter "$1" "cd /cio && CIO_WERROR=OFF JOBS=$(nproc) tools/python.sh test /usr/bin/python$2" >>"$log" 2>&1
    local status=$?
    for junit in "$folder"/cio/build/logs/*.xml; do
        [ -e "$junit" ] || continue
        local failures=$(($(count failures "$junit") + $(count errors "$junit")))
        good=$((good + $(count tests "$junit") - failures - $(count skipped "$junit")))
        bad=$((bad + failures))
    done
    if [ "$status" != 0 ]; then
        [ "$bad" != 0 ] || bad=1
        grep -E '^(failed|crashed|hung|lists|FAILED|ERROR|E  )|rror:' "$log" | head -100
    fi
    echo "python$2 of $1: $good passed, $bad failed; test_asyncio: $(sed -n 's/^all  *//p' "$log" |
        awk '{print $1 " run, " $2 " passed, " $5 " excluded, " $6 " not yet"}'); $log"
    passed=$((passed + good))
    failed=$((failed + bad))
}

suites=${1:-trixie sid}
[ $# = 0 ] || shift
for suite in $suites; do
    versions=$*
    [ -n "$versions" ] || versions=$(versions_of "$suite") || exit 2
    if make_chroot "$suite"; then
        for version in $versions; do
            run_version "$suite" "$version"
        done
    else
        echo "no chroot of $suite: see $ROOT/$suite.log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
