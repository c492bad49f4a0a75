"""Queues. queues.c is the twin."""

import asyncio

from trace_asyncio import say, scenario, wait_turns

q = None
SHUTDOWN = (3, 13)
QueueShutDown = getattr(asyncio, "QueueShutDown", RuntimeError)


def new_queue(kind, size):
    global q
    kinds = {"f": asyncio.Queue, "l": asyncio.LifoQueue, "p": asyncio.PriorityQueue}
    q = kinds[kind[0]](size)


def end_queue():
    say(f"in it {q.qsize()}, empty {int(q.empty())}, full {int(q.full())}")


def words(error):
    if isinstance(error, asyncio.CancelledError):
        return "canceled"
    if isinstance(error, QueueShutDown):
        return "shut down"
    if isinstance(error, ValueError):
        return "too often"
    if isinstance(error, (asyncio.QueueEmpty, asyncio.QueueFull)):
        return "would wait"
    return repr(error)


async def get(name, item=0, times=1):
    for _ in range(times):
        try:
            item = await q.get()
        except BaseException as error:
            say(f"{name}: {words(error)} 0")
            raise
        say(f"{name}: ok {item}")


async def put(name, item, times=1):
    for i in range(times):
        try:
            await q.put(item + i)
        except BaseException as error:
            say(f"{name}: {words(error)} {item + i}")
            raise
        say(f"{name}: ok {item + i}")


async def join(name, item=0, times=1):
    try:
        await q.join()
    except BaseException as error:
        say(f"{name}: {words(error)}")
        raise
    say(f"{name}: ok")


def put_now(item):
    try:
        q.put_nowait(item)
        say(f"put {item}: ok")
    except Exception as error:
        say(f"put {item}: {words(error)}")


def get_now():
    try:
        say(f"get: ok {q.get_nowait()}")
    except Exception as error:
        say(f"get: {words(error)} 0")


def done():
    try:
        q.task_done()
        say("done: ok")
    except ValueError as error:
        say(f"done: {words(error)}")


def shut(immediate):
    q.shutdown(immediate)
    say(f"shut down {int(immediate)}")


def spawn(fn, *args):
    return asyncio.create_task(fn(*args))


async def end_tasks(*tasks):
    for task in tasks:
        task.cancel()
    for task in tasks:
        try:
            await task
        except (asyncio.CancelledError, QueueShutDown):
            pass


@scenario()
async def queue_getters_in_order():
    new_queue("fifo", 3)
    tasks = [spawn(get, name) for name in "abc"]
    await wait_turns(2)
    put_now(1)
    put_now(2)
    await wait_turns(3)
    put_now(3)
    await wait_turns(3)
    await end_tasks(*tasks)
    end_queue()


@scenario()
async def queue_putters_in_order():
    new_queue("fifo", 1)
    tasks = [spawn(put, "a", 1), spawn(put, "b", 2), spawn(put, "c", 3)]
    await wait_turns(2)
    put_now(9)
    get_now()
    await wait_turns(1)
    get_now()
    await wait_turns(3)
    get_now()
    await wait_turns(3)
    await end_tasks(*tasks)
    end_queue()


@scenario()
async def queue_a_newcomer_takes_what_a_getter_was_woken_for():
    new_queue("fifo", 3)
    tasks = [spawn(get, "a"), spawn(get, "b")]
    await wait_turns(2)
    put_now(1)
    get_now()
    get_now()
    await wait_turns(2)
    put_now(2)
    put_now(3)
    await wait_turns(3)
    await end_tasks(*tasks)
    end_queue()


@scenario()
async def queue_a_newcomer_takes_the_place_of_a_woken_putter():
    new_queue("fifo", 1)
    put_now(0)
    tasks = [spawn(put, "a", 1), spawn(put, "b", 2)]
    await wait_turns(2)
    get_now()
    put_now(3)
    await wait_turns(2)
    get_now()
    await wait_turns(3)
    get_now()
    await wait_turns(3)
    await end_tasks(*tasks)
    end_queue()


@scenario()
async def queue_a_waiting_getter_is_canceled():
    new_queue("fifo", 1)
    a, b, c = (spawn(get, name) for name in "abc")
    await wait_turns(2)
    a.cancel()
    put_now(1)
    await wait_turns(3)
    c.cancel()
    await wait_turns(2)
    put_now(2)
    await wait_turns(2)
    await end_tasks(a, b, c)
    end_queue()


@scenario()
async def queue_a_woken_getter_is_canceled():
    new_queue("fifo", 2)
    a, b, c = (spawn(get, name) for name in "abc")
    await wait_turns(2)
    put_now(1)
    a.cancel()
    await wait_turns(4)
    put_now(2)
    put_now(3)
    c.cancel()
    await wait_turns(4)
    await end_tasks(a, b, c)
    end_queue()


@scenario()
async def queue_two_woken_getters_are_canceled():
    new_queue("fifo", 2)
    a, b, c, d = (spawn(get, name) for name in "abcd")
    await wait_turns(2)
    put_now(1)
    put_now(2)
    a.cancel()
    b.cancel()
    await wait_turns(5)
    await end_tasks(a, b, c, d)
    end_queue()


@scenario()
async def queue_a_woken_getter_is_canceled_and_its_item_is_gone():
    new_queue("fifo", 2)
    a, b, c = (spawn(get, name) for name in "abc")
    await wait_turns(2)
    put_now(1)
    a.cancel()
    get_now()
    await wait_turns(4)
    put_now(2)
    await wait_turns(2)
    await end_tasks(a, b, c)
    end_queue()


@scenario()
async def queue_a_woken_putter_is_canceled():
    new_queue("fifo", 1)
    put_now(0)
    a, b, c = spawn(put, "a", 1), spawn(put, "b", 2), spawn(put, "c", 3)
    await wait_turns(2)
    get_now()
    a.cancel()
    await wait_turns(4)
    c.cancel()
    get_now()
    await wait_turns(4)
    await end_tasks(a, b, c)
    end_queue()


@scenario()
async def queue_a_woken_putter_is_canceled_and_its_place_is_gone():
    new_queue("fifo", 1)
    put_now(0)
    a, b, c = spawn(put, "a", 1), spawn(put, "b", 2), spawn(put, "c", 3)
    await wait_turns(2)
    get_now()
    put_now(9)
    a.cancel()
    await wait_turns(4)
    get_now()
    await wait_turns(2)
    get_now()
    await wait_turns(2)
    await end_tasks(a, b, c)
    end_queue()


@scenario()
async def queue_canceled_before_it_waits():
    new_queue("fifo", 1)
    a, b = spawn(get, "a"), spawn(put, "b", 1, 3)
    a.cancel()
    await wait_turns(3)
    b.cancel()
    b.cancel()
    await wait_turns(3)
    await end_tasks(a, b)
    end_queue()


@scenario()
async def queue_stream_of_size_one():
    new_queue("fifo", 1)
    tasks = [spawn(put, "a", 1, 5), spawn(get, "b", 0, 5)]
    await wait_turns(20)
    await end_tasks(*tasks)
    end_queue()


@scenario()
async def queue_stream_of_size_three():
    new_queue("fifo", 3)
    tasks = [spawn(put, "a", 10, 6), spawn(put, "b", 20, 6), spawn(get, "c", 0, 7), spawn(get, "d", 0, 7)]
    await wait_turns(30)
    await end_tasks(*tasks)
    end_queue()


@scenario()
async def queue_unbounded():
    new_queue("fifo", 0)
    tasks = [spawn(put, "a", 1, 50), spawn(get, "b", 0, 20)]
    await wait_turns(5)
    await end_tasks(*tasks)
    end_queue()


def put_some():
    for item in (5, 3, 8, 1, 9, 2):
        put_now(item)


@scenario()
async def queue_last_in_first_out():
    new_queue("lifo", 4)
    tasks = [spawn(get, "a", 0, 2), spawn(put, "b", 30, 3)]
    await wait_turns(1)
    put_some()
    await wait_turns(4)
    for _ in range(5):
        get_now()
    await wait_turns(4)
    await end_tasks(*tasks)
    end_queue()


@scenario()
async def queue_by_priority():
    new_queue("priority", 4)
    tasks = [spawn(get, "a", 0, 2), spawn(put, "b", 0, 3)]
    await wait_turns(1)
    put_some()
    await wait_turns(4)
    for _ in range(5):
        get_now()
    await wait_turns(4)
    await end_tasks(*tasks)
    end_queue()


@scenario()
async def queue_join_waits_for_every_item():
    new_queue("fifo", 5)
    a = spawn(join, "a")
    await wait_turns(2)
    put_now(1)
    put_now(2)
    b, c = spawn(join, "b"), spawn(join, "c")
    await wait_turns(2)
    get_now()
    get_now()
    done()
    await wait_turns(2)
    done()
    await wait_turns(2)
    done()
    await end_tasks(a, b, c)
    end_queue()


@scenario()
async def queue_join_and_a_later_item():
    new_queue("fifo", 5)
    put_now(1)
    a, b = spawn(join, "a"), spawn(join, "b")
    await wait_turns(2)
    done()
    put_now(2)
    c = spawn(join, "c")
    b.cancel()
    await wait_turns(3)
    c.cancel()
    await wait_turns(2)
    await end_tasks(a, b, c)
    end_queue()


@scenario(since=SHUTDOWN)
async def queue_shut_down_with_getters():
    new_queue("fifo", 2)
    a, b, c = (spawn(get, name) for name in "abc")
    await wait_turns(2)
    put_now(1)
    c.cancel()
    shut(False)
    await wait_turns(4)
    get_now()
    put_now(2)
    d, e = spawn(get, "d"), spawn(put, "e", 1)
    await wait_turns(2)
    await end_tasks(a, b, c, d, e)
    end_queue()


@scenario(since=SHUTDOWN)
async def queue_shut_down_with_putters():
    new_queue("fifo", 1)
    put_now(0)
    a, b, c = spawn(put, "a", 1), spawn(put, "b", 2), spawn(join, "c")
    await wait_turns(2)
    get_now()
    shut(False)
    await wait_turns(3)
    put_now(5)
    get_now()
    done()
    await wait_turns(2)
    shut(True)
    await end_tasks(a, b, c)
    end_queue()


@scenario(since=SHUTDOWN)
async def queue_shut_down_and_drained():
    new_queue("lifo", 4)
    put_some()
    shut(False)
    a = spawn(get, "a", 0, 3)
    await wait_turns(3)
    get_now()
    get_now()
    put_now(7)
    await end_tasks(a)
    end_queue()


@scenario(since=SHUTDOWN)
async def queue_shut_down_immediately():
    new_queue("priority", 3)
    put_some()
    a, b, c = spawn(put, "a", 1), spawn(join, "b"), spawn(join, "c")
    await wait_turns(2)
    shut(True)
    c.cancel()
    await wait_turns(3)
    get_now()
    put_now(1)
    done()
    await end_tasks(a, b, c)
    end_queue()


@scenario(since=SHUTDOWN)
async def queue_shut_down_immediately_with_work_under_way():
    new_queue("fifo", 3)
    put_some()
    get_now()
    a, b, c = spawn(join, "a"), spawn(put, "b", 4), spawn(put, "c", 6)
    await wait_turns(2)
    shut(True)
    await wait_turns(2)
    done()
    await wait_turns(2)
    done()
    await end_tasks(a, b, c)
    end_queue()


# ---- at random ----


class Random:
    """The same numbers as in C."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0xFFFFFFFF
        return (self.state >> 16 & 0x7FFF) % n


MAX_TASKS = 400


def act(random, crowd, may_shut):
    def start(fn, kind):
        if len(crowd) < MAX_TASKS:
            name = f"{kind}{len(crowd):03}"
            item = random.below(50)
            crowd.append(spawn(fn, name, item, 1 + random.below(3)))

    what = random.below(100)
    if what < 22:
        start(get, "g")
    elif what < 44:
        start(put, "p")
    elif what < 48:
        start(join, "j")
    elif what < 56:
        put_now(random.below(50))
    elif what < 64:
        get_now()
    elif what < 74:
        done()
    elif what < 94 and crowd:
        crowd[random.below(len(crowd))].cancel()
    elif what >= 98 and may_shut:
        shut(bool(random.below(2)))


async def at_random(kind, size, seed, may_shut):
    new_queue(kind, size)
    random = Random(seed)
    crowd = []
    for _ in range(150):
        for _ in range(random.below(5)):
            act(random, crowd, may_shut)
        await wait_turns(random.below(3))
    await end_tasks(*crowd)
    end_queue()


@scenario()
async def queue_at_random_of_one():
    await at_random("fifo", 1, 1, False)


@scenario()
async def queue_at_random_of_four():
    await at_random("fifo", 4, 2, False)


@scenario()
async def queue_at_random_unbounded():
    await at_random("fifo", 0, 3, False)


@scenario()
async def queue_at_random_lifo():
    await at_random("lifo", 3, 4, False)


@scenario()
async def queue_at_random_priority():
    await at_random("priority", 5, 5, False)


@scenario(since=SHUTDOWN)
async def queue_at_random_shut_down():
    for seed in range(10, 30):
        await at_random("fifo" if seed % 2 else "lifo", seed % 4, seed, True)
