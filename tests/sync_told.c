/* What a waiting task tells those who look at it: the object, and who holds it. */
#include "sync.h"
#include "task/tell.h"
#include "task/task.h"

/* What the task says, with the names of those who hold what it waits for. */
static const char *told(const cio_task *task)
{
    static char text[256];
    struct cio__tale tale = {.task = task};
    assert_non_null(task->wait);
    task->wait->kind->tell(task->wait, &tale);
    const char *holder = tale.n_ends ? cio_get_name(tale.ends[0]) : "";
    snprintf(text, sizeof text, "%s: %s %s", task->wait->kind->name, tale.text, holder);
    return text;
}

#define assert_told(task, ...)                                                                     \
    do {                                                                                           \
        char expected[256];                                                                        \
        snprintf(expected, sizeof expected, __VA_ARGS__);                                          \
        assert_string_equal(told(task), expected);                                                 \
    } while (0)

static int acquire_and_end(void *lock)
{
    return cio_lock_acquire(lock);
}

TEST(who_waits_for_a_lock_tells_its_owner)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_set_name(cio_current_task(), "main"), 0);
    assert_int_equal(cio_lock_acquire(&lock), 0);
    cio_task *a = CALL("a", cio_lock_acquire, &lock);
    assert_told(a, "cio_lock_acquire: lock %p, held by main", (void *)&lock);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_lock_release(&lock), 0);

    assert_int_equal(cio_await(cio_create_task(acquire_and_end, &lock)), 0);
    cio_task *b = CALL("b", cio_lock_acquire, &lock);
    assert_told(b, "cio_lock_acquire: lock %p, held by no task, or one that has ended ",
                (void *)&lock);
    assert_int_equal(cio_lock_release(&lock), 0);
    return cio_await(b);
}

TEST(who_waits_for_a_rwlock_tells_the_writer)
{
    cio_rwlock lock = CIO_RWLOCK_INIT;
    assert_int_equal(cio_set_name(cio_current_task(), "main"), 0);
    assert_int_equal(cio_rwlock_acquire_write(&lock), 0);
    cio_task *r = CALL("r", cio_rwlock_acquire_read, &lock);
    cio_task *w = CALL("w", cio_rwlock_acquire_write, &lock);
    assert_told(r, "cio_rwlock_acquire_read: rwlock %p, held by main", (void *)&lock);
    assert_told(w, "cio_rwlock_acquire_write: rwlock %p, held by main", (void *)&lock);
    assert_int_equal(cio_rwlock_release_write(&lock), 0);
    assert_int_equal(cio_await(r), 0);
    assert_told(w, "cio_rwlock_acquire_write: rwlock %p, 1 read ", (void *)&lock);
    assert_int_equal(cio_rwlock_release_read(&lock), 0);
    return cio_await(w);
}

static int borrow_once(void *limiter)
{
    cio_borrow borrow = CIO_BORROW_INIT;
    int rc = cio_limiter_acquire(limiter, &borrow);
    return rc < 0 ? rc : cio_limiter_release(limiter, &borrow);
}

static int wait_for_change(void *condition)
{
    assert_int_equal(cio_condition_acquire(condition), 0);
    int rc = cio_condition_wait(condition);
    cio_condition_release(condition);
    return rc;
}

TEST(the_others_tell_what_they_wait_for)
{
    cio_event event = CIO_EVENT_INIT;
    cio_condition condition = CIO_CONDITION_INIT;
    cio_semaphore semaphore = CIO_SEMAPHORE_INIT(0);
    cio_limiter limiter = CIO_LIMITER_INIT(0);
    cio_task *tasks[] = {
        CALL("a", cio_event_wait, &event),
        CALL("b", wait_for_change, &condition),
        CALL("c", cio_semaphore_acquire, &semaphore),
        CALL("d", borrow_once, &limiter),
    };
    assert_told(tasks[0], "cio_event_wait: event %p ", (void *)&event);
    assert_told(tasks[1], "cio_condition_wait: condition %p ", (void *)&condition);
    assert_told(tasks[2], "cio_semaphore_acquire: semaphore %p, 0 left ", (void *)&semaphore);
    assert_told(tasks[3], "cio_limiter_acquire: limiter %p, 0 of 0 borrowed ", (void *)&limiter);
    cancel_all(tasks, 4);
    return 0;
}
