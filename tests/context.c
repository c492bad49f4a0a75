/* Context variables: values, tokens, contexts held apart. Trap T24. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "memory.h"
#include "test.h"

static cio_context_var plain = CIO_CONTEXT_VAR_INIT("plain", "default");
static cio_context_var other = CIO_CONTEXT_VAR_INIT("other", NULL);

static int n_released;
static char last_released[32];

static void release(void *value)
{
    n_released++;
    strcpy(last_released, value);
    free(value);
}

static cio_context_var owned = {.name = "owned", .default_value = "nobody's", .release = release};

static void set(const cio_context_var *var, const char *value)
{
    assert_int_equal(cio_context_set(var, var->release ? strdup(value) : (char *)value, NULL), 0);
}

#define assert_has(var, text) assert_string_equal((char *)cio_context_get(var), text)

/* The thread's own context is left as it was found. */
static void clear_thread(void)
{
    cio_context_token token;
    set(&plain, "x");
    assert_int_equal(cio_context_set(&plain, "y", &token), 0);
    cio_context_forget(&token);
}

TEST(t24_without_a_set_there_is_the_default)
{
    assert_has(&plain, "default");
    assert_null(cio_context_get(&other));
    assert_has(&owned, "nobody's");
    assert_false(cio_context_has(&plain));
    assert_int_equal(cio_context_each(NULL, NULL, NULL), 0);
}

static int set_and_get(void *arg)
{
    (void)arg;
    set(&plain, "one");
    assert_has(&plain, "one");
    assert_true(cio_context_has(&plain));
    assert_null(cio_context_get(&other));
    set(&other, "two");
    set(&plain, "three");
    assert_has(&plain, "three");
    assert_has(&other, "two");
    assert_int_equal(cio_context_each(NULL, NULL, NULL), 2);
    assert_int_equal(cio_yield(), 0);
    assert_has(&plain, "three");
    return 0;
}

TEST(t24_a_task_reads_what_it_set)
{
    assert_int_equal(run_quiet(set_and_get, NULL), 0);
    assert_has(&plain, "default"); /* nothing is left of it outside */
}

static int many_variables(void *arg)
{
    enum { N = 300 };
    static cio_context_var vars[N];
    (void)arg;
    for (int i = 0; i < N; i++)
        assert_int_equal(cio_context_set(&vars[i], &vars[N - i - 1], NULL), 0);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(cio_context_get(&vars[i]), &vars[N - i - 1]);
    assert_int_equal(cio_context_each(NULL, NULL, NULL), N);
    return 0;
}

TEST(t24_hundreds_of_variables)
{
    assert_int_equal(run_quiet(many_variables, NULL), 0);
}

/* ---- tokens ---- */

static int tokens(void *arg)
{
    (void)arg;
    cio_context_token first, second;
    assert_int_equal(cio_context_set(&plain, "a", &first), 0);
    assert_int_equal(cio_context_set(&plain, "b", &second), 0);
    assert_int_equal(cio_context_reset(&plain, &second), 0);
    assert_has(&plain, "a");
    assert_int_equal(cio_context_reset(&plain, &first), 0);
    assert_has(&plain, "default");
    assert_false(cio_context_has(&plain));
    return 0;
}

TEST(t24_reset_gives_the_old_value_back)
{
    assert_int_equal(run_quiet(tokens, NULL), 0);
}

static int out_of_order(void *arg)
{
    (void)arg;
    cio_context_token first, second;
    set(&plain, "0");
    cio_context_set(&plain, "a", &first);
    cio_context_set(&plain, "b", &second);
    assert_int_equal(cio_context_reset(&plain, &first), 0);
    assert_has(&plain, "0");
    assert_int_equal(cio_context_reset(&plain, &second), 0);
    assert_has(&plain, "a");
    return 0;
}

TEST(t24_tokens_out_of_order)
{
    assert_int_equal(run_quiet(out_of_order, NULL), 0);
}

static int leaves_others_alone(void *arg)
{
    (void)arg;
    cio_context_token token;
    cio_context_set(&plain, "a", &token);
    set(&other, "set meanwhile");
    assert_int_equal(cio_context_reset(&plain, &token), 0);
    assert_has(&other, "set meanwhile");
    assert_false(cio_context_has(&plain));
    return 0;
}

TEST(t24_reset_touches_no_other_variable)
{
    assert_int_equal(run_quiet(leaves_others_alone, NULL), 0);
}

static int twice(void *arg)
{
    (void)arg;
    cio_context_token token;
    set(&plain, "0");
    cio_context_set(&plain, "a", &token);
    assert_int_equal(cio_context_reset(&plain, &token), 0);
    set(&plain, "b");
    assert_int_equal(cio_context_reset(&plain, &token), CIO_ESTATE);
    assert_has(&plain, "b");
    cio_context_forget(&token);
    assert_int_equal(cio_context_reset(&plain, &token), CIO_ESTATE);
    return 0;
}

TEST(t24_a_token_is_used_once)
{
    assert_int_equal(run_quiet(twice, NULL), 0);
}

static cio_context_token lent;

static int reset_lent(void *arg)
{
    (void)arg;
    assert_int_equal(cio_context_reset(&plain, &lent), -EINVAL);
    assert_has(&plain, "a");
    return 0;
}

static void reset_lent_in_callback(void *arg)
{
    assert_int_equal(cio_context_reset(&plain, &lent), -EINVAL);
    *(bool *)arg = true;
}

static int elsewhere(void *arg)
{
    cio_handle handle = CIO_HANDLE_INIT;
    bool called = false;
    cio_context copy = CIO_CONTEXT_INIT;
    assert_int_equal(cio_context_set(&plain, "a", &lent), 0);
    assert_int_equal(cio_context_reset(&other, &lent), -EINVAL);
    assert_int_equal(cio_await(cio_create_task(reset_lent, arg)), 0);
    cio_call_soon(cio_get_running_loop(), &handle, reset_lent_in_callback, &called);
    cio_yield();
    assert_true(called);
    cio_context_copy(&copy);
    assert_int_equal(cio_context_run(&copy, reset_lent, NULL), 0);
    cio_context_clear(&copy);
    assert_int_equal(cio_context_reset(&plain, &lent), 0); /* it was not used up */
    assert_has(&plain, "default");
    return 0;
}

TEST(t24_a_token_belongs_to_its_context_and_variable)
{
    assert_int_equal(run_quiet(elsewhere, NULL), 0);
}

static int token_of_before(void *arg)
{
    (void)arg;
    assert_int_equal(cio_context_reset(&plain, &lent), -EINVAL);
    return 0;
}

/* The thread's context outside of the loop is another one than that of the main task. */
TEST(t24_the_threads_own_context_survives_a_run)
{
    assert_int_equal(cio_context_set(&plain, "outside", &lent), 0);
    assert_int_equal(run_quiet(token_of_before, NULL), 0);
    assert_has(&plain, "outside");
    assert_int_equal(cio_context_reset(&plain, &lent), 0);
    assert_has(&plain, "default");
}

/* ---- ownership ---- */

static int owned_values(void *arg)
{
    (void)arg;
    set(&owned, "first");
    assert_has(&owned, "first");
    assert_int_equal(n_released, 0);
    set(&owned, "second");
    assert_int_equal(n_released, 1);
    assert_string_equal(last_released, "first");
    return 0;
}

TEST(t24_a_value_is_released_when_it_is_replaced_and_at_the_end)
{
    assert_int_equal(run_quiet(owned_values, NULL), 0);
    assert_int_equal(n_released, 2);
    assert_string_equal(last_released, "second");
}

static int owned_tokens(void *arg)
{
    (void)arg;
    cio_context_token token, forgotten;
    set(&owned, "a");
    assert_int_equal(cio_context_set(&owned, strdup("b"), &token), 0);
    assert_int_equal(n_released, 0); /* the token has it */
    assert_int_equal(cio_context_reset(&owned, &token), 0);
    assert_int_equal(n_released, 1);
    assert_string_equal(last_released, "b");
    assert_has(&owned, "a");
    assert_int_equal(cio_context_set(&owned, strdup("c"), &forgotten), 0);
    cio_context_forget(&forgotten);
    assert_int_equal(n_released, 2);
    assert_string_equal(last_released, "a");
    cio_context_forget(&forgotten);
    assert_int_equal(n_released, 2);
    return 0;
}

TEST(t24_a_token_holds_the_old_value)
{
    assert_int_equal(run_quiet(owned_tokens, NULL), 0);
    assert_int_equal(n_released, 3);
}

static int look_later(void *arg)
{
    assert_has(&owned, "shared");
    int rc = cio_sleep(*(double *)arg);
    assert_has(&owned, "shared");
    return rc;
}

static int shared_by_tasks(void *arg)
{
    double seconds[] = {0.002, 0.001};
    (void)arg;
    set(&owned, "shared");
    cio_task *tasks[] = {cio_create_task(look_later, &seconds[0]),
                         cio_create_task(look_later, &seconds[1])};
    set(&owned, "mine");
    assert_int_equal(n_released, 0);
    assert_int_equal(cio_gather(tasks, 2, 0), 0);
    assert_int_equal(n_released, 1); /* with the last task that had it */
    assert_string_equal(last_released, "shared");
    return 0;
}

TEST(t24_a_value_lives_as_long_as_the_last_task_that_has_it)
{
    assert_int_equal(run_quiet(shared_by_tasks, NULL), 0);
    assert_int_equal(n_released, 2);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static int canceled_calls(void *arg)
{
    (void)arg;
    cio_loop *loop = cio_get_running_loop();
    cio_handle soon = CIO_HANDLE_INIT, later = CIO_HANDLE_INIT, posted = CIO_HANDLE_INIT;
    cio_done_callback done = {0};
    set(&owned, "captured");
    cio_future *future = cio_future_new();
    cio_call_soon(loop, &soon, do_nothing, NULL);
    cio_call_later(loop, &later, 100, do_nothing, NULL);
    cio_call_soon_threadsafe(loop, &posted, do_nothing, NULL);
    cio_add_done_callback(future, &done, (cio_done_fn *)(void (*)(void))do_nothing, NULL);
    set(&owned, "another");
    assert_int_equal(n_released, 0);
    assert_true(cio_handle_cancel(&soon));
    assert_true(cio_handle_cancel(&later));
    assert_true(cio_handle_cancel(&posted));
    assert_int_equal(cio_remove_done_callback(&done), 1);
    assert_int_equal(n_released, 1);
    cio_cancel(future);
    cio_detach(future);
    return 0;
}

TEST(t24_a_canceled_call_lets_its_context_go)
{
    assert_int_equal(run_quiet(canceled_calls, NULL), 0);
    assert_int_equal(n_released, 2);
}

/* Whatever stands in a loop that is closed. */
TEST(t24_a_closed_loop_lets_all_contexts_go)
{
    cio_handle soon = CIO_HANDLE_INIT, later = CIO_HANDLE_INIT, posted = CIO_HANDLE_INIT;
    cio_handle writer = CIO_HANDLE_INIT;
    cio_done_callback done = {0};
    struct reports reports = {0};
    cio_loop *loop = cio_loop_new(NULL);
    cio_set_exception_handler(loop, reports_add, &reports);
    set(&owned, "captured");
    cio_future *future = cio_create_future(loop);
    cio_create_task_with(&(cio_task_options){.loop = loop}, set_and_get, NULL);
    cio_call_soon(loop, &soon, do_nothing, NULL);
    cio_call_later(loop, &later, 100, do_nothing, NULL);
    cio_call_soon_threadsafe(loop, &posted, do_nothing, NULL);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(cio_add_writer(loop, fds[1], &writer, do_nothing, NULL), 0);
    cio_add_done_callback(future, &done, (cio_done_fn *)(void (*)(void))do_nothing, NULL);
    set(&owned, "another");
    assert_int_equal(n_released, 0);
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(n_released, 1);
    assert_int_equal(reports.n, 2);
    close(fds[0]);
    close(fds[1]);
}

/* ---- contexts apart ---- */

static int look_and_set(void *arg)
{
    assert_has(&plain, arg);
    set(&plain, "inside");
    int rc = cio_current_task() ? cio_yield() : 0;
    assert_has(&plain, "inside");
    return rc < 0 ? rc : 7;
}

static int run_apart(void *arg)
{
    (void)arg;
    cio_context context;
    set(&plain, "a");
    assert_int_equal(cio_context_copy(&context), 0);
    set(&plain, "b");
    assert_int_equal(cio_context_run(&context, look_and_set, "a"), 7);
    assert_has(&plain, "b");
    assert_string_equal(cio_context_get_in(&context, &plain), "inside");
    assert_int_equal(cio_context_run(&context, look_and_set, "inside"), 7);
    assert_ptr_equal(cio_context_get_in(NULL, &plain), plain.default_value);
    cio_context_clear(&context);
    assert_string_equal(cio_context_get_in(&context, &plain), "default");
    assert_int_equal(cio_context_run(&context, look_and_set, "default"), 7);
    cio_context_clear(&context);
    return 0;
}

TEST(t24_a_context_is_run_in_and_keeps_what_is_set)
{
    assert_int_equal(run_quiet(run_apart, NULL), 0);
}

TEST(t24_a_context_is_run_in_outside_of_tasks)
{
    cio_context context = CIO_CONTEXT_INIT;
    assert_int_equal(cio_context_run(&context, look_and_set, "default"), 7);
    assert_has(&plain, "default");
    assert_int_equal(cio_context_each(&context, NULL, NULL), 1);
    cio_context_clear(&context);
    assert_int_equal(cio_context_each(&context, NULL, NULL), 0);
    clear_thread();
}

static int fail_in_context(void *arg)
{
    (void)arg;
    set(&plain, "inside");
    return cio_sleep(CIO_FOREVER);
}

static int canceled_in_context(void *arg)
{
    cio_context *context = arg;
    assert_int_equal(cio_context_run(context, fail_in_context, NULL), CIO_ECANCELED);
    assert_has(&plain, "default");
    return CIO_ECANCELED;
}

static int cancels_in_context(void *arg)
{
    (void)arg;
    cio_context context = CIO_CONTEXT_INIT;
    cio_task *task = cio_create_task(canceled_in_context, &context);
    cio_yield();
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_string_equal(cio_context_get_in(&context, &plain), "inside");
    cio_context_clear(&context);
    return 0;
}

TEST(t24_canceled_in_a_context_the_old_one_is_back)
{
    assert_int_equal(run_quiet(cancels_in_context, NULL), 0);
}

static bool note_var(const cio_context_var *var, void *value, void *arg)
{
    note("%s=%s", var->name, (char *)value);
    return --*(int *)arg > 0;
}

static int walk(void *arg)
{
    (void)arg;
    int most = 10;
    cio_context_token token;
    cio_context_set(&other, "gone", &token);
    set(&plain, "1");
    set(&owned, "2");
    cio_context_reset(&other, &token);
    assert_int_equal(cio_context_each(NULL, note_var, &most), 2);
    assert_non_null(strstr(noted(), "plain=1"));
    assert_non_null(strstr(noted(), "owned=2"));
    assert_null(strstr(noted(), "other"));
    most = 1;
    assert_int_equal(cio_context_each(NULL, note_var, &most), 1);
    return 0;
}

TEST(t24_a_context_can_be_walked)
{
    assert_int_equal(run_quiet(walk, NULL), 0);
}

/* ---- bad input ---- */

static int bad_input(void *arg)
{
    (void)arg;
    cio_context context = CIO_CONTEXT_INIT;
    cio_context_token token = {0};
    assert_null(cio_context_get(NULL));
    assert_false(cio_context_has(NULL));
    assert_int_equal(cio_context_set(NULL, "x", NULL), -EINVAL);
    assert_int_equal(cio_context_reset(NULL, &token), -EINVAL);
    assert_int_equal(cio_context_reset(&plain, NULL), -EINVAL);
    assert_int_equal(cio_context_reset(&plain, &token), CIO_ESTATE);
    cio_context_forget(NULL);
    cio_context_forget(&token);
    assert_int_equal(cio_context_copy(NULL), -EINVAL);
    assert_int_equal(cio_context_run(NULL, walk, NULL), -EINVAL);
    assert_int_equal(cio_context_run(&context, NULL, NULL), -EINVAL);
    assert_null(cio_context_get_in(&context, NULL));
    cio_context_clear(NULL);
    assert_int_equal(cio_get_context(NULL, &context), -EINVAL);
    assert_int_equal(cio_get_context(cio_current_task(), NULL), -EINVAL);
    cio_future *future = cio_future_new();
    assert_int_equal(cio_get_context(future, &context), -EINVAL);
    cio_cancel(future);
    cio_detach(future);
    return 0;
}

TEST(t24_bad_input_is_an_error)
{
    assert_int_equal(run_quiet(bad_input, NULL), 0);
}

/* ---- no memory ---- */

static int without_memory(void *arg)
{
    (void)arg;
    cio_context_token token;
    char *value = strdup("mine");
    set(&plain, "a");
    set(&other, "b");
    assert_int_equal(cio_context_set(&plain, "set", &token), 0);
    cio_task *child = cio_create_task(look_and_set, "set"); /* shares the snapshot */
    memory_lacks();
    assert_int_equal(cio_context_set(&plain, "no", NULL), -ENOMEM);
    assert_int_equal(cio_context_set(&owned, value, NULL), -ENOMEM);
    assert_int_equal(cio_context_reset(&plain, &token), -ENOMEM);
    assert_has(&plain, "set");
    assert_has(&owned, "nobody's");
    memory_returns();
    assert_int_equal(cio_context_reset(&plain, &token), 0);
    assert_has(&plain, "a");
    memory_lacks(); /* what nobody shares is changed where it is */
    assert_int_equal(cio_context_set(&plain, "c", &token), 0);
    assert_int_equal(cio_context_reset(&plain, &token), 0);
    memory_returns();
    assert_has(&plain, "a");
    assert_int_equal(cio_context_set(&owned, value, NULL), 0);
    return cio_await(child) == 7 ? 0 : -1;
}

TEST(t24_without_memory_nothing_has_happened)
{
    memory_begin();
    assert_int_equal(run_quiet(without_memory, NULL), 0);
    assert_int_equal(n_released, 1);
    memory_end();
}
