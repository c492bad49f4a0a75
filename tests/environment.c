/* Variables of the environment: what is understood, and what is said of what is not. */
#include <errno.h>
#include <signal.h>

#include "loop/loop.h"
#include "texts.h"

static struct errors errors;

/* What is written to stderr while loops are made, or tried to. */
static const char *make_loops(const char *variable, const char *value, int n, cio_loop **ret)
{
    setenv(variable, value, 1);
    errors_catch(&errors);
    for (int i = 0; i < n; i++) {
        cio_loop_free(*ret);
        *ret = cio_loop_new(NULL);
    }
    errors_end(&errors);
    return errors.text;
}

TEST(turn_budget_that_is_none_is_told_of_once)
{
    cio_loop *loop = NULL;
    assert_string_equal(make_loops("CIO_TURN_BUDGET", "soon", 3, &loop),
                        "cio: CIO_TURN_BUDGET=soon is ignored; it takes seconds above 0, or inf\n");
    assert_int_equal(loop->turn_budget_ns, 1000000);
    cio_loop_free(loop);
}

static void expect_bad_budget(const char *value)
{
    cio_loop *loop = NULL;
    expect_text(make_loops("CIO_TURN_BUDGET", value, 1, &loop), "^cio: CIO_TURN_BUDGET=");
    cio_loop_free(loop);
}

TEST(turn_budget_with_something_behind_it)
{
    expect_bad_budget("0.5s");
}

TEST(turn_budget_below_0)
{
    expect_bad_budget("-1");
}

TEST(turn_budget_nan)
{
    expect_bad_budget("nan");
}

TEST(turn_budget_that_is_one_is_not_told_of)
{
    static const char *const good[] = {"", "0", "0.5", "1e-3", "inf"};
    static const int64_t ns[] = {1000000, 1000000, 500000000, 1000000, CIO__NEVER};
    cio_loop *loop = NULL;
    for (int i = 0; i < 5; i++) {
        assert_string_equal(make_loops("CIO_TURN_BUDGET", good[i], 1, &loop), "");
        assert_int_equal(loop->turn_budget_ns, ns[i]);
    }
    cio_loop_free(loop);
}

/* An option goes first, and what it hides is not looked at. */
TEST(turn_budget_by_option_hides_the_variable)
{
    setenv("CIO_TURN_BUDGET", "soon", 1);
    errors_catch(&errors);
    cio_loop *loop = cio_loop_new(&(cio_loop_options){.turn_budget = 2});
    errors_end(&errors);
    assert_string_equal(errors.text, "");
    assert_int_equal(loop->turn_budget_ns, 2000000000);
    cio_loop_free(loop);
}

TEST(debug_that_is_neither_on_nor_off_is_told_of_once)
{
    cio_loop *loop = NULL;
    assert_string_equal(make_loops("CIO_DEBUG", "perhaps", 2, &loop),
                        "cio: CIO_DEBUG=perhaps is ignored; it takes 1 or 0\n");
    assert_false(cio_get_debug(loop));
    cio_loop_free(loop);
}

TEST(debug_on_and_off)
{
    static const char *const on[] = {"1", "true", "YES", "on"};
    static const char *const off[] = {"", "0", "false", "No", "off"};
    cio_loop *loop = NULL;
    for (int i = 0; i < 4; i++) {
        assert_string_equal(make_loops("CIO_DEBUG", on[i], 1, &loop), "");
        assert_true(cio_get_debug(loop));
    }
    for (int i = 0; i < 5; i++) {
        assert_string_equal(make_loops("CIO_DEBUG", off[i], 1, &loop), "");
        assert_false(cio_get_debug(loop));
    }
    cio_loop_free(loop);
}

TEST(backend_that_there_is_not_is_told_of_and_refused)
{
    cio_loop *loop = NULL;
    assert_string_equal(make_loops("CIO_BACKEND", "kqueue", 2, &loop),
                        "cio: CIO_BACKEND=kqueue is refused; there is epoll\n");
    assert_null(loop);
    assert_int_equal(cio_last_error(), -EINVAL);
}

/* By an option it is the program's error, and the program is told. */
TEST(backend_by_option_is_refused_without_a_word)
{
    errors_catch(&errors);
    assert_null(cio_loop_new(&(cio_loop_options){.backend = "kqueue"}));
    errors_end(&errors);
    assert_string_equal(errors.text, "");
}

static int returns(void *arg)
{
    struct sigaction action;
    assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
    *(bool *)arg = action.sa_handler != SIG_DFL;
    return 0;
}

static const char *run_with_dump_signal(const char *value, bool *ret_set)
{
    setenv("CIO_DUMP_SIGNAL", value, 1);
    errors_catch(&errors);
    for (int i = 0; i < 2; i++)
        assert_int_equal(cio_run(returns, ret_set), 0);
    errors_end(&errors);
    return errors.text;
}

static void expect_bad_signal(const char *value)
{
    bool set;
    char expected[200];
    snprintf(expected, sizeof expected,
             "cio: CIO_DUMP_SIGNAL=%s is ignored; it takes USR1, USR2 or a signal's number\n",
             value);
    assert_string_equal(run_with_dump_signal(value, &set), expected);
    assert_false(set);
}

TEST(dump_signal_of_no_such_name)
{
    expect_bad_signal("USR3");
}

TEST(dump_signal_of_no_such_number)
{
    expect_bad_signal("65");
}

TEST(dump_signal_that_cannot_be_caught)
{
    expect_bad_signal("9");
}

TEST(dump_signal_and_something_behind_it)
{
    expect_bad_signal("10x");
}

TEST(dump_signal_by_name_and_number)
{
    static const char *const good[] = {"USR1", "SIGUSR1", "10"};
    bool set = false;
    for (int i = 0; i < 3; i++) {
        assert_string_equal(run_with_dump_signal(good[i], &set), "");
        assert_true(set);
    }
    assert_string_equal(run_with_dump_signal("", &set), "");
    assert_false(set);
}

/* What is told is a line, whatever the value is. */
TEST(long_values_are_cut)
{
    char value[5000];
    cio_loop *loop = NULL;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    assert_in_range(strlen(make_loops("CIO_TURN_BUDGET", value, 1, &loop)), 100, 200);
    cio_loop_free(loop);
}
