"""Cancellation. cancel.c is the twin."""

import asyncio

from trace_asyncio import FOREVER, ended, outcome, say, scenario, start, wait_turns, work


@scenario()
async def cancel_before_the_first_step():
    task = start("a", 1)
    say(f"cancel {int(task.cancel())}")
    say(f"done {int(task.done())}")
    say(f"a: {await outcome(task)}")


@scenario()
async def cancel_while_it_waits():
    task = start("a", FOREVER)
    await wait_turns(3)
    say(f"cancel {int(task.cancel())}")
    say(f"a: {await outcome(task)}")


@scenario()
async def cancel_while_it_yields():
    task = start("a", 10)
    await wait_turns(3)
    say(f"cancel {int(task.cancel())}")
    say(f"a: {await outcome(task)}")


@scenario()
async def cancel_with_cleanup():
    task = start("a", FOREVER, cleanup=3)
    await wait_turns(2)
    task.cancel()
    say(f"a: {await outcome(task)}")


@scenario()
async def cancel_twice_is_delivered_once():
    async def stubborn():
        for _ in range(2):
            say(f"stubborn: {await outcome(asyncio.sleep(0))}")
        say(f"requests {asyncio.current_task().cancelling()}")
        return 8

    task = asyncio.create_task(stubborn())
    await wait_turns(1)
    say(f"cancel {int(task.cancel())} {int(task.cancel())} {task.cancelling()}")
    say(f"stubborn: {await outcome(task)}")


@scenario()
async def cancel_again_in_the_cleanup():
    task = start("a", FOREVER, cleanup=5)
    await wait_turns(2)
    task.cancel()
    await wait_turns(2)
    task.cancel()
    say(f"requests {task.cancelling()}")
    say(f"a: {await outcome(task)}")


@scenario()
async def cancel_what_is_done():
    task = start("a", 0, 2)
    await wait_turns(3)
    say(f"cancel {int(task.cancel())} {task.cancelling()}")
    say(f"a: {await outcome(task)}")


@scenario()
async def cancel_itself_and_wait():
    async def suicidal():
        say(f"cancel {int(asyncio.current_task().cancel())}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        return 3

    say(f"it: {await outcome(asyncio.create_task(suicidal()))}")


@scenario()
async def cancel_itself_and_return():
    async def suicidal():
        asyncio.current_task().cancel()
        say("returns")
        return 3

    say(f"it: {await outcome(asyncio.create_task(suicidal()))}")


@scenario()
async def cancel_itself_and_await_what_is_done():
    async def suicidal(future):
        asyncio.current_task().cancel()
        say(f"done: {await outcome(future)}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        return 3

    future = asyncio.get_running_loop().create_future()
    future.set_result(5)
    say(f"it: {await outcome(asyncio.create_task(suicidal(future)))}")


@scenario()
async def canceled_without_being_asked():
    async def quits():
        await wait_turns(1)
        raise asyncio.CancelledError

    task = asyncio.create_task(quits())
    say(f"it: {await outcome(task)}")
    say(f"requests {task.cancelling()} {asyncio.current_task().cancelling()}")


@scenario()
async def swallowed_cancellation():
    task = start("a", FOREVER, 6, swallows=True)
    await wait_turns(2)
    task.cancel()
    say(f"a: {await outcome(task)}")
    say(f"requests {task.cancelling()}")


@scenario()
async def cancel_reaches_the_awaited_task():
    async def outer():
        task = start("inner", FOREVER, cleanup=2)
        say(f"outer got {await outcome(task)}")
        raise asyncio.CancelledError

    task = asyncio.create_task(outer())
    await wait_turns(3)
    task.cancel()
    say(f"outer: {await outcome(task)}")


@scenario()
async def the_awaited_task_swallows():
    async def outer():
        task = start("inner", FOREVER, 4, cleanup=1, swallows=True)
        say(f"outer got {await outcome(task)}")
        say(f"requests {asyncio.current_task().cancelling()} {task.cancelling()}")
        say(f"outer waits {await outcome(asyncio.sleep(0))}")
        return 1

    task = asyncio.create_task(outer())
    await wait_turns(3)
    task.cancel()
    say(f"outer: {await outcome(task)}")


@scenario()
async def the_awaited_task_fails_when_canceled():
    async def outer():
        return await start("inner", FOREVER, -4, swallows=True)

    task = asyncio.create_task(outer())
    await wait_turns(3)
    task.cancel()
    say(f"outer: {await outcome(task)}")


async def cancel_link(depth):
    if depth == 0:
        return await work("last", FOREVER)
    try:
        return await asyncio.create_task(cancel_link(depth - 1))
    except asyncio.CancelledError:
        say(f"canceled {depth}")
        raise


@scenario()
async def cancel_a_chain():
    task = asyncio.create_task(cancel_link(4))
    await wait_turns(8)
    task.cancel()
    say(f"chain: {await outcome(task)}")


@scenario()
async def cancel_a_future():
    async def waits():
        say(f"waiter got {await outcome(future)}")
        say(f"requests {asyncio.current_task().cancelling()}")

    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(waits())
    await wait_turns(2)
    say(f"cancel {int(future.cancel())}")
    say(f"canceled {int(future.cancelled())}")
    await task


@scenario()
async def cancel_what_two_await():
    async def waits(name, task):
        say(f"{name} got {await outcome(task)}")
        say(f"{name} goes on: {await outcome(asyncio.sleep(0))}")

    task = start("a", FOREVER)
    waiters = [asyncio.create_task(waits(name, task)) for name in ("x", "y")]
    await wait_turns(2)
    task.cancel()
    for waiter in waiters:
        await waiter


@scenario()
async def cancel_one_of_two_awaiters():
    async def waits(name, task):
        say(f"{name} got {await outcome(task)}")

    task = start("a", FOREVER)
    waiters = [asyncio.create_task(waits(name, task)) for name in ("x", "y")]
    await wait_turns(2)
    waiters[0].cancel()
    for waiter in waiters:
        await waiter
    say(f"requests {waiters[0].cancelling()} {waiters[1].cancelling()} {task.cancelling()}")


@scenario()
async def cancel_when_the_result_is_there():
    async def waits():
        say(f"waiter got {await outcome(future)}")
        say(f"waiter waits: {await outcome(asyncio.sleep(0))}")

    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(waits())
    await wait_turns(2)
    future.set_result(5)
    say(f"cancel {int(task.cancel())}")
    await task


@scenario()
async def cancel_then_the_result_comes():
    async def waits():
        say(f"waiter got {await outcome(future)}")

    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(waits())
    await wait_turns(2)
    task.cancel()
    say(f"done {int(future.done())}")
    await task


@scenario()
async def uncancel_counts():
    async def counts():
        me = asyncio.current_task()
        me.cancel()
        me.cancel()
        say(f"requests {me.cancelling()}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        say(f"requests {me.uncancel()} {me.uncancel()} {me.uncancel()}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")

    await asyncio.create_task(counts())


@scenario(since=(3, 13))
async def uncancel_to_zero_forgets():
    async def forgets():
        me = asyncio.current_task()
        me.cancel()
        me.cancel()
        say(f"requests {me.uncancel()} {me.uncancel()}")
        say(f"wait: {await outcome(asyncio.sleep(0))}")
        return 2

    say(f"it: {await outcome(asyncio.create_task(forgets()))}")


@scenario()
async def a_canceled_awaiter_and_the_last_step():
    async def canceler():
        await wait_turns(3)
        say(f"cancel {int(target.cancel())}")

    task = asyncio.create_task(canceler())
    target = start("a", 2, 1)
    say(f"a: {await outcome(target)}")
    await task


@scenario()
async def cancel_each_other():
    async def first():
        await wait_turns(1)
        say(f"first cancels {int(tasks[1].cancel())}")
        say(f"first: {await outcome(asyncio.sleep(0))}")
        return 1

    async def second():
        await wait_turns(1)
        say(f"second cancels {int(tasks[0].cancel())}")
        say(f"second: {await outcome(asyncio.sleep(0))}")
        return 2

    tasks = [asyncio.create_task(first()), asyncio.create_task(second())]
    await wait_turns(6)
    say(f"{ended(tasks[0])} {ended(tasks[1])}")
