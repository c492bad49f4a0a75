"""Runs the test suites of packages from PyPI, as their sdists carry them, on asyncio and on cio.

    python run.py [aiohttp|anyio|uvicorn]... [--folder DIRECTORY] [--loops asyncio,cio]

websockets is not among them: its sdist carries no tests. Each suite has a venv of its own beside the sdist. A test that fails
on cio and passes on asyncio fails the run. The figures go to build/world.json.
"""
import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).parent
SUITE_LIMIT = 3600


@dataclasses.dataclass
class Suite:
    name: str
    requirements: list
    arguments: list
    tests: str = "tests"


PYTEST = ["pytest", "pytest-mock", "pytest-timeout", "pytest-xdist", "trustme"]
SUITES = {
    suite.name: suite for suite in [
        Suite("aiohttp", [*PYTEST, "freezegun", "re-assert", "proxy.py", "pytest-cov", "time-machine", "uvloop", "Brotli", "isal",
                          "zlib-ng", "pytest-codspeed", "setuptools-git", "gunicorn", "cryptography", "pydantic", "backports.zstd"],
              ["-m", "not autobahn and not internal and not dev_mode", "--aiohttp-loop=pyloop", "-n2", "--dist=loadfile",
               "--no-cov"]),
        Suite("anyio", [*PYTEST, "exceptiongroup", "psutil", "hypothesis", "trio", "truststore"], ["-m", "not network", "-k", "not trio", "-n2"]),
        Suite("uvicorn", [*PYTEST, "anyio", "httpx", "h11", "httptools", "websockets", "wsproto", "a2wsgi", "cryptography", "watchfiles",
                          "python-dotenv", "pyyaml", "typing_extensions", "coverage"], []),
    ]
}


def call(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


def prepare(suite, folder):
    """A venv with the package, what its tests need, and cio; beside it the unpacked sdist."""
    home = folder / suite.name
    python = home / "venv" / "bin" / "python"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        call(sys.executable, "-m", "venv", home / "venv")
        call(python, "-m", "pip", "install", "-q", suite.name)
        for requirement in suite.requirements:  # one that has no wheel here costs the tests that need it
            subprocess.run([python, "-m", "pip", "install", "-q", "--only-binary", ":all:", requirement], stderr=subprocess.DEVNULL)
        version = subprocess.run([python, "-c", f"import importlib.metadata as m; print(m.version({suite.name!r}))"],
                                 capture_output=True, text=True, check=True).stdout.strip()
        call(python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", suite.name, "-d", home, f"{suite.name}=={version}")
        with tarfile.open(next(home.glob("*.tar.gz"))) as archive:
            archive.extractall(home, filter="data")
        (home / "ready").touch()
    source = next(path for path in home.iterdir() if path.is_dir() and path.name != "venv")
    # The package under test is the installed one, with its extensions: not the sources beside the tests.
    for package in source / suite.name, source / "src":
        if package.exists():
            package.rename(package.with_name(package.name + ".sources"))
    return python, source


def package_of_cio():
    """The folder that holds the cio which this interpreter has installed."""
    return pathlib.Path(importlib.metadata.distribution("cio").locate_file("")).resolve()


def run(suite, python, source, loop, folder):
    report = folder / suite.name / f"{loop}.xml"
    report.unlink(missing_ok=True)
    bridge = folder / "bridge"
    bridge.mkdir(exist_ok=True)
    link = bridge / "cio"
    link.unlink(missing_ok=True)
    link.symlink_to(package_of_cio() / "cio")
    environment = dict(os.environ, CIO_WORLD=loop, PYTHONPATH=os.pathsep.join([str(HERE / "site"), str(bridge)]))
    with open(folder / suite.name / f"{loop}.log", "w") as log:
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=120", f"--junitxml={report}"]
        process = subprocess.Popen([*command, *suite.arguments, suite.tests], cwd=source, env=environment, stdout=log, stderr=log,
                                   start_new_session=True)
        try:
            process.wait(SUITE_LIMIT)
        except subprocess.TimeoutExpired:
            print(f"{suite.name} on {loop} did not end", file=log)
        with contextlib.suppress(ProcessLookupError):  # and what the tests left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return read(report)


def read(report):
    """Name of the test -> passed, failed or skipped."""
    outcomes = {}
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            kinds = {child.tag for child in case}
            outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
            if outcomes.get(name) != "failed":
                outcomes[name] = outcome
    return outcomes


def count(outcomes, outcome):
    return sum(each == outcome for each in outcomes.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suites", nargs="*", help="without any: all")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/world"))
    parser.add_argument("--loops", default="asyncio,cio")
    options = parser.parse_args()
    folder = options.folder.resolve()

    figures, worse = [], 0
    for name in options.suites or SUITES:
        suite = SUITES[name]
        python, source = prepare(suite, folder)
        outcomes = {}
        for loop in options.loops.split(","):
            outcomes[loop] = run(suite, python, source, loop, folder)
            row = {"suite": source.name.removesuffix(".sources"), "loop": loop, "python": platform.python_version()}
            row |= {outcome: count(outcomes[loop], outcome) for outcome in ("passed", "failed", "skipped")}
            figures.append(row)
            print("{suite} on {loop}: {passed} passed, {failed} failed, {skipped} skipped".format(**row), flush=True)
            if not row["passed"]:
                worse += 1
                log = folder / name / f"{loop}.log"
                print(f"  it did not run: {log}", *log.read_text(errors="replace").splitlines()[-5:], sep="\n  ", flush=True)
        for test, outcome in sorted(outcomes.get("asyncio", {}).items() if "cio" in outcomes else []):
            ours = outcomes["cio"].get(test, "missing")
            if outcome == "passed" and ours != "passed":
                worse += 1
                print(f"  {ours} on cio only: {test}")
    pathlib.Path("build").mkdir(exist_ok=True)
    pathlib.Path("build/world.json").write_text(json.dumps(figures, indent=1) + "\n")
    good = sum(row["passed"] for row in figures if row["loop"] == "cio")
    print(f"{good} passed, {worse} failed")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
