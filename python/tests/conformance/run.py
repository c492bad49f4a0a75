"""Runs CPython's own test.test_asyncio, as this interpreter has it installed, on cio's event loop.

    python run.py [MODULE...] [--loop MODULE:ATTRIBUTE] [-j N] [--junit FILE] [--all]
    python run.py --update-not-yet

excluded.txt names the tests that cannot apply, not_yet.txt those that wait for a part that is not built. All of both are
tried. The run fails if any other test fails, if one of these passes, or if a line of excluded.txt matches no test.
"""
import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import platform
import re
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

import lists
from process import Child

HERE = pathlib.Path(__file__).parent
# No test is meant to take this long; some wait for timeouts of 10 s of their own.
TEST_LIMIT = 60
# One that is excluded is only tried to see that it still fails.
EXCLUDED_LIMIT = 5
STDERR_KEPT = 6000
LINE_KEPT = 160


@dataclasses.dataclass
class Result:
    name: str
    outcome: str
    text: str = ""
    loops: int = 0  # of ours that the test made


@dataclasses.dataclass
class Module:
    name: str
    results: list = dataclasses.field(default_factory=list)
    excluded: list = dataclasses.field(default_factory=list)
    not_yet: list = dataclasses.field(default_factory=list)
    complaints: list = dataclasses.field(default_factory=list)
    passing: list = dataclasses.field(default_factory=list)  # of not_yet
    seconds: float = 0

    def count(self, outcome):
        return sum(result.outcome == outcome for result in self.results)


def installed_modules():
    import importlib.util

    spec = importlib.util.find_spec("test.test_asyncio")
    if spec is None:
        return []
    folder = pathlib.Path(spec.origin).parent
    return sorted(path.stem for path in folder.glob("test_*.py"))


def last_line(text):
    return text.rpartition("\n")[2][:LINE_KEPT]


def last_part(text):
    return text if len(text) <= STDERR_KEPT else "... " + text[-STDERR_KEPT:]


def run_tests(module, loop, names, limit, child_type=Child):
    """Runs these tests; where one ends the process, another process goes on behind it. Every one of them gets a result: those
    of which nothing is heard have failed.
    """
    results = []
    left = list(names)
    while left:
        child = child_type(module, loop, left, limit)
        heard = [Result(**what) for what in child.ended]
        if child.running is not None:
            hung = child.why or "Timeout (" in child.stderr
            heard.append(Result(child.running, "hung" if hung else "crashed", failure(child)))
        elif child.status != 0:
            heard.append(Result(f"{module} (between tests)", "hung" if child.why else "crashed", failure(child)))
        results += heard
        rest = [name for name in left if not any(concerns(result, name) for result in heard)]
        if rest and (len(rest) == len(left) or (child.running is None and child.status == 0)):
            results += [Result(name, "failed", "nothing was heard of it: " + failure(child)) for name in rest]
            break
        left = rest
    return results


def failure(child):
    return f"{child.how_it_ended()}\n{last_part(child.stderr)}".strip()


def concerns(result, name):
    """Is this the test's result, or one of a fixture ("setUpClass (test.test_asyncio.test_events.SomeTests)") for its class?"""
    if result.name == name:
        return True
    fixture, _, owner = result.name.partition(" (")
    owner = owner.rstrip(")").removeprefix("test.test_asyncio.")
    return fixture in ("setUpClass", "setUpModule") and f"{name}.".startswith(f"{owner}.")


def run_module(name, options, excluded, not_yet, lock):
    began = time.monotonic()
    module = Module(name)
    listing = Child(name, options.loop, [], TEST_LIMIT)
    if listing.names is None:
        module.results.append(Result(name, "crashed", "cannot be loaded: " + failure(listing)))
        return module

    chosen, tried = [], []
    with lock:
        for test in dict.fromkeys(listing.names):
            if options.match and options.match not in test:
                continue
            if options.all:
                chosen.append(test)
            elif entry := lists.find(excluded, test):
                module.excluded.append(test)
                if entry.run:
                    tried.append(test)
            elif lists.find(not_yet, test):
                module.not_yet.append(test)
            else:
                chosen.append(test)
    module.results = run_tests(name, options.loop, chosen, TEST_LIMIT)
    for result in run_tests(name, options.loop, tried, EXCLUDED_LIMIT):
        if result.outcome == "passed":
            module.complaints.append(f"{result.name} is excluded, but passes")
    for result in run_tests(name, options.loop, module.not_yet, EXCLUDED_LIMIT):
        if result.outcome == "passed":
            module.complaints.append(f"{result.name} is not expected yet, but passes: run.py --update-not-yet")
            module.passing.append(result.name)
    module.seconds = time.monotonic() - began
    return module


def is_whole(pattern, modules):
    """Is this the pattern of a module that is left out altogether?"""
    name, _, rest = pattern.partition(".")
    return rest == "*" and name in modules


def unused(entries, path, names):
    """The lines that match no test: of the modules that were run."""
    for entry in entries:
        module = entry.pattern.partition(".")[0]
        if entry.matched == 0 and (module in names or "*" in module):
            yield f"{path.name}:{entry.line}: {entry.pattern} matches no test of {platform.python_version()}"


def missing_part(text):
    """The method that the loop does not have, by the traceback; None if that is not why the test fails."""
    if not text.rstrip().endswith("NotImplementedError"):
        return None
    methods = re.findall(r"events\.py\", line \d+, in (\w+)\n\s+raise NotImplementedError", text)
    return f"loop.{methods[-1]}() is not built." if methods else None


def update_not_yet(not_yet, modules):
    path = HERE / "not_yet.txt"
    passing = {name for module in modules for name in module.passing}
    reasons = {entry.pattern: entry.reason for entry in not_yet if entry.pattern not in passing}
    for module in modules:
        for result in module.results:
            if result.outcome not in ("passed", "skipped") and (reason := missing_part(result.text)):
                reasons[result.name] = reason
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    with open(path, "w") as file:
        file.write("\n".join(comments) + "\n")
        for reason in sorted(set(reasons.values())):
            file.write(f"\n== {reason}\n")
            file.writelines(f"{name}\n" for name in sorted(reasons) if reasons[name] == reason)


def write_junit(path, modules, complaints):
    suite = ElementTree.Element("testsuite", name="test.test_asyncio")
    total = failures = skipped = 0
    for module in modules:
        for result in module.results:
            case = ElementTree.SubElement(suite, "testcase", classname=module.name, name=result.name)
            total += 1
            if result.outcome == "skipped":
                skipped += 1
                ElementTree.SubElement(case, "skipped", message=result.text)
            elif result.outcome != "passed":
                failures += 1
                ElementTree.SubElement(case, "failure", message=result.outcome).text = result.text
    for complaint in complaints:
        total += 1
        failures += 1
        case = ElementTree.SubElement(suite, "testcase", classname="lists", name=complaint)
        ElementTree.SubElement(case, "failure", message=complaint)
    suite.set("tests", str(total))
    suite.set("failures", str(failures))
    suite.set("skipped", str(skipped))
    ElementTree.ElementTree(suite).write(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", help="test_events and so on; without any: all that the interpreter has")
    parser.add_argument("--loop", default="cio:EventLoop", help="a factory of loops; '' leaves the standard library's")
    parser.add_argument("-k", dest="match", default="", help="only the tests with this in their name")
    parser.add_argument("-j", dest="jobs", type=int, default=os.cpu_count())
    parser.add_argument("--all", action="store_true", help="run what the lists name too")
    parser.add_argument("--update-not-yet", action="store_true", help="take out of not_yet.txt what passes, and put in what is"
                        " not implemented")
    parser.add_argument("--junit")
    parser.add_argument("-v", "--verbose", action="store_true", help="name every test that did not pass, with its text")
    options = parser.parse_args()

    available = installed_modules()
    if not available:
        print(f"CPython {platform.python_version()} at {sys.executable} has no test.test_asyncio installed")
        return 3
    unknown = set(options.modules) - set(available)
    if unknown:
        print("no such module:", *sorted(unknown))
        return 2
    names = options.modules or available

    excluded = lists.read(HERE / "excluded.txt")
    not_yet = lists.read(HERE / "not_yet.txt")
    left_out = {entry.pattern.partition(".")[0] for entry in excluded if not entry.run and is_whole(entry.pattern, names)}
    for entry in excluded:
        entry.matched += entry.pattern.partition(".")[0] in left_out
    if not options.all and not options.modules:
        names = [name for name in names if name not in left_out]

    print(f"CPython {platform.python_version()}: test.test_asyncio on {options.loop or 'asyncio'}", flush=True)
    lock = threading.Lock()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(run_module, name, options, excluded, not_yet, lock) for name in names]
        modules = [job.result() for job in jobs]

    complaints = [complaint for module in modules for complaint in module.complaints]
    if not options.match and not options.all:
        complaints += unused(excluded, HERE / "excluded.txt", names)

    print(f"{'':24} run passed failed skipped excluded not yet on loops     s")
    for module in modules:
        show(module)
    bad = [result for module in modules for result in module.results if result.outcome not in ("passed", "skipped")]
    for result in bad:
        text = result.text.strip()
        print(f"{result.outcome}: {result.name}: {text if options.verbose else last_line(text)}")
    for complaint in complaints:
        print("lists:", complaint)
    total = Module("all")
    for module in modules:
        total.results += module.results
        total.excluded += module.excluded
        total.not_yet += module.not_yet
        total.seconds += module.seconds
    show(total)
    if left_out:
        print("modules left out:", *sorted(left_out))
    if options.update_not_yet:
        update_not_yet(not_yet, modules)
    if options.junit:
        write_junit(options.junit, modules, complaints)
    return 1 if bad or complaints else 0


def show(module):
    passed, skipped = module.count("passed"), module.count("skipped")
    run = len(module.results)
    on_loops = sum(result.loops > 0 for result in module.results)
    print(f"{module.name:22} {run:5} {passed:6} {run - passed - skipped:6} {skipped:7} {len(module.excluded):8}"
          f" {len(module.not_yet):7} {on_loops:8} {module.seconds:5.0f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
