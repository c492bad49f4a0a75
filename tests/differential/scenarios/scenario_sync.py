"""The synchronisation primitives. sync.c is the twin.

Tasks play parts, strings of one-letter steps, and say how each step ended. What was canceled is
swallowed, and the part goes on. A digit cancels the actor of that number.
"""

import asyncio

from trace_asyncio import how, outcome, say, scenario, wait_turns

ACTORS_MOST = 8
PART_MOST = 16

ESTATE = "error 4105"
EBROKEN = "error 4112"


def end_of(end):
    if isinstance(end, asyncio.BrokenBarrierError):
        return EBROKEN
    if isinstance(end, (RuntimeError, ValueError)):
        return ESTATE
    if end is True or end is False:
        return str(int(end))
    return how(end)


async def succeed(awaitable):
    """For what returns True when it could, as C returns 0."""
    await awaitable


class Stage:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.event = asyncio.Event()
        self.condition = asyncio.Condition()
        self.semaphore = asyncio.Semaphore(2)
        self.bounded = asyncio.BoundedSemaphore(1)
        self.barrier = asyncio.Barrier(3)
        self.actors = []
        self.waits = {
            ".": lambda: asyncio.sleep(0),
            "a": lambda: succeed(self.lock.acquire()),
            "w": lambda: succeed(self.event.wait()),
            "A": lambda: succeed(self.condition.acquire()),
            "W": lambda: succeed(self.condition.wait()),
            "P": lambda: succeed(self.semaphore.acquire()),
            "p": lambda: succeed(self.bounded.acquire()),
            "b": self.barrier.wait,
            "x": self.barrier.reset,
            "z": self.barrier.abort,
        }
        self.calls = {
            "r": self.lock.release,
            "l": self.lock.locked,
            "s": self.event.set,
            "c": self.event.clear,
            "R": self.condition.release,
            "n": self.condition.notify,
            "N": self.condition.notify_all,
            "V": self.semaphore.release,
            "Q": self.semaphore.locked,
            "v": self.bounded.release,
            "q": lambda: self.barrier.n_waiting + 10 * self.barrier.broken,
        }

    async def step(self, what):
        if what in self.waits:
            return await self.waits[what]()
        if what in self.calls:
            return self.calls[what]()
        number = int(what)
        return self.actors[number].cancel() if number < len(self.actors) else 0


async def play(stage, number, part):
    for what in part:
        try:
            end = await stage.step(what)
        except (Exception, asyncio.CancelledError) as error:
            end = error
        say(f"{number} {what}: {end_of(end)}")


async def notify(stage):
    await stage.condition.acquire()
    stage.condition.notify_all()
    stage.condition.release()


async def set_free(stage):
    """Lets all who wait go on."""
    stage.event.set()
    for lock in (stage.lock, stage.condition):
        if lock.locked():
            lock.release()
    stage.semaphore.release()
    await outcome(stage.step("v"))
    await stage.barrier.abort()
    notifier = asyncio.create_task(notify(stage))
    await wait_turns(3)
    notifier.cancel()  # an actor has ended with the lock: another time
    await outcome(notifier)


def cancel_all(stage):
    """Who waits with a condition needs its lock for that."""
    for actor in stage.actors:
        actor.cancel()
    if stage.condition.locked():
        stage.condition.release()


async def play_all(turns, *parts, cancels=True):
    """Those who still wait after so many turns are canceled or set free until they have ended."""
    stage = Stage()
    for number, part in enumerate(parts):
        stage.actors.append(asyncio.create_task(play(stage, number, part)))
    await wait_turns(turns)
    while not all(actor.done() for actor in stage.actors):
        if cancels:
            cancel_all(stage)
        else:
            await set_free(stage)
        await wait_turns(1)
    for number, actor in enumerate(stage.actors):
        say(f"{number} ends: {await outcome(actor)}")
    say(f"left {int(stage.lock.locked())} {int(stage.condition.locked())}")
    say(f"left {stage.semaphore._value} {stage.bounded._value} {stage.barrier._count}")


@scenario()
async def lock_goes_to_who_waited_longest():
    await play_all(10, "a..r", "ar", "ar", "ar")
    await play_all(10, "a.r.ar", "a..r", ".al.r", "..a.r")


@scenario()
async def lock_is_not_taken_by_a_newcomer():
    await play_all(10, "a.rlar", "a.r", ".lar")
    await play_all(10, "a..rlar", "ar", "..lar")


@scenario()
async def lock_canceled_waiters():
    await play_all(10, "a...r", "ar", "ar", ".1lar")
    await play_all(10, "a...r1l", "ar", "ar", "ar")
    await play_all(10, "a...1r", "ar", "ar", "ar")
    await play_all(10, "a...12r", "ar", "ar", "ar")
    await play_all(10, "a...r12", "ar", "ar", "ar")
    await play_all(10, "a...12rl", "ar", "ar", "...al")
    await play_all(10, "a..0ar", "..r", "ar", "ar")
    await play_all(10, "a...1.1r", "aar", "ar")


@scenario()
async def lock_released_too_often():
    await play_all(10, "r", "arr", ".a.r", "..r")


@scenario()
async def event_wakes_all():
    await play_all(10, "w", "w.w", "..s.", "...w", "....cw", ".....s")


@scenario()
async def event_set_and_cleared_at_once():
    await play_all(10, "ww", "ww", "..sc.sc", "w")
    await play_all(10, "ww", "ww", "..scsc", "...w", "....s")


@scenario()
async def event_canceled_waiters():
    await play_all(10, "ww", "ww", "..0s", "w")
    await play_all(10, "ww", "ww", "..s0c", "w")
    await play_all(10, "0w", "ww", "..s")


@scenario()
async def condition_notifies_in_order():
    await play_all(10, "AWR", "AWR", "AWR", "..An.R", "....ANR")
    await play_all(10, "AWR", "AWR", "AWR", "..AnnR", "....AnR")
    await play_all(10, "AWR", "AWR", "AWR", "..AN..R", "...AR", "A.R")


@scenario()
async def condition_without_the_lock():
    await play_all(10, "W", "n", "N", "R", "AWR", "..n", "..AW")


@scenario()
async def condition_canceled_waiters():
    await play_all(12, "AWR", "AWR", "..A0..nR")
    await play_all(12, "AWR", "..An0..R", "..A.R")
    await play_all(12, "AWR", "..A0.0.0.R", "...A.R")


@scenario()
async def semaphore_lets_so_many_in():
    await play_all(14, "P..V", "P.V", "PV", "PV", "PV", ".QPQV")
    await play_all(14, "PP.V.V", "P", "P", "..QPQ")


@scenario()
async def semaphore_is_handed_over():
    await play_all(10, "PP..VQPVV", "PQV", "..P.V", "..QPV")


@scenario()
async def semaphore_canceled_waiters():
    await play_all(10, "PP.1V", "PV", "PV")
    await play_all(10, "PP..V1Q", "PV", "PV")
    await play_all(10, "PP..1VQ", "PV", "PV")
    await play_all(10, "PP..12VQP", "PV", "PV")
    await play_all(10, "PP0PV", "PV", ".VV")


@scenario()
async def bounded_semaphore_has_a_bound():
    await play_all(10, "v", "pvv", "p.v", "p.v", "....v")


@scenario()
async def barrier_lets_all_go_together():
    await play_all(20, "bb", "bb", "bb")
    await play_all(20, "bq", "b", ".q", "..b", "..bq", "...b", "....b")


@scenario()
async def barrier_canceled_waiters():
    await play_all(20, "b", "b", "..0q.bq", "...b")
    await play_all(20, "b", "b", "..b0q", "b")


@scenario()
async def barrier_reset_and_aborted():
    await play_all(20, "bb", "bb", "..xqbq", "...q.")
    await play_all(20, "bb", "bb", "..zqb", "...q", "....xq", ".....b", ".....b", ".....b")
    await play_all(20, "x", "z", "qb", "xqz")


class Chance:
    def __init__(self, seed):
        self.seed = seed

    def draw(self, below):
        self.seed = (self.seed * 1664525 + 1013904223) % 2**32
        return (self.seed >> 16) % below


async def play_by_chance(letters, n_seeds):
    """Parts from such letters, drawn by chance: the twin draws the same."""
    for seed in range(n_seeds):
        chance = Chance(seed)
        parts = []
        for _ in range(2 + chance.draw(ACTORS_MOST - 2)):
            length = 1 + chance.draw(PART_MOST)
            parts.append("".join(letters[chance.draw(len(letters))] for _ in range(length)))
        say(f"seed {seed}")
        await play_all(20, *parts, cancels="0" in letters)


@scenario()
async def lock_by_chance():
    await play_by_chance("aaaarrrr..l01234567", 400)


@scenario()
async def event_by_chance():
    await play_by_chance("wwwwssscc..01234567", 400)


@scenario()
async def condition_by_chance():
    await play_by_chance("AAAAWWWWRRRRnN..", 400)


@scenario(since=(3, 13))  # before, those who may go on wake each other, one a turn
async def semaphore_by_chance():
    await play_by_chance("PPPPVVVV..Q01234567", 400)


@scenario(since=(3, 13))
async def bounded_semaphore_by_chance():
    await play_by_chance("ppppvvvv..01234567", 400)


@scenario()
async def barrier_by_chance():
    await play_by_chance("bbbbbbb...qxz", 400)


@scenario()
async def all_primitives_by_chance():
    await play_by_chance("aarrwsc..AAWRRNbbvp", 400)
