# needs: pytest_asyncio
"""A suite of pytest-asyncio, run by pytest on the loop that the policy makes."""
import asyncio
import pathlib
import tempfile

import pytest
from common import tell_loop

SUITE = '''
import asyncio
import pytest
import pytest_asyncio

@pytest_asyncio.fixture
async def number():
    await asyncio.sleep(0)
    yield 5
    await asyncio.sleep(0)

@pytest.mark.asyncio
async def test_fixture(number):
    assert number == 5

@pytest.mark.asyncio
@pytest.mark.parametrize("n", range(5))
async def test_sleep(n):
    assert await asyncio.sleep(0.001, n) == n

@pytest.mark.asyncio
async def test_fails():
    async with asyncio.timeout(0.01):
        await asyncio.sleep(5)

@pytest.mark.asyncio(loop_scope="module")
async def test_of_the_module():
    assert asyncio.get_running_loop().is_running()
'''


async def main():
    tell_loop()


asyncio.run(main())
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "test_suite.py")
    path.write_text(SUITE)

    class Plugin:
        def pytest_runtest_logreport(self, report):
            if report.when == "call":
                print(report.nodeid.rpartition("::")[2], report.outcome)

    pytest.main(["-p", "no:cacheprovider", "-p", "no:terminal", "--rootdir", folder, str(path)], plugins=[Plugin()])
