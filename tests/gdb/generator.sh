#!/bin/sh
# gdb shows a task that waits in a generator with those who have resumed that.
#
#     tests/gdb/generator.sh PROGRAM [GDB]
set -eu

program=$1
gdb=${2:-gdb}
script=$(cd "$(dirname "$0")/../../src/debug" && pwd)/cio-gdb.py
log=$program.log

debug() {
    timeout 60 "$gdb" -nx -q -batch -iex 'set width 0' -iex 'set height 0' -iex 'set confirm off' \
        -iex 'set debuginfod enabled off' "$@" >"$log" 2>&1 </dev/null || true
}

command -v "$gdb" >/dev/null || { echo "skipped: gdb is not installed"; exit 77; }
debug -ex 'python print("has" + "python")'
grep -q haspython "$log" || { echo "skipped: gdb has no Python"; exit 77; }
debug -ex 'run' /bin/true
grep -q 'exited normally' "$log" || { echo "skipped: gdb may not run programs here"; exit 77; }

debug -ex "source $script" -ex 'break all_parked' -ex 'run' -ex 'info cio-tasks' \
    -ex 'cio-task consumer bt' -ex 'cio-task main bt' "$program"
from=1
for pattern in '1 +main +running +in thread 1' 'consumer +sleeping +body_waits .* in cio_sleep' \
    '#[0-9]+ .*body_waits' '#[0-9]+ .*inner' 'in a generator, resumed by' '#[0-9]+ .*ask_inner' \
    '#[0-9]+ .*outer' 'in generator outer, resumed by' '#[0-9]+ .*ask_outer' '#[0-9]+ .*consumer' \
    '#[0-9]+ .*all_parked' '#[0-9]+ .*runs' 'in a generator, resumed by' '#[0-9]+ .*main_task'; do
    line=$(tail -n +"$from" "$log" | grep -n -E -m1 -- "$pattern" | cut -d: -f1)
    [ -n "$line" ] || { echo "no '$pattern' after line $((from - 1)):"; cat "$log"; exit 1; }
    from=$((from + line))
done
