"""Transports of pipes, where CPython's own tests and the probes do not look."""
import asyncio
import contextvars
import gc
import os
import socket
import struct
import threading
import tty
import warnings
import weakref

import pytest
from conftest import open_descriptors

import cio


class Protocol(asyncio.Protocol):
    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.lost = self.loop.create_future()
        self.came = asyncio.Event()
        self.data = b""
        self.paused = 0
        self.writable = asyncio.Event()
        self.writable.set()

    def data_received(self, data):
        self.data += data
        self.came.set()

    def pause_writing(self):
        self.paused += 1
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    def connection_lost(self, error):
        self.lost.set_result(error)


async def both_ends():
    loop = asyncio.get_running_loop()
    r, w = os.pipe()
    reader = await loop.connect_read_pipe(Protocol, os.fdopen(r, "rb", 0))
    writer = await loop.connect_write_pipe(Protocol, os.fdopen(w, "wb", 0))
    return *reader, *writer


def test_all_that_is_written_is_read(run):
    async def main():
        reader, at_reader, writer, at_writer = await both_ends()
        sent = b"".join(os.urandom(size) for size in (1, 4095, 4096, 4097, 65536, 1 << 20, 3))
        place = 0
        while place < len(sent):
            await at_writer.writable.wait()
            size = (place * 7 + 1) % 50000 + 1
            writer.write(memoryview(sent)[place : place + size])
            place += size
        writer.write_eof()
        assert await at_writer.lost is None
        assert await at_reader.lost is None
        assert at_reader.data == sent
        assert at_writer.paused

    run(main())


@pytest.mark.parametrize("end", ["close", "abort", "write_eof"])
def test_descriptors_are_given_back(run, end):
    async def main():
        before = open_descriptors()
        reader, at_reader, writer, at_writer = await both_ends()
        getattr(writer, end)()
        await at_reader.lost
        await at_writer.lost
        assert open_descriptors() == before

    run(main())


def test_a_buffer_that_changes_is_sent_as_it_was(run):
    async def main():
        reader, at_reader, writer, at_writer = await both_ends()
        data = bytearray(b"a" * 200000)
        writer.write(data)
        data[:] = b"b" * 200000
        writer.close()
        await at_reader.lost
        assert at_reader.data == b"a" * 200000

    run(main())


@pytest.mark.parametrize("first", ["reader", "writer"])
def test_two_transports_may_have_one_terminal(run, first):
    async def main():
        loop = asyncio.get_running_loop()
        before = open_descriptors()
        master, slave = os.openpty()
        tty.setraw(slave)
        file = os.fdopen(slave, "r+b", 0)
        reader, at_reader = await loop.connect_read_pipe(Protocol, file)
        writer, at_writer = await loop.connect_write_pipe(Protocol, file)
        writer.write(b"x" * 100000)
        got = 0
        os.set_blocking(master, False)
        while got < 100000:
            try:
                got += len(os.read(master, 65536))
            except BlockingIOError:
                await asyncio.sleep(0)
        os.write(master, b"in")
        await at_reader.came.wait()
        gone, left = (reader, writer) if first == "reader" else (writer, reader)
        gone.close()
        await gone.get_protocol().lost
        # The number is another descriptor's now: the one that is left must not touch it.
        a, b = socket.socketpair()
        a.setblocking(False)
        connected, at_connected = await loop.create_connection(Protocol, sock=b)
        if left is writer:
            left.write(b"not for it")
            assert isinstance(await at_writer.lost, OSError)
        else:
            left.close()
            assert await at_reader.lost is None
        connected.write(b"fine")
        assert await loop.sock_recv(a, 99) == b"fine"
        await loop.sock_sendall(a, b"fine too")
        await at_connected.came.wait()
        connected.close()
        await at_connected.lost
        a.close()
        os.close(master)
        assert open_descriptors() == before

    run(main())


def test_the_end_of_one_of_two_leaves_an_open_descriptor_to_the_other(run):
    async def main():
        loop = asyncio.get_running_loop()
        master, slave = os.openpty()
        tty.setraw(slave)
        reader, at_reader = await loop.connect_read_pipe(Protocol, os.fdopen(slave, "rb", 0, closefd=False))
        writer, at_writer = await loop.connect_write_pipe(Protocol, os.fdopen(slave, "wb", 0, closefd=False))
        writer.close()
        await at_writer.lost
        os.write(master, b"still")
        await at_reader.came.wait()
        assert at_reader.data == b"still"
        reader.close()
        await at_reader.lost
        os.close(slave)
        os.close(master)

    run(main())


def failures(loop):
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(context))
    return seen


def test_a_failed_read_is_told(run):
    async def main():
        loop = asyncio.get_running_loop()
        seen = failures(loop)
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            theirs = server.accept()[0]
        transport, protocol = await loop.connect_read_pipe(Protocol, ours)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        error = await protocol.lost
        assert isinstance(error, ConnectionResetError)
        [context] = seen
        assert context["message"] == "Fatal read error on pipe transport"
        assert context["exception"] is error
        assert context["transport"] is transport
        assert context["protocol"] is protocol

    run(main())


def test_a_terminal_that_hangs_up_ends_quietly(run):
    async def main():
        loop = asyncio.get_running_loop()
        seen = failures(loop)
        master, slave = os.openpty()
        transport, protocol = await loop.connect_read_pipe(Protocol, os.fdopen(master, "rb", 0))
        os.close(slave)
        error = await protocol.lost
        assert isinstance(error, OSError) and not seen

    run(main())


def test_a_device_that_cannot_be_waited_for_ends_with_the_error(run):
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_read_pipe(Protocol, open("/dev/zero", "rb", 0))
        assert isinstance(await protocol.lost, PermissionError)
        transport, protocol = await loop.connect_write_pipe(Protocol, open("/dev/null", "wb", 0))
        transport.write(b"x" * (1 << 20))
        assert transport.get_write_buffer_size() == 0
        transport.close()
        assert await protocol.lost is None

    run(main())


def test_nothing_is_read_while_paused(run):
    async def main():
        reader, at_reader, writer, at_writer = await both_ends()
        reader.pause_reading()
        reader.pause_reading()
        writer.write(b"x" * 100)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not at_reader.data
        reader.resume_reading()
        reader.resume_reading()
        await at_reader.came.wait()
        assert len(at_reader.data) == 100
        writer.close()
        await at_reader.lost

    run(main())


def test_another_protocol_gets_what_comes_after(run):
    async def main():
        reader, at_reader, writer, at_writer = await both_ends()
        writer.write(b"first")
        await at_reader.came.wait()
        other = Protocol()
        reader.set_protocol(other)
        assert reader.get_protocol() is other
        writer.write(b"second")
        await other.came.wait()
        writer.close()
        assert await other.lost is None
        assert (at_reader.data, other.data) == (b"first", b"second")
        assert not at_reader.lost.done()

    run(main())


def test_a_protocol_may_close_from_anywhere(run):
    class Closes(Protocol):
        def __init__(self, method):
            super().__init__()
            self.method = method

        def connection_made(self, transport):
            self.transport = transport
            if self.method == "connection_made":
                transport.close()

        def data_received(self, data):
            self.transport.close()
            self.transport.close()

        def pause_writing(self):
            self.transport.abort()

    async def main():
        loop = asyncio.get_running_loop()
        for method in "connection_made", "data_received":
            r, w = os.pipe()
            await loop.connect_read_pipe(lambda: (p := Closes(method), made.append(p))[0], os.fdopen(r, "rb", 0))
            if method == "data_received":
                os.write(w, b"x")
            await made[-1].lost
            os.close(w)
        for method in "connection_made", "pause_writing":
            r, w = os.pipe()
            transport, protocol = await loop.connect_write_pipe(lambda: Closes(method), os.fdopen(w, "wb", 0))
            transport.write(b"x" * (1 << 20))
            await protocol.lost
            assert transport.get_write_buffer_size() == 0
            os.close(r)

    made = []
    run(main())


def test_callbacks_have_the_context_of_the_connecting(run):
    name = contextvars.ContextVar("name", default="none")
    seen = []

    class Looks(Protocol):
        def data_received(self, data):
            seen.append(name.get())
            super().data_received(data)

        def connection_lost(self, error):
            seen.append(name.get())
            super().connection_lost(error)

    async def connect(r):
        name.set("mine")
        return await asyncio.get_running_loop().connect_read_pipe(Looks, os.fdopen(r, "rb", 0))

    async def main():
        r, w = os.pipe()
        transport, protocol = await asyncio.create_task(connect(r))
        os.write(w, b"x")
        await protocol.came.wait()
        os.close(w)
        await protocol.lost

    run(main())
    assert seen == ["mine", "mine"]


def test_in_another_thread():
    async def main():
        reader, at_reader, writer, at_writer = await both_ends()
        writer.write(b"x")
        writer.close()
        await at_reader.lost
        results.append(at_reader.data)

    results = []
    thread = threading.Thread(target=cio.run, args=(main(),))
    thread.start()
    thread.join()
    assert results == [b"x"]


def test_a_loop_that_closes_leaves_pipes_to_the_collector(loop):
    before = open_descriptors()
    transports = loop.run_until_complete(both_ends())
    alive = [weakref.ref(transports[0]), weakref.ref(transports[2])]
    loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del transports
        gc.collect()
    assert sum(item.category is ResourceWarning for item in caught) == 2
    del caught  # they name their transport
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert open_descriptors() == before - 2  # the loop's own two


def test_a_paused_pipe_that_is_forgotten_goes(run):
    async def main():
        before = open_descriptors()
        reader, at_reader, writer, at_writer = await both_ends()
        at_reader.transport = reader
        reader.pause_reading()
        gone = weakref.ref(reader)
        del reader, at_reader
        with pytest.warns(ResourceWarning, match="unclosed transport <ReadPipeTransport fd=[0-9]+ idle>"):
            gc.collect()
        gc.collect()  # the warning had it
        assert gone() is None
        await at_writer.lost
        assert open_descriptors() == before

    run(main())


def test_a_watched_pipe_lives_by_itself(run):
    async def main():
        loop = asyncio.get_running_loop()
        r, w = os.pipe()
        protocol = (await loop.connect_read_pipe(Protocol, os.fdopen(r, "rb", 0)))[1]
        gc.collect()
        os.write(w, b"x")
        await protocol.came.wait()
        os.close(w)
        await protocol.lost

    run(main())


def test_a_pipe_of_a_closed_loop_is_refused(loop):
    loop.close()
    r, w = os.pipe()
    with os.fdopen(r, "rb", 0) as file, pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.connect_read_pipe(asyncio.Protocol, file).send(None)
    os.close(w)


def test_streams_on_pipes(run):
    async def main():
        loop = asyncio.get_running_loop()
        r, w = os.pipe()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, "rb", 0))
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(w, "wb", 0))
        writer = asyncio.StreamWriter(transport, protocol, None, loop)

        async def write():
            for n in range(1000):
                writer.write(b"%d\n" % n * 100)
                await writer.drain()
            writer.close()

        task = asyncio.create_task(write())
        lines = [line async for line in reader]
        await task
        assert len(lines) == 100000 and lines[-1] == b"999\n"

    run(main())
