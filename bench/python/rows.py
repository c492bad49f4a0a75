"""What is measured: a function for each row, run on the loop under test, both ends of a connection in it.

A row takes the number of operations and gives the seconds that they took. It is called twice: the first time warms up.
"""
import asyncio
import gc
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROWS = {}
# Processor time is what an operation costs when others use the machine as well. What waits for another process or for a thread
# is measured on the wall, always.
clock = time.process_time if os.environ.get("CIO_BENCH_CLOCK") == "processor" else time.perf_counter


def row(count, unit="ns"):
    """Registers a row: how many operations a sample has."""

    def register(function):
        ROWS[function.__name__.replace("_", "-")] = (function, count, unit)
        return function

    return register


def sized(sizes, count):
    """A row for each size of message; the large ones have fewer."""

    def register(function):
        for size in sizes:
            def of_size(loop, n, size=size):
                return function(loop, n, size)

            name = f"{function.__name__.replace('_', '-')}-{size}"
            ROWS[name] = (of_size, max(200, count * 1024 // max(size, 1024)), "ns")
        return function

    return register


def run(loop, work, *arguments):
    return loop.run_until_complete(work(*arguments))


def nothing(*arguments):
    pass


# Callbacks, timers, tasks.


@row(300_000)
def call_soon(loop, n):
    """A thousand callbacks a turn, with an argument."""

    async def work():
        began = clock()
        for _ in range(n // 1000):
            for k in range(1000):
                loop.call_soon(nothing, k)
            await asyncio.sleep(0)
        return clock() - began

    return run(loop, work)


@row(100_000)
def call_soon_chain(loop, n):
    """A callback that schedules the next: a turn of the loop each."""
    done = loop.create_future()

    def step(left):
        if left:
            loop.call_soon(step, left - 1)
        else:
            done.set_result(None)

    async def work():
        began = clock()
        loop.call_soon(step, n)
        await done
        return clock() - began

    return run(loop, work)


@row(200_000)
def call_later_cancel(loop, n):
    async def work():
        began = clock()
        for _ in range(n // 1000):
            for k in range(1000):
                loop.call_later(60, nothing, k).cancel()
            await asyncio.sleep(0)
        return clock() - began

    return run(loop, work)


@row(100_000)
def call_later_fire(loop, n):
    """A thousand timers that are due at once."""

    async def work():
        began = clock()
        for _ in range(n // 1000):
            for k in range(1000):
                loop.call_later(0, nothing, k)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return clock() - began

    return run(loop, work)


@row(200_000)
def call_soon_threadsafe(loop, n):
    """A thousand a turn, by the loop's own thread."""

    async def work():
        began = clock()
        for _ in range(n // 1000):
            for k in range(1000):
                loop.call_soon_threadsafe(nothing, k)
            await asyncio.sleep(0)
        return clock() - began

    return run(loop, work)


@row(50_000)
def call_soon_threadsafe_other(loop, n):
    """By another thread, as fast as it can."""
    done = loop.create_future()

    def work():
        for k in range(n):
            loop.call_soon_threadsafe(nothing, k)
        loop.call_soon_threadsafe(done.set_result, None)

    async def main():
        thread = threading.Thread(target=work)
        began = clock()
        thread.start()
        await done
        took = clock() - began
        thread.join()
        return took

    return run(loop, main)


@row(200_000)
def sleep_0(loop, n):
    async def work():
        began = clock()
        for _ in range(n):
            await asyncio.sleep(0)
        return clock() - began

    return run(loop, work)


class Yield:
    def __await__(self):
        yield


@row(200_000)
def task_switch(loop, n):
    """A bare yield of one task."""

    async def work():
        turn = Yield()
        began = clock()
        for _ in range(n):
            await turn
        return clock() - began

    return run(loop, work)


@row(50_000)
def create_task_await(loop, n):
    async def empty():
        pass

    async def work():
        began = clock()
        for _ in range(n):
            await loop.create_task(empty())
        return clock() - began

    return run(loop, work)


@row(50_000)
def gather_1000(loop, n):
    async def empty():
        pass

    async def work():
        began = clock()
        for _ in range(n // 1000):
            await asyncio.gather(*(empty() for _ in range(1000)))
        return clock() - began

    return run(loop, work)


# Connections. One operation is a message there and back.

SIZES = (64, 1024, 16384, 102400)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Ping:
    """Sends the message again as soon as all of it has come back."""

    def __init__(self, loop, message):
        self.message, self.size = message, len(message)
        self.ready = loop.create_future()
        self.lost = loop.create_future()
        self.left = self.got = 0

    def connection_made(self, transport):
        self.transport = transport

    def start(self, n, done):
        self.left, self.done = n, done
        self.transport.write(self.message)

    def came(self, size):
        self.got += size
        if self.got >= self.size:
            self.got = 0
            self.left -= 1
            if self.left:
                self.transport.write(self.message)
            else:
                self.done.set_result(None)

    def connection_lost(self, error):
        self.lost.set_result(None)


class Pinger(Ping, asyncio.Protocol):
    def data_received(self, data):
        self.came(len(data))


class BufferedEcho(asyncio.BufferedProtocol):
    def __init__(self):
        self.buffer = bytearray(1 << 18)
        self.view = memoryview(self.buffer)

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, hint):
        return self.buffer

    def buffer_updated(self, size):
        self.transport.write(bytes(self.view[:size]))


class BufferedPinger(Ping, asyncio.BufferedProtocol):
    def __init__(self, loop, message):
        super().__init__(loop, message)
        self.buffer = bytearray(1 << 18)

    def get_buffer(self, hint):
        return self.buffer

    def buffer_updated(self, size):
        self.came(size)


async def ping(loop, n, client):
    transport, protocol = client
    done = loop.create_future()
    protocol.start(20, done)
    await done
    done = loop.create_future()
    began = clock()
    protocol.start(n, done)
    await done
    took = clock() - began
    transport.close()
    await protocol.lost
    return took


@sized(SIZES, 5000)
def tcp_protocol(loop, n, size):
    async def work():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        took = await ping(loop, n, await loop.create_connection(lambda: Pinger(loop, bytes(size)), *address))
        server.close()
        return took

    return run(loop, work)


@sized(SIZES, 5000)
def tcp_buffered(loop, n, size):
    async def work():
        server = await loop.create_server(BufferedEcho, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        took = await ping(loop, n, await loop.create_connection(lambda: BufferedPinger(loop, bytes(size)), *address))
        server.close()
        return took

    return run(loop, work)


async def stream_echo(reader, writer):
    while data := await reader.read(1 << 18):
        writer.write(data)
        await writer.drain()
    writer.close()


async def stream_ping(n, size, server, reader, writer):
    message = bytes(size)
    began = clock()
    for _ in range(n):
        writer.write(message)
        await reader.readexactly(size)
    took = clock() - began
    writer.close()
    await writer.wait_closed()
    server.close()
    return took


@sized(SIZES, 4000)
def tcp_streams(loop, n, size):
    async def work():
        server = await asyncio.start_server(stream_echo, "127.0.0.1", 0)
        streams = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1 << 18)
        return await stream_ping(n, size, server, *streams)

    return run(loop, work)


@sized(SIZES, 5000)
def tcp_sock(loop, n, size):
    """sock_recv() and sock_sendall()."""

    async def receive(sock):
        left = size
        while left:
            left -= len(await loop.sock_recv(sock, left))

    async def serve(sock, message):
        for _ in range(n):
            await receive(sock)
            await loop.sock_sendall(sock, message)

    async def work():
        listener = socket.create_server(("127.0.0.1", 0))
        one = socket.create_connection(listener.getsockname())
        two, _ = listener.accept()
        for each in one, two:
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message = bytes(size)
        serving = loop.create_task(serve(two, message))
        began = clock()
        for _ in range(n):
            await loop.sock_sendall(one, message)
            await receive(one)
        took = clock() - began
        await serving
        for each in one, two, listener:
            each.close()
        return took

    return run(loop, work)


@row(20_000)
def sock_ready(loop, n):
    """sock_sendall() and sock_recv() of what is there already."""

    async def work():
        one, two = socket.socketpair()
        one.setblocking(False)
        two.setblocking(False)
        began = clock()
        for _ in range(n):
            await loop.sock_sendall(one, b"x")
            await loop.sock_recv(two, 1)
        took = clock() - began
        one.close()
        two.close()
        return took

    return run(loop, work)


@row(5000)
def unix_protocol_1024(loop, n):
    async def work():
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            server = await loop.create_unix_server(Echo, path)
            took = await ping(loop, n, await loop.create_unix_connection(lambda: Pinger(loop, bytes(1024)), path))
            server.close()
            return took

    return run(loop, work)


@row(500)
def connect_close(loop, n):
    """A connection made, accepted and closed at both ends."""

    class Server(asyncio.Protocol):
        def connection_made(self, transport):
            transport.close()

    class Client(asyncio.Protocol):
        def __init__(self):
            self.lost = loop.create_future()

        def connection_lost(self, error):
            self.lost.set_result(None)

    async def work():
        server = await loop.create_server(Server, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        began = clock()
        for _ in range(n):
            _, protocol = await loop.create_connection(Client, *address)
            await protocol.lost
        took = clock() - began
        server.close()
        return took

    return run(loop, work)


@row(5000)
def udp(loop, n):
    done = loop.create_future()

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, address):
            self.transport.sendto(data, address)

    class Client(asyncio.DatagramProtocol):
        left = n

        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, address):
            self.left -= 1
            if self.left:
                self.transport.sendto(data)
            else:
                done.set_result(None)

    async def work():
        server, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
        address = server.get_extra_info("sockname")
        client, _ = await loop.create_datagram_endpoint(Client, remote_addr=address)
        began = clock()
        client.sendto(bytes(64))
        await asyncio.wait_for(done, 60)
        took = clock() - began
        client.close()
        server.close()
        await asyncio.sleep(0)
        return took

    return run(loop, work)


@row(20_000)
def udp_crowd(loop, n):
    """Fifty datagrams at a time, in one direction."""
    crowd = 50
    received = loop.create_future()

    class Receiver(asyncio.DatagramProtocol):
        left = crowd

        def datagram_received(self, data, address):
            self.left -= 1
            if self.left == 0:
                received.set_result(None)

    async def work():
        nonlocal received
        server, protocol = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
        client, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=server.get_extra_info("sockname"))
        began = time.perf_counter()
        for _ in range(n // crowd):
            received, protocol.left = loop.create_future(), crowd
            for _ in range(crowd):
                client.sendto(bytes(64))
            await received
        took = time.perf_counter() - began
        client.close()
        server.close()
        await asyncio.sleep(0)
        return took

    return run(loop, work)


def contexts(folder):
    key, certificate = os.path.join(folder, "key"), os.path.join(folder, "certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return server, client


@sized((1024, 16384, 102400), 3000)
def tls_protocol(loop, n, size):
    async def work():
        with tempfile.TemporaryDirectory() as folder:
            serving, asking = contexts(folder)
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=serving)
        address = server.sockets[0].getsockname()
        connection = await loop.create_connection(lambda: Pinger(loop, bytes(size)), *address, ssl=asking, server_hostname="localhost")
        took = await ping(loop, n, connection)
        server.close()
        return took

    return run(loop, work)


@sized((1024, 16384), 3000)
def tls_streams(loop, n, size):
    async def work():
        with tempfile.TemporaryDirectory() as folder:
            serving, asking = contexts(folder)
        server = await asyncio.start_server(stream_echo, "127.0.0.1", 0, ssl=serving)
        address = server.sockets[0].getsockname()
        streams = await asyncio.open_connection(*address, limit=1 << 18, ssl=asking, server_hostname="")
        return await stream_ping(n, size, server, *streams)

    return run(loop, work)


# Others.


@row(5000)
def getaddrinfo_numeric(loop, n):
    async def work():
        began = clock()
        for _ in range(n):
            await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        return clock() - began

    return run(loop, work)


@row(100)
def subprocess_spawn(loop, n):
    """`true`, begun and waited for."""

    async def work():
        began = time.perf_counter()
        for _ in range(n):
            process = await asyncio.create_subprocess_exec("true")
            await process.wait()
        return time.perf_counter() - began

    return run(loop, work)


@row(100)
def subprocess_communicate(loop, n):
    """A program with pipes, and 64 KiB there and back."""

    async def work():
        data = bytes(65536)
        began = time.perf_counter()
        for _ in range(n):
            process = await asyncio.create_subprocess_exec("/bin/cat", stdin=-1, stdout=-1)
            await process.communicate(data)
        return time.perf_counter() - began

    return run(loop, work)


@row(2000)
def executor(loop, n):
    async def work():
        began = time.perf_counter()
        for _ in range(n):
            await loop.run_in_executor(None, nothing)
        return time.perf_counter() - began

    return run(loop, work)


def sample(name, loop, n=None):
    """Nanoseconds an operation."""
    function, count, _ = ROWS[name]
    gc.collect()
    gc.freeze()
    if n is None:
        function(loop, max(count // 20, 20 if count < 1000 else 1000))
        return function(loop, count) / count * 1e9
    return function(loop, n) / n * 1e9


def main():
    """python rows.py ROW FACTORY [N]: one sample, or N operations without a rehearsal."""
    import importlib

    module, _, attribute = sys.argv[2].partition(":")
    loop = getattr(importlib.import_module(module), attribute)()
    asyncio.set_event_loop(loop)
    print(sample(sys.argv[1], loop, int(sys.argv[3]) if len(sys.argv) > 3 else None), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
