/* Dumps of tasks that stand in the body of a generator, on a stack that is not theirs. */
#include "journal.h"
#include "texts.h"

FRAME int wait_in_body(void)
{
    int rc = cio_sleep(CIO_FOREVER);
    KEEP_FRAME();
    return rc;
}

static int waiting_body(cio_generator *g, void *arg)
{
    (void)g, (void)arg;
    int rc = wait_in_body();
    KEEP_FRAME();
    return rc;
}

static int consume(void *g)
{
    int rc = cio_generator_next(g, NULL);
    KEEP_FRAME();
    return rc;
}

static char *text;

FRAME int dump_in_body(void)
{
    text = dump_text();
    KEEP_FRAME();
    return 0;
}

static int dumping_body(cio_generator *g, void *arg)
{
    (void)g, (void)arg;
    int rc = dump_in_body();
    KEEP_FRAME();
    return rc;
}

/* With a stack of the loop's, and with one of nobody's. */
static int dump_main(void *outsider)
{
    cio_generator *waiting = cio_generator_new(waiting_body, NULL);
    cio_task_options options = {.name = "waiter"};
    cio_task *task = cio_create_task_with(&options, consume, waiting);
    cio_yield();
    cio_yield();
    assert_int_equal(cio_generator_next(outsider, NULL), 0);
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    return cio_generator_free(waiting);
}

static void dump_in_callback(void *g)
{
    assert_int_equal(cio_generator_next(g, NULL), 0);
    cio_stop(cio_get_running_loop());
}

TEST(dump_in_and_of_the_bodies_of_generators)
{
    cio_generator *outsider = cio_generator_new(dumping_body, NULL);
    assert_int_equal(run_quiet(dump_main, outsider), 0);
    expect_text(text, "^  'waiter' sleeping, cio_sleep");
    expect_frame(text, "waiter", "wait_in_body");
    expect_text(text, "^  'Task-1' running$");
    expect_frame(text, "Task-1", "dump_in_body");
    free(text);
    assert_int_equal(cio_generator_free(outsider), 0);
}

TEST(dump_in_a_generator_that_a_callback_consumes)
{
    cio_generator *g = cio_generator_new(dumping_body, NULL);
    cio_loop *loop = cio_loop_new(NULL);
    cio_handle handle = CIO_HANDLE_INIT;
    assert_int_equal(cio_call_soon(loop, &handle, dump_in_callback, g), 0);
    assert_int_equal(cio_run_forever(loop), 0);
    expect_text(text, "^Loop 1 at ");
    free(text);
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(cio_generator_free(g), 0);
}
