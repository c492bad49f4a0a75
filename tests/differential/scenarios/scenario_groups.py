"""TaskGroup. groups.c is the twin."""

import asyncio

from trace_asyncio import FOREVER, Err, ended, how, outcome, say, scenario, start, wait_turns, work


class InOrder(dict):
    """A set in order: asyncio cancels children in the order of a set, that is in none."""

    def add(self, task):
        self[task] = None

    def discard(self, task):
        self.pop(task, None)


def code(error):
    """How one of a group's errors stands in C's list: a group counts as its first error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error.args[0])


async def grouped(works, body=None):
    """A group of these works, whose body may go on; says how it ends and with which errors."""
    group = asyncio.TaskGroup()
    group._tasks = InOrder()
    try:
        async with group:
            for fields in works:
                group.create_task(work(*fields[0], **fields[1]))
            if body:
                await body(group)
    except BaseExceptionGroup as errors:
        say(f"group: {how(errors)}; errors: {' '.join(map(code, errors.exceptions))}")
        raise
    except BaseException as error:
        say(f"group: {how(error)}")
        raise
    say("group: 0")
    return 0


def w(*args, **kwargs):
    return args, kwargs


@scenario()
async def group_waits_for_its_children():
    await grouped([w("a", 3), w("b", 1), w("c", 5)])


@scenario()
async def group_without_children():
    await grouped([])
    say("at once")


@scenario()
async def group_whose_children_are_done():
    async def body(group):
        await wait_turns(4)
        say("body ends")

    await grouped([w("a", 1), w("b", 0)], body)


@scenario()
async def a_failing_child_cancels_the_others():
    say(await outcome(grouped([w("a", FOREVER), w("b", 2, -5), w("c", FOREVER, cleanup=2)])))


@scenario()
async def a_failing_child_cancels_the_body():
    async def body(group):
        say(f"body: {await outcome(wait_turns(FOREVER))}")
        say(f"requests {asyncio.current_task().cancelling()}")
        raise asyncio.CancelledError

    say(await outcome(grouped([w("a", FOREVER), w("b", 2, -5)], body)))
    say(f"requests {asyncio.current_task().cancelling()}")
    say(f"goes on: {await outcome(asyncio.sleep(0))}")


@scenario()
async def a_body_that_swallows():
    async def body(group):
        say(f"body: {await outcome(wait_turns(FOREVER))}")
        say(f"body: {await outcome(wait_turns(2))}")

    say(await outcome(grouped([w("a", FOREVER, cleanup=5), w("b", 2, -5)], body)))
    say(f"requests {asyncio.current_task().cancelling()}")


@scenario()
async def errors_of_several_children():
    third = w("c", FOREVER, -3, cleanup=1, swallows=True)
    say(await outcome(grouped([w("a", 3, -1), w("b", 1, -2), third])))


@scenario()
async def errors_in_one_turn():
    say(await outcome(grouped([w("a", 1, -1), w("b", 1, -2), w("c", 1, -3)])))


@scenario()
async def a_body_that_fails():
    async def body(group):
        await wait_turns(2)
        raise Err(8)

    say(await outcome(grouped([w("a", FOREVER), w("b", 9, 1)], body)))
    say(f"requests {asyncio.current_task().cancelling()}")


@scenario()
async def a_body_that_fails_at_once():
    async def body(group):
        raise Err(8)

    say(await outcome(grouped([w("a", FOREVER)], body)))


@scenario()
async def a_canceled_child_is_no_error():
    async def body(group):
        other = group.create_task(work("x", FOREVER))
        await wait_turns(2)
        other.cancel()

    await grouped([w("a", 5)], body)


@scenario()
async def a_child_that_quits_is_no_error():
    async def quits():
        await wait_turns(1)
        raise asyncio.CancelledError

    async def body(group):
        group.create_task(quits())

    await grouped([w("a", 5)], body)


@scenario()
async def group_canceled_in_the_body():
    async def body(group):
        await wait_turns(FOREVER)

    task = asyncio.create_task(grouped([w("a", FOREVER), w("b", FOREVER, cleanup=3)], body))
    await wait_turns(3)
    task.cancel()
    say(f"task: {await outcome(task)}")
    say(f"requests {task.cancelling()}")


@scenario()
async def group_canceled_in_the_exit():
    task = asyncio.create_task(grouped([w("a", FOREVER), w("b", FOREVER, cleanup=3)]))
    await wait_turns(3)
    task.cancel()
    say(f"task: {await outcome(task)}")
    say(f"requests {task.cancelling()}")


@scenario()
async def group_canceled_twice_in_the_exit():
    works = [w("a", FOREVER, cleanup=9), w("b", FOREVER, cleanup=1)]
    works.append(w("c", FOREVER, 2, cleanup=6, swallows=True))
    task = asyncio.create_task(grouped(works))
    await wait_turns(3)
    task.cancel()
    await wait_turns(3)
    say("again")
    task.cancel()
    say(f"task: {await outcome(task)}")
    say(f"requests {task.cancelling()}")


@scenario()
async def group_canceled_while_it_aborts():
    task = asyncio.create_task(grouped([w("a", FOREVER, cleanup=6), w("b", 1, -5)]))
    await wait_turns(5)
    say("cancel")
    task.cancel()
    say(f"task: {await outcome(task)}")


@scenario(since=(3, 13))
async def a_cancellation_and_an_error_at_once():
    async def both():
        works = [w("a", FOREVER), w("b", FOREVER, -5, swallows=True)]
        say(f"both: {await outcome(grouped(works))}")
        say(f"requests {asyncio.current_task().cancelling()}")
        say(f"next wait: {await outcome(asyncio.sleep(0))}")
        say(f"next wait: {await outcome(asyncio.sleep(0))}")
        say(f"requests {asyncio.current_task().cancelling()}")

    task = asyncio.create_task(both())
    await wait_turns(4)
    task.cancel()
    await task


@scenario(since=(3, 13))
async def a_failure_in_the_exit_leaves_no_request():
    say(await outcome(grouped([w("a", FOREVER), w("b", 2, -5)])))
    say(f"requests {asyncio.current_task().cancelling()}")
    say(f"next wait: {await outcome(asyncio.sleep(0))}")


@scenario(since=(3, 13))
async def a_cancellation_while_it_aborts_is_kept():
    async def canceled():
        say(f"it: {await outcome(grouped([w('a', FOREVER, cleanup=6), w('b', 1, -5)]))}")
        say(f"requests {asyncio.current_task().cancelling()}")
        say(f"next wait: {await outcome(asyncio.sleep(0))}")
        say(f"next wait: {await outcome(asyncio.sleep(0))}")

    task = asyncio.create_task(canceled())
    await wait_turns(6)
    task.cancel()
    await task


@scenario()
async def children_that_swallow():
    works = [w("a", FOREVER, 1, cleanup=2, swallows=True), w("b", 1, -5)]
    works.append(w("c", FOREVER, 3, swallows=True))
    say(await outcome(grouped(works)))


@scenario()
async def start_while_it_aborts():
    async def body(group):
        say(f"body: {await outcome(wait_turns(FOREVER))}")
        late = work("late", 1)
        try:
            group.create_task(late)
        except RuntimeError:
            late.close()
            say("too late")

    say(await outcome(grouped([w("a", 2, -5)], body)))


@scenario()
async def a_child_starts_children():
    async def parent(group, depth):
        say(f"child {depth}")
        await wait_turns(1)
        if depth:
            group.create_task(parent(group, depth - 1))
            group.create_task(work("leaf", depth))

    async def body(group):
        group.create_task(parent(group, 3))
        say("body ends")

    await grouped([], body)


@scenario()
async def a_group_in_a_group():
    async def body(group):
        await grouped([w("c", 4), w("d", 2)])
        say("inner is over")

    await grouped([w("a", 3), w("b", 8)], body)


@scenario()
async def the_inner_group_fails():
    async def body(group):
        await grouped([w("c", FOREVER), w("d", 2, -6)])

    say(await outcome(grouped([w("a", FOREVER, cleanup=2)], body)))


@scenario()
async def the_outer_group_fails():
    async def body(group):
        await grouped([w("c", FOREVER, cleanup=3), w("d", FOREVER)])

    say(await outcome(grouped([w("a", 3, -7)], body)))
    say(f"requests {asyncio.current_task().cancelling()}")
    say(f"goes on: {await outcome(asyncio.sleep(0))}")


@scenario()
async def the_inner_failure_is_handled():
    async def body(group):
        say(f"inner: {await outcome(grouped([w('c', FOREVER), w('d', 1, -6)]))}")
        say(f"goes on: {await outcome(asyncio.sleep(0))}")

    await grouped([w("a", 7)], body)


@scenario()
async def a_group_in_a_child():
    async def child():
        await grouped([w("c", FOREVER, cleanup=2), w("d", FOREVER)])

    async def body(group):
        group.create_task(child())

    say(await outcome(grouped([w("a", 4, -5), w("b", FOREVER)], body)))


@scenario()
async def the_body_and_a_child_fail_in_one_turn():
    async def body(group):
        await wait_turns(3)
        raise Err(9)

    say(await outcome(grouped([w("a", 2, -5), w("b", FOREVER)], body)))


@scenario()
async def a_child_is_awaited_in_the_body():
    async def body(group):
        child = group.create_task(work("x", 3, 4))
        say(f"x: {await outcome(child)}")
        say(f"{ended(child)}")

    await grouped([w("a", 1), w("b", 6)], body)


@scenario()
async def a_failing_child_is_awaited_in_the_body():
    async def body(group):
        child = group.create_task(work("x", 3, -4))
        say(f"x: {await outcome(child)}")
        raise asyncio.CancelledError

    say(await outcome(grouped([w("a", 1), w("b", 6)], body)))
    say(f"goes on: {await outcome(asyncio.sleep(0))}")


@scenario()
async def a_gather_in_the_body():
    async def body(group):
        tasks = [group.create_task(work(name, 4, 1)) for name in ("x", "y")]
        try:
            await asyncio.gather(*tasks)
        except BaseException as error:
            say(f"gather: {how(error)}")
            raise

    say(await outcome(grouped([w("a", 2, -5)], body)))


@scenario()
async def a_shield_in_the_body():
    async def body(group):
        try:
            await asyncio.shield(outside)
        except BaseException as error:
            say(f"shield: {how(error)}")
            raise

    outside = start("outside", 8, 3)
    say(await outcome(grouped([w("a", 2, -5)], body)))
    say(f"outside: {await outcome(outside)}")
