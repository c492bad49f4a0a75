"""One asyncio program on asyncio's loop and on cio's, in turns, in one interpreter: how many times as fast is it?

    python side_by_side.py [--rounds N] [--seconds S] [--clients N] [--size BYTES]

The program is echo.py beside this. A round is a turn on each loop, one right after the other, and gives a ratio of the messages
that went there and back in a second. Shown are medians of the rounds: who else uses the machine meanwhile disturbs both loops.
"""
import argparse
import asyncio
import platform
import statistics
import sys
import time

import cio
import echo

LOOPS = {"asyncio": asyncio.SelectorEventLoop, "cio": cio.EventLoop}
STYLES = {"protocols": False, "streams": True}


def turn(loop, style, options):
    """Messages there and back in a second."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        began = time.perf_counter()
        count = runner.run(echo.main(options.clients, options.size, options.seconds, STYLES[style]))
        return count / (time.perf_counter() - began)


def show_progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def side_by_side(style, options):
    """The rates of both loops, and how they compare: a list of each round's."""
    rates = {loop: [] for loop in LOOPS}
    ratios = []
    for loop in LOOPS:  # the first time is not like the others: memory has yet to be had
        show_progress(f"{style}, the first time")
        turn(loop, style, options)
    for n in range(options.rounds):
        order = list(LOOPS) if n % 2 == 0 else list(reversed(LOOPS))
        for loop in order:
            rates[loop].append(turn(loop, style, options))
            done = ", ".join(f"{name} {each[-1]:.0f}/s" for name, each in rates.items() if each)
            show_progress(f"{style}, round {n + 1} of {options.rounds}: {done}")
        ratios.append(rates["cio"][-1] / rates["asyncio"][-1])
    show_progress("")
    return {name: statistics.median(each) for name, each in rates.items()}, ratios


def main():
    parser = argparse.ArgumentParser(description="An asyncio program on asyncio's loop and on cio's, in turns.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="for a turn (0.2)")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--size", type=int, default=1024, help="of a message, in bytes (1024)")
    options = parser.parse_args()

    print(f"An asyncio program on two loops: CPython {platform.python_version()}, an echo server and {options.clients} clients,"
          f" messages of {options.size} bytes\n")
    pairs, factors = [], []
    for style in STYLES:
        rates, ratios = side_by_side(style, options)
        ratio = statistics.median(ratios)
        print(f"  by {style:9}        asyncio {rates['asyncio']:7.0f}/s   cio {rates['cio']:7.0f}/s"
              f"   ratio {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
        pairs += [f"{style}_asyncio={rates['asyncio']:.0f}", f"{style}_cio={rates['cio']:.0f}", f"{style}_ratio={ratio:.2f}"]
        factors.append(f"{ratio:.1f} times as fast by {style}")
    print("\nevery byte was checked; the same program on cio is " + ", ".join(factors))
    print(f"demo-python: python={platform.python_version()} errors=0", *pairs)


if __name__ == "__main__":
    main()
