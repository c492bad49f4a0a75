"""The asyncio side of the differential tests: `scenarios.py NAME` or `scenarios.py --list`.

The scenarios stand beside their C twins in scenarios/: scenario_tasks.py and tasks.c, and so on.
Both say the same words; how many turns of the loop each wait takes is part of what is compared.
"""

import asyncio
import importlib
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent / "scenarios"))

import trace_asyncio as trace  # noqa: E402

for theme in sorted(Path(__file__).parent.glob("scenarios/scenario_*.py")):
    importlib.import_module(theme.stem)

SKIPPED = 77


async def main(scenario):
    if scenario.ticks:
        trace.start_ticker()
        await asyncio.sleep(0)
    try:
        result = await scenario.function()
    except BaseException as error:
        result = error
    trace.say(f"main: {trace.how(result)}")
    trace.stop_ticker()


def run(name):
    scenario = trace.scenarios[name]
    if sys.version_info < scenario.since:
        print(f"skipped: asyncio does this since {scenario.since}", file=sys.stderr)
        return SKIPPED
    factory = trace.OwnClock if scenario.own_clock else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(scenario))
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scenarios.py NAME | --list")
    if sys.argv[1] == "--list":
        print("\n".join(trace.scenarios))
    else:
        sys.exit(run(sys.argv[1]))
