# gdb sees the tasks of a program that uses cio:
#
#     info cio-tasks            every task of every loop: where it is parked, and what it waits for
#     cio-task TASK             the backtrace of one; TASK is a name or an id of that list
#     cio-task TASK COMMAND     any command in its innermost frame: bt full, info locals, up 3, ...
#     cio-gcore [FILE]          gcore, with the stacks of tasks, which gcore up to gdb 16 leaves out
#
# in a live process as well as in a core dump. gdb loads this file by itself, as every program that
# contains cio carries it in its section .debug_gdb_scripts, if it may:
#
#     add-auto-load-safe-path PATH-OF-THE-PROGRAM     (in ~/.config/gdb/gdbinit; "/" trusts all)
#
# By hand: source PREFIX/share/cio/cio-gdb.py. It needs gdb 10 with Python, and the debug
# information of cio itself, which an optimised build has too.
#
# The process is not touched: no register is written, so an interrupted system call is restarted all
# the same, and a core dump will do. Instead gdb is told, for as long as the command takes, that the
# current thread's innermost frame was called from where the task is parked.

import gdb
import gdb.unwinder
import re
import struct

REGISTERS = {
    "i386:x86-64": ("rsp", "rbp", "rip"),
    "aarch64": ("sp", "x29", "pc"),
}


FILES_A_BLOCK = 64  # CIO__FILES_A_BLOCK of src/loop/files.h: macros are seldom in debug information
PT_LOAD = 1
PAGE = 4096
PIECE = 256 * PAGE


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class ParkedUnwinder(gdb.unwinder.Unwinder):
    """While it has a context, that is the caller of the innermost frame."""

    def __init__(self):
        super().__init__("cio-task")
        self.context = None
        self.innermost_sp = None

    def __call__(self, pending):
        if self.context is None:
            return None
        names = REGISTERS.get(pending.architecture().name())
        if names is None or int(pending.read_register(names[0])) != self.innermost_sp:
            return None
        # gdb ends a backtrace at a frame that lies below the one before: claim to lie just below.
        word = self.context[0].type
        identity = FrameId(self.context[0] - 16, self.context[2])
        info = pending.create_unwind_info(identity)
        for name, value in zip(names, self.context):
            register = pending.read_register(name)
            info.add_saved_register(name, value.cast(word).cast(register.type))
        return info


parked_unwinder = ParkedUnwinder()
gdb.unwinder.register_unwinder(None, parked_unwinder, replace=True)


class At:
    """with At(context) as frame: gdb stands in the innermost frame of a parked task."""

    def __init__(self, context):
        word = gdb.lookup_type("unsigned long")
        self.context = [context[field].cast(word) for field in ("sp", "fp", "pc")]
        if int(self.context[0]) == 0:
            raise gdb.GdbError("its registers are not known")
        if gdb.selected_thread() is None:
            raise gdb.GdbError("there is no process and no core dump")

    def __enter__(self):
        architecture = gdb.newest_frame().architecture().name()
        if architecture not in REGISTERS:
            raise gdb.GdbError("cio: not known how stacks look on " + architecture)
        self.before = gdb.selected_frame()
        parked_unwinder.innermost_sp = int(gdb.newest_frame().read_register("sp"))
        parked_unwinder.context = self.context
        gdb.invalidate_cached_frames()
        frame = gdb.newest_frame()
        self.level = 1
        while frame.type() == gdb.INLINE_FRAME:
            frame = frame.older()
            self.level += 1
        frame = frame.older()
        if frame is None:
            self.__exit__()
            raise gdb.GdbError("its stack cannot be read")
        frame.select()
        return self, frame

    def __exit__(self, *error):
        parked_unwinder.context = None
        gdb.invalidate_cached_frames()
        if self.before.is_valid():
            self.before.select()


def walk_list(first, next_field):
    while int(first) != 0:
        yield first
        first = first[next_field]


def address(pointer):
    return int(pointer.cast(gdb.lookup_type("unsigned long")))


def function_name(pointer):
    symbol = gdb.block_for_pc(address(pointer))
    if symbol is not None and symbol.function is not None:
        return symbol.function.name
    match = re.search(r"<(.+?)>", str(pointer))
    return match.group(1) if match else str(pointer)


def future_name(future):
    if int(future["name"]) != 0:
        return future["name"].string(errors="replace")
    return "Task-%d" % int(future["id"]) if future["is_task"] else "a future"


class Task:
    def __init__(self, loop, pointer):
        self.loop = loop
        self.pointer = pointer
        self.name = future_name(pointer)
        number = int(pointer["id"])
        self.id = "%d.%d" % (loop.number, number) if loop.one_of_many else str(number)
        self.thread = None  # it runs there
        self.held_up_by = None  # it runs another task, which it created eagerly
        self.context = pointer["context"]

    def started(self):
        return function_name(self.pointer["step"]["fn"]) != "begin"  # of src/task/task.c

    def state(self):
        if self.thread is not None:
            return "running"
        if self.held_up_by is not None:
            return "held up"
        state = int(self.pointer["step"]["state"])
        if not self.started():
            return "new"
        if state == self.loop.TIMER:
            return "sleeping"
        return "waiting" if state == 0 else "ready"

    def holds(self, sp):
        if not self.started():
            return False
        stack = self.pointer["stack"].dereference()
        return address(stack["bottom"]) <= sp <= address(stack["top"])


def walk_places(ring):
    """The addresses of the places in a ring."""
    place = ring["next"]
    while address(place) != address(ring.address):
        yield address(place)
        place = place["next"]


def offset_of(type_name, field):
    """Where in its struct a field of an unnamed union lies."""
    return next(f.bitpos // 8 for f in gdb.lookup_type(type_name).fields() if f.name is None and
                any(inner.name == field for inner in f.type.fields()))


def walk_tasks(ring):
    """The tasks of a loop, the oldest first."""
    task_type = gdb.lookup_type("struct cio_future")
    offset = offset_of("struct cio_future", "place")
    for place in walk_places(ring):
        yield gdb.Value(place - offset).cast(task_type.pointer())


def stands_on(generator, sp):
    if int(generator["stack"]) == 0:
        return False
    stack = generator["stack"].dereference()
    return address(stack["bottom"]) <= sp <= address(stack["top"])


class Loop:
    def __init__(self, pointer, number, one_of_many):
        self.pointer = pointer
        self.number = number
        self.one_of_many = one_of_many
        self.TIMER = int(gdb.parse_and_eval("(int)CIO__TIMER"))
        self.descriptors = None
        self.tasks = []
        self.generators = []
        if int(pointer["tasks"]) != 0:
            ring = pointer["tasks"].dereference()["all"]
            self.tasks = [Task(self, task) for task in walk_tasks(ring)]
            self.generators = list(walk_list(pointer["tasks"]["generators"], "next"))

    def consumers(self, sp):
        """Where those stand who have resumed the generator that runs on this stack, and so on."""
        generator = True
        while generator is not None:
            generator = next((g for g in self.generators if stands_on(g, sp)), None)
            if generator is not None:
                yield generator
                sp = address(generator["consumer"]["sp"])

    def task_on(self, sp):
        for generator in self.consumers(sp):
            sp = address(generator["consumer"]["sp"])
        return next((task for task in self.tasks if task.holds(sp)), None)

    def find_running(self, threads):
        for thread, sp in threads:
            task = self.task_on(sp)
            if task is None:
                continue
            task.thread = thread
            resumer = task.pointer["resumer"]
            while int(resumer["outer"]) != 0:
                outer = next(t for t in self.tasks if t.pointer == resumer["outer"])
                outer.held_up_by = task
                outer.context = resumer["context"]
                task = outer
                resumer = outer.pointer["resumer"]

    def descriptor_of(self, task):
        """What a task that waits for a descriptor is queued at, or None."""
        if self.descriptors is None:
            self.descriptors = {}
            files = self.pointer["files"]
            for i in range(int(files["n_blocks"])):
                self.note_block(files["blocks"][i])
        return self.descriptors.get(address(task.pointer["step"].address))

    def note_block(self, block):
        if int(block) == 0:
            return
        for i in range(FILES_A_BLOCK):
            for direction, word in enumerate(("readable", "writable")):
                for place in walk_places(block[i]["waits"][direction]):
                    text = "fd %d %s" % (int(block[i]["fd"]), word)
                    self.descriptors[place - offset_of("cio_handle", "waiting")] = text


def thread_pointers():
    """Each stopped thread with its stack pointer."""
    before = gdb.selected_thread()
    frame = gdb.selected_frame() if before is not None else None
    found = []
    for thread in gdb.selected_inferior().threads():
        if thread.is_stopped():
            thread.switch()
            found.append((thread, int(gdb.newest_frame().read_register("sp"))))
    if before is not None:
        before.switch()
        frame.select()
    return found


def all_loops():
    try:
        pointers = list(walk_list(gdb.parse_and_eval("cio__loops"), "next"))
    except gdb.error as error:
        raise gdb.GdbError("cio is not there, or without debug information: %s" % error)
    threads = thread_pointers()
    pointers.reverse()  # the newest comes first in the list
    loops = [Loop(p, i + 1, len(pointers) > 1) for i, p in enumerate(pointers)]
    for loop in loops:
        loop.find_running(threads)
    return loops


def find_task(text):
    tasks = [task for loop in all_loops() for task in loop.tasks]
    found = [task for task in tasks if task.name == text] or [t for t in tasks if t.id == text]
    if not found:
        raise gdb.GdbError("no task is called %s; see info cio-tasks" % text)
    if len(found) > 1:
        ids = ", ".join(task.id for task in found)
        raise gdb.GdbError("several tasks are called %s; say which: %s" % (text, ids))
    return found[0]


def is_ours(frame, root):
    symtab = frame.find_sal().symtab
    return symtab is not None and symtab.fullname().startswith(root)


def split_at_call(frame):
    """The function of cio that a task waits in, and the frame that called it."""
    place = gdb.find_pc_line(address(gdb.parse_and_eval("&cio__task_main")))
    root = re.sub("task/task.c$", "", place.symtab.fullname())
    call = None
    while frame is not None and is_ours(frame, root):
        call = frame
        frame = frame.older()
    return call, frame


def describe_place(frame):
    if frame is None:
        return "?"
    place = frame.find_sal()
    text = frame.name() or "0x%x" % frame.pc()
    if place.symtab is not None:
        text += " (%s:%d)" % (place.symtab.filename.split("/")[-1], place.line)
    return text


def describe_wait(task):
    """What is waited for, where the loop's own records tell."""
    wait = task.pointer["wait"]
    if task.state() == "sleeping":
        left_ns = int(task.pointer["step"]["when_ns"]) - int(task.loop.pointer["checked_ns"])
        return "%.3f s to go when the loop looked last" % (left_ns / 1e9)
    if int(wait) == 0:
        return None
    if wait["kind"]["name"].string() == "cio_await":
        future = wait.cast(gdb.lookup_type("struct await").pointer())["future"]
        return "%s at 0x%x" % (future_name(future), address(future))
    return task.loop.descriptor_of(task)


def describe(task):
    if task.thread is not None:
        return "in thread %d" % task.thread.num
    if task.held_up_by is not None:
        return "by %s, which it created eagerly" % task.held_up_by.name
    if not task.started():
        return "will begin in %s" % function_name(task.pointer["fn"])
    try:
        with At(task.context) as (_, innermost):
            call, caller = split_at_call(innermost)
            text = describe_place(caller)
            if call is not None:
                text += " in " + call.name()
        what = describe_wait(task)
        return text + (": " + what if what else "")
    except (gdb.error, gdb.GdbError) as error:
        return "(%s)" % error


def show_loop(loop):
    print("Loop %d at 0x%x: %d tasks" % (loop.number, address(loop.pointer), len(loop.tasks)))
    if not loop.tasks:
        return
    rows = [("Id", "Name", "State", "Where")]
    for task in loop.tasks:
        where = describe(task)
        if task.pointer["must_cancel"]:
            where += " [to be canceled]"
        rows.append((task.id, task.name, task.state(), where))
    width = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        print("  %s  %s  %s  %s" % (row[0].rjust(width[0]), row[1].ljust(width[1]),
                                    row[2].ljust(width[2]), row[3]))


class InfoTasks(gdb.Command):
    """List every task of every cio loop: its state, where it is parked and what it waits for."""

    def __init__(self):
        super().__init__("info cio-tasks", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        loops = all_loops()
        for loop in loops:
            show_loop(loop)
        if not loops:
            print("No loops.")


def run_in_task(at, command):
    """A task's frames begin at 0: those of the thread that was borrowed do not belong to it."""
    is_backtrace = re.match(r"(bt|backtrace|where)\b", command)
    limit = re.search(r" (\d+)$", command)
    if is_backtrace and limit:
        command = command[: limit.start()] + " %d" % (int(limit.group(1)) + at.level)
    shown = not is_backtrace
    for line in gdb.execute(command, to_string=True).splitlines():
        number = re.match(r"#(\d+)", line)
        if number:
            level = int(number.group(1)) - at.level
            shown = level >= 0
            line = ("#%d" % level).ljust(len(number.group(0))) + line[number.end() :]
        if shown:
            print(line)


class InTask(gdb.Command):
    """Run a command in a cio task: cio-task NAME|ID [COMMAND]

Without a command, or with bt and what bt takes, the task's backtrace is printed.
Other commands run in the frame in which the task is parked."""

    def __init__(self):
        super().__init__("cio-task", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not words:
            raise gdb.GdbError("cio-task NAME|ID [COMMAND]")
        task = find_task(words[0])
        command = " ".join(words[1:]) or "bt"
        if not task.started():
            first = function_name(task.pointer["fn"])
            raise gdb.GdbError("it has not begun; it will in %s" % first)
        if task.thread is not None:
            gdb.execute("thread apply %d %s" % (task.thread.num, command))
            sp = dict((t.num, sp) for t, sp in thread_pointers())[task.thread.num]
        else:
            with At(task.context) as (at, _):
                run_in_task(at, command)
            sp = address(task.context["sp"])
        if re.match(r"(bt|backtrace|where)\b", command):
            self.show_consumers(task, sp, command)

    def show_consumers(self, task, sp, command):
        for generator in task.loop.consumers(sp):
            name = "a generator"
            if int(generator["name"]) != 0:
                name = "generator %s" % generator["name"].string(errors="replace")
            print("... in %s, resumed by:" % name)
            with At(generator["consumer"]) as (at, _):
                run_in_task(at, command)

    def complete(self, text, word):
        try:
            names = [task.name for loop in all_loops() for task in loop.tasks]
        except gdb.GdbError:
            return []
        return [name for name in names if name.startswith(text)]


def copy_readable(inferior, core, start, end, offset):
    """Copies memory into the core file, by halves where a part of it cannot be read."""
    if end - start <= PIECE:
        try:
            piece = inferior.read_memory(start, end - start)
            core.seek(offset)
            core.write(piece)
            return
        except gdb.MemoryError:
            if end - start <= PAGE:
                return
    middle = (start + (end - start) // 2 + PAGE - 1) // PAGE * PAGE
    copy_readable(inferior, core, start, middle, offset)
    copy_readable(inferior, core, middle, end, offset + middle - start)


def load_segments(core):
    """(start, end, offset in the file) of the memory in a 64-bit core file."""
    core.seek(0)
    header = struct.unpack("<16sHHIQQQIHHH", core.read(58))
    for i in range(header[10]):
        core.seek(header[5] + i * header[9])
        kind, _, offset, start, _, size = struct.unpack("<IIQQQQ", core.read(40))
        if kind == PT_LOAD and size > 0:
            yield start, start + size, offset


class GenerateCore(gdb.Command):
    """Save a core file with the stacks of all cio tasks: cio-gcore [FILE]

gcore alone, up to gdb 16, gives up a mapping at the first page in it that cannot be read. The
stacks of tasks lie in mappings with such guard pages, and would be missing."""

    def __init__(self):
        super().__init__("cio-gcore", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        output = gdb.execute("gcore " + argument, to_string=True)
        saved = re.search(r"Saved corefile (.+)", output)
        if saved is None:
            raise gdb.GdbError(output)
        failed = r"read failed for corefile section, \d+ bytes at (0x[0-9a-f]+)"
        with open(saved.group(1), "r+b") as core:
            segments = list(load_segments(core))
            for begin in (int(text, 16) for text in re.findall(failed, output)):
                for start, end, offset in segments:
                    if start <= begin < end:
                        inferior = gdb.selected_inferior()
                        copy_readable(inferior, core, begin, end, offset + begin - start)
        print(saved.group(0))


InfoTasks()
InTask()
GenerateCore()
