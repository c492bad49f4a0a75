"""What needs nothing but the standard library: streams, processes, queues, threads, context, groups, TLS by start_tls."""
import asyncio
import contextvars
import sys

from common import tell_loop

variable = contextvars.ContextVar("variable", default="none")


async def lines():
    async def serve(reader, writer):
        async for line in reader:
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.writelines(b"line %d\n" % n for n in range(1000))
        writer.write_eof()
        text = await reader.read()
        print(text.count(b"\n"), text[:7], text[-9:])
        writer.close()
        await writer.wait_closed()


async def processes():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(input()[::-1])", stdin=-1, stdout=-1)
    print(await process.communicate(b"hello\n"), process.returncode)
    process = await asyncio.create_subprocess_shell("echo $0; exit 4", stdout=-1)
    print(len(await process.stdout.read()) > 0, await process.wait())


async def workers():
    queue, results = asyncio.Queue(5), []

    async def worker(name):
        while (item := await queue.get()) is not None:
            await asyncio.sleep(0)
            results.append(item)
            queue.task_done()

    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(worker(n))
        for item in range(50):
            await queue.put(item)
        await queue.join()
        for _ in range(3):
            await queue.put(None)
    print(sorted(results) == list(range(50)))


async def threads():
    variable.set("main")
    print(await asyncio.to_thread(variable.get))
    loop = asyncio.get_running_loop()
    print(await asyncio.gather(*(loop.run_in_executor(None, pow, n, 2) for n in range(20))))


async def main():
    tell_loop()
    await lines()
    await processes()
    await workers()
    await threads()
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        print("timeout")


asyncio.run(main())
