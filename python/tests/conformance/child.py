"""Runs one module of test.test_asyncio on a given event loop, and tells on a pipe what came of each test.

    python child.py MODULE --loop cio:EventLoop --results FD [--only FILE] [--limit SECONDS]

Each line on the pipe is JSON: {"tests": [...]} once, then for each test {"start": name} and
{"name": name, "outcome": ..., "text": ..., "loops": N}. A test that goes on for longer than the limit
ends the process: who reads the pipe knows from the last start which it was.
"""
import argparse
import faulthandler
import importlib
import json
import os
import sys
import unittest
import warnings


class Binding:
    """Puts a loop where the tests look for one, and counts the loops that they make."""

    def __init__(self, factory):
        self.factory = factory
        self.made = 0

    def new_loop(self, selector=None):
        # The tests choose selectors for the loop of the standard library; ours has only one.
        if selector is not None:
            selector.close()
        self.made += 1
        return self.factory()

    def install(self):
        import asyncio
        import asyncio.events
        import asyncio.unix_events as unix_events

        binding = self
        probe = self.factory()
        loop_type = type(probe)
        probe.close()

        class LoopClass(type):
            def __call__(cls, selector=None):
                return binding.new_loop(selector)

            def __instancecheck__(cls, instance):
                return isinstance(instance, loop_type)

        class SelectorEventLoop(metaclass=LoopClass):
            pass

        driven_loop(self, loop_type)
        asyncio.SelectorEventLoop = SelectorEventLoop
        unix_events.SelectorEventLoop = SelectorEventLoop
        if hasattr(asyncio, "EventLoop"):
            asyncio.EventLoop = SelectorEventLoop
        for name in "_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy":
            policy = getattr(unix_events, name, None)
            if policy is not None and hasattr(policy, "_loop_factory"):
                policy._loop_factory = SelectorEventLoop


def driven_loop(binding, loop_type):
    """The tests' own TestLoop, whose clock they drive, made of our loop instead of the standard library's."""
    from asyncio import base_events
    from test.test_asyncio import utils

    class TestLoop(loop_type):
        def __init__(self, gen=None):
            super().__init__()
            binding.made += 1
            self._check_on_close = gen is not None
            self._gen = (gen or self.no_time)()
            next(self._gen)
            self._time = 0
            self._timers = []
            self._is_stopped = False
            self._clock_resolution = 1e-9

        @staticmethod
        def no_time():
            yield

        def time(self):
            return self._time

        def advance_time(self, advance):
            self._time += advance or 0

        def close(self):
            super().close()
            if self._check_on_close:
                try:
                    self._gen.send(0)
                except StopIteration:
                    pass
                else:
                    raise AssertionError("Time generator is not finished")

        def call_at(self, when, callback, *args, context=None):
            self._timers.append(when)
            return super().call_at(when, callback, *args, context=context)

        def stop(self):
            self._is_stopped = True
            super().stop()

        def _run_once(self):
            """A turn; after it the clock goes to where the test wants it for the timers made in it."""
            super().stop()
            super().run_forever()
            for when in self._timers:
                self.advance_time(self._gen.send(when))
            self._timers = []

        def run_forever(self):
            while not self._is_stopped:
                self._run_once()
            self._is_stopped = False

        # The standard library's, which calls the two methods above.
        run_until_complete = base_events.BaseEventLoop.run_until_complete

        def _check_closed(self):
            if self.is_closed():
                raise RuntimeError("Event loop is closed")

        def _check_running(self):
            if self.is_running():
                raise RuntimeError("This event loop is already running")

    utils.TestLoop = TestLoop


class Reporter(unittest.TestResult):
    def __init__(self, pipe, prefix, binding, limit):
        super().__init__()
        self.pipe = pipe
        self.prefix = prefix
        self.binding = binding
        self.limit = limit
        self.outcome = ("passed", "")
        self.loops_before = 0
        self.started = False

    def tell(self, **what):
        self.pipe.write(json.dumps(what) + "\n")
        self.pipe.flush()

    def name(self, test):
        return short_name(test, self.prefix)

    def startTest(self, test):
        super().startTest(test)
        self.outcome = ("passed", "")
        self.started = True
        self.loops_before = self.binding.made
        self.tell(start=self.name(test))
        faulthandler.dump_traceback_later(self.limit, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        if self.started:  # some versions do not start those that they skip
            self.started = False
            outcome, text = self.outcome
            self.tell(name=self.name(test), outcome=outcome, text=text, loops=self.binding.made - self.loops_before)

    def fails(self, test, error):
        text = self._exc_info_to_string(error, test)
        if isinstance(test, unittest.TestCase):
            self.outcome = ("failed", text)
        else:  # setUpClass and the like
            self.tell(start=str(test))
            skipped = isinstance(error[1], unittest.SkipTest)
            self.tell(name=str(test), outcome="skipped" if skipped else "failed", text=text, loops=0)

    def addError(self, test, error):
        self.fails(test, error)

    def addFailure(self, test, error):
        self.fails(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.fails(test, error)

    def addSkip(self, test, reason):
        if self.started:
            self.outcome = ("skipped", reason)
        else:
            self.tell(name=self.name(test), outcome="skipped", text=reason, loops=0)

    def addUnexpectedSuccess(self, test):
        self.outcome = ("failed", "unexpected success")


def short_name(test, prefix):
    name = test.id()
    return name[len(prefix):] if name.startswith(prefix) else name


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def load_factory(text):
    module, _, attribute = text.partition(":")
    return getattr(importlib.import_module(module), attribute)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--loop", default="")
    parser.add_argument("--results", type=int, required=True)
    parser.add_argument("--only")
    parser.add_argument("--limit", type=float, default=60)
    arguments = parser.parse_args()

    os.set_inheritable(arguments.results, False)
    pipe = os.fdopen(arguments.results, "w")
    faulthandler.enable()
    warnings.simplefilter("default")

    binding = Binding(load_factory(arguments.loop) if arguments.loop else None)
    if binding.factory:
        binding.install()

    package = "test.test_asyncio."
    try:
        module = importlib.import_module(package + arguments.module)
    except unittest.SkipTest:
        pipe.write(json.dumps({"tests": []}) + "\n")
        return
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    tests = list(flatten(suite))
    names = [short_name(test, package) for test in tests]
    pipe.write(json.dumps({"tests": names}) + "\n")
    pipe.flush()
    if arguments.only:
        with open(arguments.only) as file:
            chosen = set(file.read().splitlines())
        tests = [test for test, name in zip(tests, names) if name in chosen]

    # A module's own fixtures and its classes' run by the suite, in the order of the tests.
    unittest.TestSuite(tests).run(Reporter(pipe, package, binding, arguments.limit))
    pipe.close()
    # What the tests left behind must not keep the process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
