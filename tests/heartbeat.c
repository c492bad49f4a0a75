/* examples/heartbeat.c, run as a user runs it. What it shows is shown exactly in latency.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "test.h"

/* Returns its exit code; what it says is left in text. */
static int run_example(const char *arguments, char *text, size_t size)
{
#ifdef CIO_EXAMPLES_DIR
    char command[1024];
    unsetenv("CIO_TURN_BUDGET");
    snprintf(command, sizeof command, "%s/heartbeat %s 2>&1", CIO_EXAMPLES_DIR, arguments);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    size_t n = fread(text, 1, size - 1, output);
    text[n] = '\0';
    int status = pclose(output);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 126)
        test_skip("the examples are not for this machine");
    return WEXITSTATUS(status);
#else
    (void)arguments, (void)text, (void)size;
    test_skip("built without the examples");
#endif
}

static int worst_jobs(const char *arguments, int *beats)
{
    char text[512];
    int jobs = 0, worst = -1;
    assert_int_equal(run_example(arguments, text, sizeof text), 0);
    assert_int_equal(sscanf(text, "%d jobs of 10 ms, %d heartbeats, late by %*f ms at most: %d job",
                            &jobs, beats, &worst),
                     3);
    assert_int_equal(jobs, 200);
    return worst;
}

TEST(heartbeat_is_late_by_a_job_at_most)
{
    int beats = 0;
    assert_in_range(worst_jobs("", &beats), 0, 2); /* 2: the machine took the processor away */
    assert_in_range(beats, 4, 200);
}

TEST(heartbeat_in_asyncio_order_is_late_by_nearly_all_jobs)
{
    int beats = 0;
    assert_in_range(worst_jobs("--asyncio", &beats), 100, 200);
    assert_in_range(beats, 3, 6);
}

TEST(heartbeat_refuses_other_options)
{
    char text[512];
    assert_int_equal(run_example("--fast", text, sizeof text), 2);
    assert_non_null(strstr(text, "usage: heartbeat"));
}
