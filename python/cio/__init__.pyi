import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

__all__: list[str]
__version__: str

class EventLoop(asyncio.AbstractEventLoop):
    slow_callback_duration: float
    def __init__(self) -> None: ...

class Handle(asyncio.Handle): ...
class TimerHandle(asyncio.TimerHandle): ...

class EventLoopPolicy(asyncio.DefaultEventLoopPolicy): ...

class Runner(asyncio.Runner):
    def __init__(
        self,
        *,
        debug: bool | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None: ...

def new_event_loop() -> EventLoop: ...
def install() -> None: ...
def run(
    main: Coroutine[Any, Any, _T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> _T: ...
