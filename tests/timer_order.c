/* Many timers, against a sorted list. Traps T5 and T9. */
#include <stdlib.h>

#include "test.h"
#include "trace.h"

static uint64_t next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

struct timer {
    cio_handle handle;
    int key;  /* its deadline in steps of a microsecond */
    int made; /* the how-manieth it was: decides among equals */
    bool canceled;
};

static struct {
    struct timer **order; /* what must fire, in this order */
    int n, next;
    cio_loop *loop;
    double start;
} model;

static void fire(void *arg)
{
    struct timer *t = arg;
    assert_true(model.next < model.n);
    assert_ptr_equal(t, model.order[model.next]);
    assert_true(cio_time(model.loop) >= model.start + t->key * 1e-6);
    if (++model.next == model.n)
        stop_loop(model.loop);
}

static int by_key_then_age(const void *left, const void *right)
{
    const struct timer *a = *(struct timer *const *)left, *b = *(struct timer *const *)right;
    return a->key != b->key ? (a->key > b->key) - (a->key < b->key) : a->made - b->made;
}

static void arm(struct timer *t, int made, int span)
{
    t->key = (int)(next_random() % (uint64_t)span);
    t->made = made;
    t->canceled = false;
    double when = model.start + t->key * 1e-6;
    assert_int_equal(cio_call_at(model.loop, &t->handle, when, fire, t), 0);
}

static void cancel(struct timer *t)
{
    assert_true(cio_handle_cancel(&t->handle));
    t->canceled = true;
}

/*
 * n timers at random times of which many are equal, random ones of them canceled and some of those
 * made again, before and while they are due. They fire exactly as a sorted list says.
 */
static void check_against_model(int n, int span)
{
    struct timer *timers = calloc((size_t)n, sizeof *timers);
    int made = 0;
    model.loop = new_loop();
    model.start = cio_time(model.loop) - span * 0.5e-6;
    model.order = calloc((size_t)n, sizeof(struct timer *));
    for (int i = 0; i < n; i++) {
        arm(&timers[i], made++, span);
        struct timer *other = &timers[next_random() % (uint64_t)(i + 1)];
        if (next_random() % 3 == 0 && !other->canceled)
            cancel(other);
        else if (other->canceled && next_random() % 2)
            arm(other, made++, span);
    }
    for (int i = 0; i < n; i++) {
        if (!timers[i].canceled)
            model.order[model.n++] = &timers[i];
    }
    qsort(model.order, (size_t)model.n, sizeof(struct timer *), by_key_then_age);
    assert_int_equal(cio_run_forever(model.loop), 0);
    assert_int_equal(model.next, model.n);
    free_loop(model.loop);
    free(model.order);
    free(timers);
}

TEST(t5_timers_agree_with_a_sorted_list)
{
    check_against_model(test_scale(100000), 50000);
}

TEST(t5_timers_of_few_deadlines_agree_with_a_sorted_list)
{
    check_against_model(test_scale(20000), 7);
}

/* T9: a million timeouts that are always canceled in time leave nothing behind. */
TEST(t9_made_and_canceled_a_million_times)
{
    enum { N = 8 };
    cio_handle handles[N] = {0};
    cio_loop *loop = new_loop();
    for (int i = test_scale(1000000); i > 0; i--) {
        cio_handle *handle = &handles[next_random() % N];
        cio_handle_cancel(handle);
        double delay = 1.0 + (double)(next_random() % 1000);
        assert_int_equal(cio_call_later(loop, handle, delay, note, "never"), 0);
    }
    for (int i = 0; i < N; i++)
        cio_handle_cancel(&handles[i]);
    run_turn(loop);
    assert_trace("");
    free_loop(loop);
}
