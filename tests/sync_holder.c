/* What is to be seen of a waiting task: the call, the object, and who holds it. */
#include "sync/sync.h"
#include "sync.h"

static cio_task *holder_of(const cio_task *task, const void **object)
{
    assert_non_null(task->wait);
    return cio__wait_holder(task->wait, object);
}

TEST(a_waiting_task_tells_the_lock_and_its_owner)
{
    cio_lock lock = CIO_LOCK_INIT;
    const void *object;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    cio_task *a = CALL("a", cio_lock_acquire, &lock);
    assert_string_equal(a->wait->kind->name, "cio_lock_acquire");
    assert_ptr_equal(holder_of(a, &object), cio_current_task());
    assert_ptr_equal(object, &lock);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_await(a), 0);
    return 0;
}

TEST(a_waiting_task_tells_the_writer)
{
    cio_rwlock lock = CIO_RWLOCK_INIT;
    const void *object;
    assert_int_equal(cio_rwlock_acquire_write(&lock), 0);
    cio_task *r = CALL("r", cio_rwlock_acquire_read, &lock);
    cio_task *w = CALL("w", cio_rwlock_acquire_write, &lock);
    assert_ptr_equal(holder_of(r, &object), cio_current_task());
    assert_ptr_equal(holder_of(w, &object), cio_current_task());
    assert_ptr_equal(object, &lock);
    assert_int_equal(cio_rwlock_release_write(&lock), 0);
    assert_int_equal(cio_await(r), 0);
    assert_null(holder_of(w, &object)); /* readers are many, and not known */
    assert_ptr_equal(object, &lock);
    assert_int_equal(cio_rwlock_release_read(&lock), 0);
    assert_int_equal(cio_await(w), 0);
    return 0;
}

TEST(other_waits_have_no_holder)
{
    struct job job = {"a", FOREVER};
    const void *object = &job;
    cio_task *a = start_job(&job);
    assert_int_equal(cio_yield(), 0);
    assert_null(holder_of(a, &object));
    assert_null(object);
    cancel_all(&a, 1);
    return 0;
}
