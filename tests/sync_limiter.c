/* cio_limiter: anyio's CapacityLimiter. */
#include "sync.h"

static cio_limiter limiter;

static int borrow_and_wait(void *arg)
{
    cio_borrow borrow = CIO_BORROW_INIT;
    int rc = cio_limiter_acquire(&limiter, &borrow);
    if (rc < 0)
        return rc;
    note("%s", (const char *)arg);
    rc = wait_turns(FOREVER);
    assert_int_equal(cio_limiter_release(&limiter, &borrow), 0);
    return rc;
}

static cio_task *start(const char *name)
{
    cio_task *task = cio_create_task(borrow_and_wait, (void *)name);
    assert_non_null(task);
    assert_int_equal(cio_yield(), 0);
    return task;
}

static void end(cio_task *task)
{
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
}

static void assert_counts(int total, int borrowed, int waiting)
{
    cio_limiter_statistics s = cio_limiter_get_statistics(&limiter);
    assert_int_equal(s.total, total);
    assert_int_equal(s.borrowed, borrowed);
    assert_int_equal(s.available, total - borrowed);
    assert_int_equal(s.waiting, waiting);
    assert_int_equal(cio_limiter_borrowers(&limiter, NULL, NULL), borrowed);
}

TEST(so_many_borrow_in_order)
{
    assert_int_equal(cio_limiter_init(&limiter, 2), 0);
    cio_task *a = start("a"), *b = start("b"), *c = start("c"), *d = start("d");
    assert_noted("a b");
    assert_counts(2, 2, 2);
    end(a);
    let_run();
    assert_noted("c");
    assert_counts(2, 2, 1);
    end(b);
    assert_counts(2, 2, 0);
    end(c);
    end(d); /* let in, and canceled before or after it ran */
    assert_counts(2, 0, 0);
    assert_int_equal(cio_limiter_destroy(&limiter), 0);
    return 0;
}

TEST(a_newcomer_does_not_pass_by)
{
    assert_int_equal(cio_limiter_init(&limiter, 1), 0);
    cio_task *a = start("a"), *b = start("b");
    cio_borrow borrow = CIO_BORROW_INIT;
    assert_int_equal(cio_limiter_acquire_nowait(&limiter, &borrow), -EAGAIN);
    end(a);
    assert_int_equal(cio_limiter_acquire_nowait(&limiter, &borrow), -EAGAIN);
    end(b);
    assert_int_equal(cio_limiter_acquire_nowait(&limiter, &borrow), 0);
    assert_int_equal(cio_limiter_release(&limiter, &borrow), 0);
    return 0;
}

TEST(nobody_borrows_twice)
{
    assert_int_equal(cio_limiter_init(&limiter, 9), 0);
    cio_borrow one = CIO_BORROW_INIT, two = CIO_BORROW_INIT;
    int object = 0;
    assert_int_equal(cio_limiter_acquire(&limiter, &one), 0);
    assert_int_equal(cio_limiter_acquire(&limiter, &two), CIO_ESTATE);
    assert_int_equal(cio_limiter_acquire_nowait(&limiter, &two), CIO_ESTATE);
    assert_int_equal(cio_limiter_acquire_on_behalf_of(&limiter, &one, &object), CIO_ESTATE);
    assert_int_equal(cio_limiter_acquire_on_behalf_of(&limiter, &two, &object), 0);
    assert_int_equal(cio_limiter_acquire_on_behalf_of_nowait(&limiter, &two, &object), CIO_ESTATE);
    assert_counts(9, 2, 0);
    assert_int_equal(cio_limiter_release(&limiter, &two), 0);
    assert_int_equal(cio_limiter_release(&limiter, &two), CIO_ESTATE);
    assert_int_equal(cio_limiter_release(&limiter, &one), 0);
    assert_int_equal(cio_limiter_acquire(&limiter, &one), 0); /* the places serve again */
    assert_int_equal(cio_limiter_release(&limiter, &one), 0);
    return 0;
}

struct on_behalf {
    cio_borrow borrow;
    int object;
};

static int acquire_on_behalf(struct on_behalf *o)
{
    return cio_limiter_acquire_on_behalf_of(&limiter, &o->borrow, &o->object);
}

TEST(who_waits_is_a_borrower_already)
{
    assert_int_equal(cio_limiter_init(&limiter, 0), 0);
    struct on_behalf o = {CIO_BORROW_INIT, 0};
    cio_borrow other = CIO_BORROW_INIT;
    cio_task *a = CALL("a", acquire_on_behalf, &o);
    assert_counts(0, 0, 1);
    assert_int_equal(cio_limiter_acquire_on_behalf_of(&limiter, &other, &o.object), CIO_ESTATE);
    assert_int_equal(acquire_on_behalf(&o), CIO_ESTATE);
    assert_int_equal(cio_limiter_release(&limiter, &o.borrow), CIO_ESTATE);
    assert_int_equal(cio_limiter_set_total(&limiter, 1), 0);
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_limiter_release(&limiter, &o.borrow), 0); /* by another task */
    assert_counts(1, 0, 0);
    return 0;
}

TEST(the_total_may_change)
{
    assert_int_equal(cio_limiter_init(&limiter, 1), 0);
    cio_task *tasks[] = {start("a"), start("b"), start("c"), start("d")};
    assert_noted("a");
    assert_int_equal(cio_limiter_set_total(&limiter, 3), 0);
    assert_counts(3, 3, 1);
    let_run();
    assert_noted("b c");
    assert_int_equal(cio_limiter_set_total(&limiter, 1), 0);
    assert_counts(1, 3, 1);
    end(tasks[0]);
    end(tasks[1]);
    let_run();
    assert_noted("");
    assert_counts(1, 1, 1);
    end(tasks[2]);
    let_run();
    assert_noted("d");
    end(tasks[3]);
    assert_int_equal(cio_limiter_set_total(&limiter, CIO_LIMITER_INFINITE), 0);
    return 0;
}

TEST(canceled_at_each_point)
{
    assert_int_equal(cio_limiter_init(&limiter, 1), 0);
    cio_borrow mine = CIO_BORROW_INIT;
    assert_int_equal(cio_limiter_acquire(&limiter, &mine), 0);
    cio_task *b = start("b"), *c = start("c"), *d = start("d");
    cio_cancel(b); /* while it waits */
    cio_cancel(b);
    assert_int_equal(cio_limiter_release(&limiter, &mine), 0);
    assert_counts(1, 1, 2);
    cio_cancel(c); /* let in, and has not run */
    assert_int_equal(cio_await(b), CIO_ECANCELED);
    assert_int_equal(cio_await(c), CIO_ECANCELED);
    let_run();
    assert_noted("d");
    struct on_behalf o = {CIO_BORROW_INIT, 0};
    assert_int_equal(call_canceled(CALLER("o", acquire_on_behalf, &o)), CIO_ECANCELED);
    end(d);
    assert_counts(1, 0, 0);
    assert_int_equal(cio_limiter_destroy(&limiter), 0);
    return 0;
}

static bool add_borrower(const void *borrower, void *sum)
{
    *(int *)sum += *(const int *)borrower;
    return *(int *)sum < 1000000;
}

TEST(it_knows_who_has_borrowed)
{
    enum { N = 500 };
    static int objects[N];
    static cio_borrow places[N];
    assert_int_equal(cio_limiter_init(&limiter, N), 0);
    int sum = 0;
    for (int i = 0; i < N; i++) {
        objects[i] = i;
        assert_int_equal(cio_limiter_acquire_on_behalf_of(&limiter, &places[i], &objects[i]), 0);
    }
    assert_int_equal(cio_limiter_borrowers(&limiter, add_borrower, &sum), N);
    assert_int_equal(sum, N * (N - 1) / 2);
    for (int i = 0; i < N; i += 2)
        assert_int_equal(cio_limiter_release(&limiter, &places[i]), 0);
    sum = 0;
    assert_int_equal(cio_limiter_borrowers(&limiter, add_borrower, &sum), N / 2);
    assert_int_equal(sum, N / 2 * (N / 2));
    sum = 1000000;
    assert_int_equal(cio_limiter_borrowers(&limiter, add_borrower, &sum), 1);
    for (int i = 1; i < N; i += 2)
        assert_int_equal(cio_limiter_release(&limiter, &places[i]), 0);
    assert_counts(N, 0, 0);
    return 0;
}

TEST(destroyed_while_in_use)
{
    assert_int_equal(cio_limiter_init(&limiter, 1), 0);
    cio_task *a = start("a"), *b = start("b");
    assert_int_equal(cio_limiter_destroy(&limiter), -EBUSY);
    end(a);
    assert_int_equal(cio_limiter_destroy(&limiter), -EBUSY);
    end(b);
    assert_int_equal(cio_limiter_destroy(&limiter), 0);
    return 0;
}

static void use_outside(void *arg)
{
    (void)arg;
    static int object;
    static cio_borrow borrow;
    assert_int_equal(cio_limiter_acquire(&limiter, &borrow), CIO_ENOTASK);
    assert_int_equal(cio_limiter_acquire_nowait(&limiter, &borrow), CIO_ENOTASK);
    assert_int_equal(cio_limiter_acquire_on_behalf_of(&limiter, &borrow, &object), CIO_ENOTASK);
    assert_int_equal(cio_limiter_acquire_on_behalf_of_nowait(&limiter, &borrow, &object), 0);
    assert_int_equal(cio_limiter_release(&limiter, &borrow), 0);
}

TEST(bad_input)
{
    cio_borrow borrow = CIO_BORROW_INIT;
    int object = 0;
    assert_int_equal(cio_limiter_init(&limiter, 1), 0);
    call_outside_tasks(use_outside);
    assert_int_equal(cio_limiter_init(NULL, 1), -EINVAL);
    assert_int_equal(cio_limiter_init(&limiter, -1), -EINVAL);
    assert_int_equal(cio_limiter_acquire(NULL, &borrow), -EINVAL);
    assert_int_equal(cio_limiter_acquire(&limiter, NULL), -EINVAL);
    assert_int_equal(cio_limiter_acquire_nowait(NULL, &borrow), -EINVAL);
    assert_int_equal(cio_limiter_acquire_on_behalf_of(NULL, &borrow, &object), -EINVAL);
    assert_int_equal(cio_limiter_acquire_on_behalf_of(&limiter, &borrow, NULL), -EINVAL);
    assert_int_equal(cio_limiter_acquire_on_behalf_of_nowait(&limiter, NULL, &object), -EINVAL);
    assert_int_equal(cio_limiter_release(NULL, &borrow), -EINVAL);
    assert_int_equal(cio_limiter_release(&limiter, NULL), -EINVAL);
    assert_int_equal(cio_limiter_release(&limiter, &borrow), CIO_ESTATE);
    assert_int_equal(cio_limiter_set_total(NULL, 1), -EINVAL);
    assert_int_equal(cio_limiter_set_total(&limiter, -1), -EINVAL);
    assert_int_equal(cio_limiter_borrowers(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(cio_limiter_destroy(NULL), -EINVAL);
    assert_int_equal(cio_limiter_get_statistics(NULL).total, 0);
    cio_limiter negative = CIO_LIMITER_INIT(-1);
    assert_int_equal(cio_limiter_acquire(&negative, &borrow), -EINVAL);
    return 0;
}
