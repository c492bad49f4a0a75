#!/bin/sh
# gdb prints the stacks of parked tasks: of a live process, and from a core dump.
#
#     tests/gdb/run.sh PROGRAM [GDB]
set -eu

program=$1
gdb=${2:-gdb}
script=$(cd "$(dirname "$0")/../../src/debug" && pwd)/cio-gdb.py
work=$(dirname "$program")/gdb-test
rm -rf "$work"
mkdir -p "$work"

say() { printf -- '--- %s\n' "$*"; }

leave_out() { # REASON
    echo "skipped: $1"
    exit 77
}

# -nx: nobody's settings. Output that is wider than a terminal must not be broken.
debug() { # LOG ARGUMENT...
    log=$1
    shift
    timeout 60 "$gdb" -nx -q -batch -iex 'set width 0' -iex 'set height 0' -iex 'set confirm off' \
        -iex 'set print thread-events off' -iex 'set debuginfod enabled off' "$@" >"$log" 2>&1 </dev/null || true
}

command -v "$gdb" >/dev/null || leave_out "gdb is not installed"
debug "$work/python" -ex 'python print("has" + "python")'
grep -q haspython "$work/python" || leave_out "gdb has no Python"
debug "$work/ptrace" -ex 'run' /bin/true
grep -q 'exited normally' "$work/ptrace" || leave_out "gdb may not run programs here"

fail() { # LOG WHAT
    echo "no $2 in $1:"
    cat "$1"
    exit 1
}

expect() { # LOG PATTERN...  each matches a line, in this order
    log=$1
    shift
    from=1
    for pattern in "$@"; do
        line=$(tail -n +"$from" "$log" | grep -n -E -m1 -- "$pattern" | cut -d: -f1)
        [ -n "$line" ] || fail "$log" "'$pattern' after line $((from - 1))"
        from=$((from + line))
    done
}

# What gdb is asked, live and of the core, between marks that name the question.
ask() { # LOG ARGUMENT...
    log=$1
    shift
    debug "$log" "$@" -ex 'echo [list]\n' -ex 'info cio-tasks' \
        -ex 'echo [sleeper]\n' -ex 'cio-task sleeper bt' \
        -ex 'echo [awaiter]\n' -ex 'cio-task awaiter bt' \
        -ex 'echo [receiver]\n' -ex 'cio-task receiver bt' \
        -ex 'echo [yielder]\n' -ex 'cio-task yielder' \
        -ex 'echo [main]\n' -ex 'cio-task main bt' \
        -ex 'echo [eager]\n' -ex 'cio-task eager bt' \
        -ex 'echo [by id]\n' -ex 'cio-task 4 bt 2' \
        -ex 'echo [thread]\n' -ex 'bt' -ex 'echo [end]\n'
}

# A frame's number, perhaps its address, then the function.
frame() { # FUNCTION
    printf '^#[0-9]+ .*\\b%s \\(' "$1"
}

check() { # LOG
    expect "$1" '^\[list\]' 'Loop 1 .* 7 tasks' 'Id +Name +State +Where' \
        '1 +main +held up +by eager' \
        '2 +sleeper +sleeping +five \(parked\.c:[0-9]+\) in cio_sleep: [0-9.]+ s to go' \
        '3 +awaiter +waiting +wait_for_it \(parked\.c:[0-9]+\) in cio_await.*: sleeper at 0x' \
        '4 +receiver +waiting +read_line \(parked\.c:[0-9]+\) in cio_sock_recv: fd [0-9]+ r' \
        '5 +yielder +ready +yield_for_ever \(parked\.c:[0-9]+\) in (cio_yield|yield_to_others)' \
        '6 +eager +running +in thread 1' \
        '7 +new +new +will begin in never_begun'
    expect "$1" '^\[sleeper\]' '^#0 ' "$(frame cio_sleep)" "$(frame five)" "$(frame four)" \
        "$(frame three)" "$(frame two)" "$(frame one)" "$(frame sleeper)" \
        "$(frame cio__task_main)" '^\[awaiter\]'
    expect "$1" '^\[awaiter\]' '^#0 ' "$(frame 'cio_await(_value)?')" "$(frame wait_for_it)" \
        "$(frame awaiter)" "$(frame cio__task_main)" '^\[receiver\]'
    expect "$1" '^\[receiver\]' '^#0 ' "$(frame cio_sock_recv)" "$(frame read_line)" \
        "$(frame receiver)" "$(frame cio__task_main)" '^\[yielder\]'
    expect "$1" '^\[yielder\]' '^#0 ' "$(frame '(cio_yield|yield_to_others)')" \
        "$(frame yield_for_ever)" "$(frame yielder)" "$(frame cio__task_main)" '^\[main\]'
    expect "$1" '^\[main\]' '^#0 ' "$(frame cio_create_task_with)" "$(frame main_task)" \
        "$(frame cio__task_main)" '^\[eager\]'
    expect "$1" '^\[eager\]' '^#0 .*all_parked' "$(frame eager)" "$(frame cio__task_main)" \
        '^\[by id\]'
    expect "$1" '^\[by id\]' '^#0 ' '^#1 ' '^\[thread\]'
    # Nothing is left of the questions: the thread's own stack is what it was.
    expect "$1" '^\[thread\]' '^#0 .*all_parked' "$(frame eager)" '^\[end\]'
    ! grep -E 'Python Exception|^Error|Traceback' "$1" || fail "$1" "peace"
}

say "a live process, which then goes on to its end"
ask "$work/live" -iex 'set auto-load off' -ex "source $script" -ex 'break all_parked' -ex run \
    -ex "cio-gcore $work/core" "$program"
check "$work/live"
debug "$work/on" -iex 'set auto-load off' -ex "source $script" -ex 'break all_parked' -ex run \
    -ex 'info cio-tasks' -ex 'cio-task sleeper bt' -ex 'continue' "$program"
expect "$work/on" '^ended 0' 'exited normally'

say "a core dump"
[ -s "$work/core" ] || fail "$work/live" "core dump"
ask "$work/dead" -iex 'set auto-load off' -ex "source $script" "$program" "$work/core"
check "$work/dead"

say "a process that sleeps in the kernel, and whose system call must go on"
debug "$work/asleep" -iex 'set auto-load off' -ex "source $script" \
    -ex 'handle SIGALRM stop nopass' -ex 'run sleep' -ex 'info cio-tasks' \
    -ex 'cio-task sleeper bt' -ex continue "$program"
expect "$work/asleep" 'SIGALRM' '1 +main +waiting +main_task .*: dozer at 0x' \
    '6 +dozer +sleeping +dozer' "$(frame five)" '^ended 0' 'exited normally'

say "the program brings the script along"
debug "$work/loaded" -iex "add-auto-load-safe-path $program" -ex 'break all_parked' -ex run \
    -ex 'info cio-tasks' "$program"
expect "$work/loaded" 'Loop 1 .* 7 tasks'
say "ok"
