/* examples/worker_pool: whatever the numbers, every job that is made is done, once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "test.h"

enum { MOST = 64, CANNOT_EXEC = 126 };

struct output {
    int made[MOST][MOST], done[MOST][MOST]; /* by producer and number */
    int n_made, n_done;
    char last[2][80];
    int exit_code;
};

static void read_line(struct output *o, const char *line)
{
    int who, producer, number;
    double waited;
    snprintf(o->last[0], sizeof o->last[0], "%.79s", o->last[1]);
    snprintf(o->last[1], sizeof o->last[1], "%.79s", line);
    if (sscanf(line, "producer %d: job %d.%d", &who, &producer, &number) == 3) {
        assert_int_equal(who, producer);
        assert_in_range(producer, 0, MOST - 1);
        assert_in_range(number, 0, MOST - 1);
        assert_int_equal(o->made[producer][number]++, 0);
        o->n_made++;
    } else if (sscanf(line, "consumer %d: job %d.%d, which waited for %lf", &who, &producer,
                      &number, &waited) == 4) {
        assert_in_range(producer, 0, MOST - 1);
        assert_in_range(number, 0, MOST - 1);
        assert_int_equal(o->made[producer][number], 1); /* it is said to be made before */
        assert_int_equal(o->done[producer][number]++, 0);
        assert_true(waited >= 0);
        o->n_done++;
    }
}

static void run(struct output *o, const char *arguments)
{
    memset(o, 0, sizeof *o);
#ifdef CIO_EXAMPLES_DIR
    char command[1024], line[256];
    snprintf(command, sizeof command, "%s/worker_pool %s 2>&1", CIO_EXAMPLES_DIR, arguments);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        read_line(o, line);
    }
    int status = pclose(f);
    assert_true(WIFEXITED(status));
    o->exit_code = WEXITSTATUS(status);
    if (o->exit_code == CANNOT_EXEC)
        test_skip("the examples are not for this machine");
#else
    (void)arguments, (void)read_line;
    test_skip("built without the examples");
#endif
}

static void assert_all_done(const struct output *o, int producers, int consumers)
{
    char made[80], done[80];
    snprintf(made, sizeof made, "made %d by %d", o->n_made, producers);
    snprintf(done, sizeof done, "done %d by %d", o->n_made, consumers);
    assert_int_equal(o->exit_code, 0);
    assert_true(o->n_made >= producers);
    assert_int_equal(o->n_done, o->n_made);
    assert_string_equal(o->last[0], made);
    assert_string_equal(o->last[1], done);
}

TEST(every_job_is_done_once)
{
    static const int pools[][2] = {{2, 5}, {1, 1}, {10, 1}, {1, 10}, {12, 12}};
    for (int i = 0; i < 5; i++) {
        struct output o;
        char arguments[64];
        snprintf(arguments, sizeof arguments, "-p %d -c %d", pools[i][0], pools[i][1]);
        run(&o, arguments);
        assert_all_done(&o, pools[i][0], pools[i][1]);
    }
}

TEST(worker_pool_refuses_bad_options)
{
    static const char *const bad[] = {"-p 0", "-c 0", "-p x", "-c -3", "--producers", "-z", "word"};
    for (int i = 0; i < 7; i++) {
        struct output o;
        run(&o, bad[i]);
        assert_int_equal(o.exit_code, 2);
    }
}
