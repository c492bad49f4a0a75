"""Runs the probes of one subject on a loop and prints, as JSON, what each of them showed.

    python child.py SUBJECT FACTORY

What a probe shows: what it said, its value or its error, what the logger "asyncio" and the exception handler got, and
the warnings. Addresses, ports, paths and the names of the loop's own classes are put out of it.
"""
import ast
import asyncio
import contextlib
import contextvars
import errno
import faulthandler
import gc
import importlib
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
import weakref

import probes

LIMIT = 10


class Recorder(logging.Handler):
    def __init__(self, lines):
        super().__init__()
        self.lines = lines

    def emit(self, record):
        self.lines.append(f"log {record.levelname}: {record.getMessage()}")


CLEAN = [
    (re.compile(r"0x[0-9a-f]+"), "0x"),
    (re.compile(r"(?:/[\w.@-]+)+\.(?:py|pyx)(?:\", line |:)\d+"), "FILE:N"),
    (re.compile(r"<probe>:\d+"), "<probe>:N"),
    (re.compile(r"\('(127\.0\.0\.1|::1)', \d+"), r"('\1', PORT"),
    (re.compile(r"\bfd=\d+"), "fd=N"),
    (re.compile(r"\bpid([= ])\d+"), r"pid\1N"),
    (re.compile(r"\bpipe \d+"), "pipe N"),
    (re.compile(r"descriptor \d+"), "descriptor N"),
    (re.compile(r"(?:cio\.)?\b\w*Transport\b"), "TRANSPORT"),
    (re.compile(r"when=\d+\.\d{4,}"), "when=T"),
    (re.compile(r"Task-\d+"), "Task-N"),
    (re.compile(r"/tmp/[\w./-]+"), "TMP"),
    (re.compile(r"(created|took|after) (at )?\d+\.\d+"), r"\1 T"),
]


class Show:
    """What a probe's code sees, and what it leaves."""

    def __init__(self, new_loop):
        self.said = []
        self.new_loop = new_loop
        self.scope = {
            name: module
            for name, module in globals().items()
            if isinstance(module, types.ModuleType) and name not in ("probes", "ast", "json")
        }
        self.scope.update(
            say=self.say,
            cb=lambda name: lambda *args: self.say(name, *args),
            sayer=self.sayer,
            new_loop=new_loop,
            errors=self.errors,
            shown=self.shown,
            attempt=self.attempt,
            attempt_await=self.attempt_await,
            Proto=make_protocol(self.say),
            temp=tempfile.mkdtemp,
            spin=spin,
        )

    def say(self, *what):
        self.said.append(" ".join(map(str, what)))

    async def sayer(self, name, value=None):
        self.say(name)
        return value

    def errors(self, loop):
        """The loop's exception handler says what it gets."""

        def handler(loop, context):
            parts = [f"{key}={context[key]!r}" for key in sorted(context) if key not in ("source_traceback", "handle_traceback")]
            self.say("handler:", "; ".join(parts), "+traceback" if "source_traceback" in context else "")

        loop.set_exception_handler(handler)

    def shown(self, error):
        text = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
        if isinstance(error, BaseExceptionGroup):
            text += " [" + ", ".join(map(self.shown, error.exceptions)) + "]"
        return text

    def attempt(self, function, *args, **kwargs):
        """The result, or the error, of a call."""
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            self.say(self.shown(error))
        else:
            self.say("->", repr(result))
            return result

    async def attempt_await(self, awaitable):
        try:
            result = await awaitable
        except BaseException as error:
            self.say(self.shown(error))
        else:
            self.say("->", repr(result))
            return result


async def spin(turns=5):
    for _ in range(turns):
        await asyncio.sleep(0)


def make_protocol(say):
    class Proto(asyncio.Protocol):
        def __init__(self, name="", **overrides):
            self.name = name
            self.lost = asyncio.get_running_loop().create_future()
            self.transport = None
            for key, value in overrides.items():
                setattr(self, key, value)

        def connection_made(self, transport):
            self.transport = transport
            say(self.name, "made")

        def data_received(self, data):
            say(self.name, "data", data)

        def eof_received(self):
            say(self.name, "eof")

        def pause_writing(self):
            say(self.name, "pause")

        def resume_writing(self):
            say(self.name, "resume")

        def connection_lost(self, error):
            say(self.name, "lost", repr(error))
            if not self.lost.done():
                self.lost.set_result(None)

    return Proto


def run_probe(probe, new_loop, loop_type):
    show = Show(new_loop)
    lines = []
    recorder = Recorder(show.said)
    logger = logging.getLogger("asyncio")
    logger.handlers[:] = [recorder]
    logger.propagate = False
    if probe.outside:
        code = compile(probe.body, "<probe>", "exec")
    else:  # a coroutine, even if nothing is awaited
        code = compile(probe.body + "if 0: await 0\n", "<probe>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop = None
        try:
            if probe.outside:
                exec(code, show.scope)
            else:
                loop = new_loop()
                show.scope["loop"] = loop
                loop.run_until_complete(types.FunctionType(code, show.scope)())
        except BaseException as error:
            lines.append("raised " + show.shown(error))
        finally:
            show.scope.clear()
            gc.collect()
            if loop is not None and not loop.is_closed() and not loop.is_running():
                close(loop, lines)
            loop = None
            gc.collect()
    faulthandler.cancel_dump_traceback_later()
    lines = show.said + lines
    lines += [f"warning {item.category.__name__}: {item.message}" for item in caught if "use of fork()" not in str(item.message)]
    return [clean(line, loop_type) for line in lines]


def close(loop, lines):
    try:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    except BaseException as error:
        lines.append(f"at the end: {error!r}")
    loop.close()


def clean(line, loop_type):
    for pattern, instead in CLEAN:
        line = pattern.sub(instead, line)
    line = re.sub(rf"\b(?:{loop_type.__module__}\.)?{loop_type.__qualname__}\b", "LOOP", line)
    return line.replace("cio.", "")


def load_factory(text):
    module, _, attribute = text.partition(":")
    return getattr(importlib.import_module(module), attribute)


def main():
    subject, factory = sys.argv[1], load_factory(sys.argv[2])
    loop = factory()
    loop_type = type(loop)
    loop.close()
    for probe in probes.read(subject):
        if probe.applies():
            print(json.dumps([probe.title, run_probe(probe, factory, loop_type)]), flush=True)


if __name__ == "__main__":
    main()
