"""Context variables: who sees what was set where. contexts.c is the twin."""

import asyncio
import contextvars

from trace_asyncio import FOREVER, outcome, say, scenario, wait_turns

var = contextvars.ContextVar("var", default="default")
other = contextvars.ContextVar("other", default="default")


async def sees_and_sets(name):
    say(f"{name} sees {var.get()}")
    var.set(name)
    await wait_turns(2)
    say(f"{name} sees {var.get()}")


@scenario()
async def contexts_of_tasks():
    var.set("1")
    a = asyncio.create_task(sees_and_sets("a"))
    var.set("2")
    b = asyncio.create_task(sees_and_sets("b"))
    var.set("3")
    say(f"main sees {var.get()}")
    await a
    say(f"main sees {var.get()}")
    await b
    say(f"main sees {var.get()}")


async def goes_down(depth):
    name = ("leaf", "middle", "top")[depth]
    say(f"{name} sees {var.get()}")
    var.set(name)
    if depth > 0:
        await asyncio.create_task(goes_down(depth - 1))
    say(f"{name} ends with {var.get()}")


@scenario()
async def contexts_of_nested_tasks():
    var.set("main")
    await asyncio.create_task(goes_down(2))
    say(f"main ends with {var.get()}")


@scenario()
async def contexts_of_a_group():
    async with asyncio.TaskGroup() as group:
        var.set("first")
        group.create_task(sees_and_sets("a"))
        var.set("second")
        group.create_task(sees_and_sets("b"))
    say(f"main sees {var.get()}")


def says_and_sets(name):
    say(f"{name} sees {var.get()}")
    var.set(name)


@scenario()
async def contexts_of_callbacks():
    loop = asyncio.get_running_loop()
    loop.call_soon(says_and_sets, "plain")
    var.set("1")
    loop.call_soon(says_and_sets, "soon")
    var.set("2")
    loop.call_later(0, says_and_sets, "later")
    var.set("3")
    loop.call_soon_threadsafe(says_and_sets, "threadsafe")
    var.set("4")
    await wait_turns(4)
    say(f"main sees {var.get()}")


@scenario()
async def contexts_of_done_callbacks():
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda _: says_and_sets("plain"))
    var.set("1")
    future.add_done_callback(lambda _: says_and_sets("second"))
    var.set("2")
    future.set_result(1)
    var.set("3")
    future.add_done_callback(lambda _: says_and_sets("late"))
    var.set("4")
    await wait_turns(3)
    say(f"main sees {var.get()}")


@scenario()
async def context_of_a_task_made_in_a_callback():
    made = []

    def makes_a_task():
        var.set("callback")
        made.append(asyncio.create_task(sees_and_sets("task")))

    asyncio.get_running_loop().call_soon(makes_a_task)
    await wait_turns(2)
    await made[0]
    say(f"main sees {var.get()}")


def reset(of, token):
    try:
        of.reset(token)
        return "reset"
    except RuntimeError:
        return "used already"
    except ValueError:
        return "not here"


@scenario()
async def tokens():
    first = var.set("a")
    second = var.set("b")
    say(f"{reset(other, first)} {var.get()}")
    say(f"{reset(var, second)} {var.get()}")
    say(f"{reset(var, second)} {var.get()}")
    say(f"{reset(var, first)} {var.get()}")
    say(f"{reset(var, first)} {var.get()}")


@scenario()
async def tokens_in_the_wrong_order():
    first = var.set("a")
    second = var.set("b")
    say(f"{reset(var, first)} {var.get()}")
    say(f"{reset(var, second)} {var.get()}")


@scenario()
async def tokens_elsewhere():
    token = var.set("a")

    async def task():
        say(f"{reset(var, token)} {var.get()}")

    await asyncio.create_task(task())
    asyncio.get_running_loop().call_soon(lambda: say(f"{reset(var, token)} {var.get()}"))
    await wait_turns(1)
    say(f"{reset(var, token)} {var.get()}")


@scenario()
async def a_context_given_to_tasks():
    var.set("given")
    context = contextvars.copy_context()
    var.set("main")
    a = asyncio.create_task(sees_and_sets("a"), context=context)
    b = asyncio.create_task(sees_and_sets("b"), context=context)
    await a
    await b
    say(f"main sees {var.get()}")
    say(f"it has {context[var]}")


def run_says(name):
    says_and_sets(name)
    return 3


@scenario()
async def run_in_a_context():
    context = contextvars.copy_context()
    var.set("main")
    say(context.run(run_says, "first"))
    say(f"main sees {var.get()}")
    say(context.run(run_says, "second"))
    say(f"it has {context[var]} of {len(context)}")


@scenario()
async def context_of_a_canceled_task():
    async def cleans_up():
        token = var.set("inside")
        try:
            await wait_turns(FOREVER)
        finally:
            say(f"canceled with {var.get()}")
            say(f"{reset(var, token)} {var.get()}")

    var.set("main")
    task = asyncio.create_task(cleans_up())
    await wait_turns(2)
    var.set("later")
    task.cancel()
    say(f"task: {await outcome(task)}")
    say(f"main sees {var.get()}")


def says_and_sets_in_a_thread(name):
    says_and_sets(name)
    return 4


@scenario(ticks=False)
async def context_of_a_job():
    var.set("main")
    say(await asyncio.to_thread(says_and_sets_in_a_thread, "job"))
    say(f"main sees {var.get()}")
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, says_and_sets_in_a_thread, "executor's")
    say(f"main sees {var.get()}")
