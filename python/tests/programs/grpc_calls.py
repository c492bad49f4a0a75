# needs: grpc
"""grpc.aio: both ends, every kind of call, deadlines, cancellation."""
import asyncio

import grpc
from common import tell_loop


async def unary(request, context):
    return request.upper()


async def count(request, context):
    for n in range(int(request)):
        yield b"%d" % n


async def join(requests, context):
    return b",".join([request async for request in requests])


async def echo(requests, context):
    async for request in requests:
        yield request[::-1]


async def slow(request, context):
    await asyncio.sleep(10)
    return b""


async def bad(request, context):
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bad")


async def main():
    tell_loop()
    server = grpc.aio.server()
    handlers = grpc.method_handlers_generic_handler("test.Service", {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Join": grpc.stream_unary_rpc_method_handler(join),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "Bad": grpc.unary_unary_rpc_method_handler(bad),
    })
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        print(await channel.unary_unary("/test.Service/Unary")(b"hello"))
        print([part async for part in channel.unary_stream("/test.Service/Count")(b"5")])

        async def parts():
            for part in b"a", b"b", b"c":
                yield part

        print(await channel.stream_unary("/test.Service/Join")(parts()))
        call = channel.stream_stream("/test.Service/Echo")()
        for word in b"abc", b"def":
            await call.write(word)
            print(await call.read())
        await call.done_writing()
        print(await call.read() is grpc.aio.EOF)
        for method, timeout in ("Slow", 0.1), ("Bad", 5), ("None", 5):
            try:
                await channel.unary_unary(f"/test.Service/{method}")(b"", timeout=timeout)
            except grpc.aio.AioRpcError as error:
                print(error.code().name)
        call = channel.unary_unary("/test.Service/Slow")(b"")
        await asyncio.sleep(0.05)
        call.cancel()
        try:
            await call
        except asyncio.CancelledError:
            print("cancelled")
        unary_call = channel.unary_unary("/test.Service/Unary")
        print(len(await asyncio.gather(*(unary_call(b"%d" % n) for n in range(100)))))
    await server.stop(None)


asyncio.run(main())
