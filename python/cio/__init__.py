"""asyncio's event loop, in C.

    import cio
    cio.run(main())

runs a program of asyncio's on it; so do asyncio.run(main(), loop_factory=cio.EventLoop),
cio.install() at its beginning, and, without a change, "python -m cio program.py".
"""

import asyncio as _asyncio
import sys as _sys

from ._core import EventLoop, Handle, TimerHandle

__all__ = [
    "EventLoop",
    "Handle",
    "Runner",
    "TimerHandle",
    "install",
    "new_event_loop",
    "run",
]

__version__ = "0.1.0"


def new_event_loop():
    """A new loop that is not running: asyncio.new_event_loop()."""
    return EventLoop()


class Runner(_asyncio.Runner):
    """asyncio.Runner, whose loops are cio's unless a loop_factory says otherwise."""

    def __init__(self, *, debug=None, loop_factory=None):
        super().__init__(debug=debug, loop_factory=loop_factory or new_event_loop)


def run(main, *, debug=None, loop_factory=None):
    """asyncio.run() on a loop of cio's: run a coroutine and return its result."""
    if _asyncio._get_running_loop() is not None:
        raise RuntimeError("cio.run() cannot be called from a running event loop")
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)


if _sys.version_info < (3, 12):
    # Later versions of asyncio do it themselves: the loops' sockets, which signals are written to,
    # are the parent's too.
    import os as _os
    import signal as _signal

    _os.register_at_fork(after_in_child=lambda: _signal.set_wakeup_fd(-1))

if _sys.version_info < (3, 14):
    from ._policy import EventLoopPolicy

    __all__.append("EventLoopPolicy")

    def install():
        """From now on asyncio.run() and asyncio.new_event_loop() make loops of cio's."""
        _asyncio.set_event_loop_policy(EventLoopPolicy())

else:

    def __getattr__(name):
        # Policies are deprecated: only who asks for one is told so, and from 3.16 on there are none.
        if name == "EventLoopPolicy" and hasattr(_asyncio.events, "_AbstractEventLoopPolicy"):
            from ._policy import EventLoopPolicy

            return EventLoopPolicy
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def install():
        """From now on asyncio.run() and asyncio.new_event_loop() make loops of cio's."""
        for module in (_asyncio, _asyncio.events):
            module.new_event_loop = new_event_loop
        _asyncio.EventLoop = EventLoop
