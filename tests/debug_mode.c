/* Debug mode: what blocks, who calls from the wrong thread, where things were created. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "journal.h"
#include "net.h"
#include "texts.h"

static struct errors errors;

#define SLOW 0.02
static const cio_run_options debugging = {.loop = {.debug = true, .slow_callback_duration = SLOW}};

/* Without libdw, functions that are not exported have no names. */
static char *named(const char *pattern, const char *without_names)
{
    return (char *)(cio__symbols_load() ? pattern : without_names);
}

/* Blocks until the report is there: it comes while we still block, or the test never ends. */
FRAME int blocks_until_reported(void *pattern)
{
    errors_until(&errors, pattern);
    KEEP_FRAME();
    return 0;
}

TEST(t75_a_step_that_blocks_is_reported_while_it_does)
{
    errors_catch(&errors);
    int rc = cio_run_with(
        &debugging, blocks_until_reported,
        named("cio: 'Task-1' has blocked its loop for [0-9.]+ s, here:\n(.|\n)*"
              "blocks_until_reported",
              "cio: 'Task-1' has blocked its loop for [0-9.]+ s, here:\n      ."));
    errors_end(&errors);
    assert_int_equal(rc, 0);
    expect_text(errors.text, "^cio: 'Task-1' took [0-9]+\\.[0-9]{3} s$");
}

FRAME int computes_until_reported(void *pattern)
{
    struct timespec none = {0};
    volatile unsigned work = 0;
    fcntl(errors.fd, F_SETFL, O_NONBLOCK);
    while (!find_text(errors.text, pattern)) {
        for (int i = 0; i < 10000; i++)
            work = work + (unsigned)i;
        nanosleep(&none, NULL); /* a sanitizer delivers signals here only */
        ssize_t n = read(errors.fd, errors.text + errors.size,
                         sizeof errors.text - 1 - errors.size);
        if (n > 0)
            errors.size += (size_t)n;
        errors.text[errors.size] = '\0';
    }
    KEEP_FRAME();
    return 0;
}

#ifdef __SANITIZE_THREAD__
#define COMPUTES "." /* its own code, where the step mostly is, does not tell who has called it */
#else
#define COMPUTES "(.|\n)*computes_until_reported"
#endif

TEST(t75_a_step_that_computes_is_reported_while_it_does)
{
    errors_catch(&errors);
    int rc = cio_run_with(
        &debugging, computes_until_reported,
        named("'Task-1' has blocked its loop for [0-9.]+ s, here:\n      " COMPUTES,
              "'Task-1' has blocked its loop for"));
    errors_end(&errors);
    assert_int_equal(rc, 0);
}

static void callback_blocks(void *pattern)
{
    blocks_until_reported(pattern);
    cio_stop(cio_get_running_loop());
}

TEST(t75_a_callback_that_blocks_is_reported_by_its_function)
{
    cio_loop *loop = cio_loop_new(&debugging.loop);
    cio_handle handle = {0};
    errors_catch(&errors);
    cio_call_soon(loop, &handle, callback_blocks,
                  named("cio: callback .* has blocked its loop for(.|\n)*blocks_until_reported",
                        "cio: callback .* has blocked its loop for"));
    assert_int_equal(cio_run_forever(loop), 0);
    errors_end(&errors);
    cio_loop_free(loop);
    expect_text(errors.text, "^cio: callback .* took [0-9.]+ s$");
    if (!cio__symbols_load())
        return;
    expect_text(errors.text, "callback callback_blocks \\(debug_mode.c:[0-9]+\\) has blocked");
    expect_text(errors.text, "callback callback_blocks \\(debug_mode.c:[0-9]+\\) took");
}

static double monotonic(void)
{
    return cio_time(NULL);
}

/* The call that blocks is not cut short by the look at it. */
static int sleeps_in_the_kernel(void *arg)
{
    double begin = monotonic();
    struct timespec time = {.tv_nsec = 200000000};
    *(int *)arg = nanosleep(&time, NULL);
    assert_true(monotonic() - begin >= 0.2);
    return 0;
}

TEST(t75_a_blocking_sleep_is_reported_and_sleeps_on)
{
    int slept = -1;
#ifdef __aarch64__
    bool emulated = test_is_slow();
#else
    bool emulated = test_is_valgrind();
#endif
    if (emulated || access("/proc/self/task", X_OK) != 0)
        test_skip("the kernel does not tell where it sleeps");
    errors_catch(&errors);
    int rc = cio_run_with(&debugging, sleeps_in_the_kernel, &slept);
    errors_end(&errors);
    assert_int_equal(rc, 0);
    assert_int_equal(slept, 0);
    expect_text(errors.text, "'Task-1' has blocked its loop for");
    if (cio__symbols_load())
        expect_text(errors.text, "^      sleeps_in_the_kernel \\(debug_mode.c:[0-9]+\\)$");
}

static int blocks_and_goes_on(void *arg)
{
    (void)arg;
    blocks_until_reported("'Task-1' has blocked");
    cio_yield();
    struct timespec time = {.tv_nsec = 60000000};
    nanosleep(&time, NULL);
    return 0;
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

TEST(t75_each_block_is_reported_once)
{
    errors_catch(&errors);
    assert_int_equal(cio_run_with(&debugging, blocks_and_goes_on, NULL), 0);
    errors_end(&errors);
    assert_in_range(count(errors.text, "has blocked"), 1, 2);
    assert_int_equal(count(errors.text, "'Task-1' took"), 2);
}

static int quick(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        cio_yield();
    return cio_sleep(0.05);
}

TEST(t75_nothing_is_reported_of_quick_steps)
{
    const cio_run_options options = {.loop = {.debug = true, .slow_callback_duration = 10}};
    errors_catch(&errors);
    assert_int_equal(cio_run_with(&options, quick, NULL), 0);
    errors_end(&errors);
    assert_string_equal(errors.text, "");
}

TEST(t75_debug_mode_by_the_environment)
{
    setenv("CIO_DEBUG", "1", 1);
    cio_loop *loop = cio_loop_new(NULL);
    assert_true(cio_get_debug(loop));
    cio_loop_free(loop);
    setenv("CIO_DEBUG", "0", 1);
    loop = cio_loop_new(NULL);
    assert_false(cio_get_debug(loop));
    cio_loop_free(loop);
}

static int toggles(void *arg)
{
    cio_loop *loop = cio_get_running_loop();
    (void)arg;
    assert_false(cio_get_debug(loop));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_set_debug(loop, true), 0);
        assert_int_equal(cio_set_debug(loop, true), 0);
        assert_true(cio_get_debug(loop));
        assert_int_equal(cio_await(cio_create_task(quick, NULL)), 0);
        assert_int_equal(cio_set_debug(loop, false), 0);
        assert_false(cio_get_debug(loop));
        assert_int_equal(cio_await(cio_create_task(quick, NULL)), 0);
    }
    return 0;
}

TEST(debug_mode_can_be_turned_on_and_off_while_the_loop_runs)
{
    assert_int_equal(run_quiet(toggles, NULL), 0);
}

TEST(debug_mode_refuses_bad_input)
{
    assert_int_equal(cio_set_debug(NULL, true), -EINVAL);
    assert_false(cio_get_debug(NULL));
    assert_int_equal(cio_set_slow_callback_duration(NULL, 1), -EINVAL);
    assert_true(cio_get_slow_callback_duration(NULL) != cio_get_slow_callback_duration(NULL));
    cio_loop *loop = cio_loop_new(NULL);
    assert_true(cio_get_slow_callback_duration(loop) == 0.1);
    assert_int_equal(cio_set_slow_callback_duration(loop, 0), -EINVAL);
    assert_int_equal(cio_set_slow_callback_duration(loop, -1), -EINVAL);
    assert_int_equal(cio_set_slow_callback_duration(loop, (double)NAN), -EINVAL);
    assert_int_equal(cio_set_slow_callback_duration(loop, CIO_FOREVER), 0);
    assert_true(cio_get_slow_callback_duration(loop) == CIO_FOREVER);
    assert_int_equal(cio_set_slow_callback_duration(loop, 0.25), 0);
    assert_true(cio_get_slow_callback_duration(loop) == 0.25);
    cio_loop_close(loop);
    assert_int_equal(cio_set_debug(loop, true), CIO_ECLOSED);
    cio_loop_free(loop);
    assert_null(cio_loop_new(&(cio_loop_options){.slow_callback_duration = -1}));
    assert_int_equal(cio_last_error(), -EINVAL);
}

/* What is in this thread's reach, and must not be touched by it. */
struct foreign {
    cio_loop *loop;
    cio_future *future;
    cio_task *task;
    int fd;
};

static void nothing(void *arg)
{
    (void)arg;
}

static void when_done(cio_future *future, void *arg)
{
    (void)future, (void)arg;
}

static int returns(void *arg)
{
    (void)arg;
    return 0;
}

static int waits(void *arg)
{
    (void)arg;
    return cio_sleep(CIO_FOREVER);
}

FRAME void calls_from_another_thread(struct foreign *foreign)
{
    cio_handle handle = {0};
    cio_done_callback callback = {0};
    cio_task_options options = {.loop = foreign->loop};
    assert_int_equal(cio_call_soon(foreign->loop, &handle, nothing, NULL), CIO_EWRONGLOOP);
    assert_int_equal(cio_call_later(foreign->loop, &handle, 0, nothing, NULL), CIO_EWRONGLOOP);
    assert_int_equal(cio_call_at(foreign->loop, &handle, 0, nothing, NULL), CIO_EWRONGLOOP);
    assert_int_equal(cio_add_reader(foreign->loop, foreign->fd, &handle, nothing, NULL),
                     CIO_EWRONGLOOP);
    assert_int_equal(cio_add_writer(foreign->loop, foreign->fd, &handle, nothing, NULL),
                     CIO_EWRONGLOOP);
    assert_int_equal(cio_stop(foreign->loop), CIO_EWRONGLOOP);
    assert_int_equal(cio_set_debug(foreign->loop, false), CIO_EWRONGLOOP);
    assert_int_equal(cio_set_result(foreign->future, 1, NULL), CIO_EWRONGLOOP);
    assert_int_equal(cio_set_error(foreign->future, -EIO), CIO_EWRONGLOOP);
    assert_int_equal(cio_cancel(foreign->future), CIO_EWRONGLOOP);
    assert_int_equal(cio_cancel(foreign->task), CIO_EWRONGLOOP);
    assert_int_equal(cio_add_done_callback(foreign->future, &callback, when_done, NULL),
                     CIO_EWRONGLOOP);
    assert_null(cio_create_task_with(&options, returns, NULL));
    assert_int_equal(cio_last_error(), CIO_EWRONGLOOP);
    assert_null(cio_create_future(foreign->loop));
    assert_int_equal(cio_last_error(), CIO_EWRONGLOOP);
    KEEP_FRAME();
}

static void *in_thread(void *arg)
{
    struct foreign *foreign = arg;
    calls_from_another_thread(foreign);
    /* The right way. */
    static cio_handle handle;
    assert_int_equal(cio_call_soon_threadsafe(foreign->loop, &handle, nothing, NULL), 0);
    assert_int_equal(write(foreign->fd, "x", 1), 1);
    return NULL;
}

static int has_foreign_callers(void *arg)
{
    (void)arg;
    int fds[2];
    pthread_t thread;
    net_pair(fds, SOCK_STREAM);
    struct foreign foreign = {.loop = cio_get_running_loop(),
                              .future = cio_future_new(),
                              .task = cio_create_task(waits, NULL),
                              .fd = fds[1]};
    assert_int_equal(pthread_create(&thread, NULL, in_thread, &foreign), 0);
    assert_int_equal(cio_wait_readable(fds[0]), 0);
    pthread_join(thread, NULL);
    assert_false(cio_done(foreign.future));
    cio_cancel(foreign.future);
    cio_detach(foreign.future);
    cio_cancel(foreign.task);
    assert_int_equal(cio_await(foreign.task), CIO_ECANCELED);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(threads_t75_calls_from_another_thread_are_refused_and_reported)
{
    const cio_run_options options = {.loop = {.debug = true, .slow_callback_duration = 100}};
    errors_catch(&errors);
    assert_int_equal(cio_run_with(&options, has_foreign_callers, NULL), 0);
    errors_end(&errors);
    assert_int_equal(count(errors.text, "made a call on the loop that runs in thread"), 14);
    if (cio__symbols_load())
        expect_text(errors.text, "^      cio_call_soon \\(.*\n      calls_from_another_thread \\(");
}

/* The exception handler. */
struct context {
    int n;
    char message[100];
    char name[50];
    char created_at[200];
    int error;
    const cio_future *future;
};

static void keep_context(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    struct context *kept = arg;
    (void)loop;
    kept->n++;
    snprintf(kept->message, sizeof kept->message, "%s", context->message);
    snprintf(kept->name, sizeof kept->name, "%s", context->name ? context->name : "");
    snprintf(kept->created_at, sizeof kept->created_at, "%s",
             context->created_at ? context->created_at : "");
    kept->error = context->error;
    kept->future = context->future;
}

FRAME void creates_what_is_never_finished(void)
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.name = "forgotten"}, returns, NULL);
    KEEP_FRAME();
    assert_non_null(task);
}

static int forgets(void *arg)
{
    (void)arg;
    creates_what_is_never_finished();
    return cio_yield();
}

TEST(t75_a_handle_that_was_never_finished_is_reported_with_the_place_of_its_creation)
{
    struct context kept = {0};
    cio_run_options options = {.loop = {.debug = true, .slow_callback_duration = 100},
                               .exception_handler = keep_context,
                               .exception_arg = &kept};
    assert_int_equal(cio_run_with(&options, forgets, NULL), 0);
    assert_int_equal(kept.n, 1);
    assert_string_equal(kept.name, "forgotten");
    if (cio__symbols_load())
        expect_text(kept.created_at,
                    "^creates_what_is_never_finished \\(debug_mode\\.c:[0-9]+\\)$");
    assert_true(kept.created_at[0] != '\0');
}

TEST(t75_without_debug_mode_the_place_is_not_known)
{
    struct context kept = {0};
    cio_run_options options = {.exception_handler = keep_context, .exception_arg = &kept};
    assert_int_equal(cio_run_with(&options, forgets, NULL), 0);
    assert_int_equal(kept.n, 1);
    assert_string_equal(kept.created_at, "");
}

static int fails(void *arg)
{
    (void)arg;
    return -EIO;
}

static int lets_fail(void *arg)
{
    (void)arg;
    cio_detach(cio_create_task_with(&(cio_task_options){.name = "failing"}, fails, NULL));
    return cio_yield();
}

TEST(t76_the_handler_is_told_what_happened_to_whom)
{
    struct context kept = {0};
    cio_run_options options = {.loop = {.debug = true, .slow_callback_duration = 100},
                               .exception_handler = keep_context,
                               .exception_arg = &kept};
    assert_int_equal(cio_run_with(&options, lets_fail, NULL), 0);
    assert_int_equal(kept.n, 1);
    assert_string_equal(kept.message, "task's error was never retrieved");
    assert_string_equal(kept.name, "failing");
    assert_int_equal(kept.error, -EIO);
    assert_non_null(kept.future);
    if (cio__symbols_load())
        expect_text(kept.created_at, "^lets_fail \\(debug_mode\\.c:[0-9]+\\)$");
}

static void reports_again(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    ++*(int *)arg;
    cio_exception_context own = {.message = "the handler failed", .error = context->error};
    cio_call_exception_handler(loop, &own);
}

TEST(t76_what_a_handler_reports_goes_to_the_default)
{
    int calls = 0;
    cio_run_options options = {.exception_handler = reports_again, .exception_arg = &calls};
    errors_catch(&errors);
    assert_int_equal(cio_run_with(&options, lets_fail, NULL), 0);
    errors_end(&errors);
    assert_int_equal(calls, 1);
    assert_string_equal(errors.text, "cio: the handler failed: Input/output error (EIO)\n");
}

TEST(t76_the_default_writes_the_place_of_creation)
{
    errors_catch(&errors);
    const cio_run_options options = {.loop = {.debug = true, .slow_callback_duration = 100}};
    assert_int_equal(cio_run_with(&options, lets_fail, NULL), 0);
    errors_end(&errors);
    expect_text(errors.text,
                "^cio: task's error was never retrieved: 'failing': Input/output error "
                "\\(EIO\\); created at .");
}

static char *text;

FRAME int dumps(__attribute__((unused)) void *arg)
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.name = "child"}, quick, NULL);
    cio_yield();
    text = dump_text();
    cio_cancel(task);
    cio_await(task);
    return 0;
}

TEST(debug_mode_dumps_say_for_how_long_and_created_by_whom)
{
    const cio_run_options options = {.loop = {.debug = true, .slow_callback_duration = 100}};
    assert_int_equal(cio_run_with(&options, dumps, NULL), 0);
    expect_text(text, "^  'child' ready for [0-9]+\\.[0-9]{3} s$");
    if (cio__symbols_load())
        expect_text(text, "^    created by\n      dumps \\(debug_mode\\.c:[0-9]+\\)$");
    free(text);
}

static int spawns_many(void *arg)
{
    (void)arg;
    enum { N = 1000 };
    cio_task *tasks[N];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++)
            tasks[i] = cio_create_task(returns, NULL);
        assert_int_equal(cio_gather(tasks, N, 0), 0);
    }
    return 0;
}

TEST(debug_mode_keeps_a_place_for_each_of_many_tasks)
{
    const cio_run_options options = {.loop = {.debug = true, .slow_callback_duration = 100}};
    assert_int_equal(cio_run_with(&options, spawns_many, NULL), 0);
}
