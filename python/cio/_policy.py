"""The policy whose loops are cio's, for the Pythons that have policies."""

import asyncio.events

from ._core import EventLoop

_Base = getattr(asyncio.events, "_BaseDefaultEventLoopPolicy", None)
if _Base is None:
    _Base = asyncio.events.BaseDefaultEventLoopPolicy


class EventLoopPolicy(_Base):
    """asyncio's policy: one loop a thread, made on demand in the main thread; of cio's kind."""

    _loop_factory = EventLoop

    if hasattr(asyncio.events.AbstractEventLoopPolicy, "get_child_watcher"):
        # Our loops watch children themselves; asyncio.Runner asks for nothing else.

        def get_child_watcher(self):
            raise NotImplementedError("cio's loops watch their child processes themselves")

        def set_child_watcher(self, watcher):
            raise NotImplementedError("cio's loops watch their child processes themselves")
