/*
 * To which loop a primitive belongs (T47): none, until a task has to wait; then that one's, until
 * it is closed.
 */
#include <pthread.h>

#include "sync.h"

/* These make their loops themselves. */
#undef TEST
#define TEST(test_name)                                                                            \
    static void test_##test_name(void **state);                                                    \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        static struct test t = {.name = #test_name, .run = test_##test_name};                      \
        test_register(&t);                                                                         \
    }                                                                                              \
    static void test_##test_name(__attribute__((unused)) void **state)

static cio_lock lock = CIO_LOCK_INIT;
static cio_event event = CIO_EVENT_INIT;
static cio_condition condition = CIO_CONDITION_INIT;
static cio_semaphore semaphore = CIO_SEMAPHORE_INIT(1);
static cio_barrier barrier = CIO_BARRIER_INIT(2);
static cio_rwlock rwlock = CIO_RWLOCK_INIT;
static cio_limiter limiter = CIO_LIMITER_INIT(1);
static cio_borrow borrow = CIO_BORROW_INIT;

static int use_without_waiting(void *arg)
{
    (void)arg;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_event_set(&event), 0);
    assert_int_equal(cio_event_wait(&event), 0);
    assert_int_equal(cio_event_clear(&event), 0);
    assert_int_equal(cio_condition_acquire(&condition), 0);
    assert_int_equal(cio_condition_notify_all(&condition), 0);
    assert_int_equal(cio_condition_release(&condition), 0);
    assert_int_equal(cio_semaphore_acquire(&semaphore), 0);
    assert_int_equal(cio_semaphore_release(&semaphore), 0);
    assert_int_equal(cio_barrier_reset(&barrier), 0);
    assert_int_equal(cio_rwlock_acquire_read(&rwlock), 0);
    assert_int_equal(cio_rwlock_release_read(&rwlock), 0);
    assert_int_equal(cio_rwlock_acquire_write(&rwlock), 0);
    assert_int_equal(cio_rwlock_release_write(&rwlock), 0);
    assert_int_equal(cio_limiter_acquire(&limiter, &borrow), 0);
    assert_int_equal(cio_limiter_release(&limiter, &borrow), 0);
    return 0;
}

static int acquire_condition_and_wait(cio_condition *c)
{
    int rc = cio_condition_acquire(c);
    if (rc < 0)
        return rc;
    rc = cio_condition_wait(c);
    cio_condition_release(c);
    return rc;
}

static int borrow_once(cio_limiter *l)
{
    cio_borrow b = CIO_BORROW_INIT;
    int rc = cio_limiter_acquire(l, &b);
    return rc < 0 ? rc : cio_limiter_release(l, &b);
}

static int acquire_and_release_lock(cio_lock *l)
{
    int rc = cio_lock_acquire(l);
    return rc < 0 ? rc : cio_lock_release(l);
}

static int write_once(cio_rwlock *l)
{
    int rc = cio_rwlock_acquire_write(l);
    return rc < 0 ? rc : cio_rwlock_release_write(l);
}

enum { WAITERS = 7 };

/* One waits for each; its own. */
static cio_task *waiters[WAITERS];

static void start_waiters(void)
{
    static struct caller callers[WAITERS] = {
        {"lock", (int (*)(void *))acquire_and_release_lock, &lock, NULL},
        {"event", (int (*)(void *))cio_event_wait, &event, NULL},
        {"condition", (int (*)(void *))acquire_condition_and_wait, &condition, NULL},
        {"semaphore", (int (*)(void *))cio_semaphore_acquire, &semaphore, NULL},
        {"barrier", (int (*)(void *))cio_barrier_wait, &barrier, NULL},
        {"rwlock", (int (*)(void *))write_once, &rwlock, NULL},
        {"limiter", (int (*)(void *))borrow_once, &limiter, NULL},
    };
    assert_int_equal(cio_lock_acquire(&lock), 0);
    assert_int_equal(cio_semaphore_acquire(&semaphore), 0);
    assert_int_equal(cio_rwlock_acquire_read(&rwlock), 0);
    assert_int_equal(cio_limiter_acquire(&limiter, &borrow), 0);
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = call_in_task(&callers[i]);
    assert_noted("");
}

/* What wakes each of them, with the answer that is expected. */
static void wake_waiters(int expected)
{
    assert_int_equal(cio_lock_release(&lock), expected);
    assert_int_equal(cio_event_set(&event), expected);
    assert_int_equal(cio_semaphore_release(&semaphore), expected);
    assert_int_equal(cio_rwlock_release_read(&rwlock), expected);
    assert_int_equal(cio_limiter_release(&limiter, &borrow), expected);
}

static void wake_condition(int expected)
{
    assert_int_equal(cio_condition_acquire(&condition), 0);
    assert_int_equal(cio_condition_notify_all(&condition), expected);
    assert_int_equal(cio_condition_release(&condition), 0);
}

static int end_waiters(void *arg)
{
    (void)arg;
    for (int i = 0; i < WAITERS; i++)
        assert_in_range(cio_await(waiters[i]), 0, 1);
    assert_int_equal(cio_event_clear(&event), 0);
    assert_int_equal(cio_semaphore_release(&semaphore), 0);
    return 0;
}

static int wait_and_wake(void *arg)
{
    start_waiters();
    wake_waiters(0);
    wake_condition(1);
    assert_int_equal(cio_barrier_wait(&barrier), 1);
    end_waiters(arg);
    notes_clear();
    return 0;
}

/* Runs fn as a task of the loop until it stops it. */
static cio_coroutine *to_run;

static int run_and_stop(void *arg)
{
    int rc = to_run(arg);
    cio_stop(cio_get_running_loop());
    return rc;
}

static void run_in(cio_loop *loop, cio_coroutine *fn)
{
    to_run = fn;
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, run_and_stop, NULL);
    assert_non_null(task);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_int_equal(cio_result(task), 0);
    cio_detach(task);
}

static int leave_waiters(void *arg)
{
    (void)arg;
    start_waiters();
    return 0;
}

TEST(t47_without_a_wait_any_loop_may_use_it)
{
    cio_loop *a = cio_loop_new(NULL), *b = cio_loop_new(NULL);
    for (int i = 0; i < 3; i++) {
        run_in(a, use_without_waiting);
        run_in(b, use_without_waiting);
    }
    cio_loop_free(a);
    cio_loop_free(b);
}

static int refused(void *arg)
{
    (void)arg;
    cio_borrow other = CIO_BORROW_INIT;
    assert_int_equal(cio_lock_acquire(&lock), CIO_EWRONGLOOP);
    assert_int_equal(cio_lock_acquire_nowait(&lock), -EAGAIN);
    assert_int_equal(cio_event_wait(&event), CIO_EWRONGLOOP);
    assert_int_equal(acquire_condition_and_wait(&condition), CIO_EWRONGLOOP);
    assert_false(cio_condition_locked(&condition));
    assert_int_equal(cio_semaphore_acquire(&semaphore), CIO_EWRONGLOOP);
    assert_int_equal(cio_barrier_wait(&barrier), CIO_EWRONGLOOP);
    assert_int_equal(cio_barrier_abort(&barrier), CIO_EWRONGLOOP);
    assert_int_equal(cio_rwlock_acquire_read(&rwlock), CIO_EWRONGLOOP);
    assert_int_equal(cio_rwlock_acquire_write(&rwlock), CIO_EWRONGLOOP);
    assert_int_equal(cio_limiter_acquire(&limiter, &other), CIO_EWRONGLOOP);
    assert_int_equal(cio_limiter_set_total(&limiter, 9), CIO_EWRONGLOOP);
    assert_int_equal(cio_limiter_destroy(&limiter), -EBUSY);
    wake_waiters(CIO_EWRONGLOOP);
    wake_condition(CIO_EWRONGLOOP);
    return 0;
}

static int wake_the_others(void *arg)
{
    wake_condition(1);
    assert_int_equal(cio_barrier_wait(&barrier), 1);
    return end_waiters(arg);
}

static int wake_them(void *arg)
{
    wake_waiters(0);
    return wake_the_others(arg);
}

TEST(t47_another_loop_is_refused_while_tasks_wait)
{
    cio_loop *a = cio_loop_new(NULL), *b = cio_loop_new(NULL);
    run_in(a, leave_waiters);
    run_in(b, refused);
    assert_noted("");
    run_in(a, wake_them); /* nothing has happened */
    cio_loop_free(b);
    cio_loop_free(a);
}

static int refused_to_wait(void *arg)
{
    (void)arg;
    assert_int_equal(cio_lock_acquire(&lock), 0); /* without a wait it is anybody's */
    assert_int_equal(cio_lock_acquire(&lock), CIO_EWRONGLOOP);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_event_wait(&event), CIO_EWRONGLOOP);
    return 0;
}

TEST(t47_a_wait_binds_it_until_the_loop_is_closed)
{
    cio_loop *a = cio_loop_new(NULL), *b = cio_loop_new(NULL);
    run_in(a, wait_and_wake);
    run_in(b, refused_to_wait);
    run_in(a, wait_and_wake);
    assert_int_equal(cio_loop_close(a), 0);
    run_in(b, wait_and_wake);
    cio_loop_free(a);
    cio_loop_free(b);
}

TEST(one_run_after_another)
{
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_run(wait_and_wake, NULL), 0);
}

TEST(they_may_be_woken_between_two_runs)
{
    cio_loop *a = cio_loop_new(NULL);
    run_in(a, leave_waiters);
    wake_waiters(0);
    assert_noted("");
    run_in(a, wake_the_others);
    cio_loop_free(a);
}

static void ignore(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

/* What the tasks held is lost with them, and given back in their stead. */
static void restore(bool woken)
{
    assert_int_equal(cio_event_destroy(&event), 0);
    assert_int_equal(cio_limiter_destroy(&limiter), 0);
    assert_int_equal(cio_event_clear(&event), 0);
    assert_int_equal(cio_lock_release(&lock), woken ? CIO_ESTATE : 0);
    assert_int_equal(cio_semaphore_release(&semaphore), 0);
    assert_int_equal(woken ? cio_rwlock_release_write(&rwlock) : cio_rwlock_release_read(&rwlock),
                     0);
    barrier = (cio_barrier)CIO_BARRIER_INIT(2); /* one had come, and never leaves */
    borrow = (cio_borrow)CIO_BORROW_INIT;
}

/* The loop is closed while tasks wait: their stacks go, and with them what stands in the lists. */
static void close_with_waiters(bool woken)
{
    cio_loop *a = cio_loop_new(NULL);
    cio_set_exception_handler(a, ignore, NULL);
    run_in(a, leave_waiters);
    if (woken) {
        wake_waiters(0);
        assert_int_equal(cio_lock_acquire_nowait(&lock), -EAGAIN);
    }
    cio_loop_free(a);
    restore(woken);
    assert_int_equal(cio_run(wait_and_wake, NULL), 0);
}

TEST(a_loop_that_is_closed_takes_its_waiters_along)
{
    close_with_waiters(false);
}

TEST(a_loop_that_is_closed_takes_along_who_was_woken)
{
    close_with_waiters(true);
}

static void *run_in_thread(void *arg)
{
    (void)arg;
    assert_int_equal(cio_run(use_without_waiting, NULL), 0);
    assert_int_equal(cio_run(wait_and_wake, NULL), 0);
    return NULL;
}

TEST(threads_one_after_another)
{
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, run_in_thread, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}
