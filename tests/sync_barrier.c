/* cio_barrier: asyncio.Barrier. */
#include "sync.h"

TEST(all_go_on_when_the_last_has_come)
{
    cio_barrier b = CIO_BARRIER_INIT(3);
    assert_int_equal(cio_barrier_parties(&b), 3);
    cio_task *first = CALL("a", cio_barrier_wait, &b);
    cio_task *second = CALL("b", cio_barrier_wait, &b);
    let_run();
    assert_noted("");
    assert_int_equal(cio_barrier_n_waiting(&b), 2);
    assert_int_equal(cio_barrier_wait(&b), 2);
    assert_int_equal(cio_barrier_n_waiting(&b), 0); /* they leave */
    assert_int_equal(cio_await(first), 0);
    assert_int_equal(cio_await(second), 1);
    assert_int_equal(cio_barrier_destroy(&b), 0);
    return 0;
}

enum { PARTIES = 4, ROUNDS = 25 };

static int n_arrived;

static int go_round(void *barrier)
{
    int indices = 0;
    for (int i = 0; i < ROUNDS; i++) {
        n_arrived++;
        int index = cio_barrier_wait(barrier);
        assert_in_range(index, 0, PARTIES - 1);
        assert_in_range(n_arrived, PARTIES * (i + 1),
                        PARTIES * (i + 2)); /* all are here, none further */
        indices += index;
        assert_int_equal(wait_turns(index), 0);
    }
    return indices;
}

TEST(round_after_round)
{
    cio_barrier b = CIO_BARRIER_INIT(PARTIES);
    cio_task *tasks[PARTIES];
    int indices = 0;
    for (int i = 0; i < PARTIES; i++)
        tasks[i] = cio_create_task(go_round, &b);
    for (int i = 0; i < PARTIES; i++)
        indices += cio_await(tasks[i]);
    assert_int_equal(indices, ROUNDS * (0 + 1 + 2 + 3)); /* each number once a round */
    return 0;
}

TEST(who_comes_while_others_leave_waits_for_the_next_round)
{
    cio_barrier b = CIO_BARRIER_INIT(2);
    cio_task *first = CALL("a", cio_barrier_wait, &b);
    assert_int_equal(cio_barrier_wait(&b), 1);
    cio_task *next = cio_create_task(make_call, CALLER("c", cio_barrier_wait, &b));
    assert_int_equal(cio_await(first), 0);
    let_run();
    assert_false(cio_done(next));
    assert_int_equal(cio_barrier_wait(&b), 1);
    assert_int_equal(cio_await(next), 0);
    return 0;
}

TEST(a_canceled_one_has_not_come)
{
    cio_barrier b = CIO_BARRIER_INIT(2);
    cio_task *a = CALL("a", cio_barrier_wait, &b);
    cio_cancel(a);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_false(cio_barrier_broken(&b));
    assert_int_equal(cio_barrier_n_waiting(&b), 0);
    cio_task *c = CALL("c", cio_barrier_wait, &b);
    assert_int_equal(cio_barrier_wait(&b), 1);
    cio_cancel(c); /* it was let go, and is canceled all the same */
    assert_int_equal(cio_await(c), CIO_ECANCELED);
    cio_task *d = CALL("d", cio_barrier_wait, &b);
    assert_int_equal(cio_barrier_wait(&b), 1);
    assert_int_equal(cio_await(d), 0);
    assert_int_equal(call_canceled(CALLER("e", cio_barrier_wait, &b)), CIO_ECANCELED);
    assert_int_equal(cio_barrier_destroy(&b), 0);
    return 0;
}

TEST(reset_sends_those_who_wait_away)
{
    cio_barrier b = CIO_BARRIER_INIT(3);
    cio_task *first = CALL("a", cio_barrier_wait, &b);
    cio_task *second = CALL("b", cio_barrier_wait, &b);
    assert_int_equal(cio_barrier_destroy(&b), -EBUSY);
    assert_int_equal(cio_barrier_reset(&b), 0);
    assert_int_equal(cio_await(first), CIO_EBROKEN);
    assert_int_equal(cio_await(second), CIO_EBROKEN);
    assert_false(cio_barrier_broken(&b));
    cio_task *third = CALL("c", cio_barrier_wait, &b);
    cio_task *fourth = CALL("d", cio_barrier_wait, &b);
    assert_int_equal(cio_barrier_wait(&b), 2);
    assert_int_equal(cio_await(third) + cio_await(fourth), 1);
    return 0;
}

TEST(abort_breaks_it_until_reset)
{
    cio_barrier b = CIO_BARRIER_INIT(2);
    cio_task *a = CALL("a", cio_barrier_wait, &b);
    assert_int_equal(cio_barrier_abort(&b), 0);
    assert_true(cio_barrier_broken(&b));
    assert_int_equal(cio_barrier_wait(&b), CIO_EBROKEN);
    assert_int_equal(cio_await(a), CIO_EBROKEN);
    assert_int_equal(cio_barrier_wait(&b), CIO_EBROKEN);
    assert_int_equal(cio_barrier_reset(&b), 0);
    assert_false(cio_barrier_broken(&b));
    cio_task *c = CALL("c", cio_barrier_wait, &b);
    assert_int_equal(cio_barrier_wait(&b), 1);
    assert_int_equal(cio_await(c), 0);
    return 0;
}

TEST(a_party_of_one_never_waits)
{
    cio_barrier b = CIO_BARRIER_INIT(1);
    assert_int_equal(cio_barrier_wait(&b), 0);
    assert_int_equal(cio_barrier_wait(&b), 0);
    return 0;
}

static cio_barrier outside = CIO_BARRIER_INIT(1);

static void use_outside(void *arg)
{
    (void)arg;
    assert_int_equal(cio_barrier_wait(&outside), CIO_ENOTASK);
    assert_int_equal(cio_barrier_reset(&outside), CIO_ENOTASK);
    assert_int_equal(cio_barrier_abort(&outside), CIO_ENOTASK);
}

TEST(bad_input)
{
    cio_barrier b;
    call_outside_tasks(use_outside);
    assert_int_equal(cio_barrier_init(&b, 2), 0);
    assert_int_equal(cio_barrier_parties(&b), 2);
    assert_int_equal(cio_barrier_init(&b, 0), -EINVAL);
    assert_int_equal(cio_barrier_init(&b, -1), -EINVAL);
    assert_int_equal(cio_barrier_init(NULL, 1), -EINVAL);
    b = (cio_barrier)CIO_BARRIER_INIT(0);
    assert_int_equal(cio_barrier_wait(&b), -EINVAL);
    assert_int_equal(cio_barrier_reset(&b), -EINVAL);
    assert_int_equal(cio_barrier_wait(NULL), -EINVAL);
    assert_int_equal(cio_barrier_reset(NULL), -EINVAL);
    assert_int_equal(cio_barrier_abort(NULL), -EINVAL);
    assert_int_equal(cio_barrier_destroy(NULL), -EINVAL);
    assert_int_equal(cio_barrier_parties(NULL), 0);
    assert_int_equal(cio_barrier_n_waiting(NULL), 0);
    assert_false(cio_barrier_broken(NULL));
    return 0;
}
