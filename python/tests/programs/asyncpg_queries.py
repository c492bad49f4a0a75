# needs: asyncpg
# service: postgresql
"""asyncpg: queries, prepared statements, transactions, copying, notifications, cancellation, a pool."""
import asyncio
import io

import asyncpg
from common import environment, tell_loop


async def main():
    tell_loop()
    url = environment("POSTGRESQL")
    connection = await asyncpg.connect(url)
    print(await connection.fetchval("select 6 * 7"))
    await connection.execute("create temporary table t (n int primary key, s text)")
    await connection.executemany("insert into t values ($1, $2)", [(n, f"row {n}") for n in range(1000)])
    print([tuple(row) for row in await connection.fetch("select * from t where n < $1 order by n", 3)])
    statement = await connection.prepare("select s from t where n = $1")
    print(await statement.fetchval(500))
    try:
        async with connection.transaction():
            await connection.execute("delete from t")
            raise ValueError("back")
    except ValueError:
        print(await connection.fetchval("select count(*) from t"))
    try:
        await connection.execute("insert into t values (1, 'again')")
    except asyncpg.UniqueViolationError as error:
        print(type(error).__name__)
    async with connection.transaction():
        print(sum([row["n"] async for row in connection.cursor("select n from t", prefetch=10)]))
    out = io.BytesIO()
    await connection.copy_from_query("select * from t order by n limit 3", output=out)
    print(out.getvalue())
    try:
        await connection.fetchval("select pg_sleep(10)", timeout=0.1)
    except TimeoutError:
        print("in time")
    print(await connection.fetchval("select repeat('x', 3000000)") == "x" * 3000000)
    told = asyncio.get_running_loop().create_future()
    await connection.add_listener("channel", lambda c, pid, channel, payload: told.set_result(payload))
    other = await asyncpg.connect(url)
    await other.execute("notify channel, 'payload'")
    print(await told)
    await other.close()
    await connection.close()
    async with asyncpg.create_pool(url, min_size=2, max_size=5) as pool:
        print(sum(await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(100)))))
    try:
        await asyncpg.connect(url.replace("/postgres", "/nothing"))
    except asyncpg.InvalidCatalogNameError as error:
        print(type(error).__name__)


asyncio.run(main())
