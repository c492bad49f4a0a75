"""Tasks, futures and callbacks: what runs in which turn. tasks.c is the twin."""

import asyncio

from trace_asyncio import Err, FOREVER, ended, how, outcome, say, scenario, start, wait_turns, work


@scenario()
async def create_does_not_run():
    task = start("a", 0, 7)
    say("created")
    say(f"a: {await outcome(task)}")


@scenario()
async def await_takes_one_turn():
    say(f"a: {await outcome(start('a', 3, 1))}")
    say(f"b: {await outcome(start('b', 0, 2))}")


@scenario()
async def await_of_what_is_done_takes_none():
    task = start("a", 1, 4)
    await wait_turns(5)
    say("now")
    say(f"a: {await outcome(task)}")
    say("then")


@scenario()
async def await_gives_errors():
    say(f"a: {await outcome(start('a', 2, -5))}")
    task = start("b", 0, -6)
    await wait_turns(3)
    say(f"b: {await outcome(task)}")


async def awaiter(name, future):
    say(f"{name} waits")
    say(f"{name} got {await outcome(future)}")


@scenario()
async def awaiters_resume_in_order():
    task = start("a", 2, 3)
    waiters = [asyncio.create_task(awaiter(name, task)) for name in ("x", "y", "z")]
    await wait_turns(1)
    say(f"main got {await outcome(task)}")
    for waiter in waiters:
        await waiter


@scenario()
async def callbacks_run_a_turn_later():
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda f: say("first"))
    future.add_done_callback(lambda f: say("second"))
    future.set_result(1)
    say("set")
    await wait_turns(2)
    future.add_done_callback(lambda f: say("late"))
    say("added")
    await wait_turns(2)


@scenario()
async def callbacks_and_awaiters_keep_their_order():
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda f: say("callback 1"))
    waiter = asyncio.create_task(awaiter("x", future))
    await wait_turns(1)
    future.add_done_callback(lambda f: say("callback 2"))
    future.set_exception(Err(9))
    await waiter


@scenario()
async def removed_callbacks_do_not_run():
    def removed(future):
        say("never")

    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(removed)
    future.add_done_callback(lambda f: say("kept"))
    say(f"removed {future.remove_done_callback(removed)}")
    say(f"removed {future.remove_done_callback(removed)}")
    future.set_result(0)
    await wait_turns(2)


@scenario()
async def a_future_ends_once():
    future = asyncio.get_running_loop().create_future()
    future.set_result(3)
    try:
        future.set_result(4)
    except asyncio.InvalidStateError:
        say("done already")
    say(f"cancel {int(future.cancel())}")
    say(f"{await outcome(future)}")


@scenario()
async def what_a_callback_queues_runs_next_turn():
    loop = asyncio.get_running_loop()

    def second():
        say("second")

    def first():
        say("first")
        loop.call_soon(second)

    loop.call_soon(first)
    loop.call_soon(lambda: say("beside"))
    say("queued")
    await wait_turns(3)


@scenario()
async def yields_interleave():
    async def spin(name, turns):
        for i in range(turns):
            say(f"{name} {i}")
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(spin(name, n)) for name, n in (("a", 3), ("b", 1), ("c", 4))]
    for task in tasks:
        await task


async def link(depth):
    say(f"down {depth}")
    if depth == 0:
        return 0
    result = await asyncio.create_task(link(depth - 1))
    say(f"up {depth}")
    return result + depth


@scenario()
async def a_chain_of_awaits():
    say(f"sum {await link(5)}")


@scenario()
async def handing_over_a_future():
    loop = asyncio.get_running_loop()
    ping, pong = loop.create_future(), loop.create_future()

    async def player():
        say(f"player got {await ping}")
        pong.set_result(2)
        say("player has set")

    task = asyncio.create_task(player())
    await wait_turns(1)
    ping.set_result(1)
    say("main has set")
    say(f"main got {await pong}")
    await task


@scenario()
async def started_tasks_run_in_order():
    async def starter():
        say("starter")
        return [start(name, 1) for name in ("c", "d")]

    first = start("a", 1)
    starting = asyncio.create_task(starter())
    second = start("b", 1)
    started = await starting
    for task in [first, second, *started]:
        await task


@scenario()
async def current_and_all_tasks():
    def names():
        return " ".join(sorted(task.get_name() for task in asyncio.all_tasks()))

    asyncio.current_task().set_name("main")
    task = asyncio.create_task(work("a", 1), name="a")
    other = asyncio.create_task(work("b", FOREVER), name="b")
    say(names())
    await task
    say(names())
    other.cancel()
    say(names())
    await wait_turns(2)
    say(f"{ended(other)}: {names()}")


@scenario()
async def run_cancels_what_is_left():
    start("left", FOREVER, cleanup=2)
    await wait_turns(1)
    say(how(0))
