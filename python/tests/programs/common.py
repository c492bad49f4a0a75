"""What the programs share."""
import asyncio
import os
import sys


def tell_loop():
    """Lets the test see, past the output that it compares, which loop the program ran on."""
    print("loop:", type(asyncio.get_running_loop()).__module__, file=sys.stderr)


def environment(name):
    return os.environ[name]
