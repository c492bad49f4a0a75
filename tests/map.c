/* cio_map: a call for each item, a few at a time. */
#include "waits.h"

enum { N = 40 };

static struct {
    int n_active, most_active, n_begun;
} calls;

struct item {
    int turns, end, cleanup;
    int begun_as; /* 1: the first that began */
    bool is_ended, is_canceled;
};

static int call(void *arg)
{
    struct item *item = arg;
    item->begun_as = ++calls.n_begun;
    if (++calls.n_active > calls.most_active)
        calls.most_active = calls.n_active;
    int rc = wait_turns(item->turns);
    if (rc < 0) {
        item->is_canceled = true;
        wait_turns(item->cleanup);
    }
    calls.n_active--;
    item->is_ended = true;
    return rc < 0 ? rc : item->end;
}

static struct item items[N];

static void set_items(int turns)
{
    memset(&calls, 0, sizeof calls);
    memset(items, 0, sizeof items);
    for (int i = 0; i < N; i++)
        items[i].turns = turns;
}

TEST(map_calls_each_once_in_order)
{
    for (size_t concurrency = 1; concurrency <= 2 * N; concurrency = 2 * concurrency + 1) {
        set_items(2);
        for (int i = 0; i < N; i++)
            items[i].turns = (i * 5) % 7;
        assert_int_equal(cio_map(call, items, N, sizeof items[0], concurrency), 0);
        assert_int_equal(calls.n_begun, N);
        assert_int_equal(calls.n_active, 0);
        assert_true((size_t)calls.most_active <= concurrency);
        for (int i = 0; i < N; i++) {
            assert_int_equal(items[i].begun_as, i + 1);
            assert_true(items[i].is_ended);
        }
    }
    return 0;
}

TEST(map_uses_all_of_the_concurrency)
{
    set_items(5);
    assert_int_equal(cio_map(call, items, N, sizeof items[0], 7), 0);
    assert_int_equal(calls.most_active, 7);
    set_items(5);
    assert_int_equal(cio_map(call, items, N, sizeof items[0], SIZE_MAX), 0);
    assert_int_equal(calls.most_active, N);
    return 0;
}

TEST(map_of_nothing)
{
    set_items(1);
    assert_int_equal(cio_map(call, items, 0, sizeof items[0], 4), 0);
    assert_int_equal(cio_map(call, NULL, 0, sizeof items[0], 4), 0);
    assert_int_equal(calls.n_begun, 0);
    return 0;
}

TEST(map_results_are_not_errors)
{
    set_items(1);
    for (int i = 0; i < N; i++)
        items[i].end = i;
    assert_int_equal(cio_map(call, items, N, sizeof items[0], 4), 0);
    return 0;
}

/* An error in each place: the others are canceled and waited for, no further one starts. */
TEST(the_first_error_ends_it)
{
    enum { CONCURRENCY = 4 };
    for (int bad = 0; bad < N; bad++) {
        set_items(3);
        for (int i = bad; i < N; i++)
            items[i] = (struct item){.turns = FOREVER, .cleanup = 3};
        items[bad] = (struct item){.turns = 1, .end = -EIO};
        assert_int_equal(cio_map(call, items, N, sizeof items[0], CONCURRENCY), -EIO);
        assert_int_equal(calls.n_active, 0);
        assert_true(calls.n_begun <= bad + CONCURRENCY);
        for (int i = 0; i < N; i++) {
            assert_int_equal(items[i].is_ended, items[i].begun_as > 0);
            if (i < bad && items[i].is_ended && !items[i].is_canceled)
                assert_true(items[i].begun_as > 0);
            if (i > bad && items[i].begun_as)
                assert_true(items[i].is_canceled);
        }
        assert_int_equal(requests(), 0);
    }
    return 0;
}

TEST(errors_come_first_in_time_not_in_place)
{
    set_items(9);
    items[0].end = -1;
    items[2].turns = 2;
    items[2].end = -2;
    assert_int_equal(cio_map(call, items, N, sizeof items[0], 4), -2);
    return 0;
}

static int swallow(void *arg)
{
    struct item *item = arg;
    int rc = call(item);
    return rc < 0 ? item->end : rc;
}

/* A call that swallows its cancellation ends, but no further one starts after it. */
TEST(no_further_one_starts_though_the_calls_swallow)
{
    set_items(FOREVER);
    items[1] = (struct item){.turns = 2, .end = -EIO};
    for (int i = 4; i < N; i++)
        items[i].turns = 1;
    int rc = cio_map(swallow, items, N, sizeof items[0], 4);
    assert_int_equal(rc, -EIO);
    assert_int_equal(calls.n_begun, 4);
    return 0;
}

/* As a child of a group that ends canceled without being asked: no error, the others are called. */
TEST(t38_a_call_that_ends_canceled_is_no_error)
{
    for (size_t concurrency = 1; concurrency <= 3; concurrency++) {
        set_items(1);
        items[0].end = items[5].end = items[N - 1].end = CIO_ECANCELED;
        assert_int_equal(cio_map(call, items, N, sizeof items[0], concurrency), 0);
        assert_int_equal(calls.n_begun, N);
    }
    return 0;
}

/* Each call has a task of its own: what one leaves behind in it does not reach the next. */
static int cancel_itself(void *arg)
{
    struct item *item = arg;
    assert_int_equal(requests(), 0);
    cio_cancel(cio_current_task());
    assert_int_equal(cio_yield(), CIO_ECANCELED);
    item->is_ended = true;
    return 0;
}

TEST(each_call_has_a_task_of_its_own)
{
    set_items(0);
    assert_int_equal(cio_map(cancel_itself, items, N, sizeof items[0], 2), 0);
    for (int i = 0; i < N; i++)
        assert_true(items[i].is_ended);
    return 0;
}

static int do_map(void *arg)
{
    (void)arg;
    int rc = cio_map(call, items, N, sizeof items[0], 4);
    note("map %d", requests());
    return rc;
}

TEST(canceled_it_cancels_and_waits)
{
    set_items(FOREVER);
    items[1].cleanup = 5;
    assert_int_equal(cancel_after(4, do_map, NULL), CIO_ECANCELED);
    assert_noted("map 1");
    assert_int_equal(calls.n_begun, 4);
    assert_int_equal(calls.n_active, 0);
    for (int i = 0; i < 4; i++)
        assert_true(items[i].is_canceled && items[i].is_ended);
    return 0;
}

TEST(a_timeout_of_a_map)
{
    cio_timeout t;
    set_items(FOREVER);
    assert_int_equal(cio_timeout_enter(&t, 0.005), 0);
    int rc = cio_map(call, items, N, sizeof items[0], 4);
    assert_int_equal(cio_timeout_exit(&t, rc), CIO_ETIMEDOUT);
    assert_int_equal(calls.n_active, 0);
    return 0;
}

static int call_map(void *arg)
{
    struct item *own = arg;
    return cio_map(call, own, 5, sizeof *own, 2);
}

TEST(maps_in_a_map)
{
    set_items(2);
    assert_int_equal(cio_map(call_map, items, N / 5, 5 * sizeof items[0], 3), 0);
    assert_int_equal(calls.n_begun, N);
    assert_true(calls.most_active <= 6);
    return 0;
}

static void outside(void *arg)
{
    (void)arg;
    assert_int_equal(cio_map(call, items, N, sizeof items[0], 1), CIO_ENOTASK);
}

TEST(map_refuses)
{
    set_items(1);
    assert_int_equal(cio_map(call, items, N, sizeof items[0], 0), -EINVAL);
    assert_int_equal(cio_map(NULL, items, N, sizeof items[0], 1), -EINVAL);
    assert_int_equal(cio_map(call, NULL, N, sizeof items[0], 1), -EINVAL);
    call_outside_tasks(outside);
    assert_int_equal(calls.n_begun, 0);
    return 0;
}

TEST(map_of_many)
{
    enum { MANY = 20000 };
    static struct item many[MANY];
    int n = test_scale(MANY);
    for (int i = 0; i < n; i++)
        many[i] = (struct item){.turns = i % 3};
    assert_int_equal(cio_map(call, many, n, sizeof many[0], 100), 0);
    assert_int_equal(calls.n_begun, n);
    assert_int_equal(calls.n_active, 0);
    return 0;
}
