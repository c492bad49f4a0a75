import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import TracebackType
from typing import Any, TypeVar
from typing_extensions import Self

_T = TypeVar("_T")
_LoopFactory = Callable[[], asyncio.AbstractEventLoop]

__all__ = [
    "EventLoop",
    "Handle",
    "Runner",
    "TimerHandle",
    "install",
    "new_event_loop",
    "run",
    "EventLoopPolicy",
]
__version__: str

# It is an asyncio.AbstractEventLoop and nothing else. To a type checker it is asyncio's loop for
# Linux, whose methods it has, with the parameters that they have in this version of Python.
class EventLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None: ...

class Handle(asyncio.Handle): ...
class TimerHandle(asyncio.TimerHandle): ...

# It is an asyncio.Runner, from which a type checker would let nobody inherit.
class Runner:
    def __init__(
        self, *, debug: bool | None = None, loop_factory: _LoopFactory | None = None
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...
    def close(self) -> None: ...
    def get_loop(self) -> asyncio.AbstractEventLoop: ...
    def run(self, coro: Coroutine[Any, Any, _T], *, context: Context | None = None) -> _T: ...

def new_event_loop() -> EventLoop: ...
def install() -> None: ...
def run(
    main: Coroutine[Any, Any, _T],
    *,
    debug: bool | None = None,
    loop_factory: _LoopFactory | None = None,
) -> _T: ...

if sys.version_info < (3, 16):
    from asyncio.unix_events import _UnixDefaultEventLoopPolicy

    class EventLoopPolicy(_UnixDefaultEventLoopPolicy): ...
