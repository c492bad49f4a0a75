"""Stream transports, servers and connections, where CPython's own tests do not look."""
import asyncio
import contextvars
import errno
import gc
import os
import resource
import socket
import struct
import sys
import warnings
import weakref

import pytest
from conftest import open_descriptors

import cio


class Protocol(asyncio.Protocol):
    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()
        self.data = b""
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data

    def connection_lost(self, error):
        if not self.lost.done():
            self.lost.set_result(error)


async def pair():
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    transport, protocol = await loop.create_connection(Protocol, sock=a)
    return transport, protocol, b


async def turns(n=5):
    for _ in range(n):
        await asyncio.sleep(0)


def test_a_transport_is_asyncios(run):
    async def main():
        transport, protocol, peer = await pair()
        assert isinstance(transport, asyncio.Transport)
        assert isinstance(transport, asyncio.transports._FlowControlMixin)
        transport.attribute = 1
        assert transport.attribute == 1 and weakref.ref(transport)() is transport
        transport.abort()
        await protocol.lost
        peer.close()

    run(main())


def test_a_server_is_asyncios(run):
    async def main():
        async with await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0) as server:
            assert isinstance(server, asyncio.AbstractServer) and server.is_serving()
        assert server.sockets == () and not server.is_serving()

    run(main())


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_all_bytes_come_in_order(run, family, tmp_path):
    size = 3_000_000
    message = os.urandom(1000) * (size // 1000)

    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data[: len(data) // 2])
            self.transport.writelines([data[len(data) // 2 :], b"", memoryview(b"")])

        def pause_writing(self):
            self.transport.pause_reading()

        def resume_writing(self):
            self.transport.resume_reading()

        def eof_received(self):
            self.transport.close()

    async def main():
        loop = asyncio.get_running_loop()
        if family == "tcp":
            server = await loop.create_server(Echo, "127.0.0.1", 0)
            transport, protocol = await loop.create_connection(Protocol, *server.sockets[0].getsockname())
        else:
            path = str(tmp_path / "socket")
            server = await loop.create_unix_server(Echo, path)
            transport, protocol = await loop.create_unix_connection(Protocol, path)
        transport.write(message)
        transport.write_eof()
        await protocol.lost
        assert protocol.data == message
        server.close()
        await server.wait_closed()

    run(main())


def test_the_end_after_bytes_that_came_with_it_is_seen(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as peer:
            sock, _ = listener.accept()
            peer.sendall(b"last words")
            peer.shutdown(socket.SHUT_WR)
            _, protocol = await loop.create_connection(Protocol, sock=sock)
            await protocol.lost
            assert protocol.data == b"last words"

    run(main())


def test_t24_reading_has_the_context_of_its_beginning(run):
    variable = contextvars.ContextVar("variable")

    async def main():
        seen = []

        class Watcher(Protocol):
            def connection_made(self, transport):
                seen.append(variable.get())
                variable.set("made")

            def data_received(self, data):
                seen.append(variable.get())
                variable.set("received")

        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        variable.set("connecting")
        transport, protocol = await loop.create_connection(Watcher, sock=a)
        variable.set("connected")
        for _ in range(2):
            b.send(b"x")
            await asyncio.sleep(0.01)
        transport.pause_reading()
        transport.resume_reading()
        b.send(b"x")
        await asyncio.sleep(0.01)
        if sys.version_info >= (3, 15):  # one context for all
            assert seen == ["connecting", "made", "received", "received"]
        else:
            assert seen == ["connecting", "connecting", "received", "connected"]
        b.close()
        await protocol.lost

    run(main())


def test_a_loop_that_is_closed_lets_go_of_its_transports(loop):
    async def main():
        return await pair()

    async def serve():
        return await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)

    transport, protocol, peer = loop.run_until_complete(main())
    server = weakref.ref(loop.run_until_complete(serve()))
    transport.write(bytes(1 << 20))
    reference = weakref.ref(transport)
    loop.close()
    transport.write(b"x")
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        transport.abort()
    assert repr(transport).startswith("<SocketTransport closing fd=")
    del transport, protocol
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert any("unclosed transport <SocketTransport" in str(warning.message) for warning in caught)
    caught.clear()  # a warning holds what it is about
    gc.collect()
    assert reference() is None and server() is None
    assert peer.recv(1 << 21)
    peer.close()


def test_writes_to_a_socket_that_has_outlived_its_loop(loop):
    transport, protocol, peer = loop.run_until_complete(pair())
    loop.close()
    transport.write(b"one ")
    transport.writelines([b"two ", b"three"])
    transport.write_eof()
    assert peer.recv(99) == b"one two three" and peer.recv(1) == b""
    assert transport.get_extra_info("socket").fileno() == transport._sock_fd
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        transport.close()
    transport._sock.close()
    peer.close()
    with pytest.warns(ResourceWarning, match="unclosed transport"):
        del transport, protocol
        gc.collect()


def test_an_abandoned_transport_that_is_paused_is_collected(run):
    async def main():
        transport, _, peer = await pair()
        transport.pause_reading()
        reference = weakref.ref(transport)
        del transport, _
        with pytest.warns(ResourceWarning, match="unclosed transport"):
            await turns()
            gc.collect()
        gc.collect()  # the warning held it
        assert reference() is None
        assert peer.recv(1) == b""
        peer.close()

    run(main())


@pytest.mark.parametrize("stop", range(6))
def test_a_connection_canceled_at_any_turn_leaves_nothing(run, stop):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        gc.collect()  # of what others left
        before = open_descriptors()
        task = asyncio.create_task(loop.create_connection(Protocol, *server.sockets[0].getsockname()))
        await turns(stop)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            (await task)[0].abort()
        del task
        for _ in range(100):
            await asyncio.sleep(0.01)
            gc.collect()
            if open_descriptors() == before:
                break
        assert open_descriptors() == before
        server.close()

    run(main())


def test_a_refused_connection_leaves_nothing(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            address = sock.getsockname()
            gc.collect()  # of what others left
            before = open_descriptors()
            for options in {}, {"happy_eyeballs_delay": 0.1}, {"local_addr": ("127.0.0.1", 0)}:
                with pytest.raises(ConnectionRefusedError) as info:
                    await loop.create_connection(Protocol, *address, **options)
                assert info.value.errno == errno.ECONNREFUSED
            with pytest.raises(ExceptionGroup):
                await loop.create_connection(Protocol, *address, all_errors=True)
            del info
            gc.collect()
            assert open_descriptors() == before

    run(main())


def test_happy_eyeballs_find_the_address_that_answers(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def addresses(*args, **kwargs):
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            ]

        loop.getaddrinfo = addresses
        for options in {}, {"happy_eyeballs_delay": 0.01}, {"interleave": 1}:
            transport, protocol = await loop.create_connection(Protocol, "both.example", port, **options)
            assert transport.get_extra_info("peername") == ("127.0.0.1", port)
            transport.close()
            await protocol.lost
        server.close()

    run(main())


def test_a_lack_of_descriptors_is_told_and_survived(run, monkeypatch):
    async def main():
        loop = asyncio.get_running_loop()
        told = []
        loop.set_exception_handler(lambda loop, context: told.append(context))
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        clients = [socket.socket() for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors(), hard))
        try:
            for client in clients:
                client.connect(server.sockets[0].getsockname())
            await asyncio.sleep(0.05)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert [context["message"] for context in told] == ["socket.accept() out of system resource"]
        assert told[0]["exception"].errno == errno.EMFILE
        while len(server._clients) < 3:
            await asyncio.sleep(0.05)
        for client in clients:
            client.close()
        server.close()
        await server.wait_closed()

    run(main())


def test_t63_reading_that_is_paused_and_resumed_before_it_began(run):
    async def main():
        class Hesitant(Protocol):
            def connection_made(self, transport):
                transport.pause_reading()
                transport.resume_reading()

        a, b = socket.socketpair()
        b.send(b"early")
        transport, protocol = await asyncio.get_running_loop().create_connection(Hesitant, sock=a)
        while not protocol.data:
            await asyncio.sleep(0)
        assert protocol.data == b"early" and transport.is_reading()
        b.close()
        await protocol.lost

    run(main())


def test_t58_writes_after_a_close_that_had_to_wait_are_vain(run):
    async def main():
        transport, protocol, peer = await pair()
        transport.write(bytes(1 << 20))
        transport.close()
        peer.setblocking(False)
        while await asyncio.get_running_loop().sock_recv(peer, 1 << 20):
            pass
        assert await protocol.lost is None
        transport.write(b"x")
        transport.writelines([b"x"])
        assert transport._conn_lost == 3
        peer.close()

    run(main())


def test_a_server_that_is_canceled_closes_its_clients(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        task = asyncio.create_task(server.serve_forever())
        _, protocol = await loop.create_connection(Protocol, *server.sockets[0].getsockname())
        while not server._clients:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if sys.version_info >= (3, 12):
            await protocol.lost
        assert server.sockets == ()

    run(main())


def test_an_exception_that_leaves_the_loop_leaves_it(loop):
    class Leaver(asyncio.Protocol):
        def data_received(self, data):
            raise SystemExit(7)

    a, b = socket.socketpair()
    transport, _ = loop.run_until_complete(loop.create_connection(Leaver, sock=a))
    b.send(b"x")
    with pytest.raises(SystemExit):
        loop.run_forever()
    transport.abort()
    loop.run_until_complete(turns())
    b.close()


def test_a_protocol_that_closes_while_it_is_called(run):
    async def main():
        loop = asyncio.get_running_loop()
        for name in "abort", "close":
            for method in "connection_made", "data_received", "pause_writing", "eof_received":
                a, b = socket.socketpair()

                def end(self, *args, name=name):
                    getattr(self.transport or args[0], name)()

                kind = type("Ender", (Protocol,), {method: end})
                b.send(b"x")
                transport, protocol = await loop.create_connection(kind, sock=a)
                if method == "connection_made":
                    assert transport.is_closing()
                else:
                    transport.write(bytes(1 << 22))
                    b.shutdown(socket.SHUT_WR)
                while not protocol.lost.done():
                    await asyncio.sleep(0)
                    try:
                        b.recv(1 << 22, socket.MSG_DONTWAIT)
                    except BlockingIOError:
                        pass
                assert repr(transport).startswith("<SocketTransport closed")
                b.close()

    run(main())


@pytest.mark.parametrize("arguments", [
    {"host": "127.0.0.1", "port": 1, "sock": object()},
    {"host": "127.0.0.1", "port": 1, "server_hostname": "x"},
    {"host": "127.0.0.1", "port": 1, "ssl_handshake_timeout": 1},
    {"port": 1, "ssl": True},
    {},
])
def test_connections_that_make_no_sense(run, arguments):
    async def main():
        expected = await outcome(asyncio.BaseEventLoop.create_connection(asyncio.get_running_loop(), Protocol, **arguments))
        assert await outcome(asyncio.get_running_loop().create_connection(Protocol, **arguments)) == expected

    async def outcome(awaitable):
        try:
            return await awaitable
        except Exception as error:
            return type(error), str(error)

    run(main())


def test_who_overrides_sock_connect_sees_the_connections(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        seen = []

        def sock_connect(sock, where):
            seen.append(where)
            return type(loop).sock_connect(loop, sock, where)

        loop.sock_connect = sock_connect
        transport, protocol = await loop.create_connection(Protocol, *address)
        assert seen == [address]
        transport.close()
        await protocol.lost
        server.close()

    run(main())


def test_a_socket_whose_protocol_cannot_be_made_is_closed(run):
    async def main():
        loop = asyncio.get_running_loop()
        one, two = socket.socketpair()
        with pytest.raises(ZeroDivisionError):
            await loop.create_connection(lambda: 1 / 0, sock=one)
        assert one.fileno() == -1 and two.recv(1) == b""
        two.close()

    run(main())


def test_a_socket_that_another_transport_has_is_not_closed(run):
    async def main():
        loop = asyncio.get_running_loop()
        one, two = socket.socketpair()
        transport, protocol = await loop.create_connection(Protocol, sock=one)
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.create_connection(Protocol, sock=one)
        transport.write(b"still")
        assert two.recv(5) == b"still"
        transport.close()
        await protocol.lost
        two.close()

    run(main())


def test_a_race_that_nobody_wins_or_loses_times_out(run, monkeypatch):
    async def nobody(*args, **kwargs):
        assert kwargs == {"loop": asyncio.get_running_loop()}
        return None, []

    monkeypatch.setattr("asyncio.staggered.staggered_race", nobody)

    async def main():
        with pytest.raises(TimeoutError, match="create_connection failed"):
            await asyncio.get_running_loop().create_connection(Protocol, "127.0.0.1", 1, happy_eyeballs_delay=1)

    run(main())


@pytest.mark.parametrize("reset", [False, True])
def test_large_pieces_come_whole_and_then_the_end(run, reset):
    """What is large is received another way; an end or an error may follow it, and so may what is small."""
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            transport, protocol = await loop.create_connection(Protocol, *listener.getsockname())
            peer, _ = listener.accept()
        peer.setblocking(False)
        sent = b""
        for size in 100_000, 1, 300_000, 20_000, 3, 120 * 1024, 5, 70_000:
            data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            await loop.sock_sendall(peer, data)
            sent += data
            while len(protocol.data) < len(sent):
                await asyncio.sleep(0)
        assert protocol.data == sent
        if reset:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        assert isinstance(await protocol.lost, ConnectionResetError if reset else type(None))

    run(main())


# ---- two ends in one loop ----


class Hears(asyncio.Protocol, asyncio.DatagramProtocol):
    """Counts what comes, of whatever kind."""

    n = 0

    def data_received(self, data):
        self.n += 1

    def datagram_received(self, data, address):
        self.n += 1

    def eof_received(self):
        self.n += 1


async def two_streams():
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=a)
    return transport, *await loop.create_connection(Hears, sock=b)


async def two_datagrams():
    loop = asyncio.get_running_loop()
    a, b = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    b.bind("")  # to a name that the kernel chooses
    a.connect(b.getsockname())
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=a)
    return transport, *await loop.create_datagram_endpoint(Hears, sock=b)


async def two_pipes():
    loop = asyncio.get_running_loop()
    reads, writes = os.pipe()
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, open(writes, "wb", 0))
    return transport, *await loop.connect_read_pipe(Hears, open(reads, "rb", 0))


@pytest.mark.parametrize("make", [asyncio.SelectorEventLoop, cio.EventLoop])
@pytest.mark.parametrize(
    "ends, act, n",
    [
        (two_streams, lambda transport: transport.write(b"x"), 2),
        (two_streams, lambda transport: transport.writelines([b"x", b"y"]), 2),
        (two_streams, lambda transport: transport.write_eof(), 2),
        (two_streams, lambda transport: transport.close(), 3),
        (two_datagrams, lambda transport: transport.sendto(b"x"), 2),
        (two_pipes, lambda transport: transport.write(b"x"), 2),
    ],
)
def test_the_other_end_hears_within_turns_not_within_a_time(make, ends, act, n):
    """Callbacks are ready all the while, so nothing else asks the kernel."""

    async def main():
        for _ in range(20):
            transport, peer, protocol = await ends()
            await turns(3)
            act(transport)
            await turns(n)
            assert protocol.n == 1
            transport.abort()
            peer.close()
            await turns()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())


def test_the_other_end_of_a_call_on_a_socket_hears_as_soon(run):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        a.setblocking(False)
        transport, protocol = await loop.create_connection(Hears, sock=b)
        for n in range(20):
            await turns(3)
            await loop.sock_sendall(a, b"x")
            await turns(2)
            assert protocol.n == n + 1
        transport.abort()
        await turns()
        a.close()

    run(main())
