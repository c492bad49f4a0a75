"""Loops in threads, threads beside loops, forks and interpreters beside the first."""
import asyncio
import concurrent.futures
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import cio


def test_a_loop_a_thread():
    async def work(n):
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_later(0.001, done.set_result, n)
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(20)))
        return await done, loop

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: cio.run(work(n)), range(40)))
    assert [value for value, _ in results] == list(range(40))
    assert all(loop.is_closed() for _, loop in results)


def test_a_loop_moves_between_threads():
    loop = cio.EventLoop()
    for n in range(5):
        results = []
        thread = threading.Thread(target=lambda: results.append(loop.run_until_complete(asyncio.sleep(0.001, n))))
        thread.start()
        thread.join()
        assert results == [n]
    assert loop.run_until_complete(asyncio.sleep(0, "here")) == "here"
    loop.close()


def test_many_threads_wake_one_loop(loop):
    count, each, threads = 0, 2000, 8
    done = loop.create_future()

    def one():
        nonlocal count
        count += 1
        if count == each * threads:
            done.set_result(None)

    def work():
        for _ in range(each):
            loop.call_soon_threadsafe(one)

    started = [threading.Thread(target=work) for _ in range(threads)]
    for thread in started:
        thread.start()
    loop.run_until_complete(asyncio.wait_for(done, 60))
    for thread in started:
        thread.join()
    assert count == each * threads


def test_no_wake_is_lost(loop):
    """A ping-pong in which every message meets a loop that is about to sleep."""
    turns = 3000
    go, done = threading.Event(), loop.create_future()
    left = turns

    def back():
        nonlocal left
        left -= 1
        if left == 0:
            done.set_result(None)
        go.set()

    def work():
        for _ in range(turns):
            go.wait()
            go.clear()
            loop.call_soon_threadsafe(back)

    thread = threading.Thread(target=work)
    thread.start()
    go.set()
    loop.run_until_complete(asyncio.wait_for(done, 60))
    thread.join()


def test_the_lock_is_free_while_the_loop_waits(loop):
    """Another thread gets on while the loop sleeps: the GIL is not held."""
    steps = []

    def work():
        for n in range(100):
            steps.append(n)
            time.sleep(0)
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert len(steps) == 100


def test_a_loop_in_use_is_refused_elsewhere(loop):
    errors = []

    def other():
        for use in loop.run_forever, loop.close, lambda: loop.run_until_complete(loop.create_future()):
            try:
                use()
            except RuntimeError as error:
                errors.append(str(error))

    async def main():
        await asyncio.to_thread(other)

    loop.run_until_complete(main())
    assert errors == ["This event loop is already running", "Cannot close a running event loop", "This event loop is already running"]


def test_closing_while_threads_still_call():
    """call_soon_threadsafe() against close(): an error or nothing, never a crash."""
    for _ in range(10):
        loop = cio.EventLoop()
        seen = []

        def work():
            try:
                while True:
                    loop.call_soon_threadsafe(int)
                    time.sleep(0)
            except RuntimeError as error:
                seen.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()
        for thread in threads:
            thread.join()
        assert seen == ["Event loop is closed"] * 3


def test_a_cancel_from_another_thread_is_no_crash(loop):
    handles = [loop.call_later(0.0001 * n, int) for n in range(2000)]
    thread = threading.Thread(target=lambda: [handle.cancel() for handle in handles])
    thread.start()
    loop.run_until_complete(asyncio.sleep(0.05))
    thread.join()


def in_a_child(work):
    """What the work gives in a forked child: its status."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() else 1)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_has_no_running_loop_and_may_have_its_own(loop):
    async def main():
        def work():
            assert asyncio._get_running_loop() is None
            return cio.run(asyncio.sleep(0.001, True))

        return in_a_child(work)

    assert loop.run_until_complete(main()) == 0
    assert loop.run_until_complete(asyncio.sleep(0.001, "on")) == "on"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_closes_the_parents_loop_and_the_parents_goes_on(loop):
    """The child has a copy of the loop: to close it must not take the descriptors from the parent's poll."""
    if sys.version_info < (3, 12):
        pytest.skip("asyncio itself does not promise it")
    assert in_a_child(lambda: loop.close() is None) == 0
    done = loop.create_future()
    threading.Timer(0.02, loop.call_soon_threadsafe, (done.set_result, 1)).start()
    assert loop.run_until_complete(asyncio.wait_for(done, 10)) == 1


def test_an_interrupt_ends_the_wait():
    program = textwrap.dedent("""
        import asyncio, cio, os, signal, threading
        async def main():
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                print("cancelled")
                raise
        try:
            cio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """)
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert process.stdout == "cancelled\ninterrupted\n", process.stderr


def test_a_python_signal_handler_that_raises_leaves_the_wait(loop):
    class Alarm(Exception):
        pass

    def handler(*args):
        raise Alarm

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Alarm):
            loop.run_until_complete(asyncio.sleep(30))
    finally:
        signal.signal(signal.SIGALRM, before)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    assert loop.run_until_complete(asyncio.sleep(0, "on")) == "on"


def interpreters():
    for name in "_interpreters", "_xxsubinterpreters":
        try:
            return __import__(name)
        except ImportError:
            pass
    pytest.skip("this Python has no interpreters to make")


IN_AN_INTERPRETER = """
try:
    import asyncio, cio
except ImportError as error:
    result = "refused: " + str(error)
else:
    result = cio.run(asyncio.sleep(0.001, "right"))
import os
os.write(%d, result.encode())
"""


def test_another_interpreter_is_refused_or_right():
    module = interpreters()
    for _ in range(3):
        reading, writing = os.pipe()
        other = module.create()
        try:
            failed = module.run_string(other, IN_AN_INTERPRETER % writing)
            assert failed is None, failed
        finally:
            module.destroy(other)
        os.close(writing)
        result = os.read(reading, 1000).decode()
        os.close(reading)
        assert result == "right" or result.startswith("refused: ")
    assert cio.run(asyncio.sleep(0, "still")) == "still"


def test_an_interpreter_that_ends_with_an_open_loop():
    module = interpreters()
    other = module.create()
    failed = module.run_string(other, "try:\n    import cio\nexcept ImportError:\n    pass\nelse:\n    loop = cio.EventLoop(); loop.call_later(9, print)\n")
    assert failed is None, failed
    module.destroy(other)


def test_two_threads_with_an_interpreter_each():
    if sys.version_info < (3, 12):
        pytest.skip("asyncio's own state is one for all interpreters: two of them at a time break each other")
    module = interpreters()
    program = "try:\n    import cio\nexcept ImportError:\n    pass\nelse:\n    import asyncio\n    cio.run(asyncio.sleep(0.01))\n"
    failures = []

    def work():
        other = module.create()
        failures.append(module.run_string(other, program))
        module.destroy(other)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [None, None]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="since 3.14")
@pytest.mark.parametrize("method", ["cancel", "cancelled"])
def test_t48_a_handle_of_another_thread_waits_for_its_call(loop, method):
    began, over, seen = threading.Event(), threading.Event(), []

    def called():
        handles[0].cancelled()  # its own thread does not wait
        began.set()
        for _ in range(100):
            time.sleep(0.001)
        over.set()

    def ask():
        began.wait()
        getattr(handles[0], method)()
        seen.append(over.is_set())

    assert isinstance(loop.call_soon_threadsafe(print), asyncio.events._ThreadSafeHandle)
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    handles = [loop.call_soon_threadsafe(called)]
    loop.call_soon_threadsafe(loop.stop)
    loop.run_forever()
    for thread in threads:
        thread.join()
    assert seen == [True] * 3 and handles[0].cancelled() is (method == "cancel")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="since 3.14")
def test_a_signal_ends_the_wait_for_a_handle():
    program = textwrap.dedent("""
        import cio, signal, threading, time
        class Alarm(Exception): pass
        def alarm(*_): raise Alarm
        signal.signal(signal.SIGALRM, alarm)
        loop, began, over = cio.EventLoop(), threading.Event(), threading.Event()
        def called():
            began.set()
            over.wait(30)
        handle = loop.call_soon_threadsafe(called)
        loop.call_soon_threadsafe(loop.stop)
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        began.wait()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            handle.cancel()
        except Alarm:
            assert not over.is_set()
        else:
            raise AssertionError("no alarm")
        over.set()
        thread.join()
        assert not handle.cancelled()
        loop.close()
    """)
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
