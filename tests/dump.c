/* Dumps: every task, where it stands and what it waits for. */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "debug/unwind.h"
#include "journal.h"
#include "net.h"
#include "task/task.h"
#include "texts.h"

FRAME int sleep_inside(double seconds)
{
    int rc = cio_sleep(seconds);
    KEEP_FRAME();
    return rc;
}

FRAME int sleeps(void *seconds)
{
    int rc = sleep_inside(*(double *)seconds);
    KEEP_FRAME();
    return rc;
}

FRAME int awaits(void *future)
{
    int rc = cio_await(cio_ref(future));
    KEEP_FRAME();
    return rc;
}

FRAME int receives(void *fd)
{
    char byte;
    int rc = (int)cio_sock_recv(*(int *)fd, &byte, 1);
    KEEP_FRAME();
    return rc;
}

FRAME int yields(void *go_on)
{
    int rc = 0;
    while (rc == 0 && *(bool *)go_on)
        rc = cio_yield();
    KEEP_FRAME();
    return rc;
}

FRAME int never_runs(void *arg)
{
    (void)arg;
    return 0;
}

static cio_task *start(const char *name, cio_coroutine *fn, void *arg)
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.name = name}, fn, arg);
    assert_non_null(task);
    return task;
}

static void end(cio_task *task)
{
    cio_cancel(task);
    cio_await(task);
}

static char *text;

FRAME int dumps_eagerly(void *arg)
{
    (void)arg;
    text = dump_text();
    KEEP_FRAME();
    return 0;
}

FRAME int every_state(void *arg)
{
    (void)arg;
    int fds[2];
    bool go_on = true;
    double seconds = 1000;
    net_pair(fds, SOCK_STREAM);
    cio_task *sleeper = start("sleeper", sleeps, &seconds);
    cio_task *awaiter = start("awaiter", awaits, sleeper);
    cio_task *receiver = start("receiver", receives, &fds[0]);
    cio_task *yielder = start("yielder", yields, &go_on);
    net_settle();
    cio_task *fresh = start("fresh", never_runs, NULL);
    cio_task *eager = cio_create_task_with(&(cio_task_options){.name = "eager", .eager = true},
                                           dumps_eagerly, NULL);
    KEEP_FRAME();
    go_on = false;
    cio_await(eager);
    end(fresh);
    end(yielder);
    end(receiver);
    end(sleeper);
    cio_await(awaiter);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(dump_shows_a_task_in_each_state)
{
    assert_int_equal(run_quiet(every_state, NULL), 0);
    expect_text(text, "^Loop 1 at 0x[0-9a-f]+ in thread [0-9]+: 7 tasks, [0-9]+ ready, 1 timer$");
    expect_text(text, "^  [0-9]+ turns, [0-9]+ callbacks, [0-9]+ switches, [0-9]+ polls, ");
    expect_text(text, "^  'Task-1' held up$");
    expect_text(text, "^  'sleeper' sleeping, cio_sleep: (1000|999)\\.[0-9]{3} s to go$");
    expect_text(text, "^  'awaiter' waiting, cio_await: 'sleeper'$");
    expect_text(text, "^  'receiver' waiting, cio_wait_readable: fd [0-9]+ to be readable$");
    expect_text(text, "^  'yielder' ready$");
    expect_text(text, "^  'fresh' new, will begin in ");
    expect_text(text, "^  'eager' running$");
    free(text);
}

TEST(dump_shows_the_stack_of_a_task_in_each_state)
{
    assert_int_equal(run_quiet(every_state, NULL), 0);
    expect_frame(text, "Task-1", "every_state");
    expect_frame(text, "sleeper", "cio_sleep");
    expect_frame(text, "sleeper", "sleep_inside");
    expect_frame(text, "sleeper", "sleeps");
    expect_frame(text, "awaiter", "cio_await");
    expect_frame(text, "awaiter", "awaits");
    expect_frame(text, "receiver", "cio_sock_recv");
    expect_frame(text, "receiver", "receives");
    expect_frame(text, "yielder", "yields");
    expect_frame(text, "eager", "dumps_eagerly");
    expect_no_text(text, "cio__wait");
    expect_no_text(text, "cio__task_main");
    free(text);
}

TEST(dump_draws_who_waits_for_whom)
{
    assert_int_equal(run_quiet(every_state, NULL), 0);
    expect_text(text, "^Who waits for whom$");
    expect_text(text, "^  'awaiter' cio_await\n    'sleeper' cio_sleep$");
    expect_no_text(text, "Cycles");
    free(text);
}

static int waits_of_many(void *arg)
{
    (void)arg;
    double seconds = 1000;
    cio_task *sleepers[20];
    for (int i = 0; i < 20; i++)
        sleepers[i] = start(i ? "other" : "first", sleeps, &seconds);
    net_settle();
    cio_group group;
    cio_group_enter(&group);
    cio_group_start(&group, sleeps, &seconds);
    text = dump_text();
    for (int i = 0; i < 20; i++)
        end(sleepers[i]);
    cio_group_cancel(&group);
    cio_group_exit(&group, 0);
    return 0;
}

TEST(dump_outside_of_a_wait_has_no_tree)
{
    assert_int_equal(run_quiet(waits_of_many, NULL), 0);
    expect_text(text, "22 tasks");
    expect_no_text(text, "Who waits");
    free(text);
}

struct many {
    cio_task *tasks[20];
    cio_group group;
};

FRAME int gathers(void *arg)
{
    struct many *many = arg;
    cio_result_pair results[20];
    for (int i = 0; i < 20; i++)
        cio_ref(many->tasks[i]);
    return cio_gather_into(many->tasks, 20, CIO_RETURN_ERRORS, results);
}

FRAME int waits(void *arg)
{
    cio_future *copies[20];
    memcpy(copies, ((struct many *)arg)->tasks, sizeof copies);
    return cio_wait(copies, 20, CIO_ALL_COMPLETED, CIO_FOREVER);
}

FRAME int shields(void *arg)
{
    return cio_shield(cio_ref(((struct many *)arg)->tasks[0]));
}

FRAME int completes(void *arg)
{
    cio_as_completed it;
    cio_future *next;
    assert_int_equal(cio_as_completed_init(&it, ((struct many *)arg)->tasks, 3, CIO_FOREVER), 0);
    int rc = cio_next_completed(&it, &next);
    cio_as_completed_end(&it);
    return rc < 0 ? rc : 0;
}

FRAME int groups(void *arg)
{
    static double seconds = 1000;
    struct many *many = arg;
    cio_group_enter(&many->group);
    cio_group_start(&many->group, sleeps, &seconds);
    return cio_group_exit(&many->group, 0);
}

FRAME int maps(void *arg)
{
    static double seconds[3] = {1000, 1000, 1000};
    (void)arg;
    return cio_map(sleeps, seconds, 3, sizeof seconds[0], 2);
}

FRAME int waits_writable(void *fd)
{
    return cio_wait_writable(*(int *)fd);
}

static int every_wait(void *arg)
{
    (void)arg;
    static struct many many;
    double seconds = 1000;
    int fds[2];
    static char junk[65536];
    net_pair(fds, SOCK_STREAM);
    while (send(fds[0], junk, sizeof junk, MSG_DONTWAIT) > 0)
        continue;
    for (int i = 0; i < 20; i++)
        many.tasks[i] = start(i ? "other" : "first", sleeps, &seconds);
    cio_coroutine *fns[] = {gathers, waits, shields, completes, groups, maps};
    const char *names[] = {"gathers", "waits", "shields", "completes", "groups", "maps"};
    cio_task *waiters[6];
    for (int i = 0; i < 6; i++)
        waiters[i] = start(names[i], fns[i], &many);
    cio_task *writer = start("writer", waits_writable, &fds[0]);
    net_settle();
    text = dump_text();
    for (int i = 0; i < 6; i++)
        end(waiters[i]);
    end(writer);
    for (int i = 0; i < 20; i++)
        end(many.tasks[i]);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(dump_tells_what_each_kind_of_wait_waits_for)
{
    assert_int_equal(run_quiet(every_wait, NULL), 0);
    expect_text(text,
                "^  'gathers' waiting, cio_gather: 20 of 20 left: 'first', 'other', .*'other' "
                "and 8 more$");
    expect_text(text, "^  'waits' waiting, cio_wait: 20 of 20 left: 'first', ");
    expect_text(text, "^  'shields' waiting, cio_shield: 'first'$");
    expect_text(text, "^  'completes' waiting, cio_next_completed: 3 of 3 left: 'first', 'other'");
    expect_text(text, "^  'groups' waiting, cio_group_exit: 1 left: 'Task-[0-9]+'$");
    expect_text(text, "^  'maps' waiting, cio_map: 2 of 2 at a time run, 2 have begun$");
    expect_text(text, "^  'writer' waiting, cio_wait_writable: fd [0-9]+ to be writable$");
    free(text);
}

static int awaits_another(void *arg)
{
    return cio_await(cio_ref(*(cio_task **)arg));
}

static int cycle(void *arg)
{
    (void)arg;
    static cio_task *tasks[3];
    static const char *const names[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++)
        tasks[i] = start(names[i], awaits_another, &tasks[(i + 1) % 3]);
    cio_task *outside = start("outside", awaits_another, &tasks[1]);
    net_settle();
    text = dump_text();
    assert_int_equal(cio_cancel(tasks[0]), 1); /* goes round, and ends the wait where it began */
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_await(tasks[i]), CIO_ECANCELED);
    assert_int_equal(cio_await(outside), CIO_ECANCELED);
    return 0;
}

TEST(dump_shows_cycles_which_a_cancellation_breaks)
{
    assert_int_equal(run_quiet(cycle, NULL), 0);
    expect_text(text, "^Cycles: each waits for the next$");
    expect_text(text, "^  'one' -> 'two' -> 'three' -> 'one'$");
    expect_text(text, "^  'outside' cio_await\n    'two' cio_await\n      'three' cio_await\n"
                      "        'one' cio_await\n          'two' cio_await \\(see above\\)$");
    free(text);
}

/* Threads. */
struct elsewhere {
    pthread_t thread;
    int go[2];
    int there[2];
};

FRAME int idle(void *arg)
{
    struct elsewhere *elsewhere = arg;
    assert_int_equal(write(elsewhere->there[1], "x", 1), 1);
    int rc = cio_wait_readable(elsewhere->go[0]);
    KEEP_FRAME();
    return rc;
}

static void *run_idle(void *arg)
{
    assert_int_equal(cio_run(idle, arg), 0);
    return NULL;
}

TEST(threads_dump_shows_the_loop_of_another_thread)
{
    struct elsewhere elsewhere;
    char byte;
    assert_int_equal(pipe2(elsewhere.go, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(elsewhere.there, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&elsewhere.thread, NULL, run_idle, &elsewhere), 0);
    assert_int_equal(read(elsewhere.there[0], &byte, 1), 1);
    text = dump_text();
    expect_text(text, "^  'Task-1' waiting, cio_wait_readable: fd [0-9]+ to be readable$");
    expect_frame(text, "Task-1", "idle");
    free(text);
    assert_int_equal(write(elsewhere.go[1], "x", 1), 1);
    pthread_join(elsewhere.thread, NULL);
    for (int i = 0; i < 2; i++) {
        close(elsewhere.go[i]);
        close(elsewhere.there[i]);
    }
}

TEST(dump_of_a_loop_that_does_not_run)
{
    double seconds = 1;
    cio_loop *loop = cio_loop_new(NULL);
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, sleeps, &seconds);
    text = dump_text();
    expect_text(text, "^Loop 1 at 0x[0-9a-f]+: 1 task, 1 ready, 0 timers; it does not run$");
    expect_text(text, "^  'Task-1' new, will begin in ");
    free(text);
    cio_cancel(task);
    assert_int_equal(cio_run_until_complete(loop, task), CIO_ECANCELED);
    cio_loop_free(loop);
    text = dump_text();
    assert_string_equal(text, "");
    free(text);
}

TEST(dump_refuses_bad_input)
{
    assert_int_equal(cio_dump(NULL), -EINVAL);
    assert_int_equal(cio_dump_fd(-1), -EINVAL);
    cio_loop *loop = cio_loop_new(NULL);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(cio_dump_fd(full), -ENOSPC);
    FILE *stream = fdopen(full, "w");
    assert_true(cio_dump(stream) < 0);
    fclose(stream);
    cio_loop_free(loop);
}

/* A stack whose frames lead anywhere. */
static void fill(uintptr_t *words, size_t n, uint32_t seed, uintptr_t base)
{
    for (size_t i = 0; i < n; i++) {
        size_t random = net_random(&seed, 1u << 30);
        switch (random % 5) {
        case 0: words[i] = base + random % (n * sizeof *words + 64); break;
        case 1: words[i] = (uintptr_t)fill + random % 512; break;
        case 2: words[i] = 0; break;
        case 3: words[i] = (uintptr_t)random << 32 | random; break;
        default: words[i] = base + random % n * sizeof *words; break;
        }
    }
}

TEST(dump_survives_garbage_on_a_stack)
{
    static uintptr_t words[512], copied[512];
    uintptr_t base = (uintptr_t)words;
    uintptr_t end = base + sizeof words;
    struct cio__symbols *symbols = cio__symbols_open();
    for (uint32_t seed = 1; seed < (uint32_t)test_scale(2000) + 1; seed++) {
        fill(words, 512, seed, base);
        uint32_t random = seed;
        struct cio__frame frame = {.pc = words[net_random(&random, 511)],
                                   .sp = base + net_random(&random, sizeof words),
                                   .fp = words[net_random(&random, 511)],
                                   .fp_known = seed % 2};
        struct cio__stack_copy copy;
        uintptr_t pcs[CIO__FRAMES_MOST];
        cio__stack_copy(&copy, frame, end, (char *)copied, sizeof copied);
        int n = cio__unwind(&copy, seed % 3 ? symbols : NULL, pcs, CIO__FRAMES_MOST);
        assert_in_range(n, 0, CIO__FRAMES_MOST);
        n = cio__backtrace(base + net_random(&random, sizeof words) / 8 * 8, end, pcs,
                           CIO__FRAMES_MOST);
        assert_in_range(n, 0, CIO__FRAMES_MOST);
    }
    cio__symbols_close(symbols);
}

FRAME int parked_on_garbage(void *arg)
{
    (void)arg;
    double seconds = 1000;
    cio_task *sleeper = start("sleeper", sleeps, &seconds);
    net_settle();
    struct cio__context saved = sleeper->context;
    uint32_t state = 7;
    for (int i = 0; i < 100; i++) {
        sleeper->context.fp = (char *)saved.sp + net_random(&state, 100000) - 50000;
        if (i % 3 == 0)
            sleeper->context.pc = (char *)saved.pc + net_random(&state, 100000);
        if (i % 5 == 0)
            sleeper->context.sp = (char *)saved.sp + net_random(&state, 1000000);
        text = dump_text();
        expect_text(text, "^  'sleeper' sleeping, cio_sleep: ");
        free(text);
        sleeper->context = saved;
    }
    end(sleeper);
    return 0;
}

TEST(dump_survives_a_context_of_garbage)
{
    if (test_is_valgrind())
        test_skip("what was never written is looked at, on purpose");
    assert_int_equal(run_quiet(parked_on_garbage, NULL), 0);
}

/* A generator's body waits on a stack of its own. */
FRAME int sleeps_in_a_generator(cio_generator *self, void *arg)
{
    (void)self;
    int rc = sleeps(arg);
    KEEP_FRAME();
    return rc;
}

FRAME int dumps_in_a_generator(cio_generator *self, void *arg)
{
    (void)self, (void)arg;
    text = dump_text();
    KEEP_FRAME();
    return 0;
}

FRAME int consumes(void *fn)
{
    static double seconds = 1000;
    cio_generator *g = cio_generator_new(*(cio_generator_fn **)fn, &seconds);
    void *value;
    int rc = cio_generator_next(g, &value);
    cio_generator_free(g);
    return rc;
}

static int waits_and_runs_in_generators(void *arg)
{
    static cio_generator_fn *fns[] = {sleeps_in_a_generator, dumps_in_a_generator};
    (void)arg;
    cio_task *waiter = start("waiter", consumes, &fns[0]);
    cio_yield();
    cio_task *runner = start("runner", consumes, &fns[1]);
    cio_await(runner);
    end(waiter);
    return 0;
}

TEST(dump_shows_the_stack_of_a_generator_that_waits_or_runs)
{
    assert_int_equal(run_quiet(waits_and_runs_in_generators, NULL), 0);
    expect_frame(text, "waiter", "sleeps");
    expect_frame(text, "waiter", "sleeps_in_a_generator");
    expect_frame(text, "runner", "dumps_in_a_generator");
    free(text);
}
