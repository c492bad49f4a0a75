"""TLS: the same program on asyncio and on cio, peers that are not ours, and what goes wrong."""
import asyncio
import contextlib
import ctypes
import gc
import os
import shutil
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import types
import warnings
import weakref

import pytest

import cio

LOOPS = {"asyncio": asyncio.SelectorEventLoop, "cio": cio.EventLoop}
LIMIT = 30


# Certificates, contexts.


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A certificate of localhost that signs itself, and one that nobody asked for."""
    folder = tmp_path_factory.mktemp("tls")
    for name in "good", "other":
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"], check=True, stderr=subprocess.DEVNULL)
    return folder


@pytest.fixture
def contexts(files):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files / "good.pem", files / "good.key")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(files / "good.pem")
    return types.SimpleNamespace(server=server, client=client, files=files)


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def only(contexts, version):
    for each in contexts.server, contexts.client:
        each.minimum_version = each.maximum_version = VERSIONS[version]


# Running.


def run_on(kind, work, debug=False):
    """work(loop)'s result, and what the exception handler was given."""
    loop = LOOPS[kind]()
    reports = []
    loop.set_exception_handler(lambda loop, context: reports.append(context))
    loop.set_debug(debug)
    try:
        asyncio.set_event_loop(loop)
        result = loop.run_until_complete(asyncio.wait_for(work(loop), LIMIT))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return result, [(each["message"], repr(each.get("exception"))) for each in reports]


@pytest.fixture
def same():
    """Runs a program on both loops: both must show the same, which is returned."""

    def same(work, **options):
        shown = {kind: run_on(kind, work, **options) for kind in LOOPS}
        assert shown["cio"] == shown["asyncio"]
        return shown["cio"]

    return same


@contextlib.contextmanager
def blocking_server(contexts, talk, wraps=True):
    """A thread that accepts one connection and talks to it with Python's blocking ssl."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)
    failures = []

    def work():
        try:
            sock, _ = listener.accept()
            sock.settimeout(LIMIT)
            with sock:
                if wraps:
                    with contexts.server.wrap_socket(sock, server_side=True) as secure:
                        talk(secure)
                else:
                    talk(sock)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        thread.join(LIMIT)
        listener.close()
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def in_thread(function, *arguments):
    return asyncio.get_running_loop().run_in_executor(None, function, *arguments)


class Log(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self):
        self.seen = []
        self.data = b""
        self.lost = asyncio.get_running_loop().create_future()
        self.came = asyncio.Event()
        self.made = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        self.seen.append("made")
        self.made.set()

    def data_received(self, data):
        assert type(data) is bytes
        self.data += data
        self.came.set()

    def eof_received(self):
        self.seen.append("eof")

    def connection_lost(self, error):
        self.seen.append(("lost", repr(error)))
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self):
        self.seen.append("pause")

    def resume_writing(self):
        self.seen.append("resume")

    async def until(self, size):
        while len(self.data) < size:
            self.came.clear()
            await self.came.wait()


class BufferedLog(Log, asyncio.BufferedProtocol):
    size = 1000
    kind = memoryview  # asyncio's TLS loses what comes second into a bytearray

    def get_buffer(self, hint):
        self.buffer = bytearray(self.size)
        return self.kind(self.buffer)

    def buffer_updated(self, n):
        self.data_received(bytes(self.buffer[:n]))


class Echo(Log):
    def data_received(self, data):
        self.transport.write(data)


async def pair(loop, contexts, server_factory=Echo, client_factory=Log, **options):
    """A server of one protocol, and a client: (client transport, client protocol, server protocol, server)."""
    made = []
    server = await loop.create_server(lambda: made.append(server_factory()) or made[-1], "127.0.0.1", 0, ssl=contexts.server,
                                      **{key: value for key, value in options.items() if key.startswith("ssl_")})
    transport, protocol = await loop.create_connection(client_factory, *server.sockets[0].getsockname(), ssl=contexts.client,
                                                       server_hostname="localhost", **options)
    await made[0].made.wait()
    return transport, protocol, made[0], server


async def end(transport, protocol, theirs, server):
    transport.close()
    await protocol.lost
    await theirs.lost
    server.close()
    await server.wait_closed()


# The way of the bytes.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("factory", [Log, BufferedLog])
def test_every_byte_comes_back(same, contexts, version, factory):
    only(contexts, version)
    sizes = [1, 100, 1000, 16384, 16385, 100_000, 1_000_000]

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts, client_factory=factory)
        for size in sizes:
            message = os.urandom(size)
            protocol.data = b""
            transport.write(message)
            await protocol.until(size)
            assert protocol.data == message
        await end(transport, protocol, theirs, server)
        return [each for each in protocol.seen if each not in ("pause", "resume")], theirs.seen[-2:]

    assert same(work) == ((["made", "eof", ("lost", "None")], ["eof", ("lost", "None")]), [])


@pytest.mark.parametrize("size", [1, 7, 16383, 16384, 100_000])
def test_buffers_of_any_size_and_kind(contexts, size):
    class Buffered(BufferedLog):
        kind = bytearray

        def get_buffer(self, hint):
            self.buffer = bytearray(size)
            return self.buffer

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts, client_factory=Buffered)
        message = os.urandom(min(size * 5000, 300_000))
        transport.write(message)
        await protocol.until(len(message))
        await end(transport, protocol, theirs, server)
        return protocol.data == message

    assert run_on("cio", work) == (True, [])


def test_an_empty_buffer_is_an_error(contexts):
    """asyncio takes it for the end."""

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts, client_factory=BufferedLog)
        protocol.size = 0
        transport.write(b"x")
        await protocol.lost
        server.close()
        return protocol.seen

    error = "RuntimeError('get_buffer() returned an empty buffer')"
    assert run_on("cio", work) == (["made", ("lost", error)], [("Fatal error on SSL protocol", error)])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_blocking_client_and_its_unwrap(same, contexts, version):
    only(contexts, version)

    def talk(address):
        with socket.create_connection(address, LIMIT) as sock, contexts.client.wrap_socket(sock, server_hostname="localhost") as secure:
            secure.sendall(b"x" * 70_000)
            got = b""
            while len(got) < 70_000:
                got += secure.recv(100_000)
            secure.unwrap()
            return got, sock.recv(1) if sock.fileno() >= 0 else b""

    async def work(loop):
        made = []
        server = await loop.create_server(lambda: made.append(Echo()) or made[-1], "127.0.0.1", 0, ssl=contexts.server)
        got = await in_thread(talk, server.sockets[0].getsockname())
        await made[0].lost
        server.close()
        return got[0] == b"x" * 70_000, made[0].seen

    assert same(work)[0] == (True, ["made", "eof", ("lost", "None")])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_blocking_server(same, contexts, version):
    only(contexts, version)

    def talk(secure):
        data = b""
        while len(data) < 300_000:
            data += secure.recv(100_000)
        secure.sendall(data[::-1])
        with contextlib.suppress(ssl.SSLError, OSError):
            secure.unwrap()

    async def work(loop):
        with blocking_server(contexts, talk) as address:
            reader, writer = await asyncio.open_connection(*address, ssl=contexts.client, server_hostname="localhost")
            message = bytes(range(250)) * 1200
            writer.write(message)
            await writer.drain()
            got = await reader.readexactly(300_000)
            rest = await reader.read()
            writer.close()
            await writer.wait_closed()
        return got == message[::-1], rest

    assert same(work) == ((True, b""), [])


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")
@pytest.mark.parametrize("version", VERSIONS)
def test_openssl_s_client(contexts, version):
    only(contexts, version)

    async def work(loop):
        made = []
        server = await loop.create_server(lambda: made.append(Echo()) or made[-1], "127.0.0.1", 0, ssl=contexts.server)
        port = server.sockets[0].getsockname()[1]
        process = await in_thread(lambda: subprocess.run(
            ["openssl", "s_client", "-quiet", "-no_ign_eof", "-verify_return_error", "-CAfile", contexts.files / "good.pem", "-connect",
             f"127.0.0.1:{port}"], input=b"hello\n", capture_output=True, timeout=LIMIT))
        await made[0].lost
        server.close()
        return process.returncode, made[0].seen[0]

    assert run_on("cio", work)[0] == (0, "made")


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")
@pytest.mark.parametrize("version, command", [("1.2", b"R\n"), ("1.3", b"K\n"), ("1.3", b"k\n")])
def test_openssl_renegotiates_and_changes_keys(same, contexts, version, command):
    """The first is refused, by OpenSSL's rules; the others are answered."""
    only(contexts, version)

    async def work(loop):
        made = []
        server = await loop.create_server(lambda: made.append(Echo()) or made[-1], "127.0.0.1", 0, ssl=contexts.server)
        port = server.sockets[0].getsockname()[1]
        process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def talk():
            process.stdin.write(b"one\n")
            process.stdin.flush()
            while (line := process.stdout.readline()) != b"one\n":
                assert line
            process.stdin.write(command)
            process.stdin.flush()
            if command != b"R\n":
                while (line := process.stderr.readline()) != b"KEYUPDATE\n":
                    assert line
                process.stdin.write(b"two\n")
                process.stdin.flush()
                while (line := process.stdout.readline()) != b"two\n":
                    assert line
            process.stdin.close()
            process.wait(LIMIT)
            process.stdout.close()
            process.stderr.close()

        await in_thread(talk)
        await made[0].lost
        server.close()
        return made[0].seen

    same(work)


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")
def test_openssl_s_server(contexts):
    async def work(loop):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen(["openssl", "s_server", "-rev", "-accept", f"127.0.0.1:{port}", "-cert", contexts.files / "good.pem",
                                    "-key", contexts.files / "good.key"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        try:
            while b"ACCEPT" not in await in_thread(process.stdout.readline):
                pass
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=contexts.client, server_hostname="localhost")
            writer.write(b"abc\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        return line

    assert run_on("cio", work)[0] == b"cba\n"


def test_unix_sockets_and_accepted_ones(same, contexts, tmp_path):
    async def work(loop):
        path = str(tmp_path / f"socket{type(loop).__name__}")
        made = []
        server = await loop.create_unix_server(lambda: made.append(Echo()) or made[-1], path, ssl=contexts.server)
        transport, protocol = await loop.create_unix_connection(Log, path, ssl=contexts.client, server_hostname="localhost")
        transport.write(b"unix")
        await protocol.until(4)
        transport.close()
        await protocol.lost
        server.close()
        one, two = socket.socketpair()
        accepted = loop.create_task(loop.connect_accepted_socket(Echo, one, ssl=contexts.server))
        transport, second = await loop.create_connection(Log, sock=two, ssl=contexts.client, server_hostname="localhost")
        await accepted
        transport.write(b"pair")
        await second.until(4)
        transport.close()
        await second.lost
        return protocol.data, second.data, protocol.seen, second.seen

    same(work)


# Which way the bytes go.


def is_separate():
    """Whether _ssl is a library of its own, which finds its OpenSSL in libraries too."""
    import _ssl

    if not getattr(_ssl, "__file__", None):
        return False
    return b"libssl" in subprocess.run(["ldd", _ssl.__file__], capture_output=True).stdout


@pytest.mark.skipif(not is_separate(), reason="OpenSSL is inside of _ssl")
@pytest.mark.parametrize("version", VERSIONS)
def test_data_goes_past_the_objects(contexts, version):
    only(contexts, version)

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        direct = transport._ssl_protocol._is_direct, theirs.transport._ssl_protocol._is_direct
        await end(transport, protocol, theirs, server)
        return direct

    assert run_on("cio", work)[0] == (True, True)


def test_a_callback_for_messages_sees_every_record(contexts):
    records = []

    def watch(connection, direction, version, content, kind, data):
        records.append((direction, content))

    contexts.client._msg_callback = watch

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        before = len(records)
        direct = transport._ssl_protocol._is_direct
        transport.write(b"x" * 40_000)
        await protocol.until(40_000)
        after = len(records)
        await end(transport, protocol, theirs, server)
        return direct, after > before

    assert run_on("cio", work)[0] == (False, True)


class Counting(ssl.SSLObject):
    reads = writes = 0

    def read(self, *arguments):
        Counting.reads += 1
        return super().read(*arguments)

    def write(self, data):
        Counting.writes += 1
        return super().write(data)


def test_an_object_of_the_programs_class_does_it_itself(contexts):
    contexts.client.sslobject_class = Counting

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        assert type(transport.get_extra_info("ssl_object")) is Counting
        transport.write(b"x" * 40_000)
        await protocol.until(40_000)
        await end(transport, protocol, theirs, server)
        return protocol.data

    assert run_on("cio", work)[0] == b"x" * 40_000
    assert Counting.reads and Counting.writes


@pytest.mark.skipif(not is_separate(), reason="OpenSSL is inside of _ssl")
@pytest.mark.parametrize("version", VERSIONS)
def test_errors_that_others_left_behind_do_no_harm(contexts, version):
    """Something else of OpenSSL fails in the same thread, and does not clean up."""
    import _ssl

    only(contexts, version)
    openssl = ctypes.CDLL(_ssl.__file__)
    openssl.ERR_set_error.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p]

    def leave():
        openssl.ERR_new()
        openssl.ERR_set_error(20, 1, None)

    class Leaves(Log):
        def data_received(self, data):
            super().data_received(data)
            leave()

    class LeavesAndEchoes(Echo):
        def data_received(self, data):
            leave()
            super().data_received(data)
            leave()

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts, LeavesAndEchoes, Leaves)
        for size in 1, 1000, 20_000, 300_000:
            protocol.data = b""
            leave()
            transport.write(b"y" * size)
            await protocol.until(size)
        leave()
        theirs.transport.close()
        leave()
        await protocol.lost
        await theirs.lost
        server.close()
        return protocol.seen, theirs.seen[-1:]

    assert run_on("cio", work) == ((["made", "eof", ("lost", "None")], [("lost", "None")]), [])


# What is known of a connection.


@pytest.mark.parametrize("version", VERSIONS)
def test_extra_info(same, contexts, version):
    only(contexts, version)
    contexts.server.set_alpn_protocols(["two", "one"])
    contexts.client.set_alpn_protocols(["one", "three"])

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        shown = []
        for each in transport, theirs.transport:
            shown += [each.get_extra_info(name) for name in ("peercert", "compression", "nothing")]
            shown.append(each.get_extra_info("nothing", 5))
            shown.append(each.get_extra_info("sslcontext") in (contexts.client, contexts.server))
            shown.append(each.get_extra_info("cipher")[1:])
            shown.append(type(each.get_extra_info("socket")).__name__)
            inner = each.get_extra_info("ssl_object")
            shown += [type(inner), inner.version(), inner.selected_alpn_protocol(), inner.server_side, inner.server_hostname,
                      inner.getpeercert() == each.get_extra_info("peercert"), inner.context is each.get_extra_info("sslcontext"),
                      len(inner.getpeercert(True) or b"") > 100, inner.session_reused, type(inner.cipher()),
                      len(inner.get_channel_binding() or b"") if version == "1.2" else None, type(inner.session)]
            shown += [each.get_write_buffer_limits(), each.get_read_buffer_limits(), each.get_write_buffer_size(),
                      each.get_read_buffer_size(), each.can_write_eof(), each.is_reading(), each.is_closing(), each._start_tls_compatible,
                      each._sendfile_compatible, each._protocol_paused]
        peername = transport.get_extra_info("peername") == theirs.transport.get_extra_info("sockname")
        await end(transport, protocol, theirs, server)
        return shown, peername, transport.is_closing(), transport.get_extra_info("socket"), transport.get_protocol()

    same(work)


def test_sessions_are_resumed(same, contexts):
    only(contexts, "1.2")

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        inner = transport.get_extra_info("ssl_object")
        session = inner.session
        transport.write(b"x")
        await protocol.until(1)
        await end(transport, protocol, theirs, server)
        return session is not None, inner.session_reused

    assert same(work) == ((True, False), [])


def test_names_are_checked_and_chosen(same, contexts):
    names = []
    contexts.server.sni_callback = lambda connection, name, context: names.append((type(connection).__name__, name))

    async def attempt(loop, server, **options):
        try:
            transport, _ = await loop.create_connection(Log, *server.sockets[0].getsockname(), **options)
            transport.abort()
            return "connected"
        except ssl.SSLCertVerificationError as error:
            return error.verify_code, error.reason, error.library, error.verify_message, str(error)[:40]

    async def work(loop):
        names.clear()
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=contexts.server)
        strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        strict.load_verify_locations(contexts.files / "other.pem")
        shown = [await attempt(loop, server, ssl=contexts.client, server_hostname=name) for name in ("localhost", "elsewhere")]
        shown.append(await attempt(loop, server, ssl=contexts.client))
        shown.append(await attempt(loop, server, ssl=strict, server_hostname="localhost"))
        shown.append((await attempt(loop, server, ssl=True, server_hostname="localhost"))[1])
        server.close()
        return shown, list(names)

    same(work)


def test_keys_are_logged(same, contexts, tmp_path):
    async def work(loop):
        contexts.client.keylog_filename = str(tmp_path / type(loop).__name__)
        transport, protocol, theirs, server = await pair(loop, contexts)
        await end(transport, protocol, theirs, server)
        with open(contexts.client.keylog_filename) as file:
            return sorted(line.split()[0] for line in file if not line.startswith("#"))

    assert same(work)[0]


# Certificates of clients, renegotiation: what the peer says after the handshake.


def test_a_client_without_the_certificate_that_is_asked_for(same, contexts):
    contexts.server.verify_mode = ssl.CERT_REQUIRED
    contexts.server.load_verify_locations(contexts.files / "good.pem")

    async def work(loop):
        server = await loop.create_server(Log, "127.0.0.1", 0, ssl=contexts.server)
        try:
            transport, protocol = await loop.create_connection(Log, *server.sockets[0].getsockname(), ssl=contexts.client,
                                                               server_hostname="localhost")
            await protocol.lost
            shown = protocol.seen
        except ssl.SSLError as error:
            shown = repr(error)
        server.close()
        return str(shown)[:150]

    assert not same(work)[1]


def test_a_client_with_its_certificate(same, contexts):
    contexts.server.verify_mode = ssl.CERT_REQUIRED
    contexts.server.load_verify_locations(contexts.files / "good.pem")
    contexts.client.load_cert_chain(contexts.files / "good.pem", contexts.files / "good.key")

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        subject = theirs.transport.get_extra_info("peercert")["subject"]
        await end(transport, protocol, theirs, server)
        return subject

    assert same(work) == (((("commonName", "localhost"),),), [])


# Peers that break the rules. The bytes of a good client, handed on one way and changed on the other.


def garbled(contexts, change):
    """What a protocol of ours sees when the peer's encrypted bytes are changed."""

    def talk(sock):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = contexts.server.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                peer.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        sock.sendall(outgoing.read())
        peer.write(b"before")
        sock.sendall(outgoing.read())
        while True:
            try:
                if peer.read(10) == b"go":
                    break
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65536))
        change(sock, peer, outgoing)

    async def work(loop):
        with blocking_server(contexts, talk, wraps=False) as address:
            transport, protocol = await loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost")
            await protocol.until(6)
            transport.write(b"go")
            await protocol.lost
        return protocol.seen, protocol.data

    return work


def flipped(sock, peer, outgoing):
    peer.write(b"after")
    record = bytearray(outgoing.read())
    record[-1] ^= 1
    sock.sendall(record)
    with contextlib.suppress(OSError):
        while sock.recv(1000):
            pass


def in_plain(sock, peer, outgoing):
    sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        while sock.recv(1000):
            pass


def truncated(sock, peer, outgoing):
    peer.write(b"z" * 5000)
    sock.sendall(outgoing.read()[:3000])


def hung_up(sock, peer, outgoing):
    pass


def ended(sock, peer, outgoing):
    peer.write(b"last words")
    with contextlib.suppress(ssl.SSLWantReadError):
        peer.unwrap()
    sock.sendall(outgoing.read())
    with contextlib.suppress(OSError):
        while sock.recv(1000):
            pass


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("change", [flipped, in_plain, truncated, hung_up, ended])
def test_t61_what_a_peer_does_wrong(same, contexts, version, change):
    only(contexts, version)
    (seen, data), reports = same(garbled(contexts, change))
    assert data == (b"beforelast words" if change is ended else b"before")
    if change in (flipped, in_plain):
        assert "_ssl.c" in str(seen) and "SSLError" in str(seen)
    assert not reports


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("greeting", [b"", b"hello\n" * 100])
def test_a_peer_that_does_not_speak_tls(same, contexts, greeting, debug):
    def talk(sock):
        sock.sendall(greeting)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while sock.recv(1000):
                pass

    async def work(loop):
        with blocking_server(contexts, talk, wraps=False) as address:
            with pytest.raises(OSError) as caught:
                await loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost")
        return repr(caught.value)

    assert not same(work, debug=debug)[1]


def test_a_client_that_does_not_speak_tls(same, contexts, caplog):
    async def work(loop):
        caplog.clear()
        made = []
        server = await loop.create_server(lambda: made.append(Log()) or made[-1], "127.0.0.1", 0, ssl=contexts.server)

        def talk(address):
            with socket.create_connection(address, LIMIT) as sock:
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                with contextlib.suppress(OSError):
                    while sock.recv(1000):
                        pass

        await in_thread(talk, server.sockets[0].getsockname())
        server.close()
        return made[0].seen

    for debug in False, True:
        shown, reports = same(work, debug=debug)
        assert shown == []
        assert len(reports) == debug


# Timeouts.


def test_a_handshake_takes_no_longer_than_its_timeout(same, contexts):
    over = threading.Event()

    async def work(loop):
        over.clear()
        with blocking_server(contexts, lambda sock: over.wait(LIMIT), wraps=False) as address:
            try:
                await loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost", ssl_handshake_timeout=0.05)
            except ConnectionAbortedError as error:
                shown = repr(error)
            finally:
                over.set()
        return shown

    assert same(work) == (
        "ConnectionAbortedError('SSL handshake is taking longer than 0.05 seconds: aborting the connection')", [])


def test_a_peer_that_does_not_say_goodbye(same, contexts):
    over = threading.Event()

    def talk(secure):
        secure.recv(10)
        over.wait(LIMIT)

    async def work(loop):
        over.clear()
        with blocking_server(contexts, talk) as address:
            transport, protocol = await loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost",
                                                               ssl_shutdown_timeout=0.05)
            transport.write(b"x")
            transport.close()
            await protocol.lost
            over.set()
        return protocol.seen

    assert same(work) == (["made", ("lost", "TimeoutError('SSL shutdown timed out')")], [])


@pytest.mark.parametrize("options", [{"ssl_handshake_timeout": 0}, {"ssl_handshake_timeout": -1.5}, {"ssl_shutdown_timeout": 0},
                                     {"ssl_shutdown_timeout": "soon"}, {"server_hostname": 5}, {"server_hostname": ".x"},
                                     {"ssl": "no"}, {"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}], ids=str)
def test_options_that_make_no_sense(same, contexts, options):
    async def work(loop):
        one, two = socket.socketpair()
        try:
            await loop.create_connection(Log, sock=one, **{"ssl": contexts.client, "server_hostname": "localhost", **options})
        except Exception as error:
            return type(error), str(error)
        finally:
            one.close()
            two.close()

    assert same(work)[0]


# The transport's methods.


def test_methods(same, contexts):
    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        shown = []

        def attempt(method, *arguments, **options):
            try:
                shown.append(getattr(transport, method)(*arguments, **options))
            except Exception as error:
                shown.append((type(error), str(error)))

        for bad in "text", 5, None, [1]:
            attempt("write", bad)
        attempt("write", memoryview(b"abcd")[::2].tobytes())
        for data in b"", bytearray(b"x"), memoryview(b"y"):
            attempt("write", data)
        attempt("writelines", [b"a", bytearray(b"b"), memoryview(b"c"), b""])
        attempt("writelines", (b"d" for _ in range(3)))
        attempt("write_eof")
        attempt("can_write_eof")
        for options in {}, {"high": 10}, {"low": 7}, {"high": 3, "low": 9}, {"high": -1}, {"low": -1}, {"high": 0}, {"high": 10, "low": 2}:
            for which in "write", "read":
                attempt(f"set_{which}_buffer_limits", **options)
                attempt(f"get_{which}_buffer_limits")
        await protocol.until(10)
        transport.set_write_buffer_limits()
        attempt("get_protocol")
        shown[-1] = shown[-1] is protocol
        attempt("pause_reading")
        attempt("pause_reading")
        attempt("is_reading")
        attempt("resume_reading")
        attempt("resume_reading")
        attempt("is_reading")
        await end(transport, protocol, theirs, server)
        attempt("close")
        if sys.version_info >= (3, 11, 4):  # asyncio's fails before
            attempt("abort")
        attempt("is_closing")
        return shown, protocol.data, protocol.seen

    same(work)


def test_writes_after_the_end_are_counted(same, contexts, caplog):
    async def work(loop):
        caplog.clear()
        transport, protocol, theirs, server = await pair(loop, contexts)
        transport.abort()
        await protocol.lost
        await theirs.lost
        for _ in range(8):
            transport.write(b"x")
        server.close()
        return protocol.seen, theirs.seen[:1], [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]

    shown, _ = same(work)
    assert shown[2] and set(shown[2]) == {"SSL connection is closed"}


def test_it_survives_being_closed_twice(contexts):
    """asyncio's transport fails from then on."""

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        inner = transport.get_extra_info("ssl_object")
        transport.close()
        transport.close()
        assert transport.get_extra_info("ssl_object") is inner
        await protocol.lost
        await theirs.lost
        transport.close()
        transport.write(b"x")
        transport.abort()
        transport.resume_reading()
        transport.pause_reading()
        shown = transport.is_closing(), transport.get_extra_info("ssl_object", 3), transport.get_write_buffer_size()
        server.close()
        return shown

    assert run_on("cio", work)[0] == (True, 3, 0)


def test_t57_writing_pauses_at_the_mark(same, contexts):
    go = threading.Event()

    def talk(secure):
        go.wait(LIMIT)
        left = 30 << 20
        while left:
            left -= len(secure.recv(1 << 20))
        secure.sendall(b"all")

    async def work(loop):
        go.clear()
        with blocking_server(contexts, talk) as address:
            transport, protocol = await loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost")
            transport.write(bytes(15 << 20))
            transport.write(bytes(15 << 20))
            paused = list(protocol.seen), transport.get_write_buffer_size() > 1 << 20, transport._protocol_paused
            go.set()
            await protocol.until(3)
            shown = protocol.seen[:], transport.get_write_buffer_size(), transport._protocol_paused
            transport.abort()
            await protocol.lost
        return paused, shown

    assert same(work)[0] == ((["made", "pause"], True, True), (["made", "pause", "resume"], 0, False))


def test_t63_nothing_is_received_while_reading_is_paused(same, contexts):
    def talk(secure):
        secure.sendall(b"x" * 3_000_000)
        while secure.recv(10):  # what is left unread would make a reset of the end
            pass

    async def work(loop):
        with blocking_server(contexts, talk) as address:
            transport, protocol = await loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost")
            await protocol.until(1)
            transport.pause_reading()
            size = len(protocol.data)
            while transport._ssl_protocol._transport.is_reading():
                await asyncio.sleep(0.001)
            stayed = len(protocol.data) == size
            full = transport.get_read_buffer_size() >= 256 * 1024
            transport.resume_reading()
            await protocol.until(3_000_000)
            transport.write(b"y")
            transport.close()
            await protocol.lost
        return stayed, full, len(protocol.data), protocol.seen

    same(work)


def test_an_end_is_seen_after_what_came_before_it(same, contexts):
    """It comes while reading is paused."""

    def talk(secure):
        secure.sendall(b"x" * 100_000)
        with contextlib.suppress(OSError):
            secure.unwrap()

    async def work(loop):
        with blocking_server(contexts, talk) as address:
            transport, protocol = await loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost")
            transport.pause_reading()
            while transport.get_read_buffer_size() < 50_000:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
            transport.resume_reading()
            await protocol.lost
        return len(protocol.data), protocol.seen

    assert same(work)[0] == (100_000, ["made", "eof", ("lost", "None")])


def test_t62_protocols_change(same, contexts):
    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        transport.write(b"one")
        await protocol.until(3)
        second = BufferedLog()
        second.size = 2
        transport.set_protocol(second)
        transport.write(b"twotwo")
        await second.until(6)
        third = Log()
        transport.set_protocol(third)
        transport.write(b"three")
        await third.until(5)
        transport.close()
        await third.lost
        await theirs.lost
        server.close()
        return [(each.data, each.seen) for each in (protocol, second, third)]

    same(work)


class Failing(Log):
    def __init__(self, where, error):
        super().__init__()
        self.where, self.error = where, error

    def __getattribute__(self, name):
        if name in ("data_received", "eof_received", "connection_made", "connection_lost", "pause_writing", "resume_writing") and \
                name == object.__getattribute__(self, "where"):
            base = super().__getattribute__(name)

            def fail(*arguments):
                base(*arguments)
                raise object.__getattribute__(self, "error")

            return fail
        return super().__getattribute__(name)


@pytest.mark.parametrize("error", [ValueError("bug"), OSError("lost"), asyncio.CancelledError()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("where", ["data_received", "eof_received", "connection_lost", "pause_writing"])
def test_protocols_that_fail(same, contexts, where, error):
    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts, Log, lambda: Failing(where, error))
        if where == "pause_writing":
            transport.set_write_buffer_limits(0)
            transport.abort()
            await protocol.lost
            await theirs.lost
            server.close()
            return protocol.seen
        theirs.transport.write(b"x")
        if where != "data_received":
            await protocol.until(1)
            theirs.transport.close()
        await protocol.lost
        await theirs.lost
        server.close()
        await asyncio.sleep(0)
        return protocol.seen

    same(work)


def test_eof_received_that_wants_to_go_on(same, contexts, caplog):
    class Insists(Log):
        def eof_received(self):
            super().eof_received()
            return True

    async def work(loop):
        caplog.clear()
        transport, protocol, theirs, server = await pair(loop, contexts, Log, Insists)
        theirs.transport.close()
        await protocol.lost
        server.close()
        return protocol.seen, [each.getMessage() for each in caplog.records]

    assert same(work)[0] == (["made", "eof", ("lost", "None")],
                             ["returning true from eof_received() has no effect when using ssl"])


@pytest.mark.parametrize("how", ["close", "abort"])
def test_the_end_during_the_handshake(same, contexts, how):
    over = threading.Event()

    async def work(loop):
        over.clear()
        transports = []
        make = loop._make_ssl_transport

        def remember(*arguments, **options):
            transports.append(make(*arguments, **options))
            return transports[-1]

        loop._make_ssl_transport = remember
        with blocking_server(contexts, lambda sock: (sock.recv(10), over.wait(LIMIT)), wraps=False) as address:
            task = loop.create_task(loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost"))
            while not transports:
                await asyncio.sleep(0.001)
            for _ in range(5):
                await asyncio.sleep(0)
            getattr(transports[0], how)()
            try:
                transport, protocol = await task
                shown = transport is transports[0], protocol.seen
            except OSError as error:
                shown = repr(error)
            over.set()
        del loop._make_ssl_transport
        return shown

    same(work)


@pytest.mark.parametrize("turns", [0, 1, 3, 5, 8])
def test_a_connect_that_is_canceled(contexts, turns):
    over = threading.Event()

    async def work(loop):
        over.clear()
        with blocking_server(contexts, lambda sock: (sock.recv(1), over.wait(LIMIT)), wraps=False) as address:
            task = loop.create_task(loop.create_connection(Log, *address, ssl=contexts.client, server_hostname="localhost"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            over.set()
            if turns < 3:  # it may not have connected: somebody must
                with contextlib.suppress(OSError), socket.create_connection(address, LIMIT) as sock:
                    sock.sendall(b"x")
            for _ in range(3):
                await asyncio.sleep(0)

    before = len(os.listdir("/proc/self/fd"))
    assert run_on("cio", work)[1] == []
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


# start_tls().


async def plain_pair(loop, server_factory=Log):
    made = []
    server = await loop.create_server(lambda: made.append(server_factory()) or made[-1], "127.0.0.1", 0)
    transport, protocol = await loop.create_connection(Log, *server.sockets[0].getsockname())
    await made[0].made.wait()
    return transport, protocol, made[0], server


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_t65_tls_in_tls(same, contexts, depth):
    async def work(loop):
        transport, protocol, theirs, server = await plain_pair(loop)
        below = theirs.transport
        for _ in range(depth):
            below, transport = await asyncio.gather(
                loop.start_tls(below, theirs, contexts.server, server_side=True),
                loop.start_tls(transport, protocol, contexts.client, server_hostname="localhost"))
        message = os.urandom(500_000)
        transport.write(message)
        below.write(message[::-1])
        await asyncio.gather(protocol.until(len(message)), theirs.until(len(message)))
        right = protocol.data == message[::-1], theirs.data == message
        version = transport.get_extra_info("ssl_object").version()
        transport.close()
        await protocol.lost
        await theirs.lost
        server.close()
        return right, version, [[each for each in which.seen if each not in ("pause", "resume")] for which in (protocol, theirs)]

    assert same(work)[0][0] == (True, True)


def test_t65_what_came_early_is_not_lost(same, contexts):
    """The peer's first bytes of TLS are there before start_tls() is called."""

    def talk(sock):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = contexts.client.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        sock.recv(1)
        sock.sendall(outgoing.read())
        sent.set()
        while True:
            incoming.write(sock.recv(65536))
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        client.write(b"early")
        sock.sendall(outgoing.read())
        sock.recv(65536)

    sent = threading.Event()

    async def work(loop):
        sent.clear()
        with blocking_server(contexts, talk, wraps=False) as address:
            transport, protocol = await loop.create_connection(Log, *address)
            transport.pause_reading()
            transport.write(b"!")
            await in_thread(sent.wait, LIMIT)
            await asyncio.sleep(0.02)
            secure = await loop.start_tls(transport, protocol, contexts.server, server_side=True)
            await protocol.until(5)
            secure.abort()
            await protocol.lost
        return protocol.data, protocol.seen

    assert same(work)[0] == (b"early", ["made", ("lost", "None")])


def test_start_tls_while_writing_is_paused(contexts):
    """asyncio fails an assertion when the transport goes on, and the protocol waits for ever."""
    go = threading.Event()

    def talk(sock):
        go.wait(LIMIT)
        left = 20 << 20
        while left:
            left -= len(sock.recv(min(left, 1 << 20)))
        with contexts.server.wrap_socket(sock, server_side=True) as secure:
            secure.sendall(secure.recv(10))
            with contextlib.suppress(OSError):
                secure.unwrap()

    async def work(loop):
        with blocking_server(contexts, talk, wraps=False) as address:
            transport, protocol = await loop.create_connection(Log, *address)
            transport.write(bytes(20 << 20))
            assert protocol.seen == ["made", "pause"]
            task = loop.create_task(loop.start_tls(transport, protocol, contexts.client, server_hostname="localhost"))
            await asyncio.sleep(0)
            go.set()
            secure = await task
            assert protocol.seen == ["made", "pause", "resume"]
            secure.write(b"secret")
            await protocol.until(6)
            secure.close()
            await protocol.lost
        return protocol.data

    assert run_on("cio", work) == (b"secret", [])


def test_start_tls_that_fails(same, contexts):
    def talk(sock):
        sock.recv(10_000)
        sock.sendall(b"-" * 200)
        with contextlib.suppress(OSError):
            while sock.recv(1000):
                pass

    async def work(loop):
        with blocking_server(contexts, talk, wraps=False) as address:
            transport, protocol = await loop.create_connection(Log, *address)
            with pytest.raises(ssl.SSLError) as caught:
                await loop.start_tls(transport, protocol, contexts.client, server_hostname="localhost")
            closing = transport.is_closing()
            await protocol.lost
        return str(caught.value), closing, protocol.seen

    same(work)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_start_tls_that_is_canceled(same, contexts, turns):
    def talk(sock):
        with contextlib.suppress(OSError):
            while sock.recv(1000):
                pass

    async def work(loop):
        with blocking_server(contexts, talk, wraps=False) as address:
            transport, protocol = await loop.create_connection(Log, *address)
            task = loop.create_task(loop.start_tls(transport, protocol, contexts.client, server_hostname="localhost"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            closing = transport.is_closing()
            for _ in range(5):
                await asyncio.sleep(0)
        return closing, protocol.seen

    same(work)


def test_start_tls_of_wrong_things(same, contexts):
    async def work(loop):
        transport, protocol, theirs, server = await plain_pair(loop)
        shown = []
        for arguments in (transport, protocol, None), (transport, protocol, True), (object(), protocol, contexts.client):
            try:
                await loop.start_tls(*arguments)
            except TypeError as error:
                shown.append(str(error).split(" at 0x")[0])
        for options in {"ssl_handshake_timeout": 0}, {"ssl_shutdown_timeout": -1}, {"server_hostname": ".bad"}:
            try:
                await loop.start_tls(transport, protocol, contexts.client, **options)
            except ValueError as error:
                shown.append(str(error))
        transport.close()
        await theirs.lost
        server.close()
        return shown

    assert len(same(work)[0]) == 6


class Pipe(asyncio.Transport):
    """A transport in Python, that knows nothing of ours; what it is given goes to another one's protocol."""

    _start_tls_compatible = True

    def __init__(self, loop):
        super().__init__()
        self.loop, self.other, self.protocol, self.closing, self.held = loop, None, None, False, None

    def set_protocol(self, protocol):
        self.protocol = protocol

    def get_protocol(self):
        return self.protocol

    def is_closing(self):
        return self.closing

    def pause_reading(self):
        self.held = [] if self.held is None else self.held

    def resume_reading(self):
        held, self.held = self.held or [], None
        for data in held:
            self.deliver(data)

    def deliver(self, data):
        if self.held is not None:
            self.held.append(data)
        elif isinstance(self.protocol, asyncio.BufferedProtocol):
            view = memoryview(data)
            while view:
                buffer = self.protocol.get_buffer(len(view))
                n = min(len(buffer), len(view))
                buffer[:n] = view[:n]
                self.protocol.buffer_updated(n)
                view = view[n:]
        else:
            self.protocol.data_received(data)

    def write(self, data):
        if not self.closing:
            self.loop.call_soon(self.other.deliver, bytes(data))

    def close(self):
        self._force_close(None)

    abort = close

    def _force_close(self, error):
        if not self.closing:
            self.closing = True
            self.loop.call_soon(self.protocol.connection_lost, error)
            self.loop.call_soon(self.other.ended)

    def ended(self):
        if not self.closing and not self.protocol.eof_received():
            self.close()


def test_start_tls_on_a_transport_of_pythons(same, contexts):
    async def work(loop):
        one, two = Pipe(loop), Pipe(loop)
        one.other, two.other = two, one
        client, server = Log(), Echo()
        one.set_protocol(client)
        two.set_protocol(server)
        client.connection_made(one)
        server.connection_made(two)
        above, server.transport = await asyncio.gather(
            loop.start_tls(one, client, contexts.client, server_hostname="localhost"),
            loop.start_tls(two, server, contexts.server, server_side=True))
        message = os.urandom(100_000)
        above.write(message)
        await client.until(len(message))
        above.close()
        await client.lost
        await server.lost
        return client.data == message, client.seen, server.seen

    same(work)


def test_streams_start_tls(same, contexts):
    async def serve(reader, writer):
        if await reader.readline() == b"STARTTLS\n":
            writer.write(b"go\n")
            await writer.drain()
            await writer.start_tls(contexts.server)
            writer.write((await reader.readline())[::-1])
            await writer.drain()
        writer.close()

    async def work(loop):
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        await reader.readline()
        await writer.start_tls(contexts.client, server_hostname="localhost")
        writer.write(b"secret\n")
        line = await reader.read(100)
        version = writer.get_extra_info("ssl_object").version()
        writer.close()
        await writer.wait_closed()
        server.close()
        return line, version

    assert same(work)[0][0] == b"\nterces"


def test_what_the_reader_has_already_is_tls(contexts):
    """The client does not wait for the server's word before it begins; asyncio before 3.14 waits for ever."""
    async def serve(reader, writer):
        await reader._wait_for_data("test")
        assert reader._buffer
        await writer.start_tls(contexts.server)
        writer.write((await reader.readline())[::-1])
        writer.close()

    async def work(loop):
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await writer.start_tls(contexts.client, server_hostname="localhost")
        writer.write(b"secret\n")
        line = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        return line

    assert run_on("cio", work) == (b"\nterces", [])


def test_start_tls_that_is_canceled_with_what_the_reader_has(contexts):
    async def work(loop):
        served = loop.create_future()

        async def serve(reader, writer):
            await reader._wait_for_data("test")
            task = asyncio.create_task(writer.start_tls(contexts.server))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            served.set_result(task.cancelled())

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"no TLS at all")
        shown = await served, await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        return shown

    assert run_on("cio", work) == ((True, b""), [])


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_start_tls_of_a_transport_that_closes(same, contexts, turns):
    """There is no transport then."""

    async def work(loop):
        server = await loop.create_server(Log, "127.0.0.1", 0)
        transport, protocol = await loop.create_connection(Log, *server.sockets[0].getsockname())
        starting = None
        if turns:
            starting = asyncio.create_task(loop.start_tls(transport, protocol, contexts.client, server_hostname="localhost"))
            for _ in range(turns):
                await asyncio.sleep(0)
        transport.close()
        starting = starting or loop.start_tls(transport, protocol, contexts.client, server_hostname="localhost")
        try:
            shown = await starting
        except Exception as error:
            shown = type(error).__name__
        server.close()
        return shown

    shown = same(work)[0]
    assert shown is None if turns == 0 else True


def test_a_certificate_that_is_refused_leaves_no_cycle(contexts):
    """Without the collector's help the transport and its protocol go."""
    left = []

    class Loop(cio.EventLoop):
        def _make_ssl_transport(self, *arguments, **options):
            transport = super()._make_ssl_transport(*arguments, **options)
            if not options.get("server_side"):
                left.extend((weakref.ref(transport), weakref.ref(transport._ssl_protocol)))
            return transport

    async def work(loop):
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=contexts.server)
        with contextlib.suppress(ssl.SSLCertVerificationError):
            await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname(),
                                         ssl=ssl.create_default_context(), server_hostname="localhost")
        server.close()

    loop = Loop()
    loop.set_exception_handler(lambda loop, context: None)
    gc.collect()
    gc.disable()
    try:
        loop.run_until_complete(asyncio.wait_for(work(loop), LIMIT))
        assert [each() for each in left] == [None, None]
    finally:
        gc.enable()
        loop.close()


# Others.


def test_files_are_sent_by_the_fallback(same, contexts, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts, Log, Log)
        with open(path, "rb") as file:
            shown = [await loop.sendfile(theirs.transport, file), await loop.sendfile(theirs.transport, file, 5, 10)]
            await protocol.until(300_010)
            try:
                await loop.sendfile(theirs.transport, file, fallback=False)
            except RuntimeError as error:
                shown.append(type(error))
        right = protocol.data[:300_000] == path.read_bytes()
        await end(transport, protocol, theirs, server)
        return shown, right

    assert same(work)[0][1]


def test_who_forgets_a_transport_is_warned(contexts):
    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        transport._ssl_protocol._transport.pause_reading()  # nothing but its protocol holds it
        held = weakref.ref(transport)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            protocol.transport = transport = None
            gc.collect()
        texts = sorted(str(each.message)[:40] for each in caught if each.category is ResourceWarning)
        caught.clear()  # they have it
        gc.collect()
        gone = held() is None
        protocol = None
        await theirs.lost
        server.close()
        return gone, texts

    gone, texts = run_on("cio", work)[0]
    assert gone
    assert any(each.startswith("unclosed transport <asyncio._SSLProtocol") for each in texts)


def test_private_names(contexts):
    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        inner = transport._ssl_protocol
        assert transport._loop is loop and inner._loop is loop
        assert inner._app_transport is transport and inner._app_protocol is protocol
        assert inner._transport.get_protocol() is inner
        assert inner._sslobj is transport.get_extra_info("ssl_object")
        assert inner._sslcontext is contexts.client and inner._extra["sslcontext"] is contexts.client
        assert inner._server_hostname == "localhost" and inner._server_side is False
        assert inner._state.name == "WRAPPED" and inner._app_state.name == "STATE_CON_MADE"
        assert inner._waiter is None and inner._ssl_handshake_timeout == 60 and inner._ssl_shutdown_timeout == 30
        assert inner._incoming.pending == 0 and inner._outgoing.pending == 0
        transport.anything = inner.anything = 5
        assert isinstance(transport, asyncio.Transport.__mro__[1]) and isinstance(inner, asyncio.Protocol)
        await end(transport, protocol, theirs, server)
        assert inner._state.name == "UNWRAPPED" and inner._app_state.name == "STATE_CON_LOST"

    run_on("cio", work)


def test_debug_mode_tells_of_handshakes(contexts, caplog):
    caplog.set_level("DEBUG", "asyncio")

    async def work(loop):
        transport, protocol, theirs, server = await pair(loop, contexts)
        await end(transport, protocol, theirs, server)

    run_on("cio", work, debug=True)
    texts = [each.getMessage() for each in caplog.records]
    assert sum("starts SSL handshake" in each for each in texts) == 2
    assert sum(": SSL handshake took " in each for each in texts) == 2


def test_many_at_once(contexts):
    async def one(loop, address, n):
        reader, writer = await asyncio.open_connection(*address, ssl=contexts.client, server_hostname="localhost")
        for k in range(20):
            message = bytes([n, k]) * (1 + 997 * k)
            writer.write(message)
            await writer.drain()
            assert await reader.readexactly(len(message)) == message
        writer.close()
        await writer.wait_closed()

    async def work(loop):
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=contexts.server)
        await asyncio.gather(*(one(loop, server.sockets[0].getsockname(), n) for n in range(30)))
        server.close()
        await server.wait_closed()

    assert run_on("cio", work) == (None, [])


def test_what_is_left_at_the_interpreters_end(contexts):
    """Connections in every state."""
    program = textwrap.dedent("""
        import asyncio, cio, socket, ssl, sys
        folder = sys.argv[1]
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        server.load_cert_chain(folder + "/good.pem", folder + "/good.key")
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        class Keeps(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
            def __del__(self):
                self.transport.is_closing(), self.transport.get_extra_info("ssl_object"), self.transport.get_write_buffer_size()
                self.transport.write(b"x")
                self.transport.abort()
        async def main():
            global one, two, pair, half
            loop = asyncio.get_running_loop()
            s = await loop.create_server(Keeps, "127.0.0.1", 0, ssl=server)
            one = await loop.create_connection(Keeps, *s.sockets[0].getsockname(), ssl=client, server_hostname="x")
            two = await loop.create_connection(Keeps, *s.sockets[0].getsockname(), ssl=client, server_hostname="x")
            two[0].close()
            pair = socket.socketpair()
            half = loop.create_task(loop.create_connection(Keeps, sock=pair[0], ssl=client, server_hostname="x"))
            await asyncio.sleep(0.01)
        loop = cio.EventLoop()
        loop.run_until_complete(main())
        if sys.argv[2] == "closed":
            loop.close()
        cycle = [one, two, loop]
        cycle.append(cycle)
        print("done")
    """)
    for state in "open", "closed":
        process = subprocess.run([sys.executable, "-W", "ignore", "-c", program, contexts.files, state], capture_output=True, text=True,
                                 timeout=LIMIT)
        assert process.returncode == 0 and process.stdout == "done\n", process
