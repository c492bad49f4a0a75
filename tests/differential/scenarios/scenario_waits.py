"""wait and as_completed. waits.c is the twin."""

import asyncio

from trace_asyncio import FOREVER, outcome, say, scenario, start, wait_turns


async def waits(tasks, return_when=asyncio.ALL_COMPLETED, timeout=None):
    """Says which are done, in the order of the arguments."""
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=return_when)
    except asyncio.CancelledError:
        say("wait: canceled")
        raise
    say(f"wait: {len(done)} done:" + "".join(f" {i}" for i, t in enumerate(tasks) if t in done))


async def finish_all(tasks):
    for task in tasks:
        say(f"it: {await outcome(task)}")


@scenario()
async def wait_for_all():
    tasks = [start("a", 3, 1), start("b", 1, -2), start("c", 2, 3)]
    await waits(tasks)
    await finish_all(tasks)


@scenario()
async def wait_for_the_first():
    tasks = [start("a", 3, 1), start("b", 1, -2), start("c", 5, 3)]
    await waits(tasks, asyncio.FIRST_COMPLETED)
    await finish_all(tasks)


@scenario()
async def wait_for_the_first_two_in_one_turn():
    tasks = [start("a", 3, 1), start("b", 1, 2), start("c", 1, 3)]
    await waits(tasks, asyncio.FIRST_COMPLETED)
    await finish_all(tasks)


@scenario()
async def wait_for_the_first_error():
    tasks = [start("a", 1, 1), start("b", 3, -2), start("c", 6, 3)]
    await waits(tasks, asyncio.FIRST_EXCEPTION)
    await finish_all(tasks)


@scenario()
async def wait_for_an_error_that_does_not_come():
    tasks = [start("a", 1, 1), start("b", 3, 2)]
    await waits(tasks, asyncio.FIRST_EXCEPTION)
    await finish_all(tasks)


@scenario()
async def a_canceled_one_is_no_error():
    tasks = [start("a", FOREVER), start("b", 6, 2)]
    waiting = asyncio.create_task(waits(tasks, asyncio.FIRST_EXCEPTION))
    await wait_turns(2)
    tasks[0].cancel()
    await waiting
    await finish_all(tasks)


@scenario()
async def a_canceled_one_is_the_first():
    tasks = [start("a", FOREVER), start("b", 6, 2)]
    waiting = asyncio.create_task(waits(tasks, asyncio.FIRST_COMPLETED))
    await wait_turns(2)
    tasks[0].cancel()
    await waiting
    await finish_all(tasks)


@scenario()
async def wait_canceled_leaves_them_alone():
    tasks = [start("a", 6, 1), start("b", 7, 2)]
    waiting = asyncio.create_task(waits(tasks))
    await wait_turns(3)
    waiting.cancel()
    say(f"waiting: {await outcome(waiting)}")
    await finish_all(tasks)


@scenario()
async def wait_canceled_when_all_are_done():
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(2)]
    waiting = asyncio.create_task(waits(futures))
    await wait_turns(2)
    for future in futures:
        future.set_result(1)
    say(f"cancel {int(waiting.cancel())}")
    say(f"waiting: {await outcome(waiting)}")


@scenario()
async def wait_for_what_is_done():
    tasks = [start("a", 0, 1), start("b", 0, 2)]
    await wait_turns(3)
    say("now")
    await waits(tasks)
    await finish_all(tasks)


@scenario()
async def wait_for_the_first_with_one_done():
    tasks = [start("a", 0, 1), start("b", 8, 2)]
    await wait_turns(3)
    say("now")
    await waits(tasks, asyncio.FIRST_COMPLETED)
    await finish_all(tasks)


@scenario()
async def two_waits_for_the_same():
    async def waiter(name, when):
        say(f"{name} waits")
        await waits(tasks, when)
        say(f"{name} goes on")

    tasks = [start("a", 2, 1), start("b", 5, 2)]
    waiters = [
        asyncio.create_task(waiter("x", asyncio.FIRST_COMPLETED)),
        asyncio.create_task(waiter("y", asyncio.ALL_COMPLETED)),
    ]
    await waits(tasks, asyncio.FIRST_COMPLETED)
    for task in waiters:
        await task


@scenario(ticks=False, own_clock=True)
async def wait_until_a_timeout():
    tasks = [start("a", 2, 1), start("b", FOREVER)]
    await waits(tasks, timeout=0.05)
    say(f"done {int(tasks[0].done())} {int(tasks[1].done())}")
    tasks[1].cancel()
    await finish_all(tasks)


@scenario(ticks=False, own_clock=True)
async def wait_with_a_timeout_that_does_not_come():
    tasks = [start("a", 2, 1), start("b", 4, 2)]
    await waits(tasks, timeout=60)
    await finish_all(tasks)


async def in_order(tasks):
    for future in asyncio.as_completed(tasks):
        say(f"it: {await outcome(future)}")
    say("end")


@scenario()
async def as_they_complete():
    await in_order([start("a", 5, 1), start("b", 1, -2), start("c", 3, 3)])


@scenario()
async def several_complete_in_one_turn():
    await in_order([start("a", 2, 1), start("b", 1, 2), start("c", 2, 3), start("d", 1, -4)])


@scenario()
async def a_canceled_one_completes():
    tasks = [start("a", FOREVER), start("b", 5, 2)]
    completing = asyncio.create_task(in_order(tasks))
    await wait_turns(2)
    tasks[0].cancel()
    say(await outcome(completing))


@scenario()
async def as_completed_left_early():
    tasks = [start("a", 1, 1), start("b", 4, 2)]
    for future in asyncio.as_completed(tasks):
        say(f"it: {await outcome(future)}")
        break
    say(f"b: {await outcome(tasks[1])}")


@scenario()
async def as_completed_canceled():
    async def completes():
        for future in asyncio.as_completed(tasks):
            result = await outcome(future)
            say(f"next: {result}")
            if result == "canceled":
                return

    tasks = [start("a", 1, 1), start("b", 7, 2)]
    completing = asyncio.create_task(completes())
    await wait_turns(5)
    say(f"cancel {int(completing.cancel())}")
    say(await outcome(completing))
    say(f"b: {await outcome(tasks[1])}")


@scenario(ticks=False, own_clock=True)
async def as_completed_until_a_timeout():
    tasks = [start("a", 1, 1), start("b", FOREVER)]
    for future in asyncio.as_completed(tasks, timeout=0.05):
        say(f"next: {await outcome(future)}")
    say(f"done {int(tasks[0].done())} {int(tasks[1].done())}")
    tasks[1].cancel()
    await finish_all(tasks)
