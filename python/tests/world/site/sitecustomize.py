"""Puts cio's loops behind asyncio's names, before anything else is imported."""
import os

if os.environ.get("CIO_WORLD") == "cio":
    import asyncio

    import cio

    cio.install()
    asyncio.SelectorEventLoop = cio.EventLoop
    asyncio.EventLoop = cio.EventLoop
