"""Generators, plain and asynchronous. generators.c is the twin."""

import asyncio

from trace_asyncio import FOREVER, Err, how, say, scenario, wait_turns


def word(end):
    """How a call ended: a value, the end, or an error."""
    if isinstance(end, (StopIteration, StopAsyncIteration)):
        value = getattr(end, "value", None)
        return "end" if value is None else f"end with {value}"
    if isinstance(end, GeneratorExit):
        return "closed"
    if isinstance(end, RuntimeError):
        text = str(end)
        return "already running" if "already" in text else "ignored its close"
    return how(end)


async def tell(name, awaitable):
    try:
        end = await awaitable
    except BaseException as error:
        end = error
    say(f"{name}: {word(end)}")
    return end


def tell_now(name, call, *args):
    try:
        end = call(*args)
    except BaseException as error:
        end = error
    say(f"{name}: {word(end)}")


async def values(name, n, turns=0, cleanup=0, ignores=False):
    """Waits before each of its n values; says how waits and yields end."""
    say(f"{name} begins")
    try:
        for i in range(n):
            await wait_turns(turns)
            sent = yield i + 1
            say(f"{name} was sent {how(sent)}")
    except BaseException as error:
        say(f"{name}: {word(error)}")
        await wait_turns(cleanup)
        say(f"{name} has cleaned up")
        if ignores:
            yield 99
        raise
    say(f"{name} ends")


async def consume(name, g):
    async for value in g:
        say(f"{name} has {value}")


@scenario()
async def generator_async_for():
    await consume("main", values("g", 3, turns=2))


@scenario()
async def generator_that_never_waits():
    await consume("main", values("g", 3))


@scenario()
async def generator_asend():
    g = values("g", 3, turns=1)
    await tell("next", g.__anext__())
    await tell("send", g.asend(7))
    await tell("next", g.__anext__())
    await tell("send", g.asend(8))
    await tell("again", g.__anext__())
    await tell("and again", g.asend(9))


@scenario()
async def generator_athrow():
    g = values("g", 3, turns=1, cleanup=2)
    await tell("next", g.__anext__())
    await tell("throw", g.athrow(Err(5)))
    await tell("next", g.__anext__())


@scenario()
async def generator_athrow_caught():
    async def catch():
        try:
            yield 1
        except Err:
            await wait_turns(1)
            yield 2

    g = catch()
    await tell("next", g.__anext__())
    await tell("throw", g.athrow(Err(5)))
    await tell("next", g.__anext__())


@scenario()
async def generator_athrow_before_its_start():
    g = values("g", 3)
    await tell("throw", g.athrow(Err(5)))
    await tell("next", g.__anext__())


@scenario()
async def generator_aclose():
    g = values("g", 3, turns=1, cleanup=3)
    await tell("next", g.__anext__())
    await tell("close", g.aclose())
    await tell("close", g.aclose())
    await tell("next", g.__anext__())


@scenario()
async def generator_aclose_before_its_start():
    g = values("g", 3)
    await tell("close", g.aclose())
    await tell("next", g.__anext__())


@scenario()
async def generator_ignores_its_close():
    g = values("g", 3, cleanup=1, ignores=True)
    await tell("next", g.__anext__())
    await tell("close", g.aclose())


@scenario()
async def generator_two_at_once():
    g = values("g", 2, turns=3)
    first = asyncio.create_task(consume("first", g))
    await wait_turns(1)
    await tell("next", g.__anext__())
    await tell("throw", g.athrow(Err(5)))
    await tell("close", g.aclose())
    await tell("first", first)


@scenario()
async def generator_two_consumers():
    g = values("g", 6, turns=1)

    async def take(name, n, turns):
        await wait_turns(turns)
        for _ in range(n):
            say(f"{name} has {await g.__anext__()}")
            await wait_turns(4)

    a = asyncio.create_task(take("a", 3, 0))
    b = asyncio.create_task(take("b", 3, 2))
    await tell("a", a)
    await tell("b", b)
    await tell("next", g.__anext__())


@scenario()
async def generator_consumer_canceled():
    g = values("g", 3, turns=FOREVER, cleanup=2)
    task = asyncio.create_task(consume("task", g))
    await wait_turns(2)
    task.cancel()
    await tell("task", task)
    await tell("next", g.__anext__())


@scenario()
async def generator_consumer_canceled_in_the_cleanup():
    g = values("g", 3, cleanup=FOREVER)
    await tell("next", g.__anext__())
    task = asyncio.create_task(tell("close", g.aclose()))
    await wait_turns(2)
    task.cancel()
    await tell("task", task)  # not asked again: CPython 3.11 says that it still runs


@scenario()
async def generator_nested():
    inner = values("inner", 2, turns=1)

    async def outer():
        async for value in inner:
            say(f"outer passes {value} on")
            yield value * 10

    await consume("main", outer())


@scenario()
async def generator_left_at_the_end():
    global left
    left = values("left", 3, cleanup=2)
    await tell("next", left.__anext__())


def plain(name, n):
    say(f"{name} begins")
    try:
        for i in range(n):
            sent = yield i + 1
            say(f"{name} was sent {how(sent)}")
    except BaseException as error:
        say(f"{name}: {word(error)}")
        raise
    say(f"{name} ends")
    return n * 100


def plain_outer(name, inner):
    say(f"{name} begins")
    try:
        result = yield from inner
    except BaseException as error:
        say(f"{name}: {word(error)}")
        raise
    say(f"{name} has {result}")
    yield 50
    return result


@scenario()
async def generator_plain():
    g = plain("g", 2)
    tell_now("next", next, g)
    tell_now("send", g.send, 7)
    tell_now("next", next, g)
    tell_now("next", next, g)
    tell_now("close", g.close)


@scenario()
async def generator_delegates():
    g = plain_outer("outer", plain("inner", 2))
    tell_now("next", next, g)
    tell_now("send", g.send, 7)
    tell_now("send", g.send, 8)
    tell_now("next", next, g)
    tell_now("next", next, g)


@scenario()
async def generator_delegates_errors():
    g = plain_outer("outer", plain("inner", 2))
    tell_now("next", next, g)
    tell_now("throw", g.throw, Err(5))
    tell_now("next", next, g)


@scenario()
async def generator_delegates_its_close():
    g = plain_outer("outer", plain("inner", 2))
    tell_now("next", next, g)
    tell_now("close", g.close)
    tell_now("next", next, g)
