"""The policy whose loops are cio's, for the Pythons that have policies."""

from asyncio.unix_events import _UnixDefaultEventLoopPolicy

from ._core import EventLoop


class EventLoopPolicy(_UnixDefaultEventLoopPolicy):
    """asyncio's policy: one loop a thread, made on demand in the main thread; of cio's kind."""

    _loop_factory = EventLoop
