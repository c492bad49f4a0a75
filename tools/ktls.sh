#!/bin/bash
# Runs the tests of TLS with kernel TLS on all connections, on a kernel that has it: Debian's, in an
# emulator (qemu-system-x86_64, without acceleration), with nothing but them in its memory.
#
#     tools/ktls.sh fetch          gets the kernel, by apt, into build/ktls
#     tools/ktls.sh run PRESET     runs the tests built by that preset; the last line is
#                                  "ktls: N passed, N failed"
set -eu
cd "$(dirname "$0")/.."

place=$PWD/build/ktls
MODULES='gf128mul cryptd ctr ghash-generic gcm tls'
PROGRAMS=${KTLS_PROGRAMS:-tls_kernel tls_streams tls_transports tls_start tls_cancel tls_context tls_peers tls_verify sendfile_tls}
# These are about new keys for what is sent, which kernel TLS does not make; curl is not there.
EXCLUDED='keys_are_updated_by_either_side an_end_right_after_an_update_of_keys curl_is_served'

fetch() {
    [ ! -e "$place/ok" ] || return 0
    local package
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head -1)
    [ -n "$package" ] || { echo "no linux-image-cloud-amd64 in apt's lists"; return 1; }
    rm -rf "$place"
    mkdir -p "$place"
    (cd "$place" && apt-get -qq -o APT::Sandbox::User= download "$package" && dpkg-deb -x ./*.deb kernel && rm ./*.deb)
    touch "$place/ok"
}

copy() { # FILE...  with the libraries that they need, to where they are here
    local file library
    for file in "$@"; do
        install -D "$file" "$root$file"
        ldd "$file" | grep -o '/[^ ]*' | while read -r library; do
            [ -e "$root$library" ] || install -D "$library" "$root$library"
        done
    done
}

make_root() { # PRESET
    local module program
    root=$place/root
    rm -rf "$root"
    mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,tests,modules}
    install "$(command -v busybox)" "$root/bin/busybox"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
    echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
    for module in $MODULES; do
        find "$place/kernel" -name "$module.ko" -exec cp {} "$root/modules" \;
    done
    copy "$(command -v openssl)"
    for program in $PROGRAMS; do
        copy "$PWD/build/$1/tests/test_$program"
        strip -o "$root/tests/$program" "$PWD/build/$1/tests/test_$program"
    done
    rm -rf "${root:?}$PWD"
    cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs tmp /tmp
for module in MODULES; do insmod /modules/$module.ko; done
ip link set lo up
exec </dev/null
export CIO_TEST_KERNEL_TLS=1 CIO_TEST_SLOW=1
passed=0 failed=0
for program in PROGRAMS; do
    for name in $(/tests/$program --list); do
        case " EXCLUDED " in *" $name "*) continue ;; esac
        timeout 100 /tests/$program $name >/tmp/log 2>&1
        status=$?
        if [ $status = 0 ]; then
            passed=$((passed + 1))
        elif [ $status != 77 ]; then
            failed=$((failed + 1))
            echo "FAILED: $program.$name: $status"
            cat /tmp/log
        fi
    done
done
grep TlsTxSw /proc/net/tls_stat
echo "ktls: $passed passed, $failed failed"
poweroff -f
INIT
    sed -i "s/MODULES/$MODULES/; s/PROGRAMS/$PROGRAMS/; s/ EXCLUDED / $EXCLUDED /" "$root/init"
    chmod +x "$root/init"
    (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$place/initrd.gz"
}

run() { # PRESET
    make_root "$1"
    timeout "${KTLS_SECONDS:-600}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nographic -no-reboot \
        -nic none -kernel "$place"/kernel/boot/vmlinuz-* -initrd "$place/initrd.gz" \
        -append 'console=ttyS0 quiet panic=-1 mitigations=off' </dev/null | tr -d '\r' >"$place/log"
    grep -a -A20 'insmod:\|FAILED:' "$place/log" || true
    grep -a -o 'ktls: .* failed' "$place/log"
}

case ${1:-} in
fetch) fetch ;;
run) run "${2:-dev}" ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
