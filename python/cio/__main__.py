"""python -m cio program.py [argument ...]
python -m cio -m module [argument ...]

Runs a program of asyncio's, unchanged, on loops of cio's.
"""

import os
import runpy
import sys

import cio


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if arguments else 2
    cio.install()
    if arguments[0] == "-m":
        if len(arguments) < 2:
            print("python -m cio: -m wants a module's name", file=sys.stderr)
            return 2
        sys.argv[:] = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = arguments
        sys.path[0] = os.path.dirname(os.path.realpath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
