"""Child processes, where CPython's own tests and the probes do not look."""
import asyncio
import contextvars
import errno
import gc
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref
from unittest import mock

import pytest
from conftest import open_descriptors

import cio

NOTHING = {"stdin": None, "stdout": None, "stderr": None}


def children():
    """The numbers of this process's children, those that nobody has waited for among them."""
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as file:
        return file.read().split()


def in_python(code, *arguments):
    """Runs code in an interpreter of its own; what it prints."""
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(code), *arguments], capture_output=True, text=True,
                             timeout=120)
    assert process.returncode == 0, process.stderr
    return process.stdout, process.stderr


# ---- the beginning of the program ----


def test_what_comes_before_the_program_does_not_stop_the_loop(run):
    """The child waits for a byte that a callback of the loop writes meanwhile: a loop that stood still would never."""

    async def main():
        r, w = os.pipe()
        asyncio.get_running_loop().call_later(0.01, os.write, w, b"x")
        process = await asyncio.create_subprocess_exec("true", preexec_fn=lambda: os.read(r, 1))
        assert await process.wait() == 0
        os.close(r)
        os.close(w)

    run(main())


@pytest.mark.parametrize("preexec_fn", [None, int])
def test_a_program_that_cannot_be_run_leaves_nothing(run, preexec_fn):
    async def main():
        loop = asyncio.get_running_loop()
        await (await asyncio.create_subprocess_exec("true")).wait()
        before = open_descriptors()
        for program, error in ("/no/such/program", FileNotFoundError), ("/", PermissionError):
            with pytest.raises(error) as caught:
                await loop.subprocess_exec(asyncio.SubprocessProtocol, program, preexec_fn=preexec_fn)
            assert caught.value.filename == program
        with pytest.raises(FileNotFoundError) as caught:
            await loop.subprocess_exec(asyncio.SubprocessProtocol, "true", cwd="/no/such", preexec_fn=preexec_fn)
        assert caught.value.filename == "/no/such"
        with pytest.raises(FileNotFoundError) as caught:
            await loop.subprocess_shell(asyncio.SubprocessProtocol, "true", executable="/no/such", preexec_fn=preexec_fn)
        assert caught.value.filename == "/no/such"
        del caught
        gc.collect()
        assert open_descriptors() == before
        assert not children()

    run(main())


def test_a_preexec_fn_that_raises(run):
    async def main():
        before = open_descriptors()
        with pytest.raises(subprocess.SubprocessError, match="Exception occurred in preexec_fn."):
            await asyncio.create_subprocess_exec("true", stdin=-1, stdout=-1, preexec_fn=lambda: 1 / 0)
        gc.collect()
        assert open_descriptors() == before
        assert not children()

    run(main())


def test_canceled_before_the_program_begins(run):
    async def main():
        r, w = os.pipe()
        before = open_descriptors()
        spawning = asyncio.create_task(
            asyncio.create_subprocess_exec("sleep", "1000", stdin=-1, stdout=-1, preexec_fn=lambda: os.read(r, 1)))
        while not children():
            await asyncio.sleep(0.001)
        spawning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spawning
        del spawning
        gc.collect()
        assert not children()
        while open_descriptors() > before:  # since 3.14 nobody waits for the pipes
            await asyncio.sleep(0.001)
        assert open_descriptors() == before
        os.close(r)
        os.close(w)

    run(main())


def test_canceled_before_it_is_begun_nothing_runs(run):
    async def main():
        spawning = asyncio.create_task(asyncio.create_subprocess_exec("sleep", "1000"))
        spawning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spawning
        assert not children()

    run(main())


def test_canceled_while_its_pipes_are_connected(run):
    async def main():
        spawning = asyncio.create_task(asyncio.create_subprocess_exec("sleep", "1000", stdin=-1, stdout=-1))
        await asyncio.sleep(0)
        assert children()
        spawning.cancel()
        await asyncio.sleep(0)
        spawning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spawning
        while children():
            await asyncio.sleep(0.001)

    run(main())


def test_a_replaced_popen_is_asked(run):
    async def main():
        with mock.patch("subprocess.Popen", side_effect=ZeroDivisionError) as popen:
            with pytest.raises(ZeroDivisionError):
                await asyncio.create_subprocess_exec("true", "x", stdin=-1, cwd="/")
        assert popen.call_args == mock.call(("true", "x"), shell=False, stdin=-1, stdout=None, stderr=None,
                                            universal_newlines=False, bufsize=0, cwd="/")

    run(main())


def test_replaced_methods_connect_the_pipes(run):
    async def main():
        loop = asyncio.get_running_loop()
        connect, seen = loop.connect_read_pipe, []

        async def connect_read_pipe(factory, pipe):
            seen.append(pipe)
            return await connect(factory, pipe)

        loop.connect_read_pipe = connect_read_pipe
        process = await asyncio.create_subprocess_exec("echo", "x", stdout=-1)
        assert await process.communicate() == (b"x\n", None)
        assert len(seen) == 1

        async def fails(factory, pipe):
            raise ZeroDivisionError

        loop.connect_read_pipe = fails
        before = open_descriptors()
        with pytest.raises(ZeroDivisionError):
            await asyncio.create_subprocess_exec("sleep", "1000", stdin=-1, stdout=-1)
        gc.collect()
        assert not children()
        assert open_descriptors() == before

    run(main())


def test_without_descriptors(run):
    async def main():
        await (await asyncio.create_subprocess_exec("true")).wait()
        before = open_descriptors()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        outcomes = set()
        for free in range(9):
            used = [os.path.exists(f"/proc/self/fd/{n}") for n in range(1000)]
            limit = next(n for n in range(1000) if used[:n].count(False) == free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limits[1]))
            try:
                process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
            except OSError as error:
                outcomes.add(error.errno)
            else:
                outcomes.add(await process.communicate(b"x"))
                del process
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            gc.collect()
            if sys.version_info >= (3, 11, 4):  # Popen itself loses some before
                assert open_descriptors() == before
            assert not children()
        assert outcomes == {errno.EMFILE, (b"x", None)}

    run(main())


def test_arguments_that_are_missing_or_too_many(loop):
    for method in loop.subprocess_exec, loop.subprocess_shell:
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'protocol_factory'"):
            method()
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'program'"):
        loop.subprocess_exec(print)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'cmd'"):
        loop.subprocess_shell(print)
    with pytest.raises(TypeError, match="got multiple values for argument 'program'"):
        loop.subprocess_exec(print, "true", program="false")
    with pytest.raises(TypeError, match="takes 3 positional arguments but 4 were given"):
        loop.subprocess_shell(print, "true", "false")


# ---- the end of the process ----


def test_many_at_once(run):
    async def one(n):
        process = await asyncio.create_subprocess_exec("sh", "-c", f"read x; echo $x; exit {n}", stdin=-1, stdout=-1)
        assert await process.communicate(b"%d\n" % n) == (b"%d\n" % n, None)
        return await process.wait()

    async def main():
        before = open_descriptors()
        assert await asyncio.gather(*map(one, range(40))) == list(range(40))
        gc.collect()
        assert open_descriptors() == before

    run(main())


def test_a_lot_both_ways(run):
    async def main():
        data = os.urandom(1 << 20) * 8
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        out, _ = await process.communicate(data)
        assert out == data
        assert process.returncode == 0

    run(main())


def test_popen_knows_the_end(run):
    async def main():
        process = await asyncio.create_subprocess_exec("sh", "-c", "exit 9")
        popen = process._transport.get_extra_info("subprocess")
        assert await process.wait() == 9
        assert popen.returncode == 9 and popen.poll() == 9
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del process, popen
            gc.collect()

    run(main())


def test_popen_may_wait_for_it(run):
    async def main():
        process = await asyncio.create_subprocess_exec("sleep", "1000")
        popen = process._transport.get_extra_info("subprocess")
        popen.kill()
        assert popen.wait() == -9
        assert await process.wait() == -9

    run(main())


def test_a_signal_after_the_end_goes_to_nobody(run):
    """The process has ended, but what it has begun still has its pipes: nobody else may get its number's signals."""

    async def main():
        process = await asyncio.create_subprocess_shell("exec 3<&0; cat <&3 & exit 3", stdin=-1, stdout=-1)
        while process.returncode is None:
            await asyncio.sleep(0.001)
        with mock.patch("os.kill", side_effect=AssertionError):
            process.send_signal(signal.SIGKILL)
            process.kill()
        assert await process.communicate(b"still there") == (b"still there", None)
        assert await process.wait() == 3
        with pytest.raises(ProcessLookupError):
            process.kill()

    run(main())


def test_children_that_nobody_has_to_wait_for():
    """Where SIGCHLD is ignored the kernel keeps no status."""
    out, err = in_python("""
        import asyncio, cio, os, signal, time
        async def main():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            process = await asyncio.create_subprocess_exec("sleep", "1000")
            process.kill()
            print(await process.wait())
        cio.run(main())
    """)
    assert out == "255\n"
    assert "will report returncode 255" in err


def test_no_handler_of_sigchld_is_set(run):
    async def main():
        before = signal.getsignal(signal.SIGCHLD)
        process = await asyncio.create_subprocess_exec("true")
        assert signal.getsignal(signal.SIGCHLD) is before
        await process.wait()

    run(main())


def test_in_another_thread():
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        results.append(await process.communicate(b"x"))

    results = []
    thread = threading.Thread(target=cio.run, args=(main(),))
    thread.start()
    thread.join()
    assert results == [(b"x", None)]


def test_callbacks_have_the_context_of_the_spawning(run):
    name = contextvars.ContextVar("name", default="none")
    seen = []

    class Looks(asyncio.SubprocessProtocol):
        def __init__(self):
            self.done = asyncio.get_running_loop().create_future()

        def pipe_data_received(self, fd, data):
            seen.append(name.get())

        def process_exited(self):
            seen.append(name.get())

        def connection_lost(self, error):
            seen.append(name.get())
            self.done.set_result(None)

    async def spawn():
        name.set("mine")
        return await asyncio.get_running_loop().subprocess_exec(Looks, "echo", "x", stdin=None, stderr=None)

    async def main():
        transport, protocol = await asyncio.create_task(spawn())
        await protocol.done
        transport.close()

    run(main())
    assert seen == ["mine"] * 3


# Refuses the system call of that number, as the policy of a sandbox does.
REFUSE = """
    import ctypes, errno, os, struct
    def refuse(number):
        code = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number, 0x06, 0, 0, 0x50000 | errno.EPERM,
                           0x06, 0, 0, 0x7fff0000)
        memory = ctypes.create_string_buffer(code)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(memory)))
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0)
"""


def test_a_thread_where_processes_have_no_descriptors():
    pidfd_open = 434
    out, err = in_python(textwrap.dedent(REFUSE) + textwrap.dedent(f"""
        import asyncio, cio, sys, threading
        if refuse({pidfd_open}):
            print("no filter"); sys.exit()
        try:
            os.pidfd_open(os.getpid())
        except OSError:
            pass
        else:
            sys.exit("the filter does nothing")
        async def main():
            loop = asyncio.get_running_loop()
            process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
            assert any("waitpid-" in thread.name for thread in threading.enumerate())
            assert await process.communicate(b"x") == (b"x", None)
            assert await process.wait() == 0
            for end in "kill", "terminate":
                process = await asyncio.create_subprocess_exec("sleep", "1000")
                getattr(process, end)()
                print(await process.wait())
            transport, protocol = await loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "1000", stdin=None)
            transport.close()
            print(await transport._wait())
            print(await asyncio.gather(*(one(n) for n in range(10))))
        async def one(n):
            return await (await asyncio.create_subprocess_shell(f"exit {{n}}")).wait()
        cio.run(main())
        print("done")
    """))
    if out == "no filter\n":
        pytest.skip("there are no filters of system calls")
    assert out == "-9\n-15\n-9\n" + str(list(range(10))) + "\ndone\n"
    assert not err


# ---- loops and children that outlive each other ----


def test_a_loop_that_closes_leaves_the_child_to_the_collector(loop):
    before = open_descriptors() - 2  # the loop's own
    transport, protocol = loop.run_until_complete(loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "1000"))
    popen = transport.get_extra_info("subprocess")
    loop.close()
    assert popen.poll() is None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del transport, protocol
        gc.collect()
    assert any("unclosed transport <SubprocessTransport" in str(item.message) for item in caught)
    del caught
    gc.collect()
    assert popen.wait() == -9
    assert open_descriptors() == before


def test_a_transport_outlives_its_loop(loop):
    transport, protocol = loop.run_until_complete(loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "1000", **NOTHING))
    popen = transport.get_extra_info("subprocess")
    loop.close()
    transport.send_signal(signal.SIGSTOP)
    transport.send_signal(signal.SIGCONT)
    transport.close()
    transport.close()
    assert transport.is_closing()
    assert popen.wait() == -9


def test_a_fork_does_not_kill_the_parents_children():
    out, err = in_python("""
        import asyncio, cio, gc, os, warnings
        warnings.simplefilter("ignore")
        async def main():
            process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
            pid = os.fork()
            if pid == 0:
                # As if all was collected: what the parent has is not the child's to end.
                process._transport.close()
                os._exit(0)
            os.waitpid(pid, 0)
            print(await process.communicate(b"alive"), process.returncode)
        cio.run(main())
    """)
    assert out == "(b'alive', None) 0\n"


def test_the_loop_of_a_forked_child_spawns(run):
    out, err = in_python("""
        import asyncio, cio, os, warnings
        warnings.simplefilter("ignore")
        async def spawn():
            process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
            return await process.communicate(b"x")
        cio.run(spawn())
        pid = os.fork()
        if pid == 0:
            os._exit(0 if cio.run(spawn()) == (b"x", None) else 1)
        print(os.waitpid(pid, 0)[1])
    """)
    assert out == "0\n"


def test_cycles_go(run):
    async def main():
        class Thing(asyncio.SubprocessProtocol):
            pass

        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(Thing, "true", stdin=None)
        protocol.transport = transport
        transport.thing = protocol
        await transport._wait()
        transport.close()
        gone = weakref.ref(transport), weakref.ref(protocol)
        del transport, protocol
        while any(ref() for ref in gone):  # its pipes' last calls are on their way
            await asyncio.sleep(0.001)
            gc.collect()

    run(main())
