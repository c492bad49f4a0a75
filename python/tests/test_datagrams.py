"""Datagram endpoints, and the calls on sockets of datagrams. What asyncio does too is tried on both loops."""
import asyncio
import errno
import gc
import logging
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import weakref

import cio
import pytest

LOCAL = ("127.0.0.1", 0)
BURST = 50
HEADER = 8 if sys.version_info >= (3, 13) else 0


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


HAS_IPV6 = has_ipv6()


@pytest.fixture(params=[asyncio.SelectorEventLoop, cio.EventLoop], ids=["asyncio", "cio"])
def run(request):
    """Runs a coroutine function with a loop of either kind; what goes to the exception handler is in run.reported."""
    loop = request.param()
    reported = []
    loop.set_exception_handler(lambda loop, context: reported.append(context))

    def run(work):
        return loop.run_until_complete(asyncio.wait_for(work(loop), 20))

    run.loop, run.reported = loop, reported
    yield run
    loop.close()


@pytest.fixture
def ours(run):
    if not isinstance(run.loop, cio.EventLoop):
        pytest.skip("asyncio does it otherwise")
    return run


@pytest.fixture
def pausing(run):
    """Where datagrams can be paused: in asyncio since some maintenance release of 3.11."""
    theirs = vars(asyncio.selector_events._SelectorTransport)
    if not isinstance(run.loop, cio.EventLoop) and "resume_reading" not in theirs:
        pytest.skip("asyncio cannot pause datagrams")
    return run


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield folder


class Recorder(asyncio.DatagramProtocol):
    """Remembers what it was told; `heard` is set at each datagram or error."""

    def __init__(self, after=None):
        self.said, self.after, self.heard = [], after, asyncio.Event()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.said.append(data)
        self.address = address
        self.heard.set()
        if self.after:
            self.after(self, data)

    def error_received(self, error):
        self.said.append(error)
        self.heard.set()

    def pause_writing(self):
        self.said.append("pause")

    def resume_writing(self):
        self.said.append("resume")
        self.heard.set()

    def connection_lost(self, error):
        self.lost.set_result(error)

    async def until(self, n):
        while len(self.said) < n:
            self.heard.clear()
            await self.heard.wait()


async def endpoint(loop, after=None, **options):
    options = options or {"local_addr": LOCAL}
    return await loop.create_datagram_endpoint(lambda: Recorder(after), **options)


async def two(loop, after=None):
    """An endpoint, and another that is connected to it."""
    server, receiver = await endpoint(loop, after)
    client, sender = await endpoint(loop, remote_addr=server.get_extra_info("sockname"))
    return server, receiver, client, sender


async def close(*transports):
    for transport in transports:
        transport.close()
    await asyncio.sleep(0)


async def turns(n=5):
    for _ in range(n):
        await asyncio.sleep(0)


def numbers(n):
    return [b"%d" % i for i in range(n)]


# Receiving.


def test_t74_what_a_datagram_schedules_comes_before_the_next_one(run):
    async def work(loop):
        said = []

        def after(protocol, data):
            said.append(data)
            loop.call_soon(said.append, "called by " + data.decode())

        server, receiver, client, _ = await two(loop, after)
        for data in numbers(BURST):
            client.sendto(data)
        await receiver.until(BURST)
        await turns()
        assert said == [each for data in numbers(BURST) for each in (data, "called by " + data.decode())]
        await close(server, client)

    run(work)


def test_no_datagram_after_close(run):
    async def work(loop):
        def after(protocol, data):
            if data == b"20":
                protocol.transport.close()

        server, receiver, client, _ = await two(loop, after)
        for data in numbers(BURST):
            client.sendto(data)
        assert await receiver.lost is None
        assert receiver.said == numbers(21)
        await close(client)

    run(work)


def test_pausing_in_a_crowd(pausing):
    async def work(loop):
        def after(protocol, data):
            if data in (b"20", b"35"):
                protocol.transport.pause_reading()

        server, receiver, client, _ = await two(loop, after)
        for data in numbers(BURST):
            client.sendto(data)
        for n in 21, 36:
            await receiver.until(n)
            await turns()
            assert receiver.said == numbers(n) and not server.is_reading()
            server.resume_reading()
        await receiver.until(BURST)
        assert receiver.said == numbers(BURST)
        await close(server, client)

    pausing(work)


def test_another_protocol_in_a_crowd(run):
    async def work(loop):
        second = Recorder()

        def after(protocol, data):
            if data == b"20":
                protocol.transport.set_protocol(second)

        server, receiver, client, _ = await two(loop, after)
        for data in numbers(BURST):
            client.sendto(data)
        await second.until(BURST - 21)
        assert receiver.said + second.said == numbers(BURST)
        assert server.get_protocol() is second
        await close(server, client)

    run(work)


def test_the_loop_may_stop_in_a_crowd(run):
    async def begin(loop):
        run.all = await two(loop, lambda protocol, data: loop.stop())

    run(begin)
    receiver = run.all[1]
    for data in numbers(BURST):
        run.all[2].sendto(data)
    while len(receiver.said) < BURST:
        run.loop.call_later(20, run.loop.stop)
        run.loop.run_forever()
    assert receiver.said == numbers(BURST)
    run(lambda loop: close(run.all[0], run.all[2]))


def test_what_a_protocol_raises_is_reported_and_the_next_datagram_comes(run):
    async def work(loop):
        def after(protocol, data):
            if data == b"20":
                raise ValueError("as it should")

        server, receiver, client, _ = await two(loop, after)
        for data in numbers(BURST):
            client.sendto(data)
        await receiver.until(BURST)
        assert receiver.said == numbers(BURST) and not server.is_closing()
        await close(server, client)

    run(work)
    (context,) = run.reported
    assert sorted(context) == ["exception", "handle", "message"]
    assert context["message"].startswith("Exception in callback ") and "Transport._read_ready()" in context["message"]
    assert str(context["exception"]) == "as it should"


def test_exits_leave_the_loop(run):
    async def begin(loop):
        def after(protocol, data):
            raise SystemExit(5)

        run.all = await two(loop, after)

    run(begin)
    run.all[2].sendto(b"x")
    run.loop.call_later(20, run.loop.stop)
    with pytest.raises(SystemExit):
        run.loop.run_forever()
    run(lambda loop: close(run.all[0], run.all[2]))


def test_datagrams_of_every_size(run):
    async def work(loop):
        server, receiver, client, _ = await two(loop)
        sizes = [0] * (HEADER > 0) + [1, 100, 1472, 1473, 9000, 65507]
        for n, size in enumerate(sizes):
            client.sendto(bytes([n]) * size)
            await receiver.until(n + 1)
        assert receiver.said == [bytes([n]) * size for n, size in enumerate(sizes)]
        client.sendto(bytes(65508))
        assert client.get_protocol().said[0].errno == errno.EMSGSIZE
        await close(server, client)

    run(work)


@pytest.mark.skipif(HEADER > 0, reason="since 3.13 they are sent")
def test_empty_datagrams_were_not_sent(run):
    async def work(loop):
        server, receiver, client, _ = await two(loop)
        client.sendto(b"")
        client.sendto(b"x")
        await receiver.until(1)
        assert receiver.said == [b"x"]
        await close(server, client)

    run(work)


def test_large_datagrams_of_the_unix_family(run, folder):
    async def work(loop):
        server, receiver = await endpoint(loop, family=socket.AF_UNIX, local_addr=folder + "/s")
        client, _ = await endpoint(loop, family=socket.AF_UNIX, remote_addr=folder + "/s")
        data = os.urandom(100_000)
        for n in range(20):
            client.sendto(data + bytes([n]))
        await receiver.until(20)
        assert receiver.said == [data + bytes([n]) for n in range(20)]
        await close(server, client)

    run(work)


def test_a_method_that_is_replaced_by_another_protocol_only(ours):
    """It is looked up when the first datagram comes."""

    async def work(loop):
        server, receiver, client, _ = await two(loop)
        client.sendto(b"1")
        await receiver.until(1)
        seen = loop.create_future()
        receiver.datagram_received = lambda data, address: seen.set_result(data)
        server.set_protocol(receiver)
        client.sendto(b"2")
        assert await seen == b"2"
        await close(server, client)

    ours(work)


# Addresses.


@pytest.mark.parametrize("family, local", [(socket.AF_INET, LOCAL), (socket.AF_INET6, ("::1", 0))])
def test_addresses_of_internet_families(run, family, local):
    if family == socket.AF_INET6 and not HAS_IPV6:
        pytest.skip("the machine has no IPv6")

    async def work(loop):
        one, received = await endpoint(loop, local_addr=local, family=family)
        other, answers = await endpoint(loop, local_addr=local)
        name = one.get_extra_info("sockname")
        for n, address in enumerate((name, name[:2], tuple(list(name)), ("localhost" if len(name) == 2 else "0::1", name[1]))):
            other.sendto(b"x", address)
            await received.until(n + 1)
        assert received.address == other.get_extra_info("sockname") and type(received.address) is tuple
        for data in b"an", b"answer":
            one.sendto(data, received.address)
        await answers.until(2)
        assert answers.said == [b"an", b"answer"] and answers.address == name
        await close(one, other)

    run(work)


def test_senders_are_told_apart(run):
    async def work(loop):
        server, receiver = await endpoint(loop)
        clients = [await endpoint(loop) for _ in range(3)]
        seen = []
        receiver.after = lambda protocol, data: seen.append(protocol.address)
        order = [0, 0, 1, 2, 2, 1, 0, 1] * 5
        for n in order:
            clients[n][0].sendto(b"x", server.get_extra_info("sockname"))
        await receiver.until(len(order))
        assert seen == [clients[n][0].get_extra_info("sockname") for n in order]
        for address in seen:
            server.sendto(b"y", address)
        for n in range(3):
            await clients[n][1].until(order.count(n))
        await close(server, *(client for client, _ in clients))

    run(work)


def test_addresses_of_the_unix_family(run, folder):
    async def work(loop):
        path, abstract = folder + "/s", "\0" + folder
        for name in path, abstract:
            server, receiver = await endpoint(loop, family=socket.AF_UNIX, local_addr=name)
            client, answers = await endpoint(loop, family=socket.AF_UNIX, local_addr=name + "2", remote_addr=name)
            nameless, _ = await endpoint(loop, family=socket.AF_UNIX)
            client.sendto(b"x")
            await receiver.until(1)
            shown = name + "2" if name == path else (name + "2").encode()
            assert receiver.address == shown
            server.sendto(b"y", receiver.address)
            await answers.until(1)
            assert client.get_extra_info("peername") == (name if name == path else name.encode())
            nameless.sendto(b"z", name)
            await receiver.until(2)
            assert receiver.address is None
            await close(server, client, nameless)

    run(work)


def test_a_stale_socket_is_removed_and_a_file_is_not(run, folder):
    async def work(loop):
        path = folder + "/s"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
            left.bind(path)
        server, _ = await endpoint(loop, family=socket.AF_UNIX, local_addr=path)
        await close(server)
        assert os.path.exists(path)
        os.remove(path)
        open(path, "w").close()
        with pytest.raises(OSError) as error:
            await endpoint(loop, family=socket.AF_UNIX, local_addr=path)
        assert error.value.errno == errno.EADDRINUSE

    run(work)


def test_a_broadcasting_endpoint_is_not_connected(run):
    async def work(loop):
        server, receiver = await endpoint(loop)
        name = server.get_extra_info("sockname")
        client, _ = await endpoint(loop, remote_addr=name, allow_broadcast=True)
        assert client.get_extra_info("peername") is None and client._address == name
        assert client.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        client.sendto(b"x")
        client.sendto(b"y", name)
        with pytest.raises(ValueError, match=r"Invalid address: must be None or \('127.0.0.1', "):
            client.sendto(b"z", LOCAL)
        await receiver.until(2)
        await close(server, client)

    run(work)


def test_a_connected_socket_of_the_programs(run):
    """Its peer is who it is; an address is not looked at."""

    async def work(loop):
        server, receiver = await endpoint(loop)
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.connect(server.get_extra_info("sockname"))
        client, _ = await endpoint(loop, sock=sock)
        client.sendto(b"x", ("192.0.2.1", 9))
        client.sendto(memoryview(bytearray(b"y")))
        await receiver.until(2)
        assert receiver.said == [b"x", b"y"]
        await close(server, client)

    run(work)


def test_families_that_are_not_known_here_go_by_the_sockets_methods(run):
    async def work(loop):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE)
        sock.bind((0, 0))
        transport, protocol = await endpoint(loop, sock=sock)
        question = b"\x14\0\0\0\x16\0\x01\x03\1\0\0\0\0\0\0\0\0\0\0\0"  # RTM_GETADDR, dump
        transport.sendto(question, (0, 0))
        await protocol.until(1)
        assert isinstance(protocol.said[0], bytes) and protocol.address == (0, 0)
        await close(transport)

    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE).close()
    except OSError:
        pytest.skip("the system has no netlink")
    run(work)


# Errors.


def test_t74_refused_datagrams_are_told(run):
    async def work(loop):
        server, _ = await endpoint(loop)
        name = server.get_extra_info("sockname")
        await close(server)
        client, sender = await endpoint(loop, remote_addr=name)
        client.sendto(b"x")
        await sender.until(1)
        assert isinstance(sender.said[0], ConnectionRefusedError) and not client.is_closing()
        client.abort()
        assert await sender.lost is None

    run(work)


def test_an_address_that_is_none_ends_the_transport(run):
    async def work(loop):
        transport, protocol = await endpoint(loop)
        transport.sendto(b"x", 3)
        assert transport.is_closing()
        assert isinstance(await protocol.lost, TypeError)

    run(work)
    (context,) = run.reported
    assert sorted(context) == ["exception", "message", "protocol", "transport"]
    assert context["message"] == "Fatal write error on datagram transport"
    assert str(context["exception"]) == "sendto(): AF_INET address must be tuple, not int"


def test_what_error_received_raises_comes_out_of_sendto(run):
    async def work(loop):
        transport, protocol = await endpoint(loop)

        def error_received(error):
            raise LookupError("as it should")

        protocol.error_received = error_received
        with pytest.raises(LookupError):
            transport.sendto(bytes(70_000), ("127.0.0.1", 9))
        assert not transport.is_closing()
        await close(transport)

    run(work)


def test_wrong_arguments(run):
    async def work(loop):
        stream, datagram = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        expected = "A UDP Socket was expected|A datagram socket was expected"
        with stream, datagram:
            for error, text, options in (
                (ValueError, "unexpected address family", {"family": 0}),
                (ValueError, expected, {"sock": stream}),
                (ValueError, r"sock is specified. \(local_addr=\('127.0.0.1', 0\), family=2, reuse_port=True\)",
                 {"sock": datagram, "local_addr": LOCAL, "family": 2, "reuse_port": True}),
                (TypeError, "2-tuple is expected", {"local_addr": "x"}),
                (TypeError, "2-tuple is expected", {"remote_addr": ("::1", 1, 0, 0)}),
                (TypeError, "string is expected", {"local_addr": 3, "family": socket.AF_UNIX}),
                (ValueError, "can not get address information", {"local_addr": LOCAL, "remote_addr": ("::1", 1)}),
                (OSError, "assign", {"local_addr": ("192.0.2.1", 0)}),
            ):
                with pytest.raises(error, match=text):
                    await loop.create_datagram_endpoint(asyncio.DatagramProtocol, **options)
        with pytest.raises(TypeError):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, LOCAL, None, 2)
        transport, _ = await endpoint(loop)
        for wrong in "text", 3, None:
            with pytest.raises(TypeError, match=f"data argument must be a bytes-like object, not '{type(wrong).__name__}'"):
                transport.sendto(wrong, LOCAL)
        await close(transport)

    run(work)


def test_a_factory_that_fails(run):
    async def work(loop):
        def factory():
            raise LookupError("as it should")

        with pytest.warns(ResourceWarning, match="unclosed"):
            with pytest.raises(LookupError):
                await loop.create_datagram_endpoint(factory, LOCAL)
            gc.collect()

    run(work)


def test_cancellation_while_it_is_made(run):
    async def work(loop):
        made = []

        class Protocol(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                made.append(transport)

        for n in range(4):
            task = asyncio.create_task(loop.create_datagram_endpoint(Protocol, LOCAL))
            await turns(n)
            task.cancel()
            try:
                transport, _ = await task
                transport.close()
            except asyncio.CancelledError:
                pass
            await turns()
        assert all(transport.is_closing() for transport in made)

    run(work)


# Flow control.


def small_pair(folder):
    """Two unix sockets, the first connected to the second, which holds little."""
    pair = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in pair:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        sock.setblocking(False)
    pair[1].bind(folder + "/small")
    pair[0].connect(folder + "/small")
    return pair


def fill(transport, size=1000):
    """Sends until one has to wait; how many were sent."""
    n = 0
    while transport.get_write_buffer_size() == 0 and not transport.is_closing():
        transport.sendto(bytes([n % 256]) * size)
        n += 1
    return n


def test_t57_a_full_socket_pauses_the_protocol(ours, folder):
    """asyncio 3.13.0 counts headers that never go again."""

    async def work(loop):
        left, right = small_pair(folder)
        with right:
            transport, protocol = await endpoint(loop, sock=left)
            transport.set_write_buffer_limits(high=2 * (1000 + HEADER))
            n = fill(transport)
            assert transport.get_write_buffer_size() == 1000 + HEADER and protocol.said == []
            data = bytearray(b"\xff" * 1000)
            transport.sendto(data)
            data[0] = 0
            assert protocol.said == []
            transport.sendto(b"")
            assert protocol.said == (["pause"] if HEADER else [])
            transport.sendto(b"\xfe" * 1000)
            assert protocol.said == ["pause"]
            assert transport.get_write_buffer_size() == 3000 + HEADER * 4
            assert f"write=<polling, bufsize={3000 + HEADER * 4}>" in repr(transport)
            got = []
            while len(got) < n + 2 + (HEADER > 0):
                got.append(await loop.sock_recv(right, 2000))
            sizes = [1000] * (n + 1) + [0] * (HEADER > 0) + [1000]
            assert [len(each) for each in got] == sizes
            assert got[n] == b"\xff" * 1000
            await protocol.until(2)
            assert protocol.said == ["pause", "resume"] and transport.get_write_buffer_size() == 0
            assert "write=<idle, bufsize=0>" in repr(transport)
            await close(transport)

    ours(work)


def test_t59_close_waits_for_the_queue(run, folder):
    async def work(loop):
        left, right = small_pair(folder)
        with right:
            transport, protocol = await endpoint(loop, sock=left)
            n = fill(transport)
            transport.close()
            await turns()
            assert transport.is_closing() and not protocol.lost.done()
            for _ in range(n):
                assert len(await loop.sock_recv(right, 2000)) == 1000
            assert await protocol.lost is None

    run(work)


def test_abort_drops_the_queue(run, folder):
    async def work(loop):
        left, right = small_pair(folder)
        with right:
            transport, protocol = await endpoint(loop, sock=left)
            n = fill(transport)
            transport.abort()
            assert await protocol.lost is None
            got = 0
            while True:
                try:
                    right.recv(2000)
                except BlockingIOError:
                    break
                got += 1
            assert got == n - 1

    run(work)


def test_one_that_fails_does_not_take_those_behind_it_along(run, folder):
    async def work(loop):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.setblocking(False)
            peer.bind(folder + "/s")
            transport, protocol = await endpoint(loop, family=socket.AF_UNIX)
            n = 0
            while transport.get_write_buffer_size() == 0 and not transport.is_closing():
                transport.sendto(b"x", folder + "/s")
                n += 1
            transport.sendto(b"lost", folder + "/nobody")
            transport.sendto(b"y", folder + "/s")
            got = [await loop.sock_recv(peer, 10) for _ in range(n + 1)]
            assert got == [b"x"] * n + [b"y"]
            assert [type(each) for each in protocol.said] == [FileNotFoundError]
            await close(transport)

    run(work)


# Ends.


def test_what_is_sent_after_the_end(run, caplog):
    async def work(loop):
        server, receiver, client, sender = await two(loop)
        client.close()
        client.sendto(b"x")
        await sender.lost
        for _ in range(6):
            client.sendto(b"x")
        server.close()
        server.sendto(b"still", server.get_extra_info("sockname"))
        assert await receiver.lost is None and receiver.said == []

    with caplog.at_level(logging.WARNING, logger="asyncio"):
        run(work)
    assert [record.getMessage() for record in caplog.records] == ["socket.send() raised exception."] * 3


def test_what_is_sent_by_an_endpoint_without_a_peer_after_its_end_is_vain(ours):
    async def work(loop):
        server, receiver = await endpoint(loop)
        await close(server)
        await receiver.lost
        server.sendto(b"x", LOCAL)

    ours(work)


def test_an_endpoint_that_is_forgotten_while_it_reads_lives_on(run):
    async def work(loop):
        server, receiver = await endpoint(loop)
        name = server.get_extra_info("sockname")
        reference = weakref.ref(server)
        del server, receiver.transport
        gc.collect()
        client, _ = await endpoint(loop, remote_addr=name)
        client.sendto(b"x")
        await receiver.until(1)
        await close(client, reference())

    run(work)


def test_an_endpoint_that_is_paused_and_forgotten_goes(pausing):
    async def work(loop):
        server, receiver = await endpoint(loop)
        server.pause_reading()
        server.cycle = [server, receiver]
        reference = weakref.ref(server)
        del server, receiver
        with pytest.warns(ResourceWarning, match="unclosed transport <.*DatagramTransport fd="):
            gc.collect()
            await turns()
        for _ in range(3):  # what the warning was kept by may be garbage too
            gc.collect()
        assert reference() is None

    pausing(work)


def test_the_loops_end_with_datagrams_that_were_not_delivered():
    program = textwrap.dedent("""
        import asyncio, cio, gc, sys
        loop = cio.EventLoop()
        class Protocol(asyncio.DatagramProtocol):
            seen = 0
            def datagram_received(self, data, address):
                Protocol.seen += 1
                if Protocol.seen == 25:
                    loop.stop()
        async def begin():
            server, _ = await loop.create_datagram_endpoint(Protocol, ("127.0.0.1", 0))
            client, _ = await loop.create_datagram_endpoint(Protocol, None, server.get_extra_info("sockname"))
            for n in range(100):
                client.sendto(b"x")
        loop.run_until_complete(begin())
        loop.run_forever()
        loop.close()
        gc.collect()
        assert 25 <= Protocol.seen <= 26
    """)
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr


def test_what_audit_hooks_hear_of():
    program = textwrap.dedent("""
        import asyncio, cio, collections, socket, sys
        def heard(factory):
            events = collections.Counter()
            def hook(event, arguments):
                if on and event.startswith("socket."):
                    events[event] += 1
            on = False
            sys.addaudithook(hook)
            async def work(loop):
                nonlocal on
                on = True
                one, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
                two, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, None, one.get_extra_info("sockname"))
                one.sendto(b"x", ("127.0.0.1", 9))
                two.sendto(b"x")
                with socket.socket(type=socket.SOCK_DGRAM) as sock:
                    sock.setblocking(False)
                    await loop.sock_sendto(sock, b"x", ("127.0.0.1", 9))
                one.close()
                two.close()
                on = False
            loop = factory()
            loop.run_until_complete(work(loop))
            loop.close()
            return events
        ours, theirs = heard(cio.EventLoop), heard(asyncio.SelectorEventLoop)
        assert ours == theirs and ours["socket.sendto"] == 2, (ours, theirs)
        def refuse(event, arguments):
            if event == "socket.sendto":
                raise RuntimeError("refused")
        sys.addaudithook(refuse)
        async def refused():
            loop = asyncio.get_running_loop()
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                await loop.sock_sendto(sock, b"x", ("127.0.0.1", 9))
        try:
            cio.run(refused())
        except RuntimeError as error:
            assert str(error) == "refused"
    """)
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr


# Calls on sockets.


def names(folder):
    yield socket.AF_INET, LOCAL
    if HAS_IPV6:
        yield socket.AF_INET6, ("::1", 0)
    yield socket.AF_UNIX, folder + "/s"
    yield socket.AF_UNIX, "\0" + folder
    yield socket.AF_UNIX, b"\0bytes" + folder.encode()


def new_socket(family, name, kind=socket.SOCK_DGRAM):
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    if name:
        sock.bind(name)
    return sock


def test_sock_calls_with_addresses(run, folder):
    async def work(loop):
        for family, name in names(folder):
            nameless = family == socket.AF_UNIX
            with new_socket(family, name) as one, new_socket(family, None if nameless else name) as other:
                to = one.getsockname()
                receiving = asyncio.create_task(loop.sock_recvfrom(one, 100))
                await turns(2)
                assert await loop.sock_sendto(other, b"first", to) == 5
                data, sender = await receiving
                assert data == b"first" and sender == (None if nameless else other.getsockname())
                for size in 5000, 10, 0:
                    await loop.sock_sendto(other, bytearray(b"second"), to)
                    assert (await loop.sock_recvfrom(one, size))[0] == b"second"[:size]
                for nbytes in 0, 3, 8:
                    buffer = bytearray(8)
                    receiving = asyncio.create_task(loop.sock_recvfrom_into(one, buffer, nbytes))
                    await turns(2)
                    await loop.sock_sendto(other, memoryview(b"third"), to)
                    n, sender = await receiving
                    assert n == (nbytes if nbytes == 3 else 5) and buffer[:n] == b"third"[:n]
                    assert sender == (None if nameless else other.getsockname())

    run(work)


def test_sock_accept_of_every_family(run, folder):
    async def work(loop):
        for family, name in names(folder):
            with new_socket(family, name, socket.SOCK_STREAM) as listener, new_socket(family, None, socket.SOCK_STREAM) as client:
                listener.listen()
                accepting = asyncio.create_task(loop.sock_accept(listener))
                await turns(2)
                await loop.sock_connect(client, listener.getsockname())
                sock, address = await accepting
                with sock:
                    assert type(sock) is socket.socket and sock.family == family and sock.type == socket.SOCK_STREAM
                    assert sock.gettimeout() == 0 and not sock.get_inheritable()
                    assert address == client.getsockname() == sock.getpeername()
                    await loop.sock_sendall(client, b"x")
                    assert await loop.sock_recvfrom(sock, 10) == (b"x", None)
            if family == socket.AF_UNIX and os.path.exists(name):
                os.remove(name)

    run(work)


def test_sock_calls_of_subclasses_and_other_families(run):
    class Sock(socket.socket):
        called = 0

        def recvfrom(self, *arguments):
            Sock.called += 1
            return super().recvfrom(*arguments)

        def accept(self):
            Sock.called += 1
            return super().accept()

    async def work(loop):
        with Sock(type=socket.SOCK_DGRAM) as sock, Sock() as listener, socket.socket() as client:
            for each in sock, listener:
                each.bind(LOCAL)
            for each in sock, listener, client:
                each.setblocking(False)
            listener.listen()
            receiving = asyncio.create_task(loop.sock_recvfrom(sock, 10))
            await turns(2)
            await loop.sock_sendto(sock, b"x", sock.getsockname())
            assert await receiving == (b"x", sock.getsockname())
            await loop.sock_connect(client, listener.getsockname())
            accepted, _ = await loop.sock_accept(listener)
            with accepted:
                assert accepted.gettimeout() == 0
            assert Sock.called >= 3

    run(work)


def test_sock_calls_with_wrong_arguments(run):
    async def work(loop):
        with new_socket(socket.AF_INET, LOCAL) as sock, new_socket(socket.AF_INET, None, socket.SOCK_STREAM) as stream:
            name = sock.getsockname()
            for error, text, call in (
                (ValueError, "negative buffersize in recvfrom", loop.sock_recvfrom(sock, -1)),
                (TypeError, "'str' object cannot be interpreted as an integer", loop.sock_recvfrom(sock, "x")),
                (OverflowError, "Python int too large to convert to C ssize_t", loop.sock_recvfrom(sock, 1 << 80)),
                (TypeError, "must be read-write bytes-like object, not bytes", loop.sock_recvfrom_into(sock, b"x")),
                (ValueError, "nbytes is greater than the length of the buffer", loop.sock_recvfrom_into(sock, bytearray(3), 4)),
                (ValueError, "negative buffersize in recvfrom_into", loop.sock_recvfrom_into(sock, bytearray(3), -4)),
                (TypeError, "a bytes-like object is required, not 'str'", loop.sock_sendto(sock, "x", name)),
                (TypeError, "AF_INET address must be tuple, not int", loop.sock_sendto(sock, b"x", 3)),
                (OverflowError, "port must be 0-65535", loop.sock_sendto(sock, b"x", ("127.0.0.1", 70_000))),
                (OSError, "Message too long", loop.sock_sendto(sock, bytes(70_000), name)),
                (OSError, "Invalid argument", loop.sock_accept(stream)),
            ):
                with pytest.raises(error, match=text):
                    await call
        for call in loop.sock_recvfrom(sock, 1), loop.sock_sendto(sock, b"x", name), loop.sock_accept(sock):
            with pytest.raises(OSError, match="Bad file descriptor"):
                await call

    run(work)


def test_sock_calls_that_are_cancelled_leave_the_socket_alone(run):
    async def work(loop):
        with new_socket(socket.AF_INET, LOCAL) as sock, new_socket(socket.AF_INET, LOCAL, socket.SOCK_STREAM) as listener:
            listener.listen()
            for call in (loop.sock_recvfrom(sock, 1), loop.sock_recvfrom_into(sock, bytearray(1)), loop.sock_accept(listener)):
                task = asyncio.create_task(call)
                await turns(2)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await loop.sock_sendto(sock, b"x", sock.getsockname())
            assert await loop.sock_recvfrom(sock, 10) == (b"x", sock.getsockname())
            assert not loop.remove_reader(sock) and not loop.remove_reader(listener)

    run(work)


def test_a_sendto_that_waits(run, folder):
    async def work(loop):
        with new_socket(socket.AF_UNIX, folder + "/s") as one, new_socket(socket.AF_UNIX, None) as other:
            n = 0
            while True:
                task = asyncio.create_task(loop.sock_sendto(other, b"x", folder + "/s"))
                await turns()
                if not task.done():
                    break
                n += 1
            for _ in range(n):
                await loop.sock_recvfrom(one, 10)
            assert await task == 1
            assert await loop.sock_recvfrom(one, 10) == (b"x", None)

    run(work)
