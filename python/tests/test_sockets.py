"""Calls on sockets, and names."""

import asyncio
import collections.abc
import io
import os
import socket
import tempfile

import cio
import pytest


def run(main, **options):
    return cio.run(main(), **options)


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def test_they_are_coroutines(pair):
    left, right = pair

    async def main():
        loop = asyncio.get_running_loop()
        left.send(b"x")
        coroutine = loop.sock_recv(right, 10)
        assert asyncio.iscoroutine(coroutine)
        assert isinstance(coroutine, collections.abc.Coroutine)
        assert coroutine.__name__ == "sock_recv"
        assert await asyncio.create_task(coroutine) == b"x"
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await coroutine
        with pytest.warns(RuntimeWarning, match="'EventLoop.sock_recv' was never awaited"):
            loop.sock_recv(right, 10)
        closed = loop.sock_recv(right, 10)
        closed.close()
        with pytest.raises(RuntimeError):
            await closed

    run(main)


def test_recv_at_once_and_later(pair):
    left, right = pair

    async def main():
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(left, b"now")
        assert await loop.sock_recv(right, 100) == b"now"
        loop.call_later(0.01, left.send, b"later")
        assert await loop.sock_recv(right, 2) == b"la"
        buffer = bytearray(10)
        assert await loop.sock_recv_into(right, buffer) == 3 and buffer[:3] == b"ter"
        loop.call_later(0.01, left.close)
        assert await loop.sock_recv(right, 100000) == b""

    run(main)


def test_recv_of_bad_sizes(pair):
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(ValueError, match="negative buffersize in recv"):
            await loop.sock_recv(pair[0], -1)
        with pytest.raises(TypeError):
            await loop.sock_recv(pair[0], "1")
        with pytest.raises(TypeError):
            await loop.sock_recv_into(pair[0], b"read only")
        for call in (lambda: loop.sock_recv(), lambda: loop.sock_recv(pair[0], 1, 2),
                     lambda: loop.sock_recv(pair[0], n=1, m=2), lambda: loop.sock_recv(1, sock=2)):
            with pytest.raises(TypeError):
                call()

    run(main)


def test_sendall_of_much(pair):
    left, right = pair
    data = os.urandom(3_000_000)

    async def main():
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(left, bytearray(data)))
        received = b""
        while len(received) < len(data):
            received += await loop.sock_recv(right, 1 << 18)
        await sending
        assert received == data

    run(main)


def test_t67_canceled_waits_leave_nothing(pair):
    left, right = pair

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(3):
            waiting = asyncio.create_task(loop.sock_recv(right, 10))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        left.send(b"kept")
        assert await loop.sock_recv(right, 10) == b"kept"
        # The data has come, but the task is canceled before it runs: the data stays.
        waiting = asyncio.create_task(loop.sock_recv(right, 10))
        await asyncio.sleep(0.01)
        left.send(b"also kept")
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await loop.sock_recv(right, 10) == b"also kept"

    run(main)


def test_t67_two_wait_for_one_socket(pair):
    left, right = pair

    async def main():
        loop = asyncio.get_running_loop()
        both = [asyncio.create_task(loop.sock_recv(right, 1)) for _ in range(2)]
        await asyncio.sleep(0.01)
        left.send(b"ab")
        assert sorted(await asyncio.gather(*both)) == [b"a", b"b"]

    run(main)


def test_an_abandoned_wait(pair):
    loop = cio.EventLoop()
    coroutine = loop.sock_recv(pair[0], 10)
    future = coroutine.send(None)
    assert isinstance(future, asyncio.Future)
    del coroutine, future
    pair[1].send(b"x")
    loop.run_until_complete(asyncio.sleep(0.01))
    coroutine = loop.sock_recv(pair[1], 10)
    coroutine.send(None)
    loop.close()
    del coroutine


def test_connect_and_accept():
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            server.setblocking(False)
            client.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(server))
            await loop.sock_connect(client, ("localhost", server.getsockname()[1]))
            accepted, address = await accepting
            with accepted:
                assert address == client.getsockname() and accepted.gettimeout() == 0
        with socket.socket() as other:
            other.setblocking(False)
            address = ("127.0.0.1", 1)
            with pytest.raises(ConnectionRefusedError, match="Connect call failed"):
                await loop.sock_connect(other, address)
        with pytest.raises(OSError):
            await loop.sock_recv(other, 1)

    run(main)


def test_datagrams():
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.setblocking(False)
                sock.bind(("127.0.0.1", 0))
            receiving = asyncio.create_task(loop.sock_recvfrom(a, 100))
            await asyncio.sleep(0)
            assert await loop.sock_sendto(b, b"data", a.getsockname()) == 4
            assert await receiving == (b"data", b.getsockname())
            await loop.sock_sendto(b, b"more", a.getsockname())
            buffer = bytearray(8)
            assert await loop.sock_recvfrom_into(a, buffer, 2) == (2, b.getsockname())

    run(main)


def test_sendfile(pair):
    left, right = pair
    data = os.urandom(1_000_000)

    async def receive(n):
        received = b""
        while len(received) < n:
            received += await asyncio.get_running_loop().sock_recv(right, 1 << 18)
        return received

    async def main():
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            for fallback in (True, False):
                receiving = asyncio.create_task(receive(500_000))
                sent = await loop.sock_sendfile(left, file, 100, 500_000, fallback=fallback)
                assert sent == 500_000 and file.tell() == 500_100
                assert await receiving == data[100:500_100]
        memory = io.BytesIO(data)
        with pytest.raises(asyncio.SendfileNotAvailableError):
            await loop.sock_sendfile(left, memory, fallback=False)
        receiving = asyncio.create_task(receive(1_000_000 - 7))
        assert await loop.sock_sendfile(left, memory, 7) == 1_000_000 - 7
        assert await receiving == data[7:] and memory.tell() == 1_000_000
        with pytest.raises(ValueError, match="binary mode"):
            with tempfile.TemporaryFile("w") as text:
                await loop.sock_sendfile(left, text)
        with pytest.raises(ValueError, match="count must be a positive integer"):
            await loop.sock_sendfile(left, memory, 0, 0)

    run(main)


def test_t75_debug_mode_wants_sockets_that_do_not_block(pair):
    pair[0].setblocking(True)

    async def main():
        loop = asyncio.get_running_loop()
        for call in (loop.sock_recv(pair[0], 1), loop.sock_sendall(pair[0], b"x"),
                     loop.sock_accept(pair[0]), loop.sock_connect(pair[0], "x")):
            with pytest.raises(ValueError, match="the socket must be non-blocking"):
                await call

    run(main, debug=True)


@pytest.mark.parametrize("kind", (0, socket.SOCK_STREAM, socket.SOCK_DGRAM))
@pytest.mark.parametrize("host", ("127.0.0.1", "::1", "0:0::1", b"127.0.0.1", "localhost", "127.1"))
@pytest.mark.parametrize("port", (80, "80", b"80", None))
def test_names_are_looked_up_as_by_the_module_socket(host, port, kind):
    async def main():
        loop = asyncio.get_running_loop()
        return await loop.getaddrinfo(host, port, type=kind)

    ours, theirs = run(main), socket.getaddrinfo(host, port, type=kind)
    assert ours == theirs
    assert [list(map(type, one)) for one in ours] == [list(map(type, one)) for one in theirs]


def test_numbers_need_no_thread():
    async def main():
        loop = asyncio.get_running_loop()
        await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, server.getsockname())
        await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        assert loop._default_executor is None
        await loop.getnameinfo(("127.0.0.1", 80))
        assert loop._default_executor is not None

    run(main)


def test_a_replaced_getaddrinfo_is_asked(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: list(arguments))

    async def main():
        return await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)

    assert run(main) == ["127.0.0.1", 80, 0, 0, 0, 0]


def test_t66_watches(pair):
    left, right = pair
    seen = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.add_reader(right, lambda: seen.append(right.recv(1)))
        left.send(b"ab")
        await asyncio.sleep(0.01)
        assert seen == [b"a", b"b"]
        loop.add_reader(right.fileno(), seen.append, 2)
        loop.add_writer(left, seen.append, 1)
        await asyncio.sleep(0.01)
        assert seen[2] == 1 and 2 not in seen
        assert loop.remove_writer(left) is True and loop.remove_writer(left) is False
        assert loop.remove_reader(right) is True and loop.remove_reader(right) is False
        for bad in ("x", None, 1.5, object()):
            with pytest.raises(ValueError, match="Invalid file object"):
                loop.add_reader(bad, int)
        with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
            loop.add_reader(-1, int)
        with pytest.raises(OSError):
            loop.add_reader(900, int)
        with tempfile.TemporaryFile() as file, pytest.raises(PermissionError):
            loop.add_reader(file, int)

    run(main)


@pytest.mark.parametrize("offset", [0, 2, 5])
@pytest.mark.parametrize("read", [False, True])
def test_sendfile_leaves_the_file_behind_what_was_sent(tmp_path, offset, read):
    """By the system call, and by reading where the file has no descriptor."""
    async def main():
        loop = asyncio.get_running_loop()
        one, two = socket.socketpair()
        one.setblocking(False)
        (tmp_path / "file").write_bytes(b"12345")
        with io.BytesIO(b"12345") if read else open(tmp_path / "file", "rb") as file:
            file.seek(1)
            assert await loop.sock_sendfile(one, file, offset) == 5 - offset
            assert file.tell() == 5
        one.close()
        assert two.recv(9) == b"12345"[offset:]
        two.close()

    run(main)
