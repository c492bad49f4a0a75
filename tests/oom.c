/* Every allocation fails in its turn: see support/memory.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "journal.h"
#include "memory.h"
#include "test.h"

/* Keeps the first error. */
static int worst(int rc, int next)
{
    return rc < 0 ? rc : next < 0 ? next : 0;
}

/* ---- scenarios ---- */

static int yield_once(void *arg)
{
    (void)arg;
    return cio_yield();
}

static int nap(void *arg)
{
    (void)arg;
    return cio_sleep(0.0001);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return cio_sleep(CIO_FOREVER);
}

static int tasks_scenario(void *arg)
{
    cio_task_options options = {
        .name = "a name longer than any buffer in a struct would be, one hopes",
        .stack_size = 128 * 1024};
    cio_task_options eager = {.eager = true};
    cio_task *tasks[4] = {
        cio_create_task(yield_once, arg),
        cio_create_task_with(&options, nap, arg),
        cio_create_task_with(&eager, nap, arg),
        cio_create_task(sleep_for_ever, arg),
    };
    int rc = cio_set_name(cio_current_task(), options.name);
    for (int i = 0; i < 4; i++) {
        if (!tasks[i]) {
            rc = worst(rc, cio_last_error());
            assert_int_equal(cio_last_error(), -ENOMEM);
            continue;
        }
        if (i == 3)
            cio_cancel(tasks[3]);
        int ended = cio_await(tasks[i]);
        rc = worst(rc, i == 3 && ended == CIO_ECANCELED ? 0 : ended);
    }
    return rc;
}

TEST(oom_tasks)
{
    memory_torture(tasks_scenario);
}

static void set_future(void *arg)
{
    cio_set_result(arg, 0, NULL);
    cio_detach(arg);
}

static int futures_scenario(void *arg)
{
    (void)arg;
    cio_handle handles[20] = {0};
    cio_future *futures[20];
    cio_loop *loop = cio_get_running_loop();
    int rc = 0, n = 0;
    for (; n < 20; n++) {
        futures[n] = cio_future_new();
        if (!futures[n]) {
            rc = cio_last_error();
            break;
        }
        cio_ref(futures[n]);
        int later = cio_call_later(loop, &handles[n], n * 0.00001, set_future, futures[n]);
        if (later < 0) {
            assert_int_equal(later, -ENOMEM);
            set_future(futures[n]);
            rc = worst(rc, later);
        }
    }
    for (int i = 0; i < n; i++)
        rc = worst(rc, cio_await(futures[i]));
    return rc;
}

TEST(oom_futures_and_timers)
{
    memory_torture(futures_scenario);
}

struct counted {
    cio_handle handle;
    int *next;
    int number;
};

static void count(void *arg)
{
    struct counted *c = arg;
    assert_int_equal(*c->next, c->number);
    ++*c->next;
}

/* More than the ready ring begins with: it must grow, or do without, and lose nobody's place. */
static int callbacks_scenario(void *arg)
{
    enum { N = 3000 };
    static struct counted all[N];
    int next = 0;
    (void)arg;
    for (int i = 0; i < N; i++) {
        all[i] = (struct counted){.next = &next, .number = i};
        assert_int_equal(cio_call_soon(cio_get_running_loop(), &all[i].handle, count, &all[i]), 0);
    }
    while (next < N)
        assert_int_equal(cio_yield(), 0);
    return 0;
}

TEST(oom_call_soon_never_fails)
{
    memory_torture(callbacks_scenario);
}

enum { CROWD = 40 }; /* more than the waits have room for on the stack */

/* Starts up to CROWD tasks; returns how many there are. */
static int start_crowd(cio_future **tasks, int *rc)
{
    int n = 0;
    while (n < CROWD && (tasks[n] = cio_create_task(n % 2 ? nap : yield_once, NULL)))
        n++;
    *rc = n < CROWD ? cio_last_error() : 0;
    return n;
}

static int finish_crowd(cio_future **tasks, int n, int rc)
{
    for (int i = 0; i < n; i++)
        rc = worst(rc, cio_await(tasks[i]));
    return rc;
}

static int gather_scenario(void *arg)
{
    (void)arg;
    cio_future *tasks[CROWD];
    cio_result_pair results[CROWD];
    int rc, n = start_crowd(tasks, &rc);
    int gathered = cio_gather_into(tasks, (size_t)n, CIO_RETURN_ERRORS, results);
    if (gathered < 0) {
        assert_int_equal(gathered, -ENOMEM);
        return finish_crowd(tasks, n, gathered); /* nothing had happened: they are still ours */
    }
    for (int i = 0; i < n; i++)
        rc = worst(rc, results[i].rc);
    return rc;
}

TEST(oom_gather)
{
    memory_torture(gather_scenario);
}

static int wait_scenario(void *arg)
{
    (void)arg;
    cio_future *tasks[CROWD];
    int rc, n = start_crowd(tasks, &rc);
    if (n > 0) {
        int done = cio_wait(tasks, (size_t)n, CIO_ALL_COMPLETED, 1000);
        assert_true(done == n || done == -ENOMEM);
        rc = worst(rc, done);
    }
    return finish_crowd(tasks, n, rc);
}

TEST(oom_wait)
{
    memory_torture(wait_scenario);
}

static int as_completed_scenario(void *arg)
{
    (void)arg;
    cio_future *tasks[CROWD], *f;
    cio_as_completed it;
    int rc, n = start_crowd(tasks, &rc);
    int begun = cio_as_completed_init(&it, tasks, (size_t)n, 1000);
    if (begun < 0)
        return finish_crowd(tasks, n, begun);
    int next;
    while ((next = cio_next_completed(&it, &f)) > 0)
        rc = worst(rc, cio_result(f));
    cio_as_completed_end(&it);
    return finish_crowd(tasks, n, worst(rc, next));
}

TEST(oom_as_completed)
{
    memory_torture(as_completed_scenario);
}

static int groups_scenario(void *arg)
{
    (void)arg;
    cio_group g;
    int rc = cio_group_enter(&g);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 20; i++) {
        if (!cio_group_start(&g, i % 2 ? nap : yield_once, NULL))
            rc = worst(rc, cio_last_error());
    }
    int ended = cio_group_exit(&g, 0);
    if (rc < 0)
        assert_true(ended < 0); /* a child that could not be started is a child that failed */
    return ended;
}

TEST(oom_groups)
{
    memory_torture(groups_scenario);
}

static int map_item(void *arg)
{
    int rc = cio_yield();
    *(int *)arg += 1;
    return rc;
}

static int map_scenario(void *arg)
{
    (void)arg;
    int items[30] = {0};
    int rc = cio_map(map_item, items, 30, sizeof items[0], 4);
    for (int i = 0; i < 30 && rc == 0; i++)
        assert_int_equal(items[i], 1);
    return rc;
}

TEST(oom_map)
{
    memory_torture(map_scenario);
}

static int nested_timeouts(void *arg)
{
    int *depth = arg;
    cio_timeout t;
    int rc = cio_timeout_enter(&t, 1000);
    if (rc < 0)
        return rc;
    int inner = --*depth > 0 ? nested_timeouts(depth) : cio_yield();
    return cio_timeout_exit(&t, inner);
}

static int timeouts_scenario(void *arg)
{
    int depth = 20;
    int rc = nested_timeouts(&depth);
    rc = worst(rc, cio_wait_for(nap, arg, 1000));
    int late = cio_wait_for(sleep_for_ever, arg, 0.0001);
    rc = worst(rc, late == CIO_ETIMEDOUT ? 0 : late);
    cio_task *t = cio_create_task(yield_once, arg); /* which itself never ends with -ENOMEM */
    if (!t)
        return worst(rc, cio_last_error());
    cio_ref(t);
    rc = worst(rc, cio_shield(t));
    int ended = cio_await_for(t, 1000);
    if (ended == -ENOMEM) /* nothing has happened: t is still ours */
        cio_detach(t);
    return worst(rc, ended);
}

TEST(oom_timeouts)
{
    memory_torture(timeouts_scenario);
}

static int echo(void *arg)
{
    int fd = *(int *)arg;
    char text[16];
    ssize_t rc;
    while ((rc = cio_sock_recv(fd, text, sizeof text)) > 0) {
        rc = cio_sock_sendall(fd, text, (size_t)rc);
        if (rc < 0)
            break;
    }
    shutdown(fd, SHUT_RDWR); /* the other side must not wait for ever */
    return (int)rc;
}

static int talk(int fd)
{
    char text[16];
    int rc = 0;
    for (int i = 0; i < 3 && rc >= 0; i++) {
        rc = cio_sock_sendall(fd, "hello", 5);
        if (rc >= 0)
            rc = (int)cio_sock_recv(fd, text, sizeof text);
    }
    return rc;
}

static int sockets_scenario(void *arg)
{
    (void)arg;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    int low = fds[1];
    fds[1] = fcntl(low, F_DUPFD_CLOEXEC, 300); /* far from the other: in another block of records */
    assert_true(fds[1] >= 300);
    close(low);
    cio_task *server = cio_create_task(echo, &fds[1]);
    int rc = server ? talk(fds[0]) : cio_last_error();
    shutdown(fds[0], SHUT_RDWR);
    if (server)
        rc = worst(rc, cio_await(server));
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
    return rc;
}

TEST(oom_sockets)
{
    memory_torture(sockets_scenario);
}

static cio_context_var owned = {.name = "owned", .release = free};
static cio_context_var plain = CIO_CONTEXT_VAR_INIT("plain", NULL);

/* Returns 0 or -ENOMEM, when the value was not taken. */
static int set_owned(const char *text, cio_context_token *token)
{
    char *value = strdup(text);
    int rc = cio_context_set(&owned, value, token);
    if (rc < 0)
        free(value);
    assert_true(rc == 0 || rc == -ENOMEM);
    return rc;
}

static int in_context(void *arg)
{
    int rc = set_owned("child's", NULL);
    return worst(rc, yield_once(arg));
}

static int contexts_scenario(void *arg)
{
    cio_context_token token;
    cio_context context;
    int rc = set_owned("main's", NULL);
    rc = worst(rc, cio_context_set(&plain, "plain", NULL));
    bool set = set_owned("token's", &token) == 0;
    cio_context_copy(&context);
    cio_task *task = cio_create_task(in_context, arg);
    rc = worst(rc, task ? 0 : cio_last_error());
    if (set && cio_context_reset(&owned, &token) < 0)
        cio_context_forget(&token);
    rc = worst(rc, set ? 0 : -ENOMEM);
    rc = worst(rc, cio_context_run(&context, in_context, arg));
    cio_context_clear(&context);
    return task ? worst(rc, cio_await(task)) : rc;
}

TEST(oom_contexts)
{
    memory_torture(contexts_scenario);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static int signals_scenario(void *arg)
{
    cio_signals signals;
    static cio_handle
        handle; /* the handler outlives this frame: it stays until the loop is closed */
    cio_loop *loop = cio_get_running_loop();
    cio_signal_set set = CIO_SIGNAL(SIGUSR1) | CIO_SIGNAL(SIGUSR2) | CIO_SIGNAL(SIGTERM);
    (void)arg;
    int rc = cio_add_signal_handler(loop, SIGUSR1, &handle, do_nothing, NULL);
    int begun = cio_signals_begin(&signals, set);
    if (begun == 0) {
        kill(getpid(), SIGUSR2);
        assert_int_equal(cio_next_signal(&signals), SIGUSR2);
        cio_signals_end(&signals);
    }
    for (int number = SIGUSR1; number <= SIGUSR2; number += SIGUSR2 - SIGUSR1) {
        struct sigaction there;
        sigaction(number, NULL, &there);
        bool caught = rc == 0 && number == SIGUSR1;
        assert_true(caught || there.sa_handler == SIG_DFL);
    }
    return worst(rc, begun);
}

TEST(oom_signals)
{
    memory_torture(signals_scenario);
}

static int two_values(cio_generator *g, void *arg)
{
    int rc = nap(arg);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = cio_generator_yield(g, arg, NULL);
    return rc;
}

/* One is consumed and freed, one left for the end of the run, which needs memory to close it. */
static int generators_scenario(void *arg)
{
    cio_generator_options options = {.name = "one with a name and a stack",
                                     .stack_size = 128 * 1024};
    cio_generator *consumed = cio_generator_new_with(&options, two_values, arg);
    int rc = consumed ? 0 : cio_last_error();
    while (consumed && (rc = cio_generator_next(consumed, NULL)) > 0)
        continue;
    if (rc == CIO_ENOSTACK)
        assert_int_equal(cio_generator_state(consumed), CIO_GENERATOR_CREATED);
    cio_generator_free(consumed);
    cio_generator *left = cio_generator_new(two_values, arg);
    rc = worst(rc, left ? cio_generator_next(left, NULL) : cio_last_error());
    return worst(rc, cio_shutdown_generators());
}

TEST(oom_generators)
{
    memory_torture(generators_scenario);
}

/* ---- no stack to be had ---- */

static int stackless_main(void *arg)
{
    (void)arg;
    cio_task_options options = {.stack_size = 1024 * 1024}; /* a mapping of its own */
    cio_task *t = cio_create_task_with(&options, yield_once, NULL);
    assert_non_null(t); /* the stack is taken at the first step only */
    memory_lacks();
    int rc = cio_await(t);
    memory_returns();
    return rc;
}

TEST(a_task_without_a_stack_ends_with_enostack)
{
    memory_begin();
    assert_int_equal(cio_run(stackless_main, NULL), CIO_ENOSTACK);
    memory_end();
}
