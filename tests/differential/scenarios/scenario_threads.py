"""Jobs of threads, and tasks for threads. threads.c is the twin."""

import asyncio
import concurrent.futures
import threading

from trace_asyncio import finish, how, outcome, say, scenario


class Gate:
    """A thread says nothing by itself: what it did is told when it is known."""

    def __init__(self, result):
        self.begun = threading.Semaphore(0)
        self.open = threading.Semaphore(0)
        self.result = result
        self.done = False


def pass_(gate):
    gate.begun.release()
    gate.open.acquire()
    gate.done = True
    return finish(gate.result)


def give(number):
    return finish(number)


def one_thread():
    return concurrent.futures.ThreadPoolExecutor(max_workers=1)


def run_in(executor, function, *args):
    return asyncio.get_running_loop().run_in_executor(executor, function, *args)


def refused(executor):
    try:
        run_in(executor, give, 1)
    except RuntimeError:
        return 1
    return 0


@scenario(ticks=False)
async def to_thread_results():
    for number in 3, -4, 5:
        say(await outcome(asyncio.to_thread(give, number)))


@scenario(ticks=False)
async def a_queued_job_is_canceled():
    gate = Gate(1)
    executor = one_thread()
    running = run_in(executor, pass_, gate)
    gate.begun.acquire()
    canceled = run_in(executor, give, 2)
    kept = run_in(executor, give, 3)
    say(f"cancel {int(canceled.cancel())}")
    say(f"again {int(canceled.cancel())}")
    say(f"canceled: {await outcome(canceled)}")
    say(f"running: {int(running.done())}, kept: {int(kept.done())}")
    gate.open.release()
    say(f"running: {await outcome(running)}")
    say(f"kept: {await outcome(kept)}")
    executor.shutdown()


@scenario(ticks=False)
async def a_running_job_is_canceled():
    gate = Gate(1)
    executor = one_thread()
    running = run_in(executor, pass_, gate)
    gate.begun.acquire()
    say(f"cancel {int(running.cancel())}")
    say(f"running: {await outcome(running)}")
    say(f"done {int(gate.done)}")
    gate.open.release()
    executor.shutdown()
    say(f"done {int(gate.done)}")


@scenario(ticks=False)
async def an_executor_is_shut_down_with_queued_jobs():
    gate = Gate(1)
    executor = one_thread()
    running = run_in(executor, pass_, gate)
    gate.begun.acquire()
    queued = run_in(executor, give, 2)
    executor.shutdown(wait=False, cancel_futures=True)
    say(f"queued: {await outcome(queued)}")
    gate.open.release()
    say(f"running: {await outcome(running)}")
    say(f"refused {refused(executor)}")


@scenario(ticks=False)
async def after_the_default_executors_shutdown():
    say(await outcome(asyncio.to_thread(give, 1)))
    await asyncio.get_running_loop().shutdown_default_executor()
    try:
        await asyncio.to_thread(give, 1)
    except RuntimeError:
        say("refused 1")
    say(f"refused {refused(None)}")


async def coroutine(number):
    say("coroutine begins")
    say(f"coroutine ends: {await outcome(asyncio.sleep(0.0001))}")
    return finish(number)


async def forever(begun):
    say("forever begins")
    begun.release()
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError as error:
        say(f"forever: {how(error)}")
        raise


@scenario(ticks=False)
async def a_job_calls_a_coroutine():
    loop = asyncio.get_running_loop()

    def calls(number):
        return asyncio.run_coroutine_threadsafe(coroutine(number), loop).result()

    say(await outcome(asyncio.to_thread(calls, 7)))
    say(await outcome(asyncio.to_thread(calls, -8)))


@scenario(ticks=False)
async def a_job_cancels_what_it_started():
    loop = asyncio.get_running_loop()
    begun = threading.Semaphore(0)
    ended = threading.Semaphore(0)

    async def noting_its_end():
        try:
            await forever(begun)
        finally:
            ended.release()

    def starts_and_cancels():
        future = asyncio.run_coroutine_threadsafe(noting_its_end(), loop)
        begun.acquire()
        future.cancel()
        ended.acquire()  # cancel() itself does not wait for the task
        return 1 if future.cancelled() else 2

    def waits_in_vain():
        future = asyncio.run_coroutine_threadsafe(noting_its_end(), loop)
        try:
            future.result(0.001)
        except concurrent.futures.TimeoutError:
            result = 1
        else:
            result = 2
        begun.acquire()
        future.cancel()
        ended.acquire()
        return result

    say(await outcome(asyncio.to_thread(starts_and_cancels)))
    say(await outcome(asyncio.to_thread(waits_in_vain)))


@scenario(ticks=False)
async def the_end_of_a_run_waits_for_tasks_then_threads():
    gate = Gate(0)
    run_in(None, pass_, gate)
    gate.begun.acquire()

    async def cleans_up():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as error:
            say(f"task: {how(error)}")
            say(f"in a thread: {await outcome(asyncio.to_thread(give, 9))}")
            gate.open.release()
            raise

    asyncio.create_task(cleans_up())
    await asyncio.sleep(0)
