"""An echo server and its clients: a program of asyncio's, which knows of no other loop.

    python echo.py [--seconds S] [--clients N] [--size BYTES] [--streams]           on asyncio's own loop
    python -m cio echo.py ...                                                       on cio's

Each client sends a message, waits for the answer, compares every byte of it, and sends the next.
"""
import argparse
import asyncio
import random
import time

MESSAGES = 97  # different ones; a prime, so that clients are seldom at the same


class Wrong(Exception):
    """What came back is not what was sent."""


# By protocols: the loop calls us with what has come.


class EchoProtocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class ClientProtocol(asyncio.Protocol):
    def __init__(self, messages, first):
        self.messages, self.count, self.first = messages, 0, first
        self.going_on = True
        self.answer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        self.message = self.messages[(self.first + self.count) % len(self.messages)]
        self.transport.write(self.message)

    def data_received(self, data):
        self.answer += data
        if len(self.answer) < len(self.message):
            return
        if self.answer != self.message:
            self.finish(Wrong("the answer is not the message"))
            return
        self.answer = b""
        self.count += 1
        if self.going_on:
            self.send()
        else:
            self.finish()

    def finish(self, error=None):
        self.transport.close()
        if not self.done.done():
            if error:
                self.done.set_exception(error)
            else:
                self.done.set_result(self.count)

    def connection_lost(self, error):
        self.finish(error or Wrong("the connection ended early"))


async def by_protocols(messages, clients, seconds):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(EchoProtocol, "127.0.0.1", 0, backlog=clients)
    address = server.sockets[0].getsockname()
    connections = [
        await loop.create_connection(lambda: ClientProtocol(messages, n), *address) for n in range(clients)
    ]
    await asyncio.sleep(seconds)
    for _, client in connections:
        client.going_on = False
    counts = await asyncio.gather(*(client.done for _, client in connections))
    server.close()
    await server.wait_closed()
    return sum(counts)


# By streams: each end is a coroutine that waits for what it needs.


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def client(address, messages, n, deadline):
    reader, writer = await asyncio.open_connection(*address)
    count, going_on = 0, True
    while going_on:
        message = messages[(n + count) % len(messages)]
        writer.write(message)
        if await reader.readexactly(len(message)) != message:
            raise Wrong("the answer is not the message")
        count += 1
        going_on = time.monotonic() < deadline
    writer.write_eof()
    if await reader.read():  # the server closes when it has sent all
        raise Wrong("more came back than was sent")
    writer.close()
    await writer.wait_closed()
    return count


async def by_streams(messages, clients, seconds):
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=clients)
    address = server.sockets[0].getsockname()
    deadline = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client(address, messages, n, deadline)) for n in range(clients)]
    server.close()
    await server.wait_closed()
    return sum(task.result() for task in tasks)


async def main(clients=50, size=1024, seconds=3.0, streams=False):
    """Returns how many messages came back as they were sent."""
    chance = random.Random(1)
    messages = [chance.randbytes(size) for _ in range(MESSAGES)]
    return await (by_streams if streams else by_protocols)(messages, clients, seconds)


def parser():
    parser = argparse.ArgumentParser(description="An echo server and its clients, in one thread.")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--size", type=int, default=1024, help="of a message, in bytes (1024)")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--streams", action="store_true", help="streams and tasks instead of protocols")
    return parser


if __name__ == "__main__":
    options = parser().parse_args()
    began = time.monotonic()
    count = asyncio.run(main(**vars(options)))
    took = time.monotonic() - began
    print(f"{count} messages there and back, every byte checked: {count / took:.0f} a second")
