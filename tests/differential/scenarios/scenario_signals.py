"""Signals to the loop. signals.c is the twin."""

import asyncio
import contextvars
import os
import signal
from signal import SIGINT, SIGTERM, SIGUSR1, SIGUSR2

from trace_asyncio import outcome, say, scenario, wait_turns

var = contextvars.ContextVar("var", default="default")


def say_name(name):
    say(f"{name}, {var.get()}")


def add(number, name):
    asyncio.get_running_loop().add_signal_handler(number, say_name, name)


def take_back(number):
    return int(asyncio.get_running_loop().remove_signal_handler(number))


def send(number):
    os.kill(os.getpid(), number)


@scenario()
async def a_signal():
    add(SIGUSR1, "usr1")
    send(SIGUSR1)
    say("sent")
    await wait_turns(4)
    send(SIGUSR1)
    say("sent")
    await wait_turns(4)
    say(f"removed {take_back(SIGUSR1)}")
    say(f"removed {take_back(SIGUSR1)}")


@scenario()
async def signals_in_order():
    add(SIGUSR1, "usr1")
    add(SIGUSR2, "usr2")
    add(SIGTERM, "term")
    send(SIGTERM)
    send(SIGUSR1)
    send(SIGUSR2)
    say("sent")
    await wait_turns(4)
    take_back(SIGUSR1)
    take_back(SIGUSR2)
    take_back(SIGTERM)


@scenario()
async def a_signal_between_callbacks():
    loop = asyncio.get_running_loop()
    add(SIGUSR1, "usr1")
    loop.call_soon(say_name, "before")
    send(SIGUSR1)
    loop.call_soon(say_name, "after")
    await wait_turns(4)
    take_back(SIGUSR1)


@scenario()
async def a_handler_replaced():
    add(SIGUSR1, "first")
    add(SIGUSR1, "second")
    send(SIGUSR1)
    await wait_turns(4)
    say(f"removed {take_back(SIGUSR1)}")


@scenario()
async def context_of_a_handler():
    var.set("registered")
    add(SIGUSR1, "usr1")
    var.set("later")
    send(SIGUSR1)
    await wait_turns(4)
    take_back(SIGUSR1)


@scenario()
async def signals_refused():
    for number in (signal.SIGKILL, signal.SIGSTOP, 0, -3, 65, 1000):
        try:
            add(number, "")
            say(f"{int(number)} taken")
        except (RuntimeError, ValueError):
            say(f"{int(number)} refused")


@scenario()
async def a_handler_of_sigint():
    add(SIGINT, "int")
    send(SIGINT)
    await wait_turns(3)
    send(SIGINT)
    say(f"wait: {await outcome(wait_turns(3))}")
    take_back(SIGINT)
