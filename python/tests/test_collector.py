"""Every type of the extension takes part in Python's garbage collection: what is in a cycle goes."""
import asyncio
import gc
import subprocess
import sys
import textwrap
import weakref

import pytest

import cio
from cio import _core


def extension_types():
    """The types that the extension made: those that the module shows, and those of the objects that its methods give."""
    loop = cio.EventLoop()
    timer = loop.call_later(1000, print)
    timer.cancel()
    shutdown = loop.shutdown_asyncgens()
    found = {type(loop), *type(loop).__mro__, type(timer), type(loop.call_soon(print)), type(shutdown)}
    shutdown.close()
    loop.close()
    found |= {value for value in vars(_core).values() if isinstance(value, type)}
    return sorted((each for each in found if each.__module__.split(".")[0] == "cio"), key=lambda each: each.__qualname__)


@pytest.mark.parametrize("kind", extension_types(), ids=lambda kind: kind.__qualname__)
def test_types_take_part(kind):
    HAVE_GC = 1 << 14
    assert kind.__flags__ & HAVE_GC


class Thing:
    pass


def referents(handle):
    """What a handle refers to, and where its arguments are a tuple, these."""
    found = gc.get_referents(handle)
    return {id(each) for each in found + [item for each in found if type(each) is tuple for item in each]}


def test_a_handle_shows_what_it_refers_to(loop):
    callback, arguments = Thing().__init__, [Thing() for _ in range(5)]
    for handle in loop.call_soon(callback, *arguments), loop.call_later(1000, callback, *arguments):
        shown = referents(handle)
        for each in callback, loop, *arguments:
            assert id(each) in shown
        handle.cancel()
        shown = referents(handle)
        assert id(arguments[0]) not in shown and id(callback) not in shown


def test_a_loop_shows_what_it_refers_to(loop):
    handler, factory, thing = lambda loop, context: None, lambda loop, coro, **kwargs: None, Thing()
    loop.set_exception_handler(handler)
    loop.set_task_factory(factory)
    loop.thing = thing
    waiting = loop.call_soon(print, thing)
    later = loop.call_later(1000, print, thing)
    shown = [id(each) for each in gc.get_referents(loop)]
    for each in handler, factory:
        assert id(each) in shown
    loop.set_task_factory(None)
    for handle in waiting, later:
        handle.cancel()


def collected(make):
    """Makes something in a cycle and lets it go; does the collector find it?"""
    reference = make()
    gc.collect()
    return reference() is None


def test_a_loop_in_a_cycle_with_its_handler():
    def make():
        loop, thing = cio.EventLoop(), Thing()
        thing.loop = loop
        loop.set_exception_handler(lambda loop, context: thing)
        loop.close()
        return weakref.ref(thing)

    assert collected(make)


def test_a_loop_in_a_cycle_with_an_attribute():
    def make():
        loop, thing = cio.EventLoop(), Thing()
        thing.loop, loop.thing = loop, thing
        loop.close()
        return weakref.ref(thing)

    assert collected(make)


@pytest.mark.parametrize("later", [False, True])
def test_a_handle_in_a_cycle_with_its_loop(later):
    """The loop is left open: it keeps the handle, the handle its argument, and that the loop."""

    def make():
        loop, thing = cio.EventLoop(), Thing()
        thing.loop = loop
        thing.handle = loop.call_later(1000, print, thing) if later else loop.call_soon(print, thing)
        return weakref.ref(thing)

    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        assert collected(make)


def test_a_cancelled_handle_lets_go(loop):
    thing = Thing()
    reference = weakref.ref(thing)
    handles = loop.call_soon(print, thing), loop.call_later(1000, print, thing)
    for handle in handles:
        handle.cancel()
    del thing
    assert reference() is None


def test_a_handle_that_ran_lets_go(loop):
    thing = Thing()
    reference = weakref.ref(thing)
    handle = loop.call_soon(lambda thing: None, thing)
    del thing
    loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    assert not handle.cancelled()
    assert reference() is None or handle._args is not None  # as asyncio's does, until the handle itself goes


def test_a_closed_loop_lets_go():
    loop, thing = cio.EventLoop(), Thing()
    reference = weakref.ref(thing)
    loop.call_soon(print, thing)
    loop.call_later(1000, print, thing)
    del thing
    loop.close()
    gc.collect()
    assert reference() is None


def test_the_collector_may_run_at_any_allocation(loop):
    """Collections in the middle of all that a loop does."""
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        async def work(n):
            loop.call_later(0, lambda: None)
            loop.call_soon(lambda *args: None, *range(n % 7))
            await asyncio.sleep(0)
            return n

        async def main():
            return sum(await asyncio.gather(*(work(n) for n in range(100))))

        assert loop.run_until_complete(main()) == 4950
    finally:
        gc.set_threshold(*threshold)


def test_the_collector_may_run_at_any_allocation_of_children(loop):
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        async def main():
            process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1, preexec_fn=int)
            return await process.communicate(bytes(200000))

        assert loop.run_until_complete(main()) == (bytes(200000), None)
    finally:
        gc.set_threshold(*threshold)


def test_a_pipe_and_a_process_show_what_they_refer_to(loop):
    async def main():
        transport, protocol = await loop.subprocess_exec(asyncio.SubprocessProtocol, "cat", stdout=None, stderr=None)
        pipe = transport.get_pipe_transport(0)
        between = pipe.get_protocol()
        shown = [id(each) for each in gc.get_referents(transport)]
        for each in loop, protocol, between, transport.get_extra_info("subprocess"):
            assert id(each) in shown
        assert id(transport) in [id(each) for each in gc.get_referents(between)]
        assert id(transport) in [id(each) for each in gc.get_referents(loop)]
        shown = [id(each) for each in gc.get_referents(pipe)]
        for each in loop, between, pipe._pipe:
            assert id(each) in shown
        transport.close()
        await transport._wait()

    loop.run_until_complete(main())


def test_a_subclass_with_a_finalizer():
    """Resurrection and __del__ of a subclass."""
    seen = []

    class Loop(cio.EventLoop):
        def __del__(self):
            seen.append(self)
            self.close()

    loop = Loop()
    loop.me = loop
    del loop
    gc.collect()
    assert len(seen) == 1 and seen[0].is_closed()


def test_what_is_left_at_the_interpreters_end():
    """Loops, handles and tasks that are alive when the interpreter ends, in every state, do not crash it."""
    program = textwrap.dedent("""
        import asyncio, cio, sys
        idle, closed, used, subclassed = cio.EventLoop(), cio.EventLoop(), cio.EventLoop(), type("L", (cio.EventLoop,), {})()
        closed.close()
        async def waits():
            await asyncio.get_running_loop().create_future()
        async def main():
            global task, generator
            task = asyncio.create_task(waits())
            async def numbers():
                try:
                    yield 1
                finally:
                    print("finally")
            generator = numbers()
            await generator.__anext__()
        used.run_until_complete(main())
        handles = [idle.call_soon(print, idle), used.call_later(1000, print, used)]
        sys.modules["kept"] = handles
        idle.cycle = idle
        used.set_exception_handler(lambda loop, context: None)
    """)
    process = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr


def test_leaving_from_inside_of_the_loop():
    program = "import cio, sys\nloop = cio.EventLoop()\nloop.call_soon(sys.exit, 5)\nloop.call_soon(print, 1)\nloop.run_forever()\n"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert process.returncode == 5, process.stderr


def test_a_connection_over_tls_that_nobody_holds(loop):
    """Both its halves hold each other, the program's protocol holds its transport, and nothing else does."""
    from test_leaks import tls_pair

    async def main():
        server, transport, protocol, theirs = await tls_pair(loop)
        transport._ssl_protocol._transport.pause_reading()
        shown = gc.get_referents(transport._ssl_protocol)
        for each in transport, protocol, loop, transport.get_extra_info("ssl_object"), transport.get_extra_info("sslcontext"):
            assert any(each is other for other in shown)
        assert any(each is transport._ssl_protocol for each in gc.get_referents(transport))
        references = [weakref.ref(each) for each in (transport, protocol, transport._ssl_protocol)]
        transport.thing = protocol
        with pytest.warns(ResourceWarning, match="unclosed transport"):
            del transport, protocol, each, shown
            gc.collect()
        gc.collect()  # the warning had it, and since 3.15 weak references see what a finalizer has kept
        assert [each() for each in references] == [None] * 3
        await theirs.lost
        server.close()

    loop.run_until_complete(main())


@pytest.mark.parametrize("what", ["ran", "cancelled", "ready"])
def test_handles_that_were_ready_while_the_loop_ran(what):
    """The collector learns of them when they leave the queue, or the loop its run."""

    def make():
        loop, thing = cio.EventLoop(), Thing()

        def begin():
            thing.handle = loop.call_soon(print, thing) if what != "ran" else loop.call_soon(lambda thing: None, thing)
            thing.handles = [loop.call_soon(lambda thing: None, thing) for _ in range(3)]
            if what == "cancelled":
                thing.handle.cancel()
            if what == "ready":
                loop.stop()

        loop.call_soon(begin)
        loop.call_soon(loop.stop) if what == "ready" else loop.call_later(0.001, loop.stop)
        loop.run_forever()
        assert gc.is_tracked(thing.handle)
        thing.loop = loop
        return weakref.ref(thing)

    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        assert collected(make)


def test_ready_handles_keep_what_they_call(loop):
    """Collections while they wait in the queue."""
    seen = []

    async def main():
        for n in range(5000):
            loop.call_soon(lambda n, thing: seen.append(n), n, Thing())
            if n % 500 == 0:
                gc.collect()
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert seen == list(range(5000))
