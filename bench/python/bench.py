"""The Python front beside asyncio and other loops: a table, and JSON as the C benchmarks write it.

    python bench.py [--only TEXT] [--rounds N] [--loops cio,asyncio,...] [--clock wall|processor] [--instructions]
                    [-o build/bench-python.json]

Every sample is a process of its own, on the same interpreter; rounds are interleaved over all rows, and the loops take turns
at being first. With --instructions callgrind counts user instructions instead: slow, and the same every time.
"""
import argparse
import collections
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import rows

HERE = pathlib.Path(__file__).parent
LOOPS = {
    "cio": "cio:EventLoop",
    "asyncio": "asyncio:SelectorEventLoop",
    "uvloop": "uvloop:new_event_loop",
    "rloop": "rloop:new_event_loop",
    "zuvloop": "zuvloop:new_event_loop",
    "rsloop": "rsloop:new_event_loop",
    "talyn": "talyn:Loop",
    "blazio": "blazio:new_event_loop",
    "aiofastnet": "patched:aiofastnet_on_uvloop",
}
HTTP = {"http-aiohttp": "aiohttp", "http-uvicorn": "uvicorn"}
SAMPLE_LIMIT = 60
HTTP_SECONDS = 2
HTTP_CONNECTIONS = 16
# Callgrind's two runs have these; what both do once goes out in the difference.
INSTRUCTION_COUNTS = (500, 1500)
FEW_INSTRUCTION_COUNTS = (20, 60)


# What a loop says that has not the part that a row needs.
NOT_BUILT = "not built"


class Failed(Exception):
    pass


def available(factory):
    module, _, attribute = factory.partition(":")
    process = subprocess.run([sys.executable, "-c", f"import {module}; {module}.{attribute}().close()"], capture_output=True, cwd=HERE)
    return process.returncode == 0


def sample(name, factory):
    if name in HTTP:
        return sample_http(HTTP[name], factory)
    try:
        process = subprocess.run([sys.executable, HERE / "rows.py", name, factory], capture_output=True, text=True,
                                 timeout=SAMPLE_LIMIT)
    except subprocess.TimeoutExpired:
        raise Failed("hangs") from None
    if process.returncode != 0:
        raise Failed(reason(process))
    return float(process.stdout)


def reason(process):
    last = (process.stderr.strip().splitlines() or [f"status {process.returncode}"])[-1]
    return NOT_BUILT if last.startswith("NotImplementedError") else last


def sample_http(kind, factory):
    """Microseconds of the server's processor time for a request of wrk's."""
    wrk = shutil.which("wrk")
    if not wrk:
        raise Failed("wrk is not installed")
    server = subprocess.Popen([sys.executable, HERE / "http_server.py", kind, factory], stdin=-1, stdout=-1,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        port = server.stdout.readline().strip()
        if not port:
            raise Failed("the server does not begin")

        def load(seconds):
            process = subprocess.run([wrk, "-t1", f"-c{HTTP_CONNECTIONS}", f"-d{seconds}", f"http://127.0.0.1:{port}/"],
                                     capture_output=True, text=True, timeout=60)
            found = re.search(r"(\d+) requests in", process.stdout)
            if not found or int(found[1]) == 0 or "Non-2xx" in process.stdout:
                raise Failed("requests fail")
            return int(found[1])

        def spent():
            server.stdin.write("\n")
            server.stdin.flush()
            return float(server.stdout.readline())

        load(1)
        before = spent()
        requests = load(HTTP_SECONDS)
        return (spent() - before) / requests * 1e6
    finally:
        server.stdin.close()
        server.kill()
        server.wait()


def instructions(name, factory):
    if name in HTTP:
        raise Failed("not counted")
    counts = FEW_INSTRUCTION_COUNTS if rows.ROWS[name][1] < 1000 else INSTRUCTION_COUNTS
    if name.startswith(("call-", "gather")):
        counts = tuple(count * 10 // 1000 * 1000 for count in INSTRUCTION_COUNTS)
    totals = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", sys.executable, str(HERE / "rows.py"),
                       name, factory, str(count)]
            process = subprocess.run(command, capture_output=True, text=True, timeout=900,
                                     env=dict(os.environ, PYTHONMALLOC="pymalloc", PYTHONHASHSEED="0"))
            found = re.search(r"Collected : (\d+)", process.stderr)
            if process.returncode != 0 or not found:
                raise Failed(reason(process))
            totals.append(int(found[1]))
    return (totals[1] - totals[0]) / (counts[1] - counts[0])


def measure(options, names, loops):
    samples, failures = collections.defaultdict(list), {}
    for turn in range(1 if options.instructions else options.rounds):
        order = list(loops)
        order = order[turn % len(order):] + order[:turn % len(order)]
        for name in names:
            for loop in order:
                if (name, loop) in failures:
                    continue
                try:
                    samples[name, loop].append((instructions if options.instructions else sample)(name, LOOPS[loop]))
                except Failed as error:
                    failures[name, loop] = str(error)
            if sys.stderr.isatty():
                print(f"\r{turn + 1}/{options.rounds} {name:30}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(f"\r{'':50}\r", end="", file=sys.stderr)
    return samples, failures


def number(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def cell(values, failure):
    if not values:
        return NOT_BUILT if failure == NOT_BUILT else "–"
    return f"{number(statistics.median(values))} ({number(min(values))}..{number(max(values))})"


def unit_of(name, options):
    if options.instructions:
        return "instr"
    return "us" if name in HTTP else rows.ROWS[name][2]


def show(names, loops, samples, failures, options):
    print(f"CPython {platform.python_version()}")
    print(f"{'median (min..max)':28} {'unit':5}" + "".join(f" {loop:>26}" for loop in loops))
    for name in names:
        print(f"{name:28} {unit_of(name, options):5}" + "".join(f" {cell(samples[name, loop], failures.get((name, loop))):>26}" for loop in loops))
    for (name, loop), why in failures.items():
        if why != NOT_BUILT:
            print(f"{name} {loop} FAILED: {why}")


def write(path, names, loops, samples, options):
    lines = []
    for name in names:
        for loop in loops:
            if values := samples[name, loop]:
                lines.append(json.dumps({
                    "bench": name, "subject": loop, "unit": unit_of(name, options), "median": statistics.median(values),
                    "min": min(values), "max": max(values), "python": platform.python_version(),
                }, separators=(",", ":")))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"rows":[\n' + ",\n".join(lines) + "\n]}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="the rows with this in their name; several between commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loops", default=",".join(LOOPS))
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="processor: for a machine that is in use")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("-o", dest="output", type=pathlib.Path, default=pathlib.Path("build/bench-python.json"))
    options = parser.parse_args()

    names = [name for name in [*rows.ROWS, *HTTP] if any(part in name for part in options.only.split(","))]
    loops = []
    for loop in options.loops.split(","):
        if available(LOOPS[loop]):
            loops.append(loop)
        else:
            print(f"{loop} is absent: it is not installed for this interpreter")
    if not names or not loops:
        print("nothing to measure")
        return 2
    os.environ["CIO_BENCH_CLOCK"] = options.clock
    samples, failures = measure(options, names, loops)
    show(names, loops, samples, failures, options)
    write(options.output, names, loops, samples, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
