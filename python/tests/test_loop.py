"""The loop's life, its runs, its clock, and what may interrupt it."""

import asyncio
import copy
import ctypes
import gc
import inspect
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from unittest import mock

import cio
import pytest
from conftest import Growth


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.WARNING, logger="asyncio")


def run_script(text, *arguments, timeout=30):
    return subprocess.run(
        [sys.executable, *arguments, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )


# ---- what it is ----


def test_it_is_asyncios(loop):
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert repr(loop) == "<EventLoop running=False closed=False debug=False>"
    assert isinstance(cio.new_event_loop(), cio.EventLoop)


def test_it_takes_attributes_and_weak_references(loop):
    loop.something = 1
    assert loop.something == 1 and weakref.ref(loop)() is loop
    with mock.patch.object(loop, "getaddrinfo", lambda: "ours"):
        assert loop.getaddrinfo() == "ours"


def test_a_subclass_has_an_init_of_its_own():
    class Loop(cio.EventLoop):
        def __init__(self, name):
            super().__init__()
            self.name = name

    loop = Loop("mine")
    assert loop.name == "mine"
    loop.close()
    with pytest.raises(TypeError):
        cio.EventLoop(1)


def test_methods_say_what_they_take(loop):
    signature = inspect.signature(loop.call_later)
    assert list(signature.parameters) == ["delay", "callback", "args", "context"]
    assert loop.call_soon.__doc__


def test_descriptors_are_given_back():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        loop = cio.EventLoop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        loop.close()
    assert len(os.listdir("/proc/self/fd")) == before


# ---- methods that are coroutine functions ----


def names_of_coroutine_functions(theirs, ours):
    """Those of asyncio's class that ours has as well."""
    found = [
        name
        for name in dir(theirs)
        if inspect.iscoroutinefunction(getattr(theirs, name)) and hasattr(ours, name)
    ]
    assert found
    return found


ASYNC_METHODS = names_of_coroutine_functions(asyncio.SelectorEventLoop, cio.EventLoop)


def is_coroutine_function(function):
    return inspect.iscoroutinefunction(function) and (
        sys.version_info >= (3, 14) or asyncio.iscoroutinefunction(function)
    )


def test_no_coroutine_function_of_the_interface_is_another_one():
    missing = set(names_of_coroutine_functions(asyncio.AbstractEventLoop, cio.EventLoop))
    assert missing - set(ASYNC_METHODS) == set()


@pytest.mark.parametrize("name", ASYNC_METHODS)
def test_it_is_a_coroutine_function(name, loop):
    theirs = getattr(asyncio.SelectorEventLoop, name)
    ours, bound = getattr(cio.EventLoop, name), getattr(loop, name)
    assert is_coroutine_function(ours) and is_coroutine_function(bound)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert bound.__name__ == name
    assert ours is theirs or ours.__qualname__ == f"EventLoop.{name}"
    assert bound.__self__ is loop and bound == getattr(loop, name)


def test_other_methods_are_none(loop):
    for name in ("call_soon", "create_future", "run_forever", "run_in_executor", "add_reader"):
        assert not is_coroutine_function(getattr(loop, name))


def test_those_of_a_server_are(loop):
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        for name in ("start_serving", "serve_forever", "wait_closed"):
            assert is_coroutine_function(getattr(server, name))
        assert not is_coroutine_function(server.close)
        server.close()
        await server.wait_closed()

    loop.run_until_complete(main())


def test_mock_knows_them(loop):
    async def main():
        with mock.patch.object(loop, "create_server", autospec=True, return_value=7) as method:
            assert await loop.create_server(None, host="here") == 7
            method.assert_awaited_once_with(None, host="here")
            with pytest.raises(TypeError):
                await loop.create_server(nothing=1)
        with mock.patch.object(loop, "sock_recv") as method:
            assert isinstance(method, mock.AsyncMock)
        assert isinstance(mock.create_autospec(cio.EventLoop).sock_recv, mock.AsyncMock)

    loop.run_until_complete(main())


def test_a_subclass_may_override_and_call_them():
    class Loop(cio.EventLoop):
        async def getaddrinfo(self, *arguments, **keywords):
            self.asked = arguments, keywords
            return await super().getaddrinfo(*arguments, **keywords)

    with asyncio.Runner(loop_factory=Loop) as runner:
        loop = runner.get_loop()
        found = runner.run(loop.getaddrinfo("127.0.0.1", 80, type=1))
        assert found[0][4] == ("127.0.0.1", 80)
        assert loop.asked == (("127.0.0.1", 80), {"type": 1})
        unbound = runner.run(cio.EventLoop.getaddrinfo(loop, "127.0.0.1", 80, type=1))
        assert unbound == found


def test_who_overrides_sock_connect_is_asked():
    seen = []

    class Loop(cio.EventLoop):
        async def sock_connect(self, sock, address):
            seen.append(address)
            await super().sock_connect(sock, address)

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        transport.close()
        server.close()
        assert seen == [address]

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def test_they_are_objects_as_functions_are(loop):
    method = cio.EventLoop.sock_recv
    assert pickle.loads(pickle.dumps(method)) is method and copy.deepcopy(method) is method
    assert repr(method) == "<coroutine function EventLoop.sock_recv of cio>"
    assert repr(loop.sock_recv).startswith("<bound method EventLoop.sock_recv of <EventLoop ")
    assert method.__doc__ == loop.sock_recv.__doc__ and method.__doc__
    assert inspect.isroutine(method) and callable(method)
    with pytest.raises(TypeError, match="sock_recv"):
        method(1, 2, 3)
    with pytest.raises(TypeError):
        method()
    with pytest.raises(TypeError):
        type(method)()
    with pytest.raises(AttributeError):
        method.__code__ = None


def test_a_call_of_them_leaves_nothing(loop):
    one, two = socket.socketpair()
    one.setblocking(False)
    two.setblocking(False)

    async def main(n):
        for _ in range(n):
            bound = loop.sock_sendall
            await bound(one, b"x")
            await loop.sock_recv(two, 1)
            assert bound.__code__ and cio.EventLoop.sock_recv.__qualname__

    loop.run_until_complete(main(1000))
    method = cio.EventLoop.sock_recv
    gc.collect()  # what other tests have left refers to it too
    before = sys.getrefcount(method), sys.getrefcount(loop)
    growth = Growth(lambda: loop.run_until_complete(main(100)), 10)
    assert (sys.getrefcount(method), sys.getrefcount(loop)) == before
    assert growth.blocks < 100  # for a thousand calls of each
    one.close()
    two.close()


# ---- runs ----


def test_t10_stop_before_a_run_lets_one_turn_be(loop):
    seen = []
    loop.stop()
    loop.call_soon(seen.append, 1)
    loop.call_soon(lambda: loop.call_soon(seen.append, 2))
    loop.run_forever()
    assert seen == [1]
    loop.stop()
    loop.run_forever()
    assert seen == [1, 2]


def test_t11_what_leaves_the_loop_leaves_the_rest_ready(loop):
    for error in (KeyboardInterrupt, SystemExit):
        seen = []

        def fail():
            raise error

        loop.call_soon(seen.append, 1)
        loop.call_soon(fail)
        loop.call_soon(seen.append, 2)
        with pytest.raises(error):
            loop.run_forever()
        assert seen == [1] and not loop.is_running()
        loop.stop()
        loop.run_forever()
        assert seen == [1, 2]


def test_t11_a_handler_that_fails_is_reported_by_the_default(loop, caplog):
    loop.set_exception_handler(lambda loop, context: 1 / 0)
    loop.call_soon(int, "x")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert "Unhandled error in exception handler" in caplog.text


def test_t11_a_handler_may_leave_the_loop(loop):
    def handler(loop, context):
        raise SystemExit

    loop.set_exception_handler(handler)
    loop.call_soon(int, "x")
    with pytest.raises(SystemExit):
        loop.run_forever()


def test_t13_one_loop_a_thread(loop):
    other = cio.EventLoop()

    async def main():
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_forever()
        with pytest.raises(RuntimeError, match="while another loop is running"):
            other.run_forever()
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.run_until_complete(main())
    other.close()


def test_a_closed_loop_refuses(loop):
    loop.close()
    for call in (
        lambda: loop.call_soon(int),
        lambda: loop.call_later(1, int),
        lambda: loop.call_at(1, int),
        lambda: loop.call_soon_threadsafe(int),
        lambda: loop.run_in_executor(None, int),
        lambda: loop.add_reader(0, int),
        lambda: loop.run_forever(),
    ):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            call()
    assert loop.remove_reader(0) is False


# ---- the clock ----


def test_the_clock_is_pythons(loop):
    for _ in range(1000):
        before, now, after = time.monotonic(), loop.time(), time.monotonic()
        assert before <= now <= after


class Slow(cio.EventLoop):
    """A clock that goes at a tenth of the speed."""

    def time(self):
        return super().time() / 10


def test_t7_a_subclass_has_its_own_clock():
    loop = Slow()
    began = time.monotonic()
    loop.run_until_complete(asyncio.sleep(0.02))
    assert time.monotonic() - began >= 0.2
    loop.close()


def test_t7_a_clock_may_be_put_in_place_and_taken_away(loop):
    with mock.patch.object(loop, "time", lambda: 5.0):
        assert loop.call_later(1, int).when() == 6.0
    with mock.patch.object(cio.EventLoop, "time", lambda self: 7.0):
        assert loop.call_later(1, int).when() == 8.0
    assert abs(loop.call_later(0, int).when() - time.monotonic()) < 1


def test_t7_a_clock_that_jumps(loop):
    now = time.monotonic()
    with mock.patch.object(loop, "time", lambda: now):

        async def main():
            nonlocal now
            loop.call_soon(jump)
            await asyncio.sleep(3600)
            return loop.time()

        def jump():
            nonlocal now
            now += 3601

        assert loop.run_until_complete(main()) == now


def test_t7_a_clock_that_fails_ends_the_run(loop):
    def fail():
        raise ZeroDivisionError

    loop.call_later(0.01, loop.stop)
    with mock.patch.object(loop, "time", fail):
        with pytest.raises(ZeroDivisionError):
            loop.run_forever()
    loop.run_forever()


def test_t7_call_later_goes_by_call_at():
    class Loop(cio.EventLoop):
        def call_at(self, when, callback, *args, context=None):
            self.asked = when
            return super().call_at(when, callback, *args, context=context)

    loop = Loop()
    assert loop.call_later(1, int, 1, 2).when() == loop.asked
    loop.close()


def test_t8_times_that_are_none(loop):
    with pytest.raises(TypeError, match="delay must not be None"):
        loop.call_later(None, int)
    with pytest.raises(TypeError, match="when cannot be None"):
        loop.call_at(None, int)
    with pytest.raises(TypeError):
        loop.call_later("1", int)


# ---- threads, signals, forks ----


def test_t48_threads_wake_the_loop(loop):
    n, seen = 2000, []

    def post():
        for i in range(n):
            loop.call_soon_threadsafe(seen.append, i)
        loop.call_soon_threadsafe(done)

    left = 4

    def done():
        nonlocal left
        left -= 1
        if left == 0:
            loop.stop()

    threads = [threading.Thread(target=post) for _ in range(left)]
    loop.call_soon(lambda: [thread.start() for thread in threads])
    loop.run_forever()
    for thread in threads:
        thread.join()
    assert len(seen) == 4 * n


def test_t48_the_wrong_thread_does_no_harm(loop):
    """As asyncio, the loop does not notice; but nothing breaks, though it polls meanwhile."""
    seen = []

    def post():
        for i in range(2000):
            loop.call_soon(seen.append, i)
            loop.call_later(0, seen.append, i)
        loop.call_soon_threadsafe(loop.call_later, 0.01, loop.stop)

    thread = threading.Thread(target=post)
    loop.call_later(0.01, thread.start)
    ticks = []

    def tick():
        ticks.append(loop.call_later(0.0001, tick))

    tick()
    loop.run_forever()
    thread.join()
    assert len(seen) == 4000


def test_t49_executors(loop):
    async def main():
        assert await loop.run_in_executor(None, sum, [1, 2, 3]) == 6
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            loop.run_in_executor(None, int)

    loop.run_until_complete(main())
    with pytest.raises(TypeError, match="executor must be ThreadPoolExecutor instance"):
        loop.set_default_executor(object())


def test_t49_threads_that_do_not_end_in_time(loop):
    end = threading.Event()

    async def main():
        waiting = loop.run_in_executor(None, end.wait)
        with pytest.warns(RuntimeWarning, match="did not finishing joining"):
            await loop.shutdown_default_executor(timeout=0.05)
        end.set()
        await waiting

    loop.run_until_complete(main())


def test_t52_signals_call_handlers_in_the_loop(loop):
    seen = []

    def handle(argument):
        seen.append(argument)
        if len(seen) == 3:
            loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handle, "a")
    for i in range(3):
        loop.call_later(i / 100, os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    assert seen == ["a", "a", "a"]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    with pytest.raises(RuntimeError, match="sig 9 cannot be caught"):
        loop.add_signal_handler(signal.SIGKILL, int)
    with pytest.raises(ValueError, match="invalid signal number 1000"):
        loop.add_signal_handler(1000, int)


def test_t52_the_wakeup_descriptor_is_put_back(loop):
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.run_until_complete(asyncio.sleep(0))
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.set_wakeup_fd(-1) == -1
    import socket

    left, right = socket.socketpair()
    left.setblocking(False)
    signal.set_wakeup_fd(left.fileno())
    loop.run_until_complete(asyncio.sleep(0))
    assert signal.set_wakeup_fd(-1) == left.fileno()
    left.close()
    right.close()


def test_t52_other_threads_have_no_signals():
    errors = []

    def run():
        loop = cio.EventLoop()
        try:
            loop.add_signal_handler(signal.SIGUSR1, int)
        except RuntimeError as error:
            errors.append(str(error))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(errors) == 1 and "main thread" in errors[0]


def interrupt_soon():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_ctrl_c_ends_a_sleep(loop):
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0))


def test_ctrl_c_cancels_the_main_task():
    seen = []

    async def main():
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("cleaned up")

    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        cio.run(main())
    assert seen == ["cleaned up"]


def test_a_signal_just_before_the_sleep_is_not_lost(loop):
    """It comes while no code of Python runs any more that would notice, and before the poll."""
    raise_now = ctypes.CDLL(None)["raise"]
    guard = loop.call_later(10, loop.stop)
    began = time.monotonic()
    for _ in range(3):
        loop.call_soon(raise_now, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
    guard.cancel()
    assert time.monotonic() - began < 9


def test_t56_a_forked_child_has_no_running_loop(loop):
    async def main():
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                code = cio.run(asyncio.sleep(0.01, 7))
            os._exit(code)
        await asyncio.sleep(0.01)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert loop.run_until_complete(main()) == 7


# ---- the package ----


def test_run_and_runner():
    async def main():
        return type(asyncio.get_running_loop())

    assert cio.run(main()) is cio.EventLoop
    with cio.Runner(debug=True) as runner:
        assert runner.run(main()) is cio.EventLoop and runner.get_loop().get_debug()

    async def nested():
        coroutine = main()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            cio.run(coroutine)
        coroutine.close()

    cio.run(nested())


def test_install():
    done = run_script(
        """
        import asyncio, cio
        cio.install()
        async def main():
            print(type(asyncio.get_running_loop()) is cio.EventLoop)
        asyncio.run(main())
        print(type(asyncio.new_event_loop()) is cio.EventLoop)
        """,
        "-W",
        "error",
    )
    assert done.stdout == "True\nTrue\n", done.stderr


def test_python_m_cio(tmp_path):
    (tmp_path / "program.py").write_text(
        "import asyncio, sys\n"
        "async def main(): print(type(asyncio.get_running_loop()).__name__, sys.argv[1:], __name__)\n"
        "asyncio.run(main())\n"
    )
    for arguments in (["program.py"], ["-m", "program"]):
        done = subprocess.run(
            [sys.executable, "-m", "cio", *arguments, "-a", "b"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.stdout == "EventLoop ['-a', 'b'] __main__\n", done.stderr


def test_nothing_is_said_at_exit():
    done = run_script(
        """
        import cio
        loop = cio.EventLoop()
        loop.call_soon(loop.stop)
        loop.call_later(100, print, loop)
        loop.run_forever()
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no API for it")
def test_subinterpreters():
    done = run_script(
        """
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        text = '''
        import cio, asyncio
        async def main():
            await asyncio.sleep(0.01)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, int) if False else None
            assert await loop.getaddrinfo("127.0.0.1", 80)
        for _ in range(3):
            cio.run(main())
        '''
        import textwrap, cio
        for _ in range(3):
            one = interpreters.create()
            error = interpreters.run_string(one, textwrap.dedent(text))
            assert error is None, error
            interpreters.destroy(one)
        import asyncio
        cio.run(asyncio.sleep(0))
        print("done")
        """
    )
    assert done.stdout == "done\n", done.stderr


def test_t56_a_childs_signals_are_not_its_parents(loop):
    seen = []

    async def main():
        loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGUSR1, lambda *_: None)
            signal.raise_signal(signal.SIGUSR1)
            os._exit(0)
        os.waitpid(pid, 0)
        await asyncio.sleep(0.02)

    loop.run_until_complete(main())
    assert seen == []


def test_t75_slow_callbacks_are_logged(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    loop.call_soon(time.sleep, 0.02)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Executing <Handle sleep(0.02)" in caplog.text and "took 0.0" in caplog.text


def test_t75_slow_protocols_are_logged(loop, caplog):
    class Slow(asyncio.Protocol):
        def data_received(self, data):
            time.sleep(0.05)
            loop.stop()

    loop.set_debug(True)
    loop.slow_callback_duration = 0.04
    server = loop.run_until_complete(loop.create_server(Slow, "127.0.0.1", 0))
    address = server.sockets[0].getsockname()
    transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol, *address))
    transport.write(b"x")
    loop.run_forever()
    assert "Executing <Handle of a transport" in caplog.text
    transport.close()
    server.close()
    loop.run_until_complete(asyncio.sleep(0.01))


def test_t75_the_wrong_thread_is_told_of(loop):
    loop.set_debug(True)
    errors = []

    def call():
        for call in (loop.call_soon, lambda f: loop.call_later(1, f), lambda f: loop.call_at(1, f)):
            try:
                call(int)
            except RuntimeError as error:
                errors.append(str(error))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=call)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    text = "Non-thread-safe operation invoked on an event loop other than the current one"
    assert errors == [text] * 3


def test_t75_callbacks_are_looked_at(loop):
    loop.set_debug(True)

    async def coroutine_function():
        pass

    coroutine = coroutine_function()
    for bad in (coroutine, coroutine_function):
        with pytest.raises(TypeError, match=r"coroutines cannot be used with call_soon\(\)"):
            loop.call_soon(bad)
    coroutine.close()
    with pytest.raises(TypeError, match=r"a callable object was expected by call_at\(\), got 'x'"):
        loop.call_later(1, "x")


def test_times_beyond_all_measure(loop):
    seen = []
    for when in (float("-inf"), float("nan"), -1e300, 0, -1):
        loop.call_at(when, seen.append, when)
    for when in (float("inf"), 1e300, 1 << 40):
        assert loop.call_at(when, seen.append, when).when() == when
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert len(seen) == 5
