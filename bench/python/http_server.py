"""A server that answers "hello": http_server.py aiohttp|uvicorn FACTORY. Prints its port, and at the end of its input
the processor time that it took.
"""
import asyncio
import importlib
import os
import socket
import sys
import threading


async def aiohttp(listener):
    from aiohttp import web

    async def hello(request):
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await asyncio.Event().wait()


async def uvicorn(listener):
    import uvicorn

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": b"hello"})

    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
    await server.serve([listener])


def tell_time():
    """A line of input asks for the processor time; the end of it ends the server."""
    for _ in sys.stdin:
        times = os.times()
        print(times.user + times.system, flush=True)
    os._exit(0)


def main():
    module, _, attribute = sys.argv[2].partition(":")
    loop = getattr(importlib.import_module(module), attribute)()
    asyncio.set_event_loop(loop)
    # With a protocol by name: where it is 0, asyncio does not set TCP_NODELAY.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=tell_time, daemon=True).start()
    loop.run_until_complete({"aiohttp": aiohttp, "uvicorn": uvicorn}[sys.argv[1]](listener))


main()
