/* Context variables: who sees what was set where. scenario_contexts.py is the twin. */
#include <errno.h>

#include "trace.h"

static cio_context_var var = CIO_CONTEXT_VAR_INIT("var", "default");
static cio_context_var other = CIO_CONTEXT_VAR_INIT("other", "default");

static const char *get(void)
{
    return cio_context_get(&var);
}

static void set(const char *value)
{
    cio_context_set(&var, (char *)value, NULL);
}

static int sees_and_sets(void *arg)
{
    say("%s sees %s", (char *)arg, get());
    set(arg);
    wait_turns(2);
    say("%s sees %s", (char *)arg, get());
    return 0;
}

SCENARIO(contexts_of_tasks)
{
    set("1");
    cio_task *a = cio_create_task(sees_and_sets, "a");
    set("2");
    cio_task *b = cio_create_task(sees_and_sets, "b");
    set("3");
    say("main sees %s", get());
    cio_await(a);
    say("main sees %s", get());
    cio_await(b);
    say("main sees %s", get());
    return 0;
}

static int goes_down(void *arg)
{
    int depth = *(int *)arg;
    static const char *const names[] = {"leaf", "middle", "top"};
    say("%s sees %s", names[depth], get());
    set(names[depth]);
    if (depth > 0) {
        int next = depth - 1;
        cio_await(cio_create_task(goes_down, &next));
    }
    say("%s ends with %s", names[depth], get());
    return 0;
}

SCENARIO(contexts_of_nested_tasks)
{
    int depth = 2;
    set("main");
    cio_await(cio_create_task(goes_down, &depth));
    say("main ends with %s", get());
    return 0;
}

SCENARIO(contexts_of_a_group)
{
    cio_group g;
    cio_group_enter(&g);
    set("first");
    cio_group_start(&g, sees_and_sets, "a");
    set("second");
    cio_group_start(&g, sees_and_sets, "b");
    cio_group_exit(&g, 0);
    say("main sees %s", get());
    return 0;
}

static void says_and_sets(void *arg)
{
    say("%s sees %s", (char *)arg, get());
    set(arg);
}

SCENARIO(contexts_of_callbacks)
{
    cio_handle handles[4] = {{0}};
    cio_loop *loop = cio_get_running_loop();
    cio_call_soon(loop, &handles[0], says_and_sets, "plain");
    set("1");
    cio_call_soon(loop, &handles[1], says_and_sets, "soon");
    set("2");
    cio_call_later(loop, &handles[2], 0, says_and_sets, "later");
    set("3");
    cio_call_soon_threadsafe(loop, &handles[3], says_and_sets, "threadsafe");
    set("4");
    wait_turns(4);
    say("main sees %s", get());
    return 0;
}

static void done_says(cio_future *future, void *arg)
{
    (void)future;
    says_and_sets(arg);
}

SCENARIO(contexts_of_done_callbacks)
{
    cio_done_callback callbacks[3] = {{.future = NULL}};
    cio_future *future = cio_future_new();
    cio_add_done_callback(future, &callbacks[0], done_says, "plain");
    set("1");
    cio_add_done_callback(future, &callbacks[1], done_says, "second");
    set("2");
    cio_set_result(future, 1, NULL);
    set("3");
    cio_add_done_callback(future, &callbacks[2], done_says, "late");
    set("4");
    wait_turns(3);
    say("main sees %s", get());
    return cio_detach(future);
}

static cio_task *made;

static void makes_a_task(void *arg)
{
    set("callback");
    made = cio_create_task(sees_and_sets, arg);
}

SCENARIO(context_of_a_task_made_in_a_callback)
{
    cio_handle handle = CIO_HANDLE_INIT;
    cio_call_soon(cio_get_running_loop(), &handle, makes_a_task, "task");
    wait_turns(2);
    cio_await(made);
    say("main sees %s", get());
    return 0;
}

static void say_reset(const cio_context_var *of, cio_context_token *token)
{
    int rc = cio_context_reset(of, token);
    const char *end = rc == 0            ? "reset"
                      : rc == CIO_ESTATE ? "used already"
                      : rc == -EINVAL    ? "not here"
                                         : "?";
    say("%s %s", end, get());
}

SCENARIO(tokens)
{
    cio_context_token first, second;
    cio_context_set(&var, "a", &first);
    cio_context_set(&var, "b", &second);
    say_reset(&other, &first);
    say_reset(&var, &second);
    say_reset(&var, &second);
    say_reset(&var, &first);
    say_reset(&var, &first);
    return 0;
}

SCENARIO(tokens_in_the_wrong_order)
{
    cio_context_token first, second;
    cio_context_set(&var, "a", &first);
    cio_context_set(&var, "b", &second);
    say_reset(&var, &first);
    say_reset(&var, &second);
    return 0;
}

static cio_context_token lent;

static int resets_in_task(void *arg)
{
    (void)arg;
    say_reset(&var, &lent);
    return 0;
}

static void resets_in_callback(void *arg)
{
    (void)arg;
    say_reset(&var, &lent);
}

SCENARIO(tokens_elsewhere)
{
    cio_handle handle = CIO_HANDLE_INIT;
    cio_context_set(&var, "a", &lent);
    cio_await(cio_create_task(resets_in_task, NULL));
    cio_call_soon(cio_get_running_loop(), &handle, resets_in_callback, NULL);
    wait_turns(1);
    say_reset(&var, &lent);
    return 0;
}

SCENARIO(a_context_given_to_tasks)
{
    cio_context context;
    cio_task_options options = {.context = &context};
    set("given");
    cio_context_copy(&context);
    set("main");
    cio_task *a = cio_create_task_with(&options, sees_and_sets, "a");
    cio_task *b = cio_create_task_with(&options, sees_and_sets, "b");
    cio_await(a);
    cio_await(b);
    say("main sees %s", get());
    say("it has %s", (char *)cio_context_get_in(&context, &var));
    cio_context_clear(&context);
    return 0;
}

static int run_says(void *arg)
{
    says_and_sets(arg);
    return 3;
}

SCENARIO(run_in_a_context)
{
    cio_context context;
    cio_context_copy(&context);
    set("main");
    say("%d", cio_context_run(&context, run_says, "first"));
    say("main sees %s", get());
    say("%d", cio_context_run(&context, run_says, "second"));
    say("it has %s of %d", (char *)cio_context_get_in(&context, &var),
        cio_context_each(&context, NULL, NULL));
    cio_context_clear(&context);
    return 0;
}

static int cleans_up(void *arg)
{
    (void)arg;
    cio_context_token token;
    cio_context_set(&var, "inside", &token);
    int rc = wait_turns(FOREVER);
    say("canceled with %s", get());
    say_reset(&var, &token);
    return rc;
}

SCENARIO(context_of_a_canceled_task)
{
    set("main");
    cio_task *task = cio_create_task(cleans_up, NULL);
    wait_turns(2);
    set("later");
    cio_cancel(task);
    say("task: %s", how(cio_await(task)));
    say("main sees %s", get());
    return 0;
}

static int says_and_sets_in_a_thread(void *arg)
{
    says_and_sets(arg);
    return 4;
}

SCENARIO_TIMED(context_of_a_job)
{
    set("main");
    say("%d", cio_to_thread(says_and_sets_in_a_thread, "job"));
    say("main sees %s", get());
    cio_await(cio_run_in_executor(NULL, says_and_sets_in_a_thread, "executor's"));
    say("main sees %s", get());
    return 0;
}
