"""Programs of PyPI's packages, unchanged, on asyncio and by `python -m cio`: what they print must be the same."""
import contextlib
import importlib.util
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

HERE = pathlib.Path(__file__).parent
PROGRAMS = sorted(path for path in HERE.glob("*.py") if path.name not in ("common.py", pathlib.Path(__file__).name))
LIMIT = 120
STARTUP_LIMIT = 30
# How the programs are put on the loop; another one proves the tests themselves.
OURS = os.environ.get("CIO_TEST_RUNNER", "-m cio").split()
LOOP_MODULE = os.environ.get("CIO_TEST_RUNNER_LOOP", "cio")


def header(path, word):
    """The words behind "# WORD:" at the head of a program."""
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            return []
        if line.startswith(f"# {word}:"):
            return line.partition(":")[2].split()
    return []


def wait_until(works, what):
    limit = time.monotonic() + STARTUP_LIMIT
    while not works():
        assert time.monotonic() < limit, f"{what} does not answer"
        time.sleep(0.05)


def quiet(*command, **options):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options).returncode == 0


@contextlib.contextmanager
def postgresql(folder):
    """A server with nothing but a socket in the folder. It refuses to be root, so root asks somebody else to be it."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [shutil.which("initdb")]
    if found[-1] is None:
        pytest.skip("no PostgreSQL is installed")
    programs = pathlib.Path(found[-1]).parent
    user = {}
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-U", "test", "-A", "trust", "--no-sync", "-E", "UTF8"], check=True,
                   stdout=subprocess.DEVNULL, cwd=folder, **user)
    server = subprocess.Popen([programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-F"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **user)
    try:
        wait_until(lambda: quiet(programs / "pg_isready", "-q", "-h", folder, "-d", "postgres"), "PostgreSQL")
        yield {"POSTGRESQL": f"postgresql://test@/postgres?host={folder}"}
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def redis(folder):
    program = shutil.which("redis-server")
    if not program:
        pytest.skip("no redis-server is installed")
    socket = folder / "redis"
    server = subprocess.Popen([program, "--port", "0", "--unixsocket", socket, "--save", ""], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        wait_until(socket.exists, "redis")
        yield {"REDIS": f"unix://{socket}"}
    finally:
        server.terminate()
        server.wait()


SERVICES = {"postgresql": postgresql, "redis": redis}


def run(program, how, environment):
    return subprocess.run([sys.executable, *how, str(program)], capture_output=True, text=True, timeout=LIMIT, cwd=HERE,
                          env=dict(os.environ, PYTHONPATH=str(HERE), **environment))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_prints_the_same(program):
    for module in header(program, "needs"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed for this interpreter")
    with contextlib.ExitStack() as services:
        environment = {}
        for service in header(program, "service"):
            environment |= services.enter_context(SERVICES[service](short_folder(services)))
        on_asyncio = run(program, [], environment)
        assert on_asyncio.returncode == 0 and "loop: asyncio" in on_asyncio.stderr, on_asyncio.stderr
        assert on_asyncio.stdout
        on_ours = run(program, OURS, environment)
    if on_ours.returncode != 0 and "NotImplementedError" in on_ours.stderr:
        pytest.xfail("not built yet: " + " ".join(re.findall(r"in (\w+)\n +raise NotImplementedError", on_ours.stderr)))
    assert f"loop: {LOOP_MODULE}" in on_ours.stderr, on_ours.stderr[-3000:]
    assert (on_ours.stdout, on_ours.returncode) == (on_asyncio.stdout, 0), on_ours.stderr[-3000:]


def short_folder(services):
    """Sockets' paths have 107 bytes, and pytest's folders are longer."""
    return pathlib.Path(services.enter_context(tempfile.TemporaryDirectory(prefix="cio", dir="/tmp", ignore_cleanup_errors=True)))
