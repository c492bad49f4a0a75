"""Timers and timeouts. timers.c is the twin."""

import asyncio

from trace_asyncio import (
    FOREVER, Err, outcome, say, scenario, start, start_ticker, stop_ticker, wait_turns, work
)


async def limited(seconds, body):
    """The body within a timeout; says how it went."""
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            result = await body(scope)
    except TimeoutError:
        say(f"timeout: timed out {int(scope.expired())}")
        raise
    except asyncio.CancelledError:
        say(f"timeout: canceled {int(scope.expired())}")
        raise
    except Err as error:
        say(f"timeout: error {error.args[0]} {int(scope.expired())}")
        raise
    say(f"timeout: {result} {int(scope.expired())}")
    return result


def waiting(turns, end=0, name="body"):
    return lambda scope: work(name, turns, end)


@scenario()
async def timeout_that_does_not_come():
    await limited(60, waiting(3, 5))
    await limited(None, waiting(1, 6))


@scenario()
async def timeout_of_zero():
    async def body(scope):
        say("body begins")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        raise asyncio.CancelledError

    say(await outcome(limited(0, body)))
    say(f"requests {asyncio.current_task().cancelling()}")


@scenario()
async def timeout_of_zero_without_a_wait():
    async def body(scope):
        return 5

    await limited(0, body)
    say(f"wait: {await outcome(asyncio.sleep(0))}")
    say(f"requests {asyncio.current_task().cancelling()}")


@scenario()
async def timeout_of_zero_and_a_long_wait():
    say(await outcome(limited(-1, waiting(FOREVER))))
    say(f"wait: {await outcome(asyncio.sleep(0))}")


@scenario()
async def timeout_with_an_error():
    async def body(scope):
        await outcome(wait_turns(FOREVER))
        raise Err(4)

    say(await outcome(limited(0, body)))
    say(f"wait: {await outcome(asyncio.sleep(0))}")


@scenario()
async def timeout_with_a_value():
    async def body(scope):
        await outcome(wait_turns(FOREVER))
        return 4

    say(await outcome(limited(0, body)))
    say(f"requests {asyncio.current_task().cancelling()}")


@scenario()
async def timeout_of_a_task():
    async def body(scope):
        return await start("inner", FOREVER, cleanup=3)

    say(await outcome(limited(0, body)))


@scenario()
async def timeout_of_a_task_that_swallows():
    async def body(scope):
        return await start("inner", FOREVER, 3, swallows=True)

    say(await outcome(limited(0, body)))


@scenario()
async def inner_timeout():
    async def outer(scope):
        say(f"inner: {await outcome(limited(0, waiting(FOREVER)))}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        return 1

    say(await outcome(limited(60, outer)))


@scenario()
async def outer_timeout():
    async def outer(scope):
        return await limited(60, waiting(FOREVER))

    say(await outcome(limited(0, outer)))


@scenario()
async def both_timeouts_at_once():
    async def outer(scope):
        say(f"inner: {await outcome(limited(0, waiting(FOREVER)))}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        raise asyncio.CancelledError

    say(await outcome(limited(0, outer)))
    say(f"requests {asyncio.current_task().cancelling()}")


@scenario()
async def reschedule_to_the_past():
    async def body(scope):
        await wait_turns(2)
        scope.reschedule(asyncio.get_running_loop().time() - 1)
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        raise asyncio.CancelledError

    say(await outcome(limited(60, body)))


@scenario()
async def reschedule_to_never():
    async def body(scope):
        scope.reschedule(None)
        say(f"wait: {await outcome(wait_turns(3))}")
        return 2

    say(await outcome(limited(60, body)))


@scenario()
async def reschedule_after_the_end():
    async def body(scope):
        await outcome(wait_turns(FOREVER))
        try:
            scope.reschedule(None)
        except RuntimeError:
            say("too late")
        raise asyncio.CancelledError

    say(await outcome(limited(0, body)))


@scenario()
async def timeout_and_cancellation():
    async def body(scope):
        asyncio.get_running_loop().call_soon(me.cancel)
        await wait_turns(FOREVER)

    async def task():
        say(await outcome(limited(0, body)))
        say(f"requests {me.cancelling()}")

    me = asyncio.create_task(task())
    await me


@scenario()
async def cancellation_then_timeout():
    async def body(scope):
        await wait_turns(FOREVER)

    task = asyncio.create_task(limited(60, body))
    await wait_turns(3)
    task.cancel()
    say(f"task: {await outcome(task)}")
    say(f"requests {task.cancelling()}")


@scenario(since=(3, 11, 3))  # before, it takes the task's cancellation for the one that ends it
async def timeout_in_a_cleanup():
    async def task():
        say(f"wait: {await outcome(wait_turns(FOREVER))}")
        say(f"cleanup: {await outcome(limited(0, waiting(FOREVER)))}")
        say(f"requests {asyncio.current_task().cancelling()}")
        raise asyncio.CancelledError

    canceled = asyncio.create_task(task())
    await wait_turns(2)
    canceled.cancel()
    say(f"task: {await outcome(canceled)}")


@scenario()
async def timeout_of_a_gather():
    async def body(scope):
        await asyncio.gather(start("a", FOREVER), start("b", FOREVER, cleanup=2))

    say(await outcome(limited(0, body)))
    await wait_turns(3)


@scenario()
async def timeout_of_a_shield():
    async def body(scope):
        await asyncio.shield(task)

    task = start("a", 5, 2)
    say(await outcome(limited(0, body)))
    say(f"a: {await outcome(task)}")


@scenario()
async def timeout_of_a_group():
    async def body(scope):
        async with asyncio.TaskGroup() as group:
            group.create_task(work("a", FOREVER, cleanup=4))

    say(await outcome(limited(0, body)))
    say(f"requests {asyncio.current_task().cancelling()}")


@scenario()
async def timeout_in_a_group():
    async def child():
        await limited(0, waiting(FOREVER, name="child"))

    async def in_group():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(work("a", FOREVER))
                group.create_task(child())
        except BaseExceptionGroup as errors:
            say(f"group: {len(errors.exceptions)}")
            raise

    say(await outcome(in_group()))


@scenario(ticks=False, own_clock=True)
async def sleeps_end_in_order():
    async def sleeps(name, seconds):
        await asyncio.sleep(seconds)
        say(f"{name} wakes")

    times = [("a", 0.15), ("b", 0.05), ("c", 0.1), ("d", 0)]
    for task in [asyncio.create_task(sleeps(*t)) for t in times]:
        await task


@scenario(ticks=False, own_clock=True)
async def timers_run_in_order():
    loop = asyncio.get_running_loop()
    for name, seconds in (("a", 0.06), ("b", 0.02), ("c", 0.04), ("d", -1)):
        loop.call_later(seconds, say, name)
    canceled = loop.call_later(0.03, say, "never")
    loop.call_soon(say, "soon")
    canceled.cancel()
    await asyncio.sleep(0.1)


async def at_one_time(wait):
    """The ticker starts with a timer, in whose turn wait(when)'s timer is due too."""
    loop = asyncio.get_running_loop()
    when = loop.time() + 0.05
    loop.call_at(when, start_ticker)
    task = asyncio.create_task(wait(when))
    say(f"it: {await outcome(task)}")
    stop_ticker()


@scenario(ticks=False, own_clock=True)
async def turns_of_a_timeout():
    async def wait(when):
        async with asyncio.timeout_at(when):
            await work("body", FOREVER)

    await at_one_time(wait)


@scenario(ticks=False, own_clock=True)
async def turns_of_a_timeout_of_a_task():
    async def wait(when):
        async with asyncio.timeout_at(when):
            await start("inner", FOREVER, cleanup=1)

    await at_one_time(wait)


@scenario(ticks=False, own_clock=True)
async def timeout_by_a_real_timer():
    say(await outcome(limited(0.05, waiting(FOREVER))))
    say(f"wait: {await outcome(asyncio.sleep(0))}")


@scenario(ticks=False, own_clock=True)
async def cancel_a_sleep():
    async def sleeps():
        say(f"sleep: {await outcome(asyncio.sleep(60))}")

    task = asyncio.create_task(sleeps())
    await asyncio.sleep(0.02)
    task.cancel()
    await task
