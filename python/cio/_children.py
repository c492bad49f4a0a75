"""What a child process does before its program begins, and how it is told that this has failed.

subprocess.Popen waits for that, however long preexec_fn takes. The loop waits instead: in the child, the descriptor by which
Popen is to be told becomes one of the loop's.
"""
import builtins
import os
import subprocess
import sys


class Deferred:
    """A preexec_fn that lets go of its parent, and then calls the program's."""

    def __init__(self, function, fd):
        self.function = function
        self.fd = fd

    def __call__(self):
        told_by = sys._getframe(1).f_locals.get("errpipe_write")
        if isinstance(told_by, int):
            os.dup2(self.fd, told_by, inheritable=False)
        self.function()


def fail(popen, said, program, arguments):
    """Raises what the child says; nothing of it is left."""
    popen.wait()
    for pipe in popen.stdin, popen.stdout, popen.stderr:
        if pipe is not None:
            pipe.close()
    raise failure(said, program, arguments)


def failure(said, program, arguments):
    name, _, rest = said.decode(errors="surrogateescape").partition(":")
    number, _, message = rest.partition(":")
    kind = getattr(builtins, name, subprocess.SubprocessError)
    if not isinstance(kind, type) or not issubclass(kind, OSError):
        return subprocess.SubprocessError(message)
    number = int(number, 16)
    if message == "noexec:chdir":
        return kind(number, os.strerror(number), arguments.get("cwd"))
    if message == "noexec":
        return kind(number, os.strerror(number))
    file = arguments.get("executable") or ("/bin/sh" if arguments["shell"] else program[0])
    return kind(number, os.strerror(number), file)
