"""The same lines on asyncio's loop and on cio's must show the same. probes.py tells how they are written."""
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

import probes
import pytest

HERE = pathlib.Path(__file__).parent
ASYNCIO = "asyncio:SelectorEventLoop"
OURS = os.environ.get("CIO_TEST_LOOP", "cio:EventLoop")

# What AbstractEventLoop says for a loop that does not have a method.
NOT_BUILT = re.compile(r"NotImplementedError|\bAbstractEventLoop\.\w+\(\)")


@functools.cache
def shown(subject, factory):
    """What each probe of a subject showed; the last entry is why there are no more."""
    process = subprocess.run([sys.executable, HERE / "child.py", subject, factory], capture_output=True, text=True,
                             timeout=300, cwd=HERE)
    results = dict(json.loads(line) for line in process.stdout.splitlines())
    return results, f"status {process.returncode}: {process.stderr[-3000:]}"


def cases():
    for subject in probes.subjects():
        for probe in probes.read(subject):
            if probe.applies():
                yield pytest.param(subject, probe, id=f"{subject}: {probe.title}")


@pytest.mark.parametrize("subject, probe", list(cases()))
def test_shows_the_same(subject, probe):
    theirs, ours = shown(subject, ASYNCIO), shown(subject, OURS)
    for name, (results, end) in ("asyncio", theirs), ("cio", ours):
        assert probe.title in results, f"{name} did not come to this probe: {end}"
    expected, seen = theirs[0][probe.title], ours[0][probe.title]
    missing = [line for line in seen if NOT_BUILT.search(line) and line not in expected]
    if missing:
        pytest.xfail(f"not built yet: {missing[0]}")
    if probe.differs:
        assert seen != expected, f"no difference any more, though there should be: {probe.differs}"
    else:
        assert seen == expected


def test_there_are_at_least_a_hundred():
    assert len(list(cases())) >= 100
