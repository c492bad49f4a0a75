"""The runner of CPython's own tests: every test gets a result, whatever the processes do that run them."""
import pathlib
import signal
import sys
import textwrap
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "conformance"))

import process  # noqa: E402
import run as runner  # noqa: E402

SILENCE = 1.5

# Stands in for child.py: what the tests do is what its argument says.
PRELUDE = """
import argparse, json, os, signal, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("module")
parser.add_argument("--results", type=int)
parser.add_argument("--only")
parser.add_argument("--limit")
options = parser.parse_args()
os.set_inheritable(options.results, False)
pipe = os.fdopen(options.results, "w", 1)
only = open(options.only).read().splitlines()
def start(name):
    print(json.dumps({"start": name}), file=pipe)
def end(name, outcome="passed"):
    print(json.dumps({"name": name, "outcome": outcome, "text": "", "loops": 0}), file=pipe)
for name in only:
"""


@pytest.fixture
def outcomes(tmp_path):
    """Runs the tests a, b and c by a program, which is the body of a loop over their names."""

    def outcomes(body):
        program = tmp_path / "program.py"
        program.write_text(PRELUDE + textwrap.indent(textwrap.dedent(body), "    ") + "\nos._exit(0)\n")

        def child(module, loop, only, limit):
            return process.Child(module, loop, only, limit=SILENCE, grace=0, program=program)

        results = runner.run_tests("test_it", "", ["a", "b", "c"], 1, child)
        return {result.name: (result.outcome, result.text) for result in results}

    return outcomes


def of(results):
    return {name: outcome for name, (outcome, _) in results.items()}


def test_tests_that_report_have_their_outcomes(outcomes):
    assert of(outcomes("start(name); end(name, 'failed' if name == 'b' else 'passed')")) == {"a": "passed", "b": "failed", "c": "passed"}


def test_a_grandchild_that_keeps_the_pipe_holds_nobody_up(outcomes):
    began = time.monotonic()
    results = outcomes("""
        start(name)
        if os.fork() == 0:
            time.sleep(600)
        end(name)
    """)
    assert of(results) == {"a": "passed", "b": "passed", "c": "passed"}
    assert time.monotonic() - began < 300


def test_what_a_process_started_does_not_outlive_it(outcomes, tmp_path):
    outcomes(f"""
        start(name)
        child = os.fork()
        if child == 0:
            time.sleep(600)
        open({str(tmp_path / "children")!r}, "a").write(f"{{child}}\\n")
        end(name)
    """)
    for child in (tmp_path / "children").read_text().split():
        while is_alive(int(child)):  # it was killed, and its new parent has yet to hear of it
            time.sleep(0.01)


def is_alive(number):
    try:
        return pathlib.Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_that_tells_nothing_is_ended_and_the_rest_runs(outcomes):
    results = outcomes("""
        start(name)
        if name == "b":
            time.sleep(600)
        end(name)
    """)
    assert of(results) == {"a": "passed", "b": "hung", "c": "passed"}
    assert results["b"][1].startswith(f"told nothing for {SILENCE:g} s and was killed")


def test_a_process_that_hangs_after_its_last_test_fails(outcomes):
    results = outcomes("""
        start(name); end(name)
        if name == "c":
            time.sleep(600)
    """)
    assert of(results) == {"a": "passed", "b": "passed", "c": "passed", "test_it (between tests)": "hung"}


def test_a_test_that_ends_the_process_has_crashed(outcomes):
    results = outcomes("""
        start(name)
        if name == "b":
            os.kill(os.getpid(), signal.SIGUSR1)
        end(name)
    """)
    assert of(results) == {"a": "passed", "b": "crashed", "c": "passed"}
    assert f"status {-signal.SIGUSR1}" in results["b"][1]


def test_a_process_that_ends_between_tests_fails(outcomes):
    results = outcomes("""
        start(name); end(name)
        if name == "c":
            os._exit(7)
    """)
    assert results["test_it (between tests)"] == ("crashed", "ended with status 7")


def test_tests_of_which_nothing_is_heard_have_failed(outcomes):
    results = outcomes("""
        if name == "b":
            continue
        start(name); end(name)
    """)
    assert of(results) == {"a": "passed", "b": "failed", "c": "passed"}
    assert of(outcomes("os._exit(0)")) == {"a": "failed", "b": "failed", "c": "failed"}
    assert set(of(outcomes("os._exit(1)")).values()) == {"crashed", "failed"}


def test_a_class_that_is_skipped_speaks_for_its_tests():
    skipped = runner.Result("setUpClass (test.test_asyncio.test_events.Some)", "skipped")
    assert runner.concerns(skipped, "test_events.Some.test_it")
    assert not runner.concerns(skipped, "test_events.SomeOther.test_it")
    assert not runner.concerns(runner.Result("test_events.Some", "passed"), "test_events.Some.test_it")
