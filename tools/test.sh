#!/bin/bash
# Every check of the project, stage by stage. The last line is "N passed, N failed".
#
#     tools/test.sh              all stages
#     tools/test.sh dev asan     only these
#     tools/test.sh ktls         only when it is named: TLS by an emulated kernel, some minutes
#
# Logs stay in build/logs. A stage that takes long says every minute how far it is; one that hangs is
# ended after STAGE_SECONDS and has failed. A test that fails is run once more, alone, which tells
# whether it needs company to fail; it has failed all the same.
set -u
cd "$(dirname "$0")/.."

ALL_STAGES=(dev clang asan tsan setjmp valgrind aarch64 fuzz install python format tidy)
NAMED_STAGES=(ktls) # not among "all"
# valgrind and qemu are slow, and know less of the kernel: a part of the tests runs there.
VALGRIND_LABELS=${VALGRIND_LABELS:-'.*'}
VALGRIND_EXCLUDE=${VALGRIND_EXCLUDE:-'^(torture|differential|examples|install)$'}
# The emulator cannot start the programs that tests of the examples run.
AARCH64_EXCLUDE=${AARCH64_EXCLUDE:-'^(torture|course|heartbeat|examples.*|example_.*|http_files.*|link_check|tls_http)$'}
FUZZ_SECONDS=${FUZZ_SECONDS:-60} # for all targets together
STAGE_SECONDS=${STAGE_SECONDS:-5400} # (python: for each interpreter)
AGAIN_MOST=10                        # failed tests of a stage that are run once more
JOBS=${JOBS:-$(nproc)}
LOGS=build/logs

passed=0
failed=0
skipped=0
not_run=()
mkdir -p "$LOGS"

report() { # STAGE PASSED FAILED SKIPPED NOTE
    passed=$((passed + $2))
    failed=$((failed + $3))
    skipped=$((skipped + $4))
    local note=$5
    [ "$4" = 0 ] || note="$4 skipped $note"
    printf '%-9s %5d passed %5d failed %5d s  %s\n' "$1" "$2" "$3" $((SECONDS - stage_began)) "$note"
}

leave_out() { # STAGE REASON
    not_run+=("$1 ($2)")
    printf '%-9s not run: %s\n' "$1" "$2"
}

# Runs a command into a log for as long as the stage may still take. Its last lines tell how far it is.
running=''
within() { # STAGE LOG COMMAND...
    local stage=$1 log=$2 left=$((stage_began + limit - SECONDS)) status teller
    shift 2
    while sleep 60 >/dev/null; do
        printf '%-9s ... %4d s: %s\n' "$stage" $((SECONDS - stage_began)) "$(tail -n 1 "$log" | sed 's,^ *,,' | cut -c -90)"
    done &
    teller=$!
    timeout -k 20 $((left > 1 ? left : 1)) "$@" >"$log" 2>&1 </dev/null &
    running=$!
    wait $running
    status=$?
    running=''
    kill $teller
    wait $teller 2>/dev/null
    if [ $status = 124 ] || [ $status = 137 ]; then
        echo "$stage: ENDED, for it took longer than $limit s (STAGE_SECONDS). It had come to:"
        tail -n 5 "$log"
    fi
    return $status
}

# timeout(1) has a process group of its own, which ^C does not reach.
trap 'kill $running 2>/dev/null; exit 130' INT TERM

# Fails, and says why, if the preset does not build without a warning: that counts as one failure.
build() { # STAGE PRESET
    local log=$LOGS/$1-build.log
    if within "$1" "$log" bash -c 'cmake --preset "$1" && cmake --build --preset "$1" -j "$2"' - "$2" "$JOBS" &&
        ! grep -q 'warning: ' "$log"; then
        return 0
    fi
    grep -E -A12 'error|warning: |FAILED' "$log" | head -60
    report "$1" 0 1 0 "does not build, or not without a warning: $log"
    return 1
}

# Runs CTest and counts by its JUnit file.
run_ctest() { # STAGE PRESET [CTEST ARGUMENT...]
    local stage=$1 preset=$2 log=$LOGS/$1.log junit=$PWD/$LOGS/$1.xml
    shift 2
    rm -f "$junit"
    within "$stage" "$log" "${wrapper[@]}" ctest --preset "$preset" -j 4 --no-label-summary --output-junit "$junit" "$@"
    local status=$?

    local total failures ignored
    total=$(junit_count tests "$junit")
    failures=$(junit_count failures "$junit")
    ignored=$(($(junit_count skipped "$junit") + $(junit_count disabled "$junit")))
    if [ "$status" != 0 ]; then
        [ "$failures" != 0 ] || failures=1
        sed -E '/^ *[0-9]+\/[0-9]+ Test +#.* Passed/d; /^ *Start +[0-9]+:/d' "$log" | head -400
        [ ! -e "$junit" ] || run_again "$stage" "$preset"
    elif [ "$total" = 0 ]; then
        failures=1
        echo "no tests were found"
    fi
    local good=$((total - failures - ignored))
    report "$stage" $((good < 0 ? 0 : good)) "$failures" "$ignored" "$log"
}

# The tests that failed just now, each alone. What comes of it is only told.
run_again() { # STAGE PRESET
    local name log=$LOGS/$1-again.log outcome
    while read -r name; do
        if within "$1" "$log" "${wrapper[@]}" ctest --preset "$2" -R "^${name//./\\.}\$"; then
            outcome='passes when it is run again alone: it depends on load or chance'
        else
            outcome='fails when it is run again alone'
        fi
        echo "$1: $name $outcome"
    done < <(sed 's/^[0-9]*://' "build/$2/Testing/Temporary/LastTestsFailed.log" | head -$AGAIN_MOST)
}

junit_count() { # ATTRIBUTE FILE
    local n
    n=$(sed -n "s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$2" 2>/dev/null | head -1)
    echo "${n:-0}"
}

has() {
    command -v "$1" >/dev/null
}

check() { # STAGE COMMAND...  one check that passes or fails as a whole
    local stage=$1 log=$LOGS/$1.log
    shift
    if within "$stage" "$log" "$@"; then
        report "$stage" 1 0 0 ""
    else
        head -200 "$log"
        report "$stage" 0 1 0 "$log"
    fi
}

sources() { # DIRECTORY...  the C files and headers there
    find "$@" -name '*.[ch]' -not -path '*/.*' 2>/dev/null | sort
}

stage_dev() { build dev dev && run_ctest dev dev -LE '^install$'; }
stage_clang() { build clang clang && run_ctest clang clang -LE '^install$'; }
stage_setjmp() { build setjmp setjmp && run_ctest setjmp setjmp -LE '^install$'; }
stage_asan() { build asan asan && run_ctest asan asan; }

# ThreadSanitizer knows where memory may lie, and kernels randomise more than older ones of it expect.
stage_tsan() {
    build tsan tsan || return
    if setarch -R true 2>/dev/null; then
        wrapper=(setarch -R)
    fi
    run_ctest tsan tsan
}

stage_valgrind() {
    has valgrind || { leave_out valgrind "valgrind is not installed"; return; }
    build valgrind valgrind && run_ctest valgrind valgrind -L "$VALGRIND_LABELS" -LE "$VALGRIND_EXCLUDE"
}

stage_aarch64() {
    if [ "$(uname -m)" = aarch64 ]; then
        leave_out aarch64 "this machine is one: the other stages have run on it"
    elif ! has aarch64-linux-gnu-gcc || ! has qemu-aarch64; then
        leave_out aarch64 "no cross compiler or no qemu: tools/setup.sh test"
    elif [ ! -e build/aarch64-sysroot/ok ]; then
        leave_out aarch64 "no cmocka or OpenSSL for it: tools/setup.sh test"
    else
        build aarch64 aarch64 && run_ctest aarch64 aarch64 -LE "$AARCH64_EXCLUDE"
    fi
}

# Each target on its seeds, and then on what libFuzzer makes of them. What fails stays in build/logs.
stage_fuzz() {
    has clang || { leave_out fuzz "clang is not installed"; return; }
    build fuzz fuzz || return
    local targets=(build/fuzz/tests/fuzz/fuzz_*[a-z]) good=0 bad=0 runs=0
    limit=$((STAGE_SECONDS + FUZZ_SECONDS))
    local seconds=$(((FUZZ_SECONDS + ${#targets[@]} - 1) / ${#targets[@]}))
    for target in "${targets[@]}"; do
        local name=${target##*/fuzz_} log=$LOGS/${target##*/}.log
        mkdir -p "build/fuzz/corpus/$name"
        if within fuzz "$log" "$target" -max_total_time=$seconds -timeout=20 -print_final_stats=1 -artifact_prefix="$LOGS/fuzz-$name-" \
            "build/fuzz/corpus/$name" "tests/fuzz/seeds/$name"; then
            good=$((good + 1))
        else
            bad=$((bad + 1))
            grep -E -A15 'ERROR|not so|Test unit written' "$log" | head -60
        fi
        runs=$((runs + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | head -1)+0))
    done
    report fuzz $good $bad 0 "$runs inputs in $FUZZ_SECONDS s: $LOGS/fuzz_*.log"
}

# The package and its suites on every CPython that the machine has; counted by the suites' JUnit files.
stage_python() {
    local interpreter version name ran=''
    while read -r version interpreter; do
        name=$(tools/python.sh name "$interpreter")
        run_python test "$name" "$version ($interpreter)"
        # The sanitizers see the same on every version: one is enough.
        [ -n "$ran" ] || run_python asan "$name-asan" "$version under asan"
        ran="$ran $version"
    done < <(tools/python.sh find)
    [ -z "$ran" ] || check python tools/python.sh demo --rounds 1 --seconds 0.05
    [ -n "$ran" ] || leave_out python "no CPython from 3.11 on, with its headers and venv: tools/setup.sh test"
}

run_python() { # VERB NAME NOTE
    local junit total failures ignored status good=0 bad=0 skips=0 log=$LOGS/python-$2.log
    within python "$log" tools/python.sh "$1" "$interpreter"
    status=$?
    for junit in "$LOGS/python-$2"-[a-z]*.xml; do
        case $junit in *-asan-*) [ "$1" = asan ] || continue ;; esac
        total=$(junit_count tests "$junit")
        failures=$(($(junit_count failures "$junit") + $(junit_count errors "$junit")))
        ignored=$(junit_count skipped "$junit")
        good=$((good + total - failures - ignored))
        bad=$((bad + failures))
        skips=$((skips + ignored))
    done
    if [ "$status" != 0 ]; then
        [ "$bad" != 0 ] || bad=1
        grep -E '^(failed|crashed|hung|lists|FAILED|ERROR|E  )|rror:' "$log" | head -200
    fi
    report python "$good" "$bad" "$skips" "$3; $(sed -n 's/^all  *//p' "$log" |
        awk '{print "test_asyncio: " $1 " run, " $2 " passed, " $5 " excluded, " $6 " not yet"}') $log"
    stage_began=$SECONDS
}

# The tests of TLS where the kernel encrypts, which this machine's may not know how to.
stage_ktls() {
    if [ "$(uname -m)" != x86_64 ] || ! has qemu-system-x86_64 || ! has busybox || ! has openssl; then
        leave_out ktls "it needs an x86-64 machine, qemu-system-x86, busybox-static and openssl"
        return
    fi
    if ! tools/ktls.sh fetch >"$LOGS/ktls-fetch.log" 2>&1; then
        leave_out ktls "no kernel: $LOGS/ktls-fetch.log"
        return
    fi
    build ktls dev || return
    local log=$LOGS/ktls.log good bad
    tools/ktls.sh run dev >"$log" 2>&1
    read -r good bad < <(sed -n 's/^ktls: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log")
    [ "${bad:-1}" = 0 ] || head -400 "$log"
    report ktls "${good:-0}" "${bad:-1}" 0 "build/ktls/log"
}

stage_install() { build install release && run_ctest install release; }

stage_format() {
    has clang-format || { leave_out format "clang-format is not installed"; return; }
    check format clang-format --dry-run -Werror $(sources include src tests examples bench)
}

# clang-tidy reads clang's command lines: gcc has options that it does not know.
stage_tidy() {
    has clang-tidy || { leave_out tidy "clang-tidy is not installed"; return; }
    export -f run_tidy
    export JOBS
    check tidy bash -c run_tidy
}

run_tidy() {
    cmake --preset clang || return
    find src -name '*.c' | sort | xargs -n 2 -P "$JOBS" clang-tidy --quiet -p build/clang
}

stages=("$@")
[ $# != 0 ] || stages=("${ALL_STAGES[@]}")
for stage in "${stages[@]}"; do
    if [[ " ${ALL_STAGES[*]} ${NAMED_STAGES[*]} " != *" $stage "* ]]; then
        echo "no stage $stage; there are: ${ALL_STAGES[*]} ${NAMED_STAGES[*]}" >&2
        exit 2
    fi
done
for stage in "${stages[@]}"; do
    stage_began=$SECONDS
    limit=$STAGE_SECONDS
    wrapper=()
    "stage_$stage"
done

for note in "${not_run[@]}"; do
    echo "NOT RUN: $note"
done
[ "$skipped" = 0 ] || echo "$skipped skipped by themselves (see build/logs)"
echo "total $SECONDS s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
