# needs: websockets
"""Both ends of websockets: echo, fragments, pings, compression, closing, broadcast."""
import asyncio
import hashlib

import websockets
from common import tell_loop
from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve

connected = set()


async def handler(socket):
    connected.add(socket)
    try:
        async for message in socket:
            if message == "all":
                broadcast(connected, "to all")
            elif message == "fail":
                raise ValueError("fail")
            else:
                await socket.send(message)
    finally:
        connected.discard(socket)


async def main():
    tell_loop()
    async with serve(handler, "127.0.0.1", 0) as server:
        url = "ws://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        async with connect(url) as socket:
            await socket.send("hello")
            print(await socket.recv())
            await socket.send(bytes(range(256)) * 2000)
            print(hashlib.md5(await socket.recv()).hexdigest())
            await socket.send(["in ", "three ", "pieces"])
            print(await socket.recv())
            print(await (await socket.ping()) >= 0)
        async with connect(url) as one, connect(url) as two:
            await two.send("x")
            await two.recv()
            await one.send("all")
            print(await asyncio.gather(one.recv(), two.recv()))
        async with connect(url) as socket:
            await socket.send("fail")
            try:
                await socket.recv()
            except websockets.ConnectionClosedError as error:
                print(error.rcvd.code)

        async def many(n):
            async with connect(url) as socket:
                for k in range(10):
                    await socket.send(f"{n}/{k}")
                    assert await socket.recv() == f"{n}/{k}"

        await asyncio.gather(*(many(n) for n in range(20)))
        print("twenty")


asyncio.run(main())
