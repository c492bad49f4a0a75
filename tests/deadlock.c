/* Deadlocks: cio_run() tells of them and ends; and it takes nothing else for one. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "child.h"
#include "journal.h"
#include "loop/ticker.h"
#include "net.h"
#include "task/task.h"
#include "texts.h"

/* A program with threads that was given its loop is not judged; an exception handler was. */
static bool has_threads_of_its_own(void) /* a sanitizer's, which may come later; an emulator's */
{
    struct stat tasks;
    return test_is_tsan() || stat("/proc/self/task", &tasks) < 0 || tasks.st_nlink > 3;
}

struct report_of_deadlock {
    int n;
    char details[16384];
};

static void keep(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    struct report_of_deadlock *kept = arg;
    (void)loop;
    assert_int_equal(context->error, CIO_EDEADLOCK);
    assert_non_null(context->details);
    kept->n++;
    snprintf(kept->details, sizeof kept->details, "%s", context->details);
}

static struct report_of_deadlock kept;

/* Expects that fn deadlocks, and that the exception handler hears of nothing else. */
static void expect_deadlock(cio_coroutine *fn, void *arg)
{
    cio_run_options options = {.exception_handler = keep, .exception_arg = &kept};
    kept = (struct report_of_deadlock){0};
    assert_int_equal(cio_run_with(&options, fn, arg), CIO_EDEADLOCK);
    assert_int_equal(kept.n, 1);
}

/* Waits for a future that nobody sets, and notes that it could clean up. */
FRAME int waits_for_nobody(void *arg)
{
    (void)arg;
    cio_future *future = cio_future_new();
    int rc = cio_await(future);
    note("%s", cio_err_name(rc));
    return rc;
}

TEST(deadlock_of_a_future_that_nobody_sets)
{
    expect_deadlock(waits_for_nobody, NULL);
    assert_string_equal(noted(), "CIO_ECANCELED");
    expect_text(kept.details, "^  'Task-1' waiting, cio_await: future 0x[0-9a-f]+$");
    expect_frame(kept.details, "Task-1", "waits_for_nobody");
}

static int awaits(void *other)
{
    int rc = cio_await(cio_ref(*(cio_task **)other));
    note("%s", cio_err_name(rc));
    return rc;
}

static int two_that_await_each_other(void *arg)
{
    (void)arg;
    cio_task *tasks[2];
    tasks[0] = cio_create_task_with(&(cio_task_options){.name = "one"}, awaits, &tasks[1]);
    tasks[1] = cio_create_task_with(&(cio_task_options){.name = "two"}, awaits, &tasks[0]);
    return cio_gather(tasks, 2, 0);
}

TEST(deadlock_of_two_tasks_that_await_each_other)
{
    expect_deadlock(two_that_await_each_other, NULL);
    expect_text(kept.details, "^Cycles: each waits for the next$");
    expect_text(kept.details, "^  'one' -> 'two' -> 'one'$");
    expect_text(kept.details, "^  'Task-1' waiting, cio_gather: 2 of 2 left: 'one', 'two'$");
    assert_string_equal(noted(), "CIO_ECANCELED CIO_ECANCELED");
}

static int group_of_two(void *arg)
{
    cio_group group;
    (void)arg;
    cio_group_enter(&group);
    cio_group_start(&group, waits_for_nobody, NULL);
    cio_group_start(&group, waits_for_nobody, NULL);
    return cio_group_exit(&group, 0);
}

TEST(deadlock_in_a_group)
{
    expect_deadlock(group_of_two, NULL);
    expect_text(kept.details, "^  'Task-1' waiting, cio_group_exit: 2 left: 'Task-2', 'Task-3'$");
    expect_text(kept.details, "^Who waits for whom$");
    assert_string_equal(noted(), "CIO_ECANCELED CIO_ECANCELED");
}

static int after_work(void *arg)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_sock_sendall(fds[0], "x", 1), 0);
    char byte;
    assert_int_equal(cio_sock_recv(fds[1], &byte, 1), 1);
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
    cio_sleep(0.01);
    return waits_for_nobody(arg);
}

TEST(deadlock_after_timers_and_files_were_there)
{
    expect_deadlock(after_work, NULL);
}

static int yields(void *arg)
{
    (void)arg;
    return cio_yield();
}

/* Many stacks were used and given back: the library has a timer to trim them. */
static int after_many_tasks(void *arg)
{
    static cio_task *tasks[200];
    for (int i = 0; i < 200; i++)
        tasks[i] = cio_create_task(yields, NULL);
    cio_gather(tasks, 200, 0);
    return waits_for_nobody(arg);
}

TEST(deadlock_though_the_stacks_are_still_to_be_trimmed)
{
    expect_deadlock(after_many_tasks, NULL);
}

static int knows_its_loop(void *arg)
{
    assert_non_null(cio_get_running_loop());
    return waits_for_nobody(arg);
}

TEST(deadlock_of_a_program_that_knows_its_loop_and_is_alone)
{
    if (has_threads_of_its_own())
        test_skip("a sanitizer or an emulator has a thread here");
    expect_deadlock(knows_its_loop, NULL);
}

/* The thread that interrupts busy loops wakes nobody. */
static int is_busy_before(void *arg)
{
    cio_handle timer = CIO_HANDLE_INIT;
    cio_loop *loop = cio_get_running_loop();
    cio_call_later(loop, &timer, 1000, cio__task_resume, NULL);
    for (int i = 0; i < 100000 && !cio__ticker_runs(); i++)
        cio_yield();
    assert_true(cio__ticker_runs());
    cio_handle_cancel(&timer);
    return waits_for_nobody(arg);
}

TEST(deadlock_of_a_loop_that_was_busy)
{
    if (has_threads_of_its_own() || test_is_slow())
        test_skip("callbacks are not quick here, or the process has threads of its own");
    expect_deadlock(is_busy_before, NULL);
}

TEST(deadlock_in_debug_mode)
{
    if (has_threads_of_its_own())
        test_skip("a sanitizer or an emulator has a thread here");
    setenv("CIO_DEBUG", "1", 1);
    expect_deadlock(knows_its_loop, NULL);
}

static int refuses_once(void *arg)
{
    cio_future *futures[] = {cio_future_new(), cio_future_new()};
    assert_int_equal(cio_await(futures[0]), CIO_ECANCELED);
    note("refused");
    int rc = cio_await(futures[1]);
    note("%s", cio_err_name(rc));
    (void)arg;
    return rc;
}

TEST(deadlock_of_a_task_that_refuses_to_end_and_waits_again)
{
    if (has_threads_of_its_own())
        test_skip("a sanitizer or an emulator has a thread here");
    expect_deadlock(refuses_once, NULL);
    assert_string_equal(noted(), "refused CIO_ECANCELED");
}

static int leaves_one_that_refuses(void *arg)
{
    (void)arg;
    cio_detach(cio_create_task(refuses_once, NULL));
    return cio_yield();
}

TEST(deadlock_at_the_end_is_told_and_overcome)
{
    cio_run_options options = {.exception_handler = keep, .exception_arg = &kept};
    assert_int_equal(cio_run_with(&options, leaves_one_that_refuses, NULL), 0);
    assert_int_equal(kept.n, 1);
    assert_string_equal(noted(), "refused CIO_ECANCELED");
}

static int refuses_for_ever(void *arg)
{
    cio_future *future = cio_future_new();
    for (;;) {
        cio_ref(future);
        if (cio_await(future) != CIO_ECANCELED)
            return 0;
        ++*(int *)arg;
        cio_detach(future);
        future = cio_future_new();
    }
}

static void count_reports(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)context;
    ++*(int *)arg;
}

TEST(deadlock_of_a_task_that_never_gives_in_ends_all_the_same)
{
    if (has_threads_of_its_own())
        test_skip("a sanitizer or an emulator has a thread here");
    int refused = 0, reports = 0;
    cio_run_options options = {.exception_handler = count_reports, .exception_arg = &reports};
    assert_int_equal(cio_run_with(&options, refuses_for_ever, &refused), CIO_EDEADLOCK);
    assert_in_range(refused, 2, 1000);
    assert_true(reports >= 2); /* the deadlock, and the task that is left */
}

TEST(deadlock_is_written_to_stderr)
{
    static struct errors errors;
    errors_catch(&errors);
    int rc = cio_run(waits_for_nobody, NULL);
    errors_end(&errors);
    assert_int_equal(rc, CIO_EDEADLOCK);
    expect_text(errors.text,
                "^cio: cio_run\\(\\) cannot go on: deadlock: all tasks wait, and nothing is "
                "left that could wake one \\(CIO_EDEADLOCK\\)\nLoop 1 at ");
}

/* From here on: what is not a deadlock. */

static int waits_for_a_timer(void *arg)
{
    (void)arg;
    return cio_sleep(0.05);
}

TEST(no_deadlock_while_a_timer_runs)
{
    assert_int_equal(run_quiet(waits_for_a_timer, NULL), 0);
}

static void set_future(void *future)
{
    assert_int_equal(cio_set_result(future, 7, NULL), 0);
}

static int waits_for_a_callback_with_a_time(void *arg)
{
    cio_handle handle = {0};
    cio_future *future = cio_future_new();
    (void)arg;
    cio_call_later(cio_get_running_loop(), &handle, 0.03, set_future, future);
    return cio_await(future);
}

TEST(no_deadlock_while_a_callback_has_a_time)
{
    assert_int_equal(run_quiet(waits_for_a_callback_with_a_time, NULL), 7);
}

static void *write_later(void *fd)
{
    usleep(30000);
    assert_int_equal(write(*(int *)fd, "x", 1), 1);
    return NULL;
}

static int waits_for_a_file(void *arg)
{
    int fds[2];
    char byte;
    pthread_t thread;
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    pthread_create(&thread, NULL, write_later, &fds[1]);
    int rc = (int)cio_sock_recv(fds[0], &byte, 1);
    pthread_join(thread, NULL);
    close(fds[0]);
    close(fds[1]);
    return rc;
}

TEST(threads_no_deadlock_while_a_task_waits_for_a_file)
{
    assert_int_equal(run_quiet(waits_for_a_file, NULL), 1);
}

struct watching {
    int fds[2];
    cio_future *future;
};

static void can_read(void *arg)
{
    struct watching *watching = arg;
    cio_remove_reader(cio_get_running_loop(), watching->fds[0]);
    set_future(watching->future);
}

static int waits_for_a_watch(void *arg)
{
    struct watching watching = {.future = cio_future_new()};
    cio_handle handle = {0};
    pthread_t thread;
    (void)arg;
    net_pair(watching.fds, SOCK_STREAM);
    cio_add_reader(cio_get_running_loop(), watching.fds[0], &handle, can_read, &watching);
    pthread_create(&thread, NULL, write_later, &watching.fds[1]);
    int rc = cio_await(watching.future);
    pthread_join(thread, NULL);
    close(watching.fds[0]);
    close(watching.fds[1]);
    return rc;
}

TEST(threads_no_deadlock_while_a_file_is_watched)
{
    assert_int_equal(run_quiet(waits_for_a_watch, NULL), 7);
}

struct elsewhere {
    cio_loop *loop;
    cio_handle handle;
    cio_future *future;
};

static void *call_later_from_thread(void *arg)
{
    struct elsewhere *elsewhere = arg;
    usleep(50000);
    assert_int_equal(cio_call_soon_threadsafe(elsewhere->loop, &elsewhere->handle, set_future,
                                              elsewhere->future),
                     0);
    return NULL;
}

static int waits_for_a_thread(void *arg)
{
    struct elsewhere elsewhere = {.loop = cio_get_running_loop(), .future = cio_future_new()};
    pthread_t thread;
    (void)arg;
    pthread_create(&thread, NULL, call_later_from_thread, &elsewhere);
    int rc = cio_await(elsewhere.future);
    pthread_join(thread, NULL);
    return rc;
}

TEST(threads_no_deadlock_while_a_thread_may_call)
{
    assert_int_equal(run_quiet(waits_for_a_thread, NULL), 7);
}

static int waits_for_a_thread_by_its_future(void *arg)
{
    cio_future *future = cio_future_new();
    struct elsewhere elsewhere = {.loop = cio_get_loop(future), .future = future};
    pthread_t thread;
    (void)arg;
    pthread_create(&thread, NULL, call_later_from_thread, &elsewhere);
    int rc = cio_await(future);
    pthread_join(thread, NULL);
    return rc;
}

TEST(threads_no_deadlock_while_a_thread_may_call_that_asked_a_future_for_the_loop)
{
    assert_int_equal(run_quiet(waits_for_a_thread_by_its_future, NULL), 7);
}

static struct elsewhere on_alarm;

static void alarm_rings(int number)
{
    (void)number;
    cio_call_soon_threadsafe(on_alarm.loop, &on_alarm.handle, set_future, on_alarm.future);
}

static int waits_for_a_signal(void *arg)
{
    struct itimerval soon = {.it_value.tv_usec = 50000};
    (void)arg;
    on_alarm = (struct elsewhere){.loop = cio_get_running_loop(), .future = cio_future_new()};
    signal(SIGALRM, alarm_rings);
    setitimer(ITIMER_REAL, &soon, NULL);
    int rc = cio_await(on_alarm.future);
    signal(SIGALRM, SIG_DFL);
    return rc;
}

TEST(no_deadlock_while_a_signal_handler_may_call)
{
    assert_int_equal(run_quiet(waits_for_a_signal, NULL), 7);
}

static int job(void *arg)
{
    (void)arg;
    usleep(50000);
    return 7;
}

static int waits_for_a_job(void *arg)
{
    int rc = cio_to_thread(job, NULL);
    return rc < 0 || arg ? waits_for_nobody(NULL) : rc;
}

TEST(threads_no_deadlock_while_a_job_of_the_library_is_outstanding)
{
    assert_int_equal(run_quiet(waits_for_a_job, NULL), 7);
}

TEST(threads_a_deadlock_after_the_last_job_is_one)
{
    bool then_deadlock = true;
    expect_deadlock(waits_for_a_job, &then_deadlock);
}

static void *set_by_thread(void *arg)
{
    struct elsewhere *elsewhere = arg;
    usleep(50000);
    cio_call_soon_threadsafe(elsewhere->loop, &elsewhere->handle, set_future, elsewhere->future);
    return NULL;
}

static int waits_for_what_cio_cannot_know(void *arg)
{
    struct elsewhere elsewhere = {.loop = cio__running, .future = cio_future_new()};
    pthread_t thread;
    (void)arg;
    pthread_create(&thread, NULL, set_by_thread, &elsewhere);
    int rc = cio_await(elsewhere.future);
    pthread_join(thread, NULL);
    return rc;
}

TEST(threads_no_deadlock_if_the_program_says_that_there_are_wakers)
{
    cio_run_options options = {.external_wakers = true};
    assert_int_equal(cio_run_with(&options, waits_for_what_cio_cannot_know, NULL), 7);
}

TEST(threads_no_deadlock_of_a_loop_that_was_made_by_hand)
{
    cio_loop *loop = cio_loop_new(NULL);
    struct elsewhere elsewhere = {.loop = loop, .future = cio_create_future(loop)};
    pthread_t thread;
    pthread_create(&thread, NULL, set_by_thread, &elsewhere);
    assert_int_equal(cio_run_until_complete(loop, elsewhere.future), 7);
    pthread_join(thread, NULL);
    cio_loop_free(loop);
}

static int sleeps_for_ever(void *arg)
{
    (void)arg;
    child_ready();
    return cio_sleep(CIO_FOREVER);
}

static int in_child(void *arg)
{
    (void)arg;
    signal(SIGINT, SIG_DFL);
    return -cio_run(sleeps_for_ever, NULL);
}

static void interrupt(pid_t pid)
{
    usleep(50000);
    kill(pid, SIGINT);
}

TEST(no_deadlock_of_a_sleep_for_ever)
{
    struct child child;
    run_child(&child, in_child, NULL, interrupt);
    assert_true(WIFEXITED(child.status));
    assert_int_equal(WEXITSTATUS(child.status), EINTR);
    assert_string_equal(child.text, "");
}

static void *put_later(void *queue)
{
    int item = 7;
    usleep(50000);
    assert_int_equal(cio_thread_queue_put(queue, &item), 0);
    return NULL;
}

static int waits_for_a_queue(void *queue)
{
    int item = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, put_later, queue);
    int rc = cio_thread_queue_get(queue, &item);
    pthread_join(thread, NULL);
    return rc < 0 ? rc : item;
}

TEST(threads_no_deadlock_while_a_queue_of_threads_is_waited_for)
{
    cio_thread_queue *queue = cio_thread_queue_new(1, sizeof(int));
    assert_non_null(queue);
    assert_int_equal(run_quiet(waits_for_a_queue, queue), 7);
    cio_thread_queue_free(queue);
}

static int blocking_job(void *arg)
{
    (void)arg;
    usleep(50000);
    return 7;
}

static int waits_for_to_thread(void *arg)
{
    return cio_to_thread(blocking_job, arg);
}

TEST(threads_no_deadlock_while_a_function_runs_in_a_thread)
{
    assert_int_equal(run_quiet(waits_for_to_thread, NULL), 7);
}

static int then_waits_for_nobody(void *arg)
{
    assert_int_equal(waits_for_to_thread(arg), 7);
    return waits_for_nobody(arg);
}

TEST(threads_a_deadlock_beside_idle_threads_of_the_pool_is_one)
{
    expect_deadlock(then_waits_for_nobody, NULL);
}

static void *kill_later(void *arg)
{
    usleep(50000);
    kill(getpid(), SIGUSR2);
    return arg;
}

static int waits_for_a_signal_of_the_library(void *arg)
{
    pthread_t thread;
    cio_signal_set set = CIO_SIGNAL(SIGUSR2);
    pthread_create(&thread, NULL, kill_later, arg);
    int rc = cio_wait_signal(set);
    pthread_join(thread, NULL);
    return rc;
}

TEST(threads_no_deadlock_while_a_signal_is_waited_for)
{
    assert_int_equal(run_quiet(waits_for_a_signal_of_the_library, NULL), SIGUSR2);
}

static int takes_lock_and_waits(void *arg)
{
    cio_lock **locks = arg;
    int rc = cio_lock_acquire(locks[0]);
    if (rc < 0)
        return rc;
    cio_yield();
    rc = cio_lock_acquire(locks[1]);
    if (rc == 0)
        cio_lock_release(locks[1]);
    cio_lock_release(locks[0]);
    return rc;
}

static int two_locks_in_two_orders(void *arg)
{
    static cio_lock a = CIO_LOCK_INIT, b = CIO_LOCK_INIT;
    static cio_lock *ab[] = {&a, &b}, *ba[] = {&b, &a};
    cio_task *tasks[2];
    (void)arg;
    tasks[0] = cio_create_task_with(&(cio_task_options){.name = "one"}, takes_lock_and_waits, ab);
    tasks[1] = cio_create_task_with(&(cio_task_options){.name = "two"}, takes_lock_and_waits, ba);
    return cio_gather(tasks, 2, CIO_RETURN_ERRORS);
}

TEST(deadlock_of_two_locks_taken_in_two_orders)
{
    expect_deadlock(two_locks_in_two_orders, NULL);
    expect_text(kept.details, "^  'one' waiting, cio_lock_acquire: .*'two'$");
    expect_text(kept.details, "^  'two' waiting, cio_lock_acquire: .*'one'$");
    expect_text(kept.details, "^  'one' -> 'two' -> 'one'$");
}
