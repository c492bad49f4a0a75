"""The programs that are there to be read, in small."""
import asyncio
import os
import pathlib
import pty
import re
import subprocess
import sys

import pytest

import cio

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import echo  # noqa: E402

SMALL = ["--seconds", "0.02", "--clients", "3", "--size", "100"]
both_loops = pytest.mark.parametrize("factory", [asyncio.SelectorEventLoop, cio.EventLoop])
both_styles = pytest.mark.parametrize("streams", [False, True])


def python(*arguments):
    process = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process.stdout


@pytest.mark.parametrize("way", [[], ["-m", "cio"]])
@pytest.mark.parametrize("style", [[], ["--streams"]])
def test_the_echo_program_runs_on_either_loop(way, style):
    assert re.fullmatch(r"[1-9]\d* messages there and back, every byte checked: \d+ a second\n",
                        python(*way, EXAMPLES / "echo.py", *SMALL, *style))


def spoil(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@both_loops
@both_styles
def test_the_echo_program_notices_a_wrong_byte(factory, streams, monkeypatch):
    class Spoiler(echo.EchoProtocol):
        def data_received(self, data):
            self.transport.write(spoil(data))

    async def spoiled(reader, writer):
        while data := await reader.read(100):
            writer.write(spoil(data))

    monkeypatch.setattr(echo, "EchoProtocol", Spoiler)
    monkeypatch.setattr(echo, "echo", spoiled)
    with asyncio.Runner(loop_factory=factory) as runner:
        with pytest.raises((echo.Wrong, ExceptionGroup)) as caught:
            runner.run(echo.main(clients=2, size=10, seconds=0.01, streams=streams))
    error = caught.value
    assert isinstance(error, echo.Wrong) or error.subgroup(echo.Wrong)


@both_loops
def test_the_echo_program_notices_a_connection_that_ends_early(factory, monkeypatch):
    class Closer(echo.EchoProtocol):
        def data_received(self, data):
            self.transport.close()

    monkeypatch.setattr(echo, "EchoProtocol", Closer)
    with asyncio.Runner(loop_factory=factory) as runner:
        with pytest.raises(echo.Wrong, match="ended early"):
            runner.run(echo.main(clients=2, size=10, seconds=0.01))


def test_side_by_side_prints_the_ratio_for_readers_and_for_scripts():
    lines = python(EXAMPLES / "side_by_side.py", "--rounds", "2", *SMALL).splitlines()
    number = r"(\d+\.\d)"
    assert re.fullmatch(f"every byte was checked; the same program on cio is {number} times as fast by protocols, {number} times as"
                        " fast by streams", lines[-2])
    name, *pairs = lines[-1].split()
    assert name == "demo-python:"
    values = dict(pair.split("=") for pair in pairs)
    assert values.pop("python") == ".".join(map(str, sys.version_info[:3]))
    assert values.pop("errors") == "0"
    assert list(values) == [f"{style}_{what}" for style in ("protocols", "streams") for what in ("asyncio", "cio", "ratio")]
    assert all(float(value) > 0 for value in values.values())


def test_side_by_side_shows_its_progress_on_a_terminal():
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, EXAMPLES / "side_by_side.py", "--rounds", "1", *SMALL],
                               stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 1024):
            shown += data
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(120) == 0
    assert re.search(rb"protocols, round 1 of 1: asyncio \d+/s, cio \d+/s", shown)
    assert shown.endswith(b"\r\x1b[K")
