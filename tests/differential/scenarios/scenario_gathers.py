"""gather and shield. gathers.c is the twin."""

import asyncio

from trace_asyncio import FOREVER, ended, how, outcome, say, scenario, start, wait_turns


async def gathers(*tasks, errors=False):
    """Its outcome as the C twin gives it: 0 instead of the results, which are said."""
    try:
        results = await asyncio.gather(*tasks, return_exceptions=errors)
    except BaseException as error:
        say(f"gather: {how(error)}")
        raise
    say(f"gather: {' '.join(map(how, results))}")
    return 0


@scenario()
async def gather_gives_results_in_argument_order():
    await gathers(start("a", 3, 1), start("b", 1, 2), start("c", 2, 3))


@scenario()
async def gather_raises_the_first_error_at_once():
    tasks = [start("a", 6, 1), start("b", 2, -5), start("c", 4, 3)]
    say(f"{await outcome(gathers(*tasks))}")
    await wait_turns(6)
    say(f"{ended(tasks[0])} {ended(tasks[2])}")


@scenario()
async def gather_takes_the_error_that_comes_first():
    say(await outcome(gathers(start("a", 3, -1), start("b", 1, -2), start("c", 2, -3))))
    await wait_turns(3)


@scenario()
async def gather_takes_the_first_of_errors_in_one_turn():
    say(await outcome(gathers(start("a", 2, -1), start("b", 2, -2))))


@scenario()
async def gather_with_a_canceled_child():
    tasks = [start("a", 4), start("b", FOREVER)]
    gathering = asyncio.create_task(gathers(*tasks))
    await wait_turns(2)
    tasks[1].cancel()
    say(await outcome(gathering))
    say(f"requests {gathering.cancelling()}")
    await wait_turns(3)


@scenario()
async def gather_takes_errors_as_results():
    tasks = [start("a", 2, 1), start("b", 1, -5), start("c", FOREVER)]
    gathering = asyncio.create_task(gathers(*tasks, errors=True))
    await wait_turns(4)
    tasks[2].cancel()
    say(await outcome(gathering))


@scenario()
async def gather_canceled():
    tasks = [start("a", FOREVER), start("b", FOREVER), start("c", FOREVER)]
    gathering = asyncio.create_task(gathers(*tasks))
    await wait_turns(2)
    gathering.cancel()
    say(await outcome(gathering))


@scenario()
async def gather_canceled_does_not_wait_for_all():
    tasks = [start("a", FOREVER, cleanup=5), start("b", FOREVER), start("c", FOREVER, cleanup=2)]
    gathering = asyncio.create_task(gathers(*tasks))
    await wait_turns(2)
    gathering.cancel()
    say(await outcome(gathering))
    await wait_turns(6)


@scenario()
async def gather_canceled_with_errors_as_results_waits_for_all():
    a, b = start("a", FOREVER, cleanup=5), start("b", FOREVER)
    tasks = [a, b, start("c", FOREVER, -3, swallows=True)]
    gathering = asyncio.create_task(gathers(*tasks, errors=True))
    await wait_turns(2)
    gathering.cancel()
    say(await outcome(gathering))


@scenario()
async def gather_canceled_but_all_swallow():
    first = start("a", FOREVER, 1, swallows=True)
    tasks = [first, start("b", FOREVER, 2, cleanup=2, swallows=True)]
    gathering = asyncio.create_task(gathers(*tasks))
    await wait_turns(2)
    gathering.cancel()
    say(await outcome(gathering))
    say(f"{ended(tasks[0])} {ended(tasks[1])}")


@scenario()
async def gather_canceled_and_a_child_fails():
    tasks = [start("a", FOREVER, -7, swallows=True), start("b", FOREVER, cleanup=2)]
    gathering = asyncio.create_task(gathers(*tasks))
    await wait_turns(2)
    gathering.cancel()
    say(await outcome(gathering))
    await wait_turns(3)


@scenario()
async def gather_canceled_twice():
    tasks = [start("a", FOREVER, cleanup=9), start("b", FOREVER, cleanup=9)]
    gathering = asyncio.create_task(gathers(*tasks))
    await wait_turns(2)
    gathering.cancel()
    await wait_turns(2)
    gathering.cancel()
    say(await outcome(gathering))


@scenario()
async def gather_canceled_when_all_are_done():
    tasks = [start("a", 1, 1), start("b", 1, 2)]

    async def canceler():
        await wait_turns(1)
        say(f"cancel {int(gathering.cancel())}")

    canceling = asyncio.create_task(canceler())
    gathering = asyncio.create_task(gathers(*tasks))
    say(await outcome(gathering))
    await canceling


@scenario()
async def gather_the_same_twice():
    task = start("a", 2, 4)
    await gathers(task, task)


@scenario()
async def gather_within_gather():
    async def inner(name, turns, end):
        return await gathers(start(name, turns, end), start(name + name, 1))

    inners = [asyncio.create_task(inner("a", 2, 1)), asyncio.create_task(inner("b", 3, -2))]
    say(await outcome(gathers(*inners)))


@scenario()
async def gather_within_gather_canceled():
    async def inner(name):
        return await gathers(start(name, FOREVER), start(name + name, FOREVER))

    async def outer():
        await gathers(asyncio.create_task(inner("a")), asyncio.create_task(inner("b")))

    task = asyncio.create_task(outer())
    await wait_turns(4)
    task.cancel()
    say(await outcome(task))
    await wait_turns(2)


@scenario()
async def gather_of_futures():
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(3)]
    gathering = asyncio.create_task(gathers(*futures))
    await wait_turns(2)
    for i in (2, 0, 1):
        futures[i].set_result(i)
        await wait_turns(1)
    say(await outcome(gathering))


async def shields(task):
    try:
        result = await asyncio.shield(task)
    except BaseException as error:
        say(f"shield: {how(error)}")
        raise
    say(f"shield: {how(result)}")
    return result


@scenario()
async def shield_gives_the_result():
    say(await outcome(shields(start("a", 2, 3))))
    say(await outcome(shields(start("b", 1, -3))))


@scenario()
async def shield_canceled_leaves_the_task_alone():
    task = start("a", 6, 3)
    shielding = asyncio.create_task(shields(task))
    await wait_turns(3)
    shielding.cancel()
    say(await outcome(shielding))
    say(f"done {int(task.done())}")
    say(f"a: {await outcome(task)}")


@scenario()
async def shield_of_a_canceled_task():
    task = start("a", FOREVER)
    shielding = asyncio.create_task(shields(task))
    await wait_turns(3)
    task.cancel()
    say(await outcome(shielding))
    say(f"requests {shielding.cancelling()}")


@scenario()
async def shield_waits_again_after_its_cancellation():
    async def careful(task):
        say(f"first: {await outcome(asyncio.shield(task))}")
        say(f"second: {await outcome(asyncio.shield(task))}")

    task = start("a", 8, 3)
    shielding = asyncio.create_task(careful(task))
    await wait_turns(3)
    shielding.cancel()
    await wait_turns(2)
    shielding.cancel()
    say(await outcome(shielding))
    say(f"a: {await outcome(task)}")


@scenario()
async def two_shields():
    task = start("a", 5, 3)
    shieldings = [asyncio.create_task(shields(task)) for _ in range(2)]
    await wait_turns(3)
    shieldings[0].cancel()
    say(await outcome(shieldings[0]))
    say(await outcome(shieldings[1]))


@scenario()
async def shield_canceled_as_the_result_comes():
    future = asyncio.get_running_loop().create_future()
    shielding = asyncio.create_task(shields(future))
    await wait_turns(2)
    future.set_result(4)
    shielding.cancel()
    say(await outcome(shielding))
