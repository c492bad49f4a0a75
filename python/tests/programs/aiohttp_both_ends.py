# needs: aiohttp
"""An aiohttp server and its client: bodies, streams, uploads, web sockets, errors, time limits, many at once."""
import asyncio
import hashlib

import aiohttp
from aiohttp import web
from common import tell_loop


async def hello(request):
    return web.json_response({"name": request.match_info["name"], "query": dict(request.query)})


async def digest(request):
    sha = hashlib.sha256()
    async for chunk in request.content.iter_chunked(1 << 16):
        sha.update(chunk)
    return web.Response(text=sha.hexdigest())


async def pieces(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for n in range(20):
        await response.write(b"%d," % n)
    await response.write_eof()
    return response


async def large(request):
    return web.Response(body=bytes(range(256)) * 8192)


async def slow(request):
    await asyncio.sleep(5)


async def bad(request):
    raise web.HTTPTeapot(text="short and stout")


async def talk(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT:
            if message.data == "close":
                await socket.close(code=4001, message=b"bye")
            else:
                await socket.send_str(message.data.upper())
        elif message.type == aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
    return socket


async def use(base):
    async with aiohttp.ClientSession(base) as session:
        async with session.get("/hello/you", params={"a": "1"}) as response:
            print(response.status, await response.json())
        async with session.post("/digest", data=b"x" * 3_000_000) as response:
            print(await response.text())

        async def generated():
            for n in range(50):
                yield b"%04d" % n * 100

        async with session.post("/digest", data=generated()) as response:
            print(await response.text())
        async with session.get("/pieces") as response:
            print(await response.text(), response.headers.get("Transfer-Encoding"))
        async with session.get("/large") as response:
            print(hashlib.md5(await response.read()).hexdigest())
        async with session.get("/bad") as response:
            print(response.status, await response.text())
        async with session.get("/nowhere") as response:
            print(response.status)
        try:
            await session.get("/slow", timeout=aiohttp.ClientTimeout(total=0.1))
        except asyncio.TimeoutError:
            print("in time")

        async def one(n):
            async with session.get(f"/hello/{n}") as response:
                return (await response.json())["name"]

        names = await asyncio.gather(*(one(n) for n in range(200)))
        print(names == [str(n) for n in range(200)])
        async with session.ws_connect("/talk") as socket:
            await socket.send_str("hello")
            print((await socket.receive()).data)
            await socket.send_bytes(bytes(range(256)) * 1000)
            print(hashlib.md5((await socket.receive()).data).hexdigest())
            await socket.send_str("close")
            message = await socket.receive()
            print(message.type.name, socket.close_code)


async def main():
    tell_loop()
    app = web.Application(client_max_size=1 << 24)
    app.add_routes([web.get("/hello/{name}", hello), web.post("/digest", digest), web.get("/pieces", pieces),
                    web.get("/large", large), web.get("/slow", slow), web.get("/bad", bad), web.get("/talk", talk)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    await use(f"http://127.0.0.1:{port}")
    try:
        async with aiohttp.ClientSession() as session:
            await session.get("http://127.0.0.1:1/")
    except aiohttp.ClientConnectorError as error:
        print(type(error).__name__)
    await runner.cleanup()


asyncio.run(main())
