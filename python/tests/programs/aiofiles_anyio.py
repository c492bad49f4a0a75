# needs: aiofiles anyio
"""Files by threads with aiofiles; anyio's groups, streams, processes, signals, sockets and scopes."""
import asyncio
import os
import signal
import tempfile

import aiofiles
import anyio
from anyio.streams.text import TextReceiveStream
from common import tell_loop


async def files(folder):
    path = os.path.join(folder, "file")
    async with aiofiles.open(path, "w") as file:
        for n in range(100):
            await file.write(f"line {n}\n")
    async with aiofiles.open(path) as file:
        print(len([line async for line in file]))
    print(await anyio.Path(path).stat() is not None, len(await anyio.Path(path).read_text()))


async def sockets(folder):
    async def serve(stream):
        async with stream:
            async for data in stream:
                await stream.send(data.upper())

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"hello")
            print(await stream.receive())
            await stream.send_eof()
            try:
                await stream.receive()
            except anyio.EndOfStream:
                print("end")
        group.cancel_scope.cancel()
    await listener.aclose()
    path = os.path.join(folder, "socket")
    listener = await anyio.create_unix_listener(path)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        async with await anyio.connect_unix(path) as stream:
            await stream.send(b"unix")
            print(await stream.receive())
        group.cancel_scope.cancel()
    await listener.aclose()
    async with await anyio.create_udp_socket(local_host="127.0.0.1") as one:
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as two:
            address = two.extra(anyio.abc.SocketAttribute.local_address)
            await one.sendto(b"datagram", *address)
            print((await two.receive())[0])


async def main():
    tell_loop()
    with tempfile.TemporaryDirectory() as folder:
        await files(folder)
        await sockets(folder)
    send, receive = anyio.create_memory_object_stream(3)
    async with anyio.create_task_group() as group, send, receive:
        async def produce():
            for n in range(10):
                await send.send(n)
            await send.aclose()

        group.start_soon(produce)
        print([item async for item in receive])
    with anyio.move_on_after(0.01) as scope:
        await anyio.sleep(5)
    print(scope.cancelled_caught)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 5)
            raise ValueError("group")
    except* ValueError as error:
        print(error.exceptions)
    print((await anyio.run_process(["cat"], input=b"process")).stdout)
    async with await anyio.open_process(["sh", "-c", "echo a; echo b"]) as process:
        print([text async for text in TextReceiveStream(process.stdout)] != [])
    with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
        os.kill(os.getpid(), signal.SIGUSR1)
        async for number in signals:
            print(number.name)
            break
    print(await anyio.to_thread.run_sync(lambda: anyio.from_thread.run_sync(lambda: "from a thread")))


# anyio.run() makes a loop of its own, so this is as a program under asyncio.run() uses it.
asyncio.run(main())
