"""One process of child.py: what it told, why it ended, and nothing left of it afterwards."""
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import tempfile
import time

CHILD = pathlib.Path(__file__).parent / "child.py"
# What a process may take besides its tests: to load a module, and a module's own fixtures.
GRACE = 60


class Child:
    """Runs a module's tests and hears of each. It is over when the process has ended, or when it has told nothing for longer
    than a test may take; who else still holds the pipe (a grandchild that hangs, say) makes no difference.
    """

    def __init__(self, module, loop="", only=None, limit=60, grace=GRACE, program=CHILD):
        self.names = None  # of all tests, by the first line
        self.ended = []  # what was told of each test that ended
        self.running = None
        self.why = None  # the reason, where we had to end it
        self.silence = limit + grace
        with tempfile.TemporaryDirectory(prefix="cio-conformance-", ignore_cleanup_errors=True) as folder:
            command = [sys.executable, str(program), module, "--limit", str(limit)]
            if loop:
                command += ["--loop", loop]
            if only is not None:
                names = pathlib.Path(folder, "only")
                names.write_text("\n".join(only))
                command += ["--only", str(names)]
            self.run(command, folder)

    def run(self, command, folder):
        path = [path for path in sys.path if path != str(CHILD.parent)]
        reading, writing = os.pipe()
        with open(os.path.join(folder, "stderr"), "w+", errors="replace") as errors, os.fdopen(reading, "rb", 0) as pipe:
            process = subprocess.Popen([*command, "--results", str(writing)], pass_fds=[writing], cwd=folder,
                                       stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
                                       env=dict(os.environ, PYTHONPATH=os.pathsep.join(path)))
            os.close(writing)
            try:
                self.listen(pipe, process)
            finally:
                # The process has not been waited for yet, so the number is still its own and its children's.
                os.killpg(process.pid, signal.SIGKILL)
                self.status = process.wait()
            errors.seek(0)
            self.stderr = errors.read()

    def listen(self, pipe, process):
        os.set_blocking(pipe.fileno(), False)
        ended = os.pidfd_open(process.pid)
        begun = b""  # of a line
        deadline = time.monotonic() + self.silence
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(ended, selectors.EVENT_READ)
                selector.register(pipe, selectors.EVENT_READ)
                while True:
                    ready = {key.fileobj for key, _ in selector.select(max(0, deadline - time.monotonic()))}
                    while data := pipe.read(1 << 16):
                        *lines, begun = (begun + data).split(b"\n")
                        for line in lines:
                            self.hear(json.loads(line))
                        deadline = time.monotonic() + self.silence
                    if ended in ready:
                        break
                    if data == b"":  # its end: the process is about to go
                        if pipe in selector.get_map():
                            selector.unregister(pipe)
                    if time.monotonic() >= deadline:
                        self.why = f"told nothing for {self.silence:g} s and was killed"
                        break
        finally:
            os.close(ended)

    def hear(self, what):
        if "tests" in what:
            self.names = what["tests"]
        elif "start" in what:
            self.running = what["start"]
        else:
            self.running = None
            self.ended.append(what)

    def how_it_ended(self):
        if self.why:
            return self.why
        if "Timeout (" in self.stderr and self.running:
            return "took longer than a test may"
        return f"ended with status {self.status}"
