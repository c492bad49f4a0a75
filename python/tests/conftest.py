"""What the suites of the package itself share."""
import gc
import os
import sys

import pytest

import cio


@pytest.fixture
def loop():
    loop = cio.EventLoop()
    yield loop
    if not loop.is_closed():
        loop.close()


@pytest.fixture
def run():
    """Runs a coroutine function's coroutine on a loop of its own, as asyncio.run() would."""

    def run(coroutine):
        return cio.run(coroutine)

    return run


def resident():
    """The pages that the process has in memory, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


class Growth:
    """What repeated work left behind: the least of several parts, for what leaks does so in every one of them, and
    what else goes on in the interpreter does not.
    """

    NAMES = ("objects", "blocks", "references", "bytes", "descriptors")

    def __init__(self, work, rounds, warm=3, parts=5):
        for _ in range(warm):
            work()
        seen = [self.measure()]
        for _ in range(parts):
            for _ in range(rounds):
                work()
            seen.append(self.measure())
        for n, name in enumerate(self.NAMES):
            setattr(self, name, min(after[n] - before[n] for before, after in zip(seen, seen[1:])))

    @staticmethod
    def measure():
        gc.collect()
        # The types' cache of attributes holds names that C code has made for one look-up.
        getattr(sys, "_clear_internal_caches", sys._clear_type_cache)()
        references = getattr(sys, "gettotalrefcount", lambda: 0)()
        return len(gc.get_objects()), sys.getallocatedblocks(), references, resident(), open_descriptors()
