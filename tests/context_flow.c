/* How contexts travel: to tasks, to callbacks, to other threads, over a fork. Trap T24. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal.h"
#include "loop/vars.h"
#include "memory.h"
#include "test.h"

static cio_context_var var = CIO_CONTEXT_VAR_INIT("var", "-");

#define GET() ((char *)cio_context_get(&var))

static void set(const char *value)
{
    assert_int_equal(cio_context_set(&var, (char *)value, NULL), 0);
}

#define assert_var(text) assert_string_equal(GET(), text)

/* ---- tasks ---- */

static int child(void *arg)
{
    assert_var(arg);
    set("child's");
    assert_int_equal(cio_yield(), 0);
    assert_var("child's");
    return 0;
}

static int parent(void *arg)
{
    (void)arg;
    set("at creation");
    cio_task *task = cio_create_task(child, "at creation");
    set("after");
    assert_int_equal(cio_await(task), 0);
    assert_var("after");
    return 0;
}

TEST(t24_a_task_begins_with_a_copy_of_the_context_of_its_creation)
{
    assert_int_equal(run_quiet(parent, NULL), 0);
}

static int nested(void *arg)
{
    int depth = *(int *)arg;
    char text[16], own[16];
    snprintf(text, sizeof text, "%d", depth + 1);
    snprintf(own, sizeof own, "%d", depth);
    assert_var(text);
    set(own);
    if (depth > 0) {
        int next = depth - 1;
        assert_int_equal(cio_await(cio_create_task(nested, &next)), 0);
    }
    assert_var(own);
    return 0;
}

static int nest(void *arg)
{
    set("21");
    return nested(arg);
}

TEST(t24_tasks_of_tasks)
{
    assert_int_equal(run_quiet(nest, &(int){20}), 0);
}

static int in_group(void *arg)
{
    (void)arg;
    cio_group group;
    set("group");
    cio_group_enter(&group);
    cio_group_start(&group, child, "group");
    set("later");
    cio_group_start(&group, child, "later");
    return cio_group_exit(&group, 0);
}

TEST(t24_children_of_a_group_inherit)
{
    assert_int_equal(run_quiet(in_group, NULL), 0);
}

static int eager_parent(void *arg)
{
    (void)arg;
    set("eager");
    cio_task *task = cio_create_task_with(&(cio_task_options){.eager = true}, child, "eager");
    assert_var("eager");
    assert_int_equal(cio_await(task), 0);
    assert_var("eager");
    return 0;
}

TEST(t24_an_eager_task_has_its_own_copy)
{
    assert_int_equal(run_quiet(eager_parent, NULL), 0);
}

static int set_in_callers_task(void *arg)
{
    (void)arg;
    set("leaks");
    return cio_yield();
}

static int waits_for(void *arg)
{
    assert_int_equal(cio_wait_for(set_in_callers_task, arg, 100), 0);
    assert_var("leaks"); /* T35: it is the caller's task */
    return 0;
}

TEST(t35_what_wait_for_sets_is_the_callers)
{
    assert_int_equal(run_quiet(waits_for, NULL), 0);
}

static int given(void *arg)
{
    assert_var(arg);
    set(strcmp(arg, "first") == 0 ? "second" : "third");
    assert_int_equal(cio_yield(), 0);
    return 0;
}

static int gives_context(void *arg)
{
    (void)arg;
    cio_context context = CIO_CONTEXT_INIT;
    cio_task_options options = {.context = &context, .name = "given"};
    set("first");
    cio_context_copy(&context);
    set("parent's");
    assert_int_equal(cio_await(cio_create_task_with(&options, given, "first")), 0);
    assert_string_equal(cio_context_get_in(&context, &var), "second");
    assert_int_equal(cio_await(cio_create_task_with(&options, given, "second")), 0);
    assert_string_equal(cio_context_get_in(&context, &var), "third");
    assert_var("parent's");
    cio_context_clear(&context);
    return 0;
}

TEST(t24_a_given_context_is_not_copied)
{
    assert_int_equal(run_quiet(gives_context, NULL), 0);
}

static int first_of_two(void *arg)
{
    (void)arg;
    set("from the first");
    return 0;
}

static int second_of_two(void *arg)
{
    (void)arg;
    assert_var("from the first");
    return 0;
}

static int two_in_one(void *arg)
{
    (void)arg;
    cio_context context = CIO_CONTEXT_INIT;
    cio_task_options options = {.context = &context};
    cio_task *tasks[] = {cio_create_task_with(&options, first_of_two, NULL),
                         cio_create_task_with(&options, second_of_two, NULL)};
    assert_int_equal(cio_gather(tasks, 2, 0), 0);
    assert_var("-");
    cio_context_clear(&context);
    return 0;
}

TEST(t24_two_tasks_in_one_context_see_each_other)
{
    assert_int_equal(run_quiet(two_in_one, NULL), 0);
}

static int sleeps(void *arg)
{
    set(arg);
    return cio_sleep(CIO_FOREVER);
}

static int asks_another(void *arg)
{
    (void)arg;
    cio_context context;
    cio_task *task = cio_create_task(sleeps, "sleeper's");
    cio_yield();
    assert_int_equal(cio_get_context(task, &context), 0);
    assert_string_equal(cio_context_get_in(&context, &var), "sleeper's");
    cio_context_clear(&context);
    cio_cancel(task);
    cio_ref(task);
    cio_await(task);
    assert_int_equal(cio_get_context(task, &context), CIO_ESTATE);
    cio_detach(task);
    return 0;
}

TEST(t24_the_context_of_another_task)
{
    assert_int_equal(run_quiet(asks_another, NULL), 0);
}

static int main_inherits(void *arg)
{
    (void)arg;
    assert_var("outside");
    set("inside");
    return 0;
}

TEST(t24_main_inherits_from_the_thread)
{
    set("outside");
    assert_int_equal(run_quiet(main_inherits, NULL), 0);
    assert_var("outside");
}

/* ---- callbacks ---- */

static void note_var(void *arg)
{
    note("%s:%s", (char *)arg, GET());
    set("callback's");
}

static void note_done(cio_future *future, void *arg)
{
    (void)future;
    note_var(arg);
}

static void *post(void *arg)
{
    set("thread");
    cio_handle *handle = arg;
    cio_loop *loop = handle->arg;
    handle->arg = NULL;
    assert_int_equal(cio_call_soon_threadsafe(loop, handle, note_var, "posted"), 0);
    set("thread-after");
    return NULL;
}

static int calls(void *arg)
{
    (void)arg;
    cio_loop *loop = cio_get_running_loop();
    cio_handle soon = {0}, later = {0}, at = {0}, safe = {0}, plain = {0}, posted = {0};
    cio_done_callback done = {0};
    cio_future *future = cio_future_new();
    cio_call_soon(loop, &plain, note_var, "plain");
    set("1");
    cio_call_soon(loop, &soon, note_var, "soon");
    set("2");
    cio_call_later(loop, &later, 0, note_var, "later");
    set("3");
    cio_call_at(loop, &at, cio_time(loop), note_var, "at");
    set("4");
    cio_call_soon_threadsafe(loop, &safe, note_var, "safe");
    set("5");
    cio_add_done_callback(future, &done, note_done, "done");
    set("6");
    cio_set_result(future, 0, NULL);
    posted.arg = loop;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post, &posted), 0);
    pthread_join(thread, NULL);
    set("7");
    while (cio_handle_pending(&later) || cio_handle_pending(&at) || cio_handle_pending(&posted))
        assert_int_equal(cio_sleep(0.001), 0);
    cio_detach(future);
    assert_var("7");
    assert_non_null(strstr(noted(), "plain:-"));
    assert_non_null(strstr(noted(), "soon:1"));
    assert_non_null(strstr(noted(), "later:2"));
    assert_non_null(strstr(noted(), "at:3"));
    assert_non_null(strstr(noted(), "safe:4"));
    assert_non_null(strstr(noted(), "done:5"));
    assert_non_null(strstr(noted(), "posted:thread"));
    assert_null(strstr(noted(), "posted:thread-after"));
    return 0;
}

TEST(t24_callbacks_run_in_the_context_in_which_they_were_scheduled)
{
    assert_int_equal(run_quiet(calls, NULL), 0);
}

/* A loop that has no tasks. */
TEST(t24_callbacks_of_a_loop_without_tasks)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_handle plain = {0}, soon = {0}, after = {0};
    cio_call_soon(loop, &plain, note_var, "plain");
    set("outside");
    cio_call_soon(loop, &soon, note_var, "soon");
    set("later");
    cio_call_soon(loop, &after, note_var, "after");
    cio_stop(loop);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_string_equal(noted(), "plain:- soon:outside after:later");
    assert_var("later");
    cio_loop_free(loop);
}

/* What a callback sets ends with it, also where it began with nothing. */
TEST(t24_a_callback_leaves_nothing_to_the_next)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_handle first = {0}, second = {0};
    cio_call_soon(loop, &first, note_var, "first");
    cio_call_soon(loop, &second, note_var, "second");
    cio_stop(loop);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_string_equal(noted(), "first:- second:-");
    assert_var("-");
    cio_loop_free(loop);
}

static void read_and_note(void *arg)
{
    char byte;
    assert_int_equal(read(*(int *)arg, &byte, 1), 1);
    note_var("reader");
}

static void note_and_unwatch(void *arg)
{
    assert_int_equal(cio_remove_reader(cio_get_running_loop(), *(int *)arg), 1);
    assert_var("at the second watch");
    note_var("removed");
}

static int watches(void *arg)
{
    (void)arg;
    cio_loop *loop = cio_get_running_loop();
    cio_handle reader = {0};
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    set("watch");
    cio_add_reader(loop, fds[0], &reader, read_and_note, &fds[0]);
    set("later");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(fds[1], "x", 1), 1);
        cio_sleep(0.002);
    }
    cio_remove_reader(loop, fds[0]);
    assert_string_equal(noted(), "reader:watch reader:watch reader:watch");
    notes_clear();
    set("at the second watch");
    cio_add_reader(loop, fds[0], &reader, note_and_unwatch, &fds[0]);
    set("later");
    assert_int_equal(write(fds[1], "x", 1), 1);
    cio_sleep(0.002);
    assert_string_equal(noted(), "removed:at the second watch");
    close(fds[0]);
    close(fds[1]);
    return 0;
}

/* Each call begins with the context of the registration. */
TEST(t24_watches_run_in_the_context_of_their_registration)
{
    assert_int_equal(run_quiet(watches, NULL), 0);
}

static int inherits_from_callback(void *arg)
{
    assert_var("callback's");
    return 0;
    (void)arg;
}

static cio_task *made;

static void create_in_callback(void *arg)
{
    assert_var("scheduled");
    set("callback's");
    made = cio_create_task(inherits_from_callback, arg);
}

static int task_of_callback(void *arg)
{
    (void)arg;
    cio_handle handle = CIO_HANDLE_INIT;
    set("scheduled");
    cio_call_soon(cio_get_running_loop(), &handle, create_in_callback, NULL);
    cio_yield();
    return cio_await(made);
}

TEST(t24_a_task_made_in_a_callback_inherits_from_it)
{
    assert_int_equal(run_quiet(task_of_callback, NULL), 0);
}

static void note_only(void *arg)
{
    note("%s:%s", (char *)arg, GET());
}

/* More than there is room for in the ready ring: it grows, or keeps them in a list behind it. */
static int crowd(void *arg)
{
    enum { N = 500 };
    static cio_handle handles[N];
    (void)arg;
    set("crowd");
    for (int i = 0; i < N; i++)
        cio_call_soon(cio_get_running_loop(), &handles[i], note_only, "c");
    cio_yield();
    cio_yield();
    for (const char *word = noted(); word && *word; word = strchr(word + 1, ' '))
        assert_int_equal(strncmp(word + (*word == ' '), "c:crowd", 7), 0);
    return 0;
}

static int crowd_without_memory(void *arg)
{
    set("x");
    memory_lacks();
    cio_context_set(&var, "crowd", NULL);
    int rc = crowd(arg);
    memory_returns();
    return rc;
}

TEST(t24_contexts_survive_a_full_ready_ring)
{
    assert_int_equal(run_quiet(crowd, NULL), 0);
    notes_clear();
    memory_begin();
    assert_int_equal(run_quiet(crowd_without_memory, NULL), 0);
    memory_end();
}

/* ---- forks ---- */

static int forks(void *arg)
{
    (void)arg;
    set("parent's");
    pid_t pid = fork();
    if (pid == 0)
        _exit(strcmp(GET(), "parent's") == 0 && !cio_current_task() ? 0 : 1);
    int status = -1;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_int_equal(status, 0);
    return 0;
}

TEST(t56_a_child_goes_on_in_the_context_of_the_task_that_forked)
{
    assert_int_equal(run_quiet(forks, NULL), 0);
}

/* ---- threads ---- */

static atomic_int n_released;

static void count_release(void *value)
{
    atomic_fetch_add(&n_released, 1);
    free(value);
}

static cio_context_var counted = {.name = "counted", .release = count_release};

static int set_counted(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        assert_int_equal(cio_context_set(&counted, strdup("y"), NULL), 0);
        assert_int_equal(cio_yield(), 0);
        assert_string_equal(cio_context_get(&counted), "y");
    }
    return 0;
}

static void *run_a_loop(void *arg)
{
    struct cio__vars *vars = arg;
    struct cio__thread_vars before = cio__vars_enter(vars);
    assert_string_equal(cio_context_get(&counted), "x");
    assert_int_equal(cio_run(set_counted, &(int){test_scale(300)}), 0);
    assert_string_equal(cio_context_get(&counted), "x");
    cio__vars_leave(before);
    assert_null(cio_context_get(&counted));
    return NULL;
}

/* Several threads inherit one context; each value is released once, by whoever is the last. */
TEST(threads_t24_threads_share_what_they_inherit)
{
    enum { N = 4 };
    pthread_t threads[N];
    assert_int_equal(cio_context_set(&counted, strdup("x"), NULL), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_a_loop, cio__vars_capture()), 0);
    assert_int_equal(cio_context_set(&counted, strdup("z"), NULL), 0);
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&n_released), 1 + N * test_scale(300));
}

static void *set_and_end(void *arg)
{
    (void)arg;
    assert_int_equal(cio_context_set(&counted, strdup("mine"), NULL), 0);
    return NULL;
}

TEST(threads_t24_a_threads_own_values_end_with_it)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, set_and_end, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&n_released), 1);
}

/* ---- jobs of threads ---- */

static int job_sees(void *arg)
{
    assert_string_equal(cio_context_get(&counted), arg);
    assert_int_equal(cio_context_set(&counted, strdup("job's"), NULL), 0);
    assert_string_equal(cio_context_get(&counted), "job's");
    return 5;
}

static int job_sees_nothing(void *arg)
{
    return cio_context_has(arg);
}

static int never_called(void *arg)
{
    (void)arg;
    assert_true(false);
    return 0;
}

static int asks_threads(void *arg)
{
    (void)arg;
    assert_int_equal(cio_context_set(&counted, strdup("task's"), NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_to_thread(job_sees, "task's"), 5);
        assert_string_equal(cio_context_get(&counted), "task's");
    }
    assert_int_equal(atomic_load(&n_released), 3);
    assert_int_equal(cio_await(cio_run_in_executor(NULL, job_sees_nothing, &counted)), 0);
    cio_cancel(cio_current_task()); /* before it is begun */
    assert_int_equal(cio_to_thread(never_called, NULL), CIO_ECANCELED);
    cio_uncancel(cio_current_task());
    return 0;
}

/* As in asyncio: to_thread() carries the context, run_in_executor() does not. */
TEST(threads_t24_a_job_runs_in_a_copy_of_its_tasks_context)
{
    assert_int_equal(run_quiet(asks_threads, NULL), 0);
    assert_int_equal(atomic_load(&n_released), 4);
}

static int task_sees(void *arg)
{
    assert_string_equal(cio_context_get(&counted), arg);
    return 6;
}

static int calls_back(void *arg)
{
    assert_int_equal(cio_context_set(&counted, strdup("thread's"), NULL), 0);
    return cio_call_threadsafe(arg, task_sees, "thread's");
}

static int is_called_back(void *arg)
{
    (void)arg;
    assert_int_equal(cio_to_thread(calls_back, cio_get_running_loop()), 6);
    return 0;
}

TEST(threads_t24_a_task_for_a_thread_inherits_from_the_thread)
{
    cio_context_set(&var, "x", NULL);
    assert_int_equal(run_quiet(is_called_back, NULL), 0);
    assert_int_equal(atomic_load(&n_released), 1);
}

static atomic_bool stop_posting;

struct poster {
    cio_loop *loop;
    cio_handle handles[64];
};

static void check_value(void *arg)
{
    (void)arg;
    assert_string_equal(cio_context_get(&counted), "posted");
}

static void *post_on_and_on(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; !atomic_load(&stop_posting); i++) {
        assert_int_equal(cio_context_set(&counted, strdup("posted"), NULL), 0);
        cio_call_soon_threadsafe(poster->loop, &poster->handles[i % 64], check_value, NULL);
        if (i % 64 == 63)
            sched_yield();
    }
    struct cio__thread_vars nothing = {0};
    cio__vars_leave(nothing);
    return NULL;
}

static int sees_posts(void *arg)
{
    struct poster *poster = arg;
    poster->loop = cio_get_running_loop();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post_on_and_on, poster), 0);
    for (int i = 0; i < test_scale(300); i++)
        assert_int_equal(cio_sleep(0.0001), 0);
    atomic_store(&stop_posting, true);
    pthread_join(thread, NULL);
    return 0;
}

TEST(threads_t24_posts_bring_the_context_of_their_thread)
{
    struct poster poster = {0};
    assert_int_equal(run_quiet(sees_posts, &poster), 0);
}

/* ---- what it costs those that have none ---- */

TEST(handles_and_tasks_have_not_grown)
{
    assert_int_equal(sizeof(cio_handle), 56);
    assert_int_equal(sizeof(cio_context), sizeof(void *));
    assert_int_equal(sizeof(cio_context_token), 32);
}
