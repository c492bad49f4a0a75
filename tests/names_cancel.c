/* Lookups that are left behind: canceled, or their loop closed under them; and out of memory. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "journal.h"
#include "memory.h"
#include "resolver.h"
#include "task/task.h"
#include "test.h"

/* A thread that nobody waits for may not have gone yet. */
static int count_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    int n = 0;
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

/* ThreadSanitizer has one of its own, which may come late. */
static void await_threads(int n)
{
    while (resolver_count(&resolver.lists) > 0 || (!test_is_tsan() && count_threads() > n))
        usleep(1000);
}

static const struct addrinfo stream = {.ai_socktype = SOCK_STREAM};

static int look_up(void *host)
{
    struct addrinfo *all;
    int rc = cio_getaddrinfo(host, "80", &stream, &all);
    if (rc < 0)
        assert_null(all);
    else
        cio_freeaddrinfo(all);
    return rc;
}

static int look_up_address(void *arg)
{
    char host[NI_MAXHOST];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f00004d)};
    (void)arg;
    return cio_getnameinfo((struct sockaddr *)&in, sizeof in, host, sizeof host, NULL, 0, 0);
}

static cio_coroutine *const kinds[] = {look_up, look_up_address};

/* In a thread already: the caller leaves at once, the thread comes back later for nobody. */
static int cancel_running(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        resolver_hold(true);
        int finished = resolver_count(&resolver.finished);
        cio_task *task = cio_create_task(kinds[i], "a.test");
        resolver_await(&resolver.running, 1);
        assert_int_equal(cio_cancel(task), 1);
        assert_int_equal(cio_await(task), CIO_ECANCELED);
        assert_int_equal(resolver_count(&resolver.finished), finished); /* it is still there */
        resolver_hold(false);
        resolver_await(&resolver.finished, finished + 1);
    }
    return look_up("a.test"); /* the thread is of use again */
}

TEST(canceled_in_a_thread)
{
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(cancel_running, NULL), 0);
    assert_int_equal(resolver.most, 1);
    assert_int_equal(resolver.lists, 0);
}

enum { QUEUED = 10 };

/* In the queue: it is taken out, and no thread ever sees it. */
static int cancel_queued(void *arg)
{
    cio_task *busy[CIO_NAME_THREADS], *queued[QUEUED];
    (void)arg;
    resolver_hold(true);
    for (int i = 0; i < CIO_NAME_THREADS; i++)
        busy[i] = cio_create_task(look_up, "a.test");
    resolver_await(&resolver.running, CIO_NAME_THREADS);
    for (int i = 0; i < QUEUED; i++)
        queued[i] = cio_create_task(kinds[i % 2], "b.test");
    cio_yield();
    for (int i = 0; i < QUEUED; i++)
        assert_int_equal(cio_cancel(queued[i]), 1);
    for (int i = 0; i < QUEUED; i++)
        assert_int_equal(cio_await(queued[i]), CIO_ECANCELED);
    resolver_hold(false);
    assert_int_equal(cio_gather(busy, CIO_NAME_THREADS, 0), 0);
    assert_int_equal(resolver.finished, CIO_NAME_THREADS);
    return 0;
}

TEST(canceled_in_the_queue)
{
    resolver_say("a.test", "127.0.0.1");
    resolver_say("b.test", "127.0.0.1");
    assert_int_equal(run_quiet(cancel_queued, NULL), 0);
    assert_int_equal(resolver.lists, 0);
}

/* Before it has begun to wait; then nothing is looked up. */
static int cancel_early(void *arg)
{
    int threads = count_threads();
    (void)arg;
    for (int i = 0; i < 2; i++) {
        cio_cancel(cio_current_task());
        assert_int_equal(kinds[i]("a.test"), CIO_ECANCELED);
        cio_uncancel(cio_current_task());
    }
    assert_int_equal(resolver_count(&resolver.running) + resolver_count(&resolver.finished), 0);
    assert_true(test_is_tsan() || count_threads() == threads);
    return look_up("a.test");
}

TEST(canceled_before)
{
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(cancel_early, NULL), 0);
}

/* It was found, the task was woken and has not run: the cancellation wins, T14. */
static int cancel_late(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        cio_task *task = cio_create_task(kinds[i], "a.test");
        cio_yield(); /* it waits */
        while (cio__handle_state(&task->step) != CIO__READY)
            cio_yield();
        assert_int_equal(cio_cancel(task), 1);
        assert_int_equal(cio_await(task), CIO_ECANCELED);
    }
    return 0;
}

TEST(t14_canceled_when_found)
{
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(cancel_late, NULL), 0);
    assert_int_equal(resolver.lists, 0);
}

/* In whatever moment. Twice does no more than once. */
static int cancel_anywhere(void *arg)
{
    int n = test_scale(300), canceled = 0;
    (void)arg;
    for (int i = 0; i < n; i++) {
        cio_task *task = cio_create_task(look_up, "a.test");
        for (int k = 0; k < i % 30; k++)
            cio_yield();
        int pending = cio_cancel(task);
        if (i % 2)
            cio_cancel(task);
        assert_int_equal(cio_await(task), pending ? CIO_ECANCELED : 0);
        canceled += pending;
    }
    assert_true(canceled > 0);
    return 0;
}

TEST(canceled_at_any_moment)
{
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(cancel_anywhere, NULL), 0);
    assert_int_equal(resolver.lists, 0);
}

static int time_out(void *arg)
{
    (void)arg;
    resolver_hold(true);
    cio_task *task = cio_create_task(look_up, "a.test");
    resolver_await(&resolver.running, 1);
    assert_int_equal(cio_await_for(task, 0.01), CIO_ETIMEDOUT);
    return 0;
}

/* The run does not wait for a lookup that is nobody's any more. */
TEST(end_of_the_run_does_not_wait)
{
    int threads = count_threads();
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(time_out, NULL), 0);
    assert_int_equal(resolver_count(&resolver.running), 1);
    resolver_hold(false);
    resolver_block(&resolver.finished, 1);
    assert_int_equal(run_quiet(look_up, "a.test"), 0);
    await_threads(threads); /* that thread cleans up for itself */
}

/* ---- the loop closes ---- */

static void stop_loop(void *loop)
{
    cio_stop(loop);
}

/* Under a task that waits: where the lookup is makes no difference. */
TEST(loop_closed_while_a_lookup_runs)
{
    int threads = count_threads();
    resolver_say("a.test", "127.0.0.1");
    for (int i = 0; i < 3; i++) {
        struct reports reports = {0};
        cio_loop *loop = cio_loop_new(NULL);
        cio_handle handle = CIO_HANDLE_INIT;
        cio_set_exception_handler(loop, reports_add, &reports);
        resolver_hold(true);
        int running = resolver_count(&resolver.running), finished = resolver.finished;
        cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, look_up, "a.test");
        cio_call_soon(loop, &handle, stop_loop, loop);
        assert_int_equal(cio_run_forever(loop), 0);
        resolver_block(&resolver.running, running + 1);
        if (i == 1) { /* the thread has found it; the loop knows nothing of it yet */
            resolver_hold(false);
            resolver_block(&resolver.finished, finished + 1);
        }
        if (i == 2) { /* the task was woken, and will never run */
            resolver_hold(false);
            while (!cio__inbox_has_mail(loop))
                usleep(1000);
            cio_call_soon(loop, &handle, stop_loop, loop);
            assert_int_equal(cio_run_forever(loop), 0);
            assert_int_equal(cio__handle_state(&task->step), CIO__READY);
        }
        cio_detach(task);
        cio_loop_free(loop);
        resolver_hold(false);
        resolver_block(&resolver.finished, finished + 1);
        await_threads(threads);
    }
}

/* ---- out of everything ---- */

static int look_up_both(void *arg)
{
    struct addrinfo *all;
    (void)arg;
    int rc = cio_getaddrinfo("10.0.0.1", "80", NULL, &all);
    if (rc == 0)
        cio_freeaddrinfo(all);
    int rc_name = look_up("a.test");
    int rc_address = look_up_address(NULL);
    rc = rc < 0 ? rc : rc_name < 0 ? rc_name : rc_address;
    assert_true(rc == 0 || rc == -ENOMEM);
    return rc;
}

TEST(out_of_memory)
{
    resolver_say("a.test", "127.0.0.1");
    memory_torture(look_up_both);
    assert_int_equal(resolver.lists, 0);
}

/* The C library cannot read its files then. It says so somehow, and it works again afterwards. */
static int out_of_files(void *arg)
{
    struct rlimit limit, none;
    (void)arg;
    assert_int_equal(look_up("a.test"), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = look_up("localhost");
    assert_int_equal(look_up("127.0.0.1"), 0); /* a number needs none */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(rc < 0);
    assert_string_not_equal(cio_err_name(rc), "?");
    return look_up("localhost");
}

TEST(out_of_descriptors)
{
    resolver_say("a.test", "127.0.0.1");
    if (test_is_valgrind())
        skip();
    assert_int_equal(run_quiet(out_of_files, NULL), 0);
}

static int no_thread(void *arg)
{
    struct rlimit none = {0, 0};
    (void)arg;
    if (getuid() == 0 && setuid(65534) != 0)
        return 77; /* root may have as many as it likes */
    if (setrlimit(RLIMIT_NPROC, &none) != 0)
        return 77;
    return cio_run(look_up, "a.test") == -EAGAIN ? 0 : 1;
}

TEST(no_thread_left)
{
    struct child child;
    resolver_say("a.test", "127.0.0.1");
    run_child(&child, no_thread, NULL, NULL);
    if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == 77)
        skip();
    assert_int_equal(child.status, 0);
}

/* ---- fork ---- */

static int look_up_in_child(void *arg)
{
    (void)arg;
    resolver.held = false; /* the parent's thread that held the lock is not here */
    pthread_mutex_init(&resolver.lock, NULL);
    pthread_cond_init(&resolver.changed, NULL);
    resolver.running = 0;
    return cio_run(look_up, "a.test") == 0 && cio_run(look_up_address, NULL) == 0 ? 0 : 1;
}

static int fork_meanwhile(void *arg)
{
    struct child child;
    (void)arg;
    resolver_hold(true);
    cio_task *task = cio_create_task(look_up, "a.test");
    resolver_await(&resolver.running, 1);
    run_child(&child, look_up_in_child, NULL, NULL);
    assert_int_equal(child.status, 0);
    resolver_hold(false);
    return cio_await(task);
}

TEST(fork_while_a_lookup_runs)
{
    if (test_is_tsan())
        test_skip("ThreadSanitizer allows no threads in a forked child");
    if (test_is_valgrind())
        test_skip("what the parent's other threads held is lost in a child");
#ifdef __aarch64__
    if (test_is_slow())
        test_skip("qemu starts no thread in a child of many");
#endif
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(fork_meanwhile, NULL), 0);
}
