# needs: redis
# service: redis
"""redis-py: commands, pipelines, publish and subscribe, blocking calls, a pool."""
import asyncio

import redis.asyncio as redis
from common import environment, tell_loop


async def main():
    tell_loop()
    async with redis.from_url(environment("REDIS")) as client:
        await client.flushall()
        print(await client.ping(), await client.set("a", "1"), await client.get("a"))
        async with client.pipeline() as pipe:
            for n in range(1000):
                pipe.incrby("sum", n)
            print((await pipe.execute())[-1])
        value = b"v" * 2_000_000
        await client.set("large", value)
        print(await client.get("large") == value)
        print(await client.blpop("queue", timeout=0.2))
        popped = asyncio.create_task(client.blpop("queue", timeout=5))
        await asyncio.sleep(0.05)
        await client.rpush("queue", "item")
        print(await popped)
        async with client.pubsub() as channel:
            await channel.subscribe("news")
            print((await channel.get_message(timeout=5))["type"])
            await client.publish("news", "today")
            print((await channel.get_message(timeout=5))["data"])
        print(sum(await asyncio.gather(*(client.incr("count") for _ in range(50)))))
        try:
            await client.incr("large")
        except redis.ResponseError as error:
            print(type(error).__name__)


asyncio.run(main())
