"""TLS connections at random: sizes, slices of the network's, pauses, kinds of protocol; a peer that blocks and is not ours."""
import asyncio
import os
import random
import socket
import ssl
import threading

import cio
import pytest
from test_tls import contexts, files, only, run_on  # noqa: F401  fixtures

SEEDS = range(int(os.environ.get("CIO_SEED", 1)), int(os.environ.get("CIO_SEED", 1)) + (1 if "CIO_SEED" in os.environ else 24))
MOST = 400_000


class Slicer(threading.Thread):
    """Carries bytes between two sockets, in slices that know nothing of records."""

    def __init__(self, here, there, seed):
        super().__init__(daemon=True)
        self.here, self.there, self.random = here, there, random.Random(seed)

    def run(self):
        try:
            while data := self.here.recv(self.random.choice((1, 5, 700, 16_389, 65_536, 300_000))):
                while data:
                    n = self.random.choice((3, 1000, 17_000, len(data)))
                    self.there.sendall(data[:n])
                    data = data[n:]
            self.there.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Peer(threading.Thread):
    """Echoes with Python's blocking ssl.SSLSocket; reads and writes as it pleases."""

    def __init__(self, sock, context, size, seed):
        super().__init__(daemon=True)
        self.sock, self.context, self.left, self.random = sock, context, size, random.Random(seed)
        self.error = None

    def run(self):
        try:
            with self.context.wrap_socket(self.sock, server_side=True) as tls:
                while self.left:
                    data = tls.recv(self.random.choice((1, 100, 16_384, 100_000)))
                    assert data
                    self.left -= len(data)
                    tls.sendall(data)
                assert tls.recv(1) == b""  # close_notify
        except BaseException as error:
            self.error = error


class Receiver:
    def __init__(self, expected, seed):
        self.expected, self.random = expected, random.Random(seed)
        self.got = bytearray()
        self.done = asyncio.get_running_loop().create_future()
        self.may_write = asyncio.Event()
        self.may_write.set()

    def connection_made(self, transport):
        self.transport = transport

    def pause_writing(self):
        self.may_write.clear()

    def resume_writing(self):
        self.may_write.set()

    def eof_received(self):
        pass

    def connection_lost(self, error):
        if not self.done.done():
            self.done.set_exception(error or ConnectionError(f"{len(self.got)} of {len(self.expected)} bytes"))

    def take(self, data):
        self.got += data
        if len(self.got) >= len(self.expected) and not self.done.done():
            self.done.set_result(None)
        if self.random.random() < 0.2:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(self.random.choice((0, 0.001)), self.transport.resume_reading)


class ByBytes(Receiver, asyncio.Protocol):
    def data_received(self, data):
        assert type(data) is bytes and data
        self.take(data)


class ByBuffer(Receiver, asyncio.BufferedProtocol):
    def get_buffer(self, hint):
        self.buffer = bytearray(self.random.choice((1, 100, 20_000, 300_000)))
        return self.buffer

    def buffer_updated(self, n):
        self.take(self.buffer[:n])


async def talk(loop, seed, contexts):
    chance = random.Random(seed)
    data = chance.randbytes(chance.choice((1, 1000, 16_384, 16_385, MOST)))
    pairs = [socket.socketpair() for _ in range(2)]
    (ours, near), (far, theirs) = pairs
    threads = [Slicer(near, far, seed), Slicer(far, near, seed + 1), Peer(theirs, contexts.server, len(data), seed + 2)]
    for thread in threads:
        thread.start()
    kind = chance.choice((ByBytes, ByBuffer))
    ours.setblocking(False)
    transport, protocol = await loop.create_connection(lambda: kind(data, seed), sock=ours, ssl=contexts.client,
                                                       server_hostname="localhost")
    at = 0
    while at < len(data):
        await protocol.may_write.wait()
        n = chance.choice((1, 50, 5000, 16_384, 50_000, MOST))
        transport.write(data[at:at + n])
        at += n
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    await protocol.done
    assert protocol.got == data
    transport.close()
    peer = threads[2]
    await loop.run_in_executor(None, peer.join)
    assert peer.error is None
    for sock in near, far:
        sock.close()
    return len(data)


class Object(ssl.SSLObject):
    """A class of the program's with a method of its own: its connections go by methods."""

    def read(self, *args):
        return super().read(*args)


def test_what_is_unread_stays_while_another_connection_writes(contexts, files):  # noqa: F811
    data = random.Random(1).randbytes(MOST)

    class Sink(asyncio.Protocol):
        size = 0

        def data_received(self, data):
            Sink.size += len(data)

    class Source(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(data)

    class Small(asyncio.BufferedProtocol):
        def __init__(self, other):
            self.other, self.got, self.buffer = other, bytearray(), bytearray(1000)
            self.done = asyncio.get_running_loop().create_future()

        def get_buffer(self, hint):
            return self.buffer

        def buffer_updated(self, n):
            self.got += self.buffer[:n]
            self.other.write(bytes(50_000))  # more than the record that was read lay there
            if len(self.got) == MOST:
                self.done.set_result(None)

        def connection_lost(self, error):
            if not self.done.done():
                self.done.set_exception(error or EOFError(len(self.got)))

    async def work(loop):
        by_methods = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        by_methods.load_verify_locations(files / "good.pem")
        by_methods.sslobject_class = Object
        sink = await loop.create_server(Sink, "127.0.0.1", 0, ssl=contexts.server)
        source = await loop.create_server(Source, "127.0.0.1", 0, ssl=contexts.server)
        try:
            other, _ = await loop.create_connection(asyncio.Protocol, *sink.sockets[0].getsockname(), ssl=by_methods,
                                                    server_hostname="localhost")
            assert not other._ssl_protocol._is_direct
            transport, small = await loop.create_connection(lambda: Small(other), *source.sockets[0].getsockname(),
                                                            ssl=contexts.client, server_hostname="localhost")
            await small.done
            assert small.got == data
            while Sink.size < MOST * 50:
                await asyncio.sleep(0.001)
            for each in transport, other:
                each.close()
        finally:
            sink.close()
            source.close()
        return Sink.size

    size, reports = run_on("cio", work)
    assert size >= MOST * 50
    assert not reports


def test_what_is_unread_comes_first_when_more_is_fed_within_a_call(contexts):  # noqa: F811
    """By data_received() of the protocol itself, which a transport of the program's may call from anywhere."""

    class Small(asyncio.BufferedProtocol):
        late = None

        def connection_made(self, transport):
            self.transport, self.got, self.buffer = transport, bytearray(), bytearray(10)

        def get_buffer(self, hint):
            return self.buffer

        def buffer_updated(self, n):
            self.got += self.buffer[:n]
            if self.late:
                late, self.late = self.late, None
                self.transport._ssl_protocol.data_received(late)

    async def shake_hands(loop, peer, incoming, outgoing, sock):
        while True:
            try:
                return peer.do_handshake()
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, outgoing.read())
                incoming.write(await loop.sock_recv(sock, 65_536))
            finally:
                await loop.sock_sendall(sock, outgoing.read())

    async def work(loop):
        ours, theirs = socket.socketpair()
        for each in ours, theirs:
            each.setblocking(False)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = contexts.server.wrap_bio(incoming, outgoing, server_side=True)
        hands = asyncio.ensure_future(shake_hands(loop, peer, incoming, outgoing, theirs))
        transport, small = await loop.create_connection(Small, sock=ours, ssl=contexts.client, server_hostname="localhost")
        await hands
        pieces = []
        for letter in b"abc":
            peer.write(bytes([letter]) * 100)
            pieces.append(outgoing.read())
        small.late = pieces.pop()
        await loop.sock_sendall(theirs, b"".join(pieces))
        while len(small.got) < 300:
            await asyncio.sleep(0.001)
        transport.abort()
        theirs.close()
        return bytes(small.got)

    got, reports = run_on("cio", work)
    assert got == b"a" * 100 + b"b" * 100 + b"c" * 100
    assert not reports


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_byte_arrives(contexts, version, seed):  # noqa: F811
    print(f"CIO_SEED={seed}")
    only(contexts, version)
    size, reports = run_on("cio", lambda loop: talk(loop, seed, contexts))
    assert size and not reports
