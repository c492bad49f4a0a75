#!/bin/bash
# The Python front's suites, on one interpreter or on all that the machine has.
#
#     tools/python.sh find                    every CPython that the package is for, a line each; CIO_PYTHONS says which instead
#     tools/python.sh test [PYTHON...]        build the package for it and run the suites
#     tools/python.sh conformance PYTHON ...  CPython's own asyncio tests, with run.py's arguments
#     tools/python.sh asan PYTHON             a part of the suites with the extension under AddressSanitizer and UBSan
#     tools/python.sh run PYTHON ...          python of that venv, with these arguments
#     tools/python.sh demo [ARGUMENT...]      python/examples/side_by_side.py on the newest that has its headers; builds without pip
#     tools/python.sh bench [ARGUMENT...]     bench/python/bench.py's, on CIO_BENCH_PYTHON or the newest
#     tools/python.sh world [SUITE...]        the long suites of PyPI's packages, on CIO_WORLD_PYTHON or the newest
#
# What is built stays in build/python/VERSION, the logs and JUnit files in build/logs.
set -u
# Whoever started this may have ^C ignored, as shells do for what runs in the background; the suites test it.
if [ -z "${CIO_SIGNALS_ARE_USUAL:-}" ] && env --default-signal=INT true 2>/dev/null; then
    CIO_SIGNALS_ARE_USUAL=1 exec env --default-signal=INT "$0" "$@"
fi
cd "$(dirname "$0")/.." || exit 1

LOGS=$PWD/build/logs
JOBS=${JOBS:-$(nproc)}
TESTS=python/tests
BENCH=bench/python

# Prints "VERSION PATH" of a CPython that is new enough; nothing of any other.
describe() { # PYTHON
    "$1" -I - 2>/dev/null <<'PYTHON'
import os, platform, sys, sysconfig
if sys.implementation.name == "cpython" and sys.version_info >= (3, 11):
    free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    debug = "d" if sysconfig.get_config_var("Py_DEBUG") else ""
    print(platform.python_version() + free + debug, os.path.realpath(sys.executable))
PYTHON
}

find_pythons() {
    {
        local folder candidate
        for candidate in ${CIO_PYTHONS:-}; do
            describe "$candidate"
        done
        [ -z "${CIO_PYTHONS:-}" ] || return 0
        for folder in ${PATH//:/ } "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin; do
            for candidate in "$folder"/python3 "$folder"/python3.1[1-9] "$folder"/python3.1[1-9]d; do
                [ -x "$candidate" ] && describe "$candidate"
            done
        done
    } | sort -u -k2 | sort -rV
}

# A venv whose name is the interpreter's, and the package in it. Building again is quick where little has changed.
prepare() { # PYTHON [SETTING...]  the settings are the build's
    local found
    found=$(describe "$1")
    [ -n "$found" ] || { echo "$1 is no CPython that the package is for" >&2; return 1; }
    version=${found%% *}
    # Two interpreters of one version are two: Debian's python3.11 and another.
    home=$PWD/build/python/$version-$(echo "${found#* }" | cksum | cut -c1-4)${variant:-}
    python=$home/venv/bin/python
    if ! "$python" -c 'import pip' 2>/dev/null; then
        rm -rf "$home/venv"
        "${found#* }" -m venv "$home/venv" || return 1
    fi
    install "$TESTS/requirements.txt" || return 1
    # Debian's headers of a debug build are links to the others, and gcc looks for pyconfig.h where a system's link leads.
    case $version in *d) export CFLAGS=-fno-canonical-system-headers ;; esac
    "$python" -m pip install -q --no-build-isolation --no-deps --force-reinstall --config-settings build-dir="$home/build" \
        --config-settings cmake.define.CIO_WERROR="${CIO_WERROR:-ON}" "${@:2}" . || return 1
}

# Nothing is asked of the network where the same has been installed before.
install() { # REQUIREMENTS
    local stamp
    stamp=$home/$(basename "$1" .txt).installed
    cmp -s "$1" "$stamp" && return
    "$python" -m pip install -q -r "$1" && cp "$1" "$stamp"
}

# Those that have no wheel for this interpreter are left out: what needs them says so.
install_what_there_is() { # REQUIREMENTS
    local requirement
    install "$1" 2>/dev/null && return
    while read -r requirement; do
        case $requirement in '' | '#'*) continue ;; esac
        "$python" -m pip install -q --only-binary :all: "$requirement" 2>/dev/null || echo "not installed: $requirement"
    done <"$1"
}

newest() {
    find_pythons | head -1 | cut -d' ' -f2-
}

# Says what CMake is to be told for the package, as pyproject.toml has it.
settings_of_package() { # PYTHON
    "$1" -I - <<'PYTHON'
import tomllib
with open("pyproject.toml", "rb") as file:
    settings = tomllib.load(file)["tool"]["scikit-build"]["cmake"]
print("-DCMAKE_BUILD_TYPE=" + settings["build-type"], *(f"-D{name}={value}" for name, value in settings["define"].items()))
PYTHON
}

has_headers() { # PYTHON
    "$1" -I -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null
}

# The package is built without a venv and asks nothing of the network.
demo() { # [ARGUMENT...]
    local interpreter='' found log=$LOGS/python-demo.log
    while read -r version found; do
        case $version in *[a-z]) continue ;; esac
        has_headers "$found" && { interpreter=$found; break; }
    done < <(find_pythons)
    if [ -z "$interpreter" ]; then
        echo "no CPython from 3.11 on with its headers (python3-dev) is here: the program in Python is left out"
        return 0
    fi
    home=$PWD/build/python/demo-$version
    # shellcheck disable=SC2046 # it is a list
    if ! { cmake -S . -B "$home/build" -G Ninja -DPython_EXECUTABLE="$interpreter" $(settings_of_package "$interpreter") &&
        cmake --build "$home/build" -j "$JOBS" --target cio_python &&
        cmake --install "$home/build" --component python --prefix "$home/site" &&
        cp python/cio/*.py "$home/site/cio/"; } >"$log" 2>&1; then
        tail -20 "$log"
        echo "the Python package does not build for $interpreter: $log"
        return 1
    fi
    PYTHONPATH=$home/site "$interpreter" python/examples/side_by_side.py "$@"
}

# Objects of Python come from malloc() then, so that the sanitizer sees each. Python itself never frees all that it has.
# No test goes on in a forked child there (test_unix_events, tests named so): if the parent had threads, the child may find the
# sanitizer's own allocator locked for ever. A child that becomes another program at once is no matter.
test_asan() { # PYTHON
    local status=0 variant=-asan flags='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1'
    prepare "$1" --config-settings cmake.define.CMAKE_C_FLAGS="$flags" --config-settings cmake.build-type=None --config-settings install.strip=false || return 1
    local name=python-$(basename "$home")
    rm -f "$LOGS/$name"-*.xml
    local under=(env LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" PYTHONMALLOC=malloc
        ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1)
    "${under[@]}" "$python" "$TESTS/conformance/run.py" -j $((2 * JOBS)) --junit "$LOGS/$name-conformance.xml" \
        test_events test_sock_lowlevel test_streams test_server test_buffered_proto test_context test_runners test_sendfile
    [ $? = 0 ] || [ $? = 3 ] || status=1
    # A fork, which a preexec_fn asks for, may find the sanitizer's own allocator locked for ever in the child.
    local forks='fork or processes or preexec or before_the_program or cannot_be_run'
    "${under[@]}" "$python" -m pytest -q --junitxml "$LOGS/$name-tests.xml" "$TESTS" --ignore "$TESTS/test_leaks.py" \
        --ignore "$TESTS/programs" -k "not memory_is_flat and not ($forks)" || status=1
    return $status
}

# Most of CPython's tests wait for a clock, so there are more of them at a time than processors.
test_python() { # PYTHON
    local status=0
    prepare "$1" || return 1
    local name=python-$(basename "$home")
    rm -f "$LOGS/$name"-[ct]*.xml
    # A debug build is there to count references; the rest it would do slowly, and no other than its sibling.
    case $version in *d)
        "$python" -m pytest -q --junitxml "$LOGS/$name-tests.xml" "$TESTS/test_leaks.py" "$TESTS/test_collector.py"
        return
        ;;
    esac
    "$python" "$TESTS/conformance/run.py" -j $((2 * JOBS)) --junit "$LOGS/$name-conformance.xml"
    [ $? = 0 ] || [ $? = 3 ] || status=1
    install_what_there_is "$TESTS/requirements-programs.txt"
    "$python" -m pytest -q --junitxml "$LOGS/$name-tests.xml" "$TESTS" || status=1
    return $status
}

mkdir -p "$LOGS"
verb=${1:-test}
[ $# = 0 ] || shift
case $verb in
find) find_pythons ;;
test)
    status=0
    if [ $# = 0 ]; then
        mapfile -t pythons < <(find_pythons | cut -d' ' -f2-)
        set -- "${pythons[@]}"
    fi
    for interpreter in "$@"; do
        test_python "$interpreter" || status=1
    done
    exit $status
    ;;
asan)
    test_asan "${1:-$(newest)}"
    ;;
conformance)
    prepare "${1:?which PYTHON}" && shift && exec "$python" "$TESTS/conformance/run.py" "$@"
    ;;
run)
    prepare "${1:?which PYTHON}" && shift && exec "$python" "$@"
    ;;
demo)
    demo "$@"
    ;;
bench)
    prepare "${CIO_BENCH_PYTHON:-$(newest)}" && install_what_there_is "$BENCH/requirements.txt" && exec "$python" "$BENCH/bench.py" "$@"
    ;;
world)
    prepare "${CIO_WORLD_PYTHON:-$(newest)}" && exec "$python" "$TESTS/world/run.py" --folder "$home/world" "$@"
    ;;
name)
    found=$(describe "$1")
    echo "${found%% *}-$(echo "${found#* }" | cksum | cut -c1-4)"
    ;;
*)
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
