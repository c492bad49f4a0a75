"""Reads the probes: subjects/NAME.txt, blocks of a title and indented Python.

    T1 a task's first step is a call_soon
        asyncio.create_task(sayer("c")); say("after create"); await spin()

The title begins with the number of the trap. The code runs in a coroutine on `loop`; after "| outside" in the title it
runs without a loop. "| 3.12+" asks for a version of Python; "| differs: why" says that the two loops shall not show the
same. What the code may use besides the modules is in child.py (Show).
"""
import dataclasses
import pathlib
import sys
import textwrap

SUBJECTS = pathlib.Path(__file__).parent / "subjects"


@dataclasses.dataclass
class Probe:
    title: str
    body: str = ""
    outside: bool = False
    since: tuple = (3, 11)
    until: tuple = (3, 99)
    differs: str = ""

    def applies(self):
        return self.since <= sys.version_info[:3] and sys.version_info[:2] <= self.until


def parse_title(line):
    title, *notes = [part.strip() for part in line.split("|")]
    probe = Probe(title)
    for note in notes:
        if note == "outside":
            probe.outside = True
        elif note.startswith("differs:"):
            probe.differs = note.removeprefix("differs:").strip()
        elif note.startswith("-"):
            probe.until = tuple(map(int, note[1:].split(".")))
        elif note.endswith("+"):
            probe.since = tuple(map(int, note[:-1].split(".")))
        else:
            raise ValueError(f"{line!r}: what is {note!r}?")
    return probe


def read(subject):
    probes = []
    for line in (SUBJECTS / f"{subject}.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        if line and not line[0].isspace():
            probes.append(parse_title(line))
        elif probes:
            probes[-1].body += line + "\n"
    for probe in probes:
        probe.body = textwrap.dedent(probe.body).strip() + "\n"
    titles = [probe.title for probe in probes]
    if len(set(titles)) != len(titles):
        raise ValueError(f"{subject}: two probes of one name")
    return probes


def subjects():
    return sorted(path.stem for path in SUBJECTS.glob("*.txt"))
