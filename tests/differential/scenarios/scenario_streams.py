"""Streams and protocols: what is called in which order, and what reads and writes say."""

import asyncio
import socket

from trace_asyncio import outcome, say, scenario


async def pause_for_io():
    await asyncio.sleep(0.02)


def open_pair():
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.setblocking(False)
    return ours, peer


class Protocol(asyncio.Protocol):
    def __init__(self, **does):
        self.does = does

    def connection_made(self, transport):
        self.transport = transport
        say("made")
        if self.does.get("closes_in_made"):
            transport.close()
        if self.does.get("pauses_in_made"):
            transport.pause_reading()

    def data_received(self, data):
        say(f"received {data.decode()}")
        if self.does.get("aborts_on_data"):
            self.transport.abort()

    def eof_received(self):
        say("eof")
        return self.does.get("keeps_open", False)

    def pause_writing(self):
        say("pause")

    def resume_writing(self):
        say("resume")

    def connection_lost(self, error):
        say(f"lost {'by an error' if error else 'cleanly'}")


async def connect_protocol(**does):
    ours, peer = open_pair()
    protocol = Protocol(**does)
    loop = asyncio.get_running_loop()
    connecting = asyncio.create_task(loop.connect_accepted_socket(lambda: protocol, ours))
    say("opened")
    await pause_for_io()
    await connecting
    return protocol.transport, peer


@scenario(ticks=False)
async def protocol_data_and_eof():
    transport, peer = await connect_protocol()
    peer.send(b"hello")
    await pause_for_io()
    peer.send(b"more")
    peer.shutdown(socket.SHUT_WR)
    await pause_for_io()
    say(f"closing {int(transport.is_closing())}")
    peer.close()


@scenario(ticks=False)
async def protocol_half_open():
    transport, peer = await connect_protocol(keeps_open=True)
    peer.shutdown(socket.SHUT_WR)
    await pause_for_io()
    say(f"closing {int(transport.is_closing())}")
    transport.write(b"x")
    say("write 0")
    transport.close()
    say(f"closing {int(transport.is_closing())}")
    await pause_for_io()
    peer.close()


@scenario(ticks=False)
async def protocol_closes_in_made():
    _, peer = await connect_protocol(closes_in_made=True)
    await pause_for_io()
    peer.close()


@scenario(ticks=False, since=(3, 11, 4))  # before, it reads all the same
async def protocol_paused_from_the_start():
    transport, peer = await connect_protocol(pauses_in_made=True)
    peer.send(b"hello")
    await pause_for_io()
    say(f"reading {int(transport.is_reading())}")
    transport.resume_reading()
    say(f"reading {int(transport.is_reading())}")
    await pause_for_io()
    transport.pause_reading()
    peer.close()
    await pause_for_io()
    say("resume")
    transport.resume_reading()
    await pause_for_io()


@scenario(ticks=False)
async def protocol_aborts_on_data():
    _, peer = await connect_protocol(aborts_on_data=True)
    peer.send(b"hello")
    await pause_for_io()
    peer.close()


BLOCK = bytes(1 << 20)


async def drain(transport, peer):
    while True:
        try:
            while peer.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        if transport.get_write_buffer_size() == 0:
            return
        await pause_for_io()


@scenario(ticks=False)
async def protocol_water_marks():
    transport, peer = await connect_protocol()
    transport.set_write_buffer_limits(1000, 100)
    say("write")
    transport.write(BLOCK)
    say("written, again")
    transport.write(BLOCK)
    say("written")
    await drain(transport, peer)
    await pause_for_io()
    say(f"unsent {transport.get_write_buffer_size()}")
    transport.close()
    await pause_for_io()
    peer.close()


@scenario(ticks=False)
async def protocol_close_flushes():
    transport, peer = await connect_protocol()
    transport.write(BLOCK)
    say("close")
    transport.close()
    await pause_for_io()
    say(f"closing {int(transport.is_closing())}")
    await drain(transport, peer)
    await pause_for_io()
    peer.close()


@scenario(ticks=False)
async def protocol_write_eof():
    transport, peer = await connect_protocol()
    transport.write_eof()
    transport.write_eof()
    say(f"peer reads {len(peer.recv(1))}")
    try:
        transport.write(b"x")
        say("write done")
    except RuntimeError:
        say("write refused")
    peer.send(b"still heard")
    await pause_for_io()
    transport.close()
    await pause_for_io()
    peer.close()


async def open_stream(limit=65536):
    ours, peer = open_pair()
    reader, writer = await asyncio.open_connection(sock=ours, limit=limit)
    return reader, writer, peer


async def say_text(what, reading):
    try:
        say(f"{what}: {(await reading).decode().removesuffix(chr(0))}")
    except asyncio.IncompleteReadError as error:
        say(f"{what}: incomplete {error.partial.decode()}")
    except asyncio.LimitOverrunError as error:
        say(f"{what}: limit {error.consumed}")


async def close(writer):
    writer.close()
    await writer.wait_closed()


@scenario(ticks=False)
async def stream_reads():
    reader, writer, peer = await open_stream()
    peer.send(b"one;two;three")
    await say_text("until", reader.readuntil(b";"))
    await say_text("exactly", reader.readexactly(2))
    await say_text("read", reader.read(3))
    peer.send(b"\nline\nrest")
    peer.close()
    await say_text("line", reader.readline())
    await say_text("line", reader.readline())
    await say_text("exactly", reader.readexactly(10))
    say(f"at eof {int(reader.at_eof())}")
    await say_text("read", reader.read(10))
    await say_text("line", reader.readline())
    await say_text("until", reader.readuntil(b";"))
    await close(writer)


@scenario(ticks=False)
async def stream_limits():
    reader, writer, peer = await open_stream(8)
    peer.send(b"12345678;")
    await say_text("until", reader.readuntil(b";"))
    peer.send(b"123456789;ab")
    await say_text("until", reader.readuntil(b";"))
    await say_text("exactly", reader.readexactly(10))
    await say_text("read", reader.read(10))
    peer.send(b"abcdefghijk<")
    await say_text("until", reader.readuntil(b"<>"))
    await say_text("exactly", reader.readexactly(12))
    peer.close()
    await close(writer)


@scenario(ticks=False)
async def stream_canceled_read_keeps_the_data():
    reader, writer, peer = await open_stream()
    task = asyncio.create_task(reader.readexactly(5))
    peer.send(b"abc")
    await pause_for_io()
    task.cancel()
    say(f"task {await outcome(task)}")
    peer.send(b"de")
    await say_text("exactly", reader.readexactly(5))
    peer.close()
    await close(writer)


async def greet(reader, writer):
    line = await reader.readline()
    say(f"server reads {line.decode()[:-1]}")
    writer.write(b"hello " + line)
    say(f"server reads {len(await reader.read(50))}")
    writer.close()


@scenario(ticks=False)
async def server_and_client():
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"world\n")
    line = await reader.readline()
    say(f"client reads {line.decode()[:-1]}")
    server.close()
    say(f"serving {int(server.is_serving())}")
    writer.write_eof()
    say(f"client reads {len(await reader.read(50))}")
    await close(writer)
    await server.wait_closed()
    say("server closed")
