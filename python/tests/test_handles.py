"""Handles: what they are, what they hold, and that nothing leaks."""

import asyncio
import contextvars
import gc
import logging
import sys
import weakref

import cio
import pytest


class Thing:
    pass


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.WARNING, logger="asyncio")


def run_ready(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_handles_are_asyncios(loop):
    soon, later = loop.call_soon(int), loop.call_later(1, int)
    assert isinstance(soon, asyncio.Handle) and not isinstance(soon, asyncio.TimerHandle)
    assert isinstance(later, asyncio.TimerHandle)
    assert type(soon) is cio.Handle and type(later) is cio.TimerHandle
    with pytest.raises(TypeError):
        cio.Handle(int, (), loop)


@pytest.mark.parametrize("n", range(6))
def test_any_number_of_arguments(loop, n):
    seen = []
    arguments = tuple(range(n))
    handle = loop.call_soon(lambda *a: seen.append(a), *arguments)
    assert handle._args == arguments
    run_ready(loop)
    assert seen == [arguments]


def test_canceled_in_its_own_call(loop):
    seen = []

    def callback(box, *more):
        box[0].cancel()
        seen.append((box[0].cancelled(), more))

    for more in ((), (1, 2), (1, 2, 3, 4)):
        box = [None]
        box[0] = loop.call_soon(callback, box, *more)
        run_ready(loop)
        assert box[0]._callback is None
    assert seen == [(True, ()), (True, (1, 2)), (True, (1, 2, 3, 4))]


def test_canceled_before_after_and_twice(loop):
    seen = []
    for schedule in (loop.call_soon, lambda f, *a: loop.call_later(0, f, *a)):
        handle = schedule(seen.append, 1)
        handle.cancel()
        handle.cancel()
        assert handle.cancelled()
        after = schedule(seen.append, 2)
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        after.cancel()
        assert after.cancelled()
    assert seen == [2, 2]


def test_cancel_lets_go_of_the_arguments(loop):
    for schedule in (loop.call_soon, lambda f, *a: loop.call_later(9, f, *a)):
        thing = Thing()
        handle = schedule(print, thing)
        reference = weakref.ref(thing)
        handle.cancel()
        del thing
        assert reference() is None


def test_a_call_that_has_run_is_let_go_of_with_its_handle(loop):
    thing = Thing()
    loop.call_soon(id, thing)
    reference = weakref.ref(thing)
    del thing
    run_ready(loop)
    assert reference() is None


def test_cycles_through_handles_are_collected(loop):
    for schedule in (loop.call_soon, lambda f, *a: loop.call_later(0, f, *a)):
        thing = Thing()
        thing.handle = schedule(lambda t: None, thing)
        reference = weakref.ref(thing)
        del thing
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        gc.collect()
        assert reference() is None


def test_a_weak_reference_to_a_handle(loop):
    handle = loop.call_soon(int)
    reference = weakref.ref(handle)
    del handle
    assert reference() is not None
    run_ready(loop)
    assert reference() is None


def test_an_abandoned_loop_is_collected_with_all_it_holds():
    loop, thing = cio.EventLoop(), Thing()
    thing.loop = loop
    thing.soon = loop.call_soon(lambda: thing)
    thing.later = loop.call_later(100, lambda: thing)
    reference = weakref.ref(thing)
    del loop, thing
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()
    assert reference() is None


def test_close_lets_go_of_what_is_pending(loop):
    things = [Thing() for _ in range(4)]
    references = [weakref.ref(thing) for thing in things]
    loop.call_soon(print, things[0])
    loop.call_later(100, print, things[1])
    handle = loop.call_soon(print, things[2])
    timer = loop.call_later(100, print, things[3])
    loop.close()
    things.clear()
    assert references[0]() is None and references[1]() is None
    handle.cancel()
    timer.cancel()
    assert references[2]() is None and references[3]() is None


def test_t24_each_call_has_its_context(loop):
    variable = contextvars.ContextVar("variable", default=0)
    seen = []
    variable.set(1)
    loop.call_soon(lambda: (seen.append(variable.get()), variable.set(5)))
    variable.set(2)
    loop.call_soon(lambda: seen.append(variable.get()))
    context = contextvars.copy_context()
    context.run(variable.set, 3)
    handle = loop.call_soon(lambda: (seen.append(variable.get()), variable.set(4)), context=context)
    assert handle.get_context() is context
    loop.call_soon(lambda: seen.append(variable.get()), context=context)
    run_ready(loop)
    assert seen == [1, 2, 3, 4] and variable.get() == 2
    variable.set(0)


def test_a_context_that_is_entered_already_is_reported(loop, caplog):
    context = contextvars.copy_context()

    def run():
        loop.call_soon(int, context=context)
        run_ready(loop)

    context.run(run)
    assert "Exception in callback int()" in caplog.text and "already entered" in caplog.text


def test_a_context_may_be_anything_with_run(loop):
    seen = []

    class Context:
        def run(self, function, *arguments):
            seen.append("in")
            return function(*arguments)

    loop.call_soon(seen.append, "call", context=Context())
    run_ready(loop)
    assert seen == ["in", "call"]


def test_memory_is_flat_over_many_calls(loop):
    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    async def schedule(n):
        for _ in range(n // 1000):
            for _ in range(1000):
                loop.call_soon(int)
                loop.call_later(5, int, 1, 2, 3, 4).cancel()
            await asyncio.sleep(0)

    loop.run_until_complete(schedule(20_000))
    before = resident()
    loop.run_until_complete(schedule(500_000))
    assert resident() - before < 4 << 20


@pytest.mark.skipif(sys.getallocatedblocks() < 1000, reason="Python does not count what it allocates")
def test_handles_of_a_burst_are_kept_for_the_next_one_and_given_back(loop):
    async def burst():
        for _ in range(30_000):
            loop.call_soon(int)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def idle():
        for _ in range(5_000):
            await asyncio.sleep(1e-6)

    async def main():
        await idle()
        before = sys.getallocatedblocks()
        await burst()
        kept = sys.getallocatedblocks() - before
        await idle()
        return kept, sys.getallocatedblocks() - before

    kept, left = loop.run_until_complete(main())
    assert kept > 20_000
    assert left < 6_000  # the usual are 4096


def test_t5_equal_deadlines_are_first_in_first_out(loop):
    seen = []
    when = loop.time() + 0.01
    for i in range(100):
        loop.call_at(when, seen.append, i)
    loop.call_at(when, loop.stop)
    loop.run_forever()
    assert seen == list(range(100))


def test_private_names(loop):
    soon, later = loop.call_soon(int, 1), loop.call_later(1, int, 2)
    assert loop._ready == [soon] and loop._scheduled == [later]
    assert later._scheduled and later._when == later.when()
    assert (soon._callback, soon._args, soon._cancelled, soon._loop) == (int, (1,), False, loop)
    assert soon._source_traceback is None and isinstance(soon._context, contextvars.Context)
