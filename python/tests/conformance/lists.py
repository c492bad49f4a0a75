"""Reads a list of tests with reasons.

    == Why these tests are here.
    test_events.*.test_create_server_multiple_hosts_ipv4
    test_unix_events.SelectorEventLoopSignalTests.*    3.12-3.13
    test_unix_events.TestFork.test_fork_signal_handling    3.14-

A line "== reason" begins a section, "== (not run) reason" one whose tests are not even tried. A pattern is a name with
* and ?, and after it may stand the first and the last version of Python that has it, and "maybe" where only some of their
releases do.
"""
import dataclasses
import fnmatch
import re
import sys

NOT_RUN = "(not run) "


@dataclasses.dataclass
class Entry:
    pattern: str
    reason: str
    run: bool
    line: int
    matched: int = 0

    def __post_init__(self):
        self.regex = re.compile(fnmatch.translate(self.pattern))


def version(text):
    major, minor = text.split(".")
    return int(major), int(minor)


def applies(versions):
    if not versions:
        return True
    first, dash, last = versions.partition("-")
    here = sys.version_info[:2]
    if first and here < version(first):
        return False
    if not dash:
        return here == version(first)
    return not last or here <= version(last)


def read(path):
    entries = []
    reason, run = "", True
    with open(path) as file:
        for number, line in enumerate(file, 1):
            line = line.split("#")[0].strip()
            if line.startswith("=="):
                reason = line[2:].strip()
                run = not reason.startswith(NOT_RUN)
                reason = reason.removeprefix(NOT_RUN)
            elif line:
                if not reason:
                    raise ValueError(f"{path}:{number}: a test without a reason")
                pattern, *notes = line.split()
                versions = "".join(note for note in notes if note != "maybe")
                if applies(versions):
                    entries.append(Entry(pattern, reason, run, number, matched=notes.count("maybe")))
    return entries


def find(entries, name):
    """The first entry that matches; all that match are marked as in use."""
    found = None
    for entry in entries:
        if entry.regex.match(name):
            entry.matched += 1
            found = found or entry
    return found
