"""What the asyncio scenarios share; trace.h is its twin."""

import asyncio
from typing import Callable, NamedTuple


class Scenario(NamedTuple):
    function: Callable
    ticks: bool
    own_clock: bool
    since: tuple


scenarios = {}


def scenario(ticks=True, own_clock=False, since=(3, 11)):
    """ticks: the trace counts the turns, which real timers would make unforeseeable.

    own_clock: time passes only while the loop sleeps, so that no load changes what comes first.
    """

    def register(function):
        scenarios[function.__name__] = Scenario(function, ticks, own_clock, since)
        return function

    return register


class Err(Exception):
    """C's negative error codes."""


class OwnClock(asyncio.SelectorEventLoop):
    """Its clock stands while there is something to do; nothing but time passes."""

    def __init__(self):
        super().__init__()
        self._now = 0.0
        self._really_select = self._selector.select
        self._selector.select = self._select

    def time(self):
        return getattr(self, "_now", 0.0)

    def _select(self, timeout=None):
        events = self._really_select(timeout if timeout is None else 0)
        if not events and timeout:
            self._now += timeout
        return events


_turn = 0
_handle = None


def _tick():
    # Queued first, so first in each turn; always ready, so every turn comes at once.
    global _turn, _handle
    _turn += 1
    _handle = asyncio.get_running_loop().call_soon(_tick)


def start_ticker():
    global _turn, _handle
    _turn = 0
    _handle = asyncio.get_running_loop().call_soon(_tick)


def stop_ticker():
    global _handle
    if _handle:
        _handle.cancel()
    _handle = None


def say(text):
    print(f"[{_turn if _handle else '-'}] {text}")


def how(end):
    """An end in words: a result, or an exception."""
    if isinstance(end, asyncio.CancelledError):
        return "canceled"
    if isinstance(end, TimeoutError):
        return "timed out"
    if isinstance(end, BaseExceptionGroup):
        return how(end.exceptions[0])
    if isinstance(end, Err):
        return f"error {end.args[0]}"
    if isinstance(end, BaseException):
        return repr(end)
    return str(0 if end is None else end)


def finish(end):
    """Ends a coroutine as C's return does: below 0 it is an error."""
    if end < 0:
        raise Err(-end)
    return end


def ended(task):
    """How a task that is done ended."""
    if task.cancelled():
        return "canceled"
    return how(task.exception() or task.result())


async def outcome(awaitable):
    """What awaiting it gave, in words."""
    try:
        return how(await awaitable)
    except BaseException as error:
        return how(error)


FOREVER = -1


async def wait_turns(turns):
    if turns == FOREVER:
        await asyncio.get_running_loop().create_future()
    for _ in range(turns):
        await asyncio.sleep(0)


async def work(name, turns, end=0, cleanup=0, swallows=False):
    """A task that takes so many turns, to be finished, or canceled, while it says what happens."""
    say(f"{name} starts")
    try:
        await wait_turns(turns)
    except asyncio.CancelledError:
        say(f"{name} is canceled")
        try:
            await wait_turns(cleanup)
        except asyncio.CancelledError:
            say(f"{name} is canceled again")
            raise
        if not swallows:
            say(f"{name} gives up")
            raise
    say(f"{name} ends {end}")
    return finish(end)


def start(*args, **kwargs):
    return asyncio.create_task(work(*args, **kwargs))
