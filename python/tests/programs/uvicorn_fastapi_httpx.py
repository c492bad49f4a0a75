# needs: uvicorn fastapi httpx
"""A FastAPI application on uvicorn, asked by httpx."""
import asyncio
import contextlib
import hashlib
import socket

import fastapi
import httpx
import uvicorn
from common import tell_loop
from fastapi.responses import StreamingResponse


@contextlib.asynccontextmanager
async def lifespan(app):
    print("startup")
    yield
    print("shutdown")


app = fastapi.FastAPI(lifespan=lifespan)


@app.get("/items/{item}")
async def read_item(item: int, q: str = ""):
    await asyncio.sleep(0)
    return {"item": item, "q": q}


@app.get("/threads")
def in_a_thread():
    import threading

    return {"main": threading.current_thread() is threading.main_thread()}


@app.post("/sum")
async def total(numbers: list[int]):
    return sum(numbers)


@app.post("/upload")
async def upload(request: fastapi.Request):
    sha = hashlib.sha256()
    async for chunk in request.stream():
        sha.update(chunk)
    return sha.hexdigest()


@app.get("/stream")
async def stream():
    async def numbers():
        for n in range(10):
            yield f"{n}\n"
            await asyncio.sleep(0)

    return StreamingResponse(numbers())


@app.get("/error")
async def error():
    raise fastapi.HTTPException(418, "teapot")


async def use(url):
    async with httpx.AsyncClient(base_url=url) as client:
        print((await client.get("/items/3", params={"q": "x"})).json())
        print((await client.get("/items/three")).status_code)
        print((await client.get("/threads")).json())
        print((await client.post("/sum", json=list(range(100)))).json())
        print((await client.post("/upload", content=b"abc" * 1_000_000)).json())
        async with client.stream("GET", "/stream") as response:
            print([line async for line in response.aiter_lines()])
        print((await client.get("/error")).json())
        answers = await asyncio.gather(*(client.get(f"/items/{n}") for n in range(80)))
        print([answer.json()["item"] for answer in answers] == list(range(80)))


async def main():
    tell_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if serving.done():
        await serving
    await use(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server.should_exit = True
    await serving


asyncio.run(main())
