/* Generators outside of any loop: every call in every state, values, errors, ends, delegation. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "journal.h"
#include "test.h"

static void *number(intptr_t n)
{
    return (void *)n;
}

static cio_generator *new (cio_generator_fn *fn, void *arg)
{
    cio_generator *g = cio_generator_new(fn, arg);
    assert_non_null(g);
    return g;
}

static void expect_next(cio_generator *g, intptr_t expected)
{
    void *value = NULL;
    assert_int_equal(cio_generator_next(g, &value), 1);
    assert_int_equal((intptr_t)value, expected);
}

static void expect_send(cio_generator *g, intptr_t sent, intptr_t expected)
{
    void *value = NULL;
    assert_int_equal(cio_generator_send(g, number(sent), &value), 1);
    assert_int_equal((intptr_t)value, expected);
}

static void expect_end(cio_generator *g)
{
    for (int i = 0; i < 3; i++) {
        void *value = &value;
        assert_int_equal(cio_generator_next(g, &value), 0);
        assert_null(value);
    }
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_CLOSED);
}

static void expect_free(cio_generator *g)
{
    assert_int_equal(cio_generator_free(g), 0);
}

/* ---- bodies ---- */

static int count_down(cio_generator *g, void *arg)
{
    for (intptr_t n = (intptr_t)arg; n > 0; n--) {
        int rc = cio_generator_yield(g, number(n), NULL);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Yields what it was sent plus one; notes how each yield ends; survives errors above -100. */
static int echo(cio_generator *g, void *arg)
{
    void *sent = number(-1);
    int rc = cio_generator_yield(g, arg, &sent);
    for (;;) {
        if (rc < 0)
            note("%s", cio_err_name(rc));
        else
            note("%d", (int)(intptr_t)sent);
        if (rc <= -100)
            return rc;
        rc = cio_generator_yield(g, number((intptr_t)sent + 1), &sent);
    }
}

static int fail_at_once(cio_generator *g, void *arg)
{
    (void)g, (void)arg;
    note("ran");
    return -EIO;
}

static int return_seven(cio_generator *g, void *arg)
{
    cio_generator_yield(g, arg, NULL);
    return cio_generator_return(g, 7, number(77));
}

/* ---- values ---- */

TEST(next_gives_one_value_after_the_other)
{
    cio_generator *g = new (count_down, number(3));
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_CREATED);
    expect_next(g, 3);
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_SUSPENDED);
    expect_next(g, 2);
    expect_next(g, 1);
    expect_end(g);
    expect_free(g);
}

TEST(a_for_loop_over_values)
{
    cio_generator *g = new (count_down, number(10));
    void *value;
    int sum = 0, rc;
    while ((rc = cio_generator_next(g, &value)) > 0)
        sum += (int)(intptr_t)value;
    assert_int_equal(rc, 0);
    assert_int_equal(sum, 55);
    expect_free(g);
}

TEST(nothing_runs_before_the_first_next)
{
    cio_generator *g = new (fail_at_once, NULL);
    assert_string_equal(noted(), "");
    assert_int_equal(cio_generator_next(g, NULL), -EIO);
    assert_string_equal(noted(), "ran");
    expect_free(g);
}

TEST(what_is_sent_comes_out_of_the_yield)
{
    cio_generator *g = new (echo, number(100));
    expect_next(g, 100);
    expect_send(g, 5, 6);
    expect_next(g, 1); /* next sends NULL */
    expect_send(g, 41, 42);
    assert_string_equal(noted(), "5 0 41");
    expect_free(g);
}

/* Nothing was sent into a yield that takes nothing; nobody looks at a value that nobody wants. */
TEST(values_that_nobody_wants)
{
    cio_generator *g = new (count_down, number(3));
    assert_int_equal(cio_generator_next(g, NULL), 1);
    assert_int_equal(cio_generator_send(g, number(9), NULL), 1);
    expect_next(g, 1);
    assert_int_equal(cio_generator_next(g, NULL), 0);
    expect_free(g);
}

TEST(a_value_at_the_end)
{
    cio_generator *g = new (return_seven, number(1));
    void *value;
    assert_int_equal(cio_generator_result(g, &value), CIO_ESTATE);
    expect_next(g, 1);
    assert_int_equal(cio_generator_result(g, NULL), CIO_ESTATE);
    assert_int_equal(cio_generator_next(g, &value), 0);
    assert_int_equal((intptr_t)value, 77);
    expect_end(g); /* told once */
    assert_int_equal(cio_generator_result(g, &value), 7);
    assert_int_equal((intptr_t)value, 77);
    expect_free(g);
}

static int value_with_an_error(cio_generator *g, void *arg)
{
    (void)arg;
    return cio_generator_return(g, -EIO, number(1));
}

TEST(an_error_has_no_value)
{
    cio_generator *g = new (value_with_an_error, NULL);
    void *value = &value;
    assert_int_equal(cio_generator_next(g, &value), -EIO);
    assert_null(value);
    assert_int_equal(cio_generator_result(g, &value), -EIO);
    assert_null(value);
    expect_free(g);
}

TEST(an_error_is_told_once_and_then_it_has_ended)
{
    cio_generator *g = new (fail_at_once, NULL);
    assert_int_equal(cio_generator_next(g, NULL), -EIO);
    expect_end(g);
    assert_string_equal(noted(), "ran");
    assert_int_equal(cio_generator_result(g, NULL), -EIO);
    expect_free(g);
}

/* ---- throw ---- */

TEST(what_is_thrown_comes_out_of_the_yield)
{
    void *value;
    cio_generator *g = new (echo, NULL);
    expect_next(g, 0);
    assert_int_equal(cio_generator_throw(g, -EPERM, &value), 1);
    expect_send(g, 4, 5);
    assert_string_equal(noted(), "EPERM 4");
    assert_int_equal(cio_generator_throw(g, -ECONNRESET, &value), -ECONNRESET);
    assert_null(value);
    expect_end(g);
    expect_free(g);
}

static int catch_and_end(cio_generator *g, void *arg)
{
    (void)arg;
    assert_int_equal(cio_generator_yield(g, NULL, NULL), -EPERM);
    return cio_generator_return(g, 0, number(5));
}

TEST(one_that_catches_what_is_thrown_may_end)
{
    void *value;
    cio_generator *g = new (catch_and_end, NULL);
    expect_next(g, 0);
    assert_int_equal(cio_generator_throw(g, -EPERM, &value), 0);
    assert_int_equal((intptr_t)value, 5);
    expect_free(g);
}

TEST(throw_before_the_start_ends_it_unrun)
{
    void *value = &value;
    cio_generator *g = new (fail_at_once, NULL);
    assert_int_equal(cio_generator_throw(g, -EPERM, &value), -EPERM);
    assert_null(value);
    expect_end(g);
    assert_int_equal(cio_generator_result(g, NULL), -EPERM);
    assert_string_equal(noted(), "");
    expect_free(g);
}

TEST(throw_after_the_end_comes_back)
{
    cio_generator *g = new (count_down, NULL);
    expect_end(g);
    assert_int_equal(cio_generator_throw(g, -EPERM, NULL), -EPERM);
    assert_int_equal(cio_generator_result(g, NULL), 0);
    expect_end(g);
    expect_free(g);
}

/* ---- close ---- */

static int clean_up(cio_generator *g, void *arg)
{
    int rc = cio_generator_yield(g, NULL, NULL);
    note("%s", cio_err_name(rc));
    return arg ? (int)(intptr_t)arg : rc;
}

TEST(close_lets_it_clean_up)
{
    cio_generator *g = new (clean_up, NULL);
    expect_next(g, 0);
    assert_int_equal(cio_generator_close(g), 0);
    assert_string_equal(noted(), "CIO_ESHUTDOWN");
    assert_int_equal(cio_generator_result(g, NULL), CIO_ESHUTDOWN);
    expect_end(g);
    assert_int_equal(cio_generator_close(g), 0); /* and again */
    assert_string_equal(noted(), "CIO_ESHUTDOWN");
    expect_free(g);
}

TEST(close_of_one_that_returns_a_value_instead)
{
    cio_generator *g = new (clean_up, number(3));
    expect_next(g, 0);
    assert_int_equal(cio_generator_close(g), 0);
    assert_int_equal(cio_generator_result(g, NULL), 3);
    expect_free(g);
}

TEST(close_of_one_that_fails_instead)
{
    cio_generator *g = new (clean_up, number(-EIO));
    expect_next(g, 0);
    assert_int_equal(cio_generator_close(g), -EIO);
    assert_int_equal(cio_generator_close(g), 0);
    expect_free(g);
}

TEST(close_before_the_start_never_runs_it)
{
    cio_generator *g = new (fail_at_once, NULL);
    assert_int_equal(cio_generator_close(g), 0);
    expect_end(g);
    assert_int_equal(cio_generator_result(g, NULL), CIO_ESHUTDOWN);
    assert_string_equal(noted(), "");
    expect_free(g);
}

/* Will not go for the first `arg` times. */
static int stay(cio_generator *g, void *arg)
{
    intptr_t times = (intptr_t)arg;
    for (;;) {
        int rc = cio_generator_yield(g, number(times), NULL);
        if (rc == CIO_ESHUTDOWN && times-- == 0)
            return rc;
    }
}

TEST(one_that_ignores_its_close_goes_on_standing_there)
{
    cio_generator *g = new (stay, number(3));
    expect_next(g, 3);
    assert_int_equal(cio_generator_close(g), CIO_ESTATE);
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_SUSPENDED);
    expect_next(g, 2);
    assert_int_equal(cio_generator_free(g), CIO_ESTATE); /* and is not freed */
    expect_next(g, 1);
    assert_int_equal(cio_generator_close(g), CIO_ESTATE);
    assert_int_equal(cio_generator_close(g), 0);
    expect_free(g);
}

TEST(free_closes_first)
{
    cio_generator *g = new (clean_up, NULL);
    expect_next(g, 0);
    expect_free(g);
    assert_string_equal(noted(), "CIO_ESHUTDOWN");
}

TEST(free_tells_of_a_cleanup_that_failed)
{
    cio_generator *g = new (clean_up, number(-EIO));
    expect_next(g, 0);
    assert_int_equal(cio_generator_free(g), -EIO); /* freed all the same: no leak */
}

/* A body that fails with the very code that a refused close has. */
TEST(free_of_one_that_ends_with_estate)
{
    cio_generator *g = new (clean_up, number(CIO_ESTATE));
    expect_next(g, 0);
    assert_int_equal(cio_generator_free(g), CIO_ESTATE);
}

TEST(free_in_every_state)
{
    assert_int_equal(cio_generator_free(NULL), 0);
    expect_free(new (count_down, number(2)));
    cio_generator *g = new (count_down, number(2));
    expect_next(g, 2);
    expect_free(g);
    g = new (count_down, NULL);
    expect_end(g);
    expect_free(g);
}

/* ---- a second entry ---- */

static int enter_itself(cio_generator *g, void *arg)
{
    void *value = &value;
    (void)arg;
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_RUNNING);
    assert_int_equal(cio_generator_next(g, &value), CIO_EREENTERED);
    assert_null(value);
    assert_int_equal(cio_generator_send(g, number(1), NULL), CIO_EREENTERED);
    assert_int_equal(cio_generator_throw(g, -EIO, NULL), CIO_EREENTERED);
    assert_int_equal(cio_generator_close(g), CIO_EREENTERED);
    assert_int_equal(cio_generator_free(g), CIO_EREENTERED);
    assert_int_equal(cio_generator_delegate(g, g, &value), CIO_EREENTERED);
    assert_int_equal(cio_generator_result(g, NULL), CIO_ESTATE);
    return cio_generator_yield(g, number(1), NULL);
}

TEST(every_call_into_one_that_runs_is_refused)
{
    cio_generator *g = new (enter_itself, NULL);
    expect_next(g, 1);
    assert_int_equal(cio_generator_next(g, NULL), 0);
    expect_free(g);
}

/* The same while it is being closed. */
static int enter_at_the_close(cio_generator *g, void *arg)
{
    (void)arg;
    int rc = cio_generator_yield(g, number(1), NULL);
    assert_int_equal(rc, CIO_ESHUTDOWN);
    assert_int_equal(cio_generator_next(g, NULL), CIO_EREENTERED);
    assert_int_equal(cio_generator_send(g, number(1), NULL), CIO_EREENTERED);
    assert_int_equal(cio_generator_throw(g, -EIO, NULL), CIO_EREENTERED);
    assert_int_equal(cio_generator_close(g), CIO_EREENTERED);
    assert_int_equal(cio_generator_free(g), CIO_EREENTERED);
    note("refused");
    return rc;
}

TEST(every_call_into_one_that_is_being_closed_is_refused)
{
    cio_generator *g = new (enter_at_the_close, NULL);
    expect_next(g, 1);
    expect_free(g);
    assert_string_equal(noted(), "refused");
}

/* Each of three sends to the next, the last to the first. */
struct ring {
    cio_generator *members[3];
    int found;
};

static int pass_on(cio_generator *g, void *arg)
{
    struct ring *ring = arg;
    int i = g == ring->members[0] ? 0 : g == ring->members[1] ? 1 : 2;
    int rc = cio_generator_yield(g, NULL, NULL);
    while (rc >= 0) {
        int passed = cio_generator_send(ring->members[(i + 1) % 3], number(1), NULL);
        if (passed == CIO_EREENTERED)
            ring->found++;
        rc = cio_generator_yield(g, NULL, NULL);
    }
    return rc;
}

TEST(a_circle_is_found)
{
    struct ring ring = {.found = 0};
    for (int i = 0; i < 3; i++)
        ring.members[i] = new (pass_on, &ring);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_generator_next(ring.members[i], NULL), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_generator_send(ring.members[i], number(1), NULL), 1);
    assert_int_equal(ring.found, 3);
    for (int i = 0; i < 3; i++)
        expect_free(ring.members[i]);
}

/* ---- bad input ---- */

static cio_generator *outer_one;

static int yield_for_another(cio_generator *g, void *arg)
{
    void *sent = &sent;
    assert_int_equal(cio_generator_yield(outer_one, number(1), &sent), CIO_ESTATE);
    assert_ptr_equal(sent, &sent);
    assert_int_equal(cio_generator_delegate(outer_one, g, NULL), CIO_ESTATE);
    (void)arg;
    return 0;
}

static int be_outer(cio_generator *g, void *arg)
{
    outer_one = g;
    cio_generator *inner = arg;
    assert_int_equal(cio_generator_next(inner, NULL), 0);
    return cio_generator_yield(g, number(1), NULL);
}

TEST(only_its_own_body_may_yield)
{
    cio_generator *g = new (count_down, number(2));
    assert_int_equal(cio_generator_yield(g, number(1), NULL), CIO_ESTATE);
    expect_next(g, 2);
    assert_int_equal(cio_generator_yield(g, number(1), NULL), CIO_ESTATE);
    expect_next(g, 1);
    expect_end(g);
    assert_int_equal(cio_generator_yield(g, number(1), NULL), CIO_ESTATE);
    expect_free(g);

    cio_generator *inner = new (yield_for_another, NULL);
    g = new (be_outer, inner);
    expect_next(g, 1);
    expect_free(g);
    expect_free(inner);
}

TEST(bad_arguments)
{
    void *value = &value;
    assert_null(cio_generator_new(NULL, NULL));
    assert_int_equal(cio_last_error(), -EINVAL);
    static const size_t bad[] = {1, 4095, ((size_t)1 << 30) + 1, SIZE_MAX};
    for (int i = 0; i < 4; i++) {
        cio_generator_options options = {.stack_size = bad[i]};
        assert_null(cio_generator_new_with(&options, count_down, NULL));
        assert_int_equal(cio_last_error(), -EINVAL);
    }
    assert_int_equal(cio_generator_next(NULL, &value), -EINVAL);
    assert_int_equal(cio_generator_send(NULL, NULL, &value), -EINVAL);
    assert_int_equal(cio_generator_throw(NULL, -EIO, &value), -EINVAL);
    assert_int_equal(cio_generator_close(NULL), -EINVAL);
    assert_int_equal(cio_generator_yield(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(cio_generator_result(NULL, &value), -EINVAL);
    assert_int_equal(cio_generator_state(NULL), -EINVAL);
    assert_int_equal(cio_generator_return(NULL, 3, NULL), 3);
    assert_int_equal(cio_shutdown_generators(), CIO_ENOTASK);

    cio_generator *g = new (count_down, number(2));
    assert_int_equal(cio_generator_delegate(NULL, g, NULL), -EINVAL);
    assert_int_equal(cio_generator_delegate(g, NULL, NULL), -EINVAL);
    assert_int_equal(cio_generator_throw(g, 0, NULL), -EINVAL);
    assert_int_equal(cio_generator_throw(g, 1, NULL), -EINVAL);
    assert_int_equal(cio_generator_return(g, 0, number(1)), 0);
    expect_next(g, 2); /* none of it has done anything */
    expect_free(g);
}

TEST(send_into_one_that_has_not_begun)
{
    void *value = &value;
    cio_generator *g = new (count_down, number(2));
    assert_int_equal(cio_generator_send(g, number(1), &value), CIO_ESTATE);
    assert_null(value);
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_CREATED);
    assert_int_equal(cio_generator_send(g, NULL, &value), 1);
    assert_int_equal((intptr_t)value, 2);
    expect_free(g);
}

TEST(send_into_one_that_has_ended)
{
    void *value = &value;
    cio_generator *g = new (count_down, NULL);
    expect_end(g);
    assert_int_equal(cio_generator_send(g, number(1), &value), 0);
    assert_null(value);
    expect_free(g);
}

/* ---- delegation ---- */

/* Yields 1, then all of `arg`'s, then 9; ends with what `arg` ended with. */
static int wrap(cio_generator *g, void *arg)
{
    void *result = NULL;
    int rc = cio_generator_yield(g, number(1), NULL);
    if (rc == 0)
        rc = cio_generator_delegate(g, arg, &result);
    note("inner:%d:%d", rc < 0 ? rc : 0, (int)(intptr_t)result);
    if (rc < 0)
        return rc;
    rc = cio_generator_yield(g, number(9), NULL);
    return rc < 0 ? rc : cio_generator_return(g, rc, result);
}

TEST(delegation_yields_what_the_inner_one_yields)
{
    void *value;
    cio_generator *inner = new (return_seven, number(5));
    cio_generator *g = new (wrap, inner);
    expect_next(g, 1);
    expect_next(g, 5);
    expect_next(g, 9);
    assert_int_equal(cio_generator_next(g, &value), 0);
    assert_int_equal((intptr_t)value, 77);
    assert_string_equal(noted(), "inner:0:77");
    expect_free(g);
    expect_free(inner);
}

TEST(delegation_sends_and_throws_through)
{
    void *value;
    cio_generator *inner = new (echo, number(50));
    cio_generator *middle = new (wrap, inner);
    cio_generator *g = new (wrap, middle);
    expect_next(g, 1);
    expect_next(g, 1);
    expect_next(g, 50);
    expect_send(g, 10, 11);
    assert_int_equal(cio_generator_throw(g, -EPERM, &value), 1);
    expect_send(g, 20, 21);
    assert_string_equal(noted(), "10 EPERM 20");
    notes_clear();
    assert_int_equal(cio_generator_throw(g, -ECONNRESET, &value), -ECONNRESET);
    char expected[64];
    snprintf(expected, sizeof expected, "ECONNRESET inner:%d:0 inner:%d:0", -ECONNRESET,
             -ECONNRESET);
    assert_string_equal(noted(), expected);
    expect_free(g);
    expect_free(middle);
    expect_free(inner);
}

TEST(close_goes_down_the_delegation)
{
    cio_generator *inner = new (clean_up, NULL);
    cio_generator *g = new (wrap, inner);
    expect_next(g, 1);
    expect_next(g, 0);
    assert_int_equal(cio_generator_close(g), 0);
    assert_int_equal(cio_generator_state(inner), CIO_GENERATOR_CLOSED);
    assert_string_equal(noted(), "CIO_ESHUTDOWN inner:-4106:0");
    expect_free(g);
    expect_free(inner);
}

TEST(an_inner_one_that_fails_at_its_close)
{
    cio_generator *inner = new (clean_up, number(-EIO));
    cio_generator *g = new (wrap, inner);
    expect_next(g, 1);
    expect_next(g, 0);
    assert_int_equal(cio_generator_close(g), -EIO);
    expect_free(g);
    expect_free(inner);
}

TEST(an_inner_one_that_ignores_its_close)
{
    cio_generator *inner = new (stay, number(1));
    cio_generator *g = new (wrap, inner);
    expect_next(g, 1);
    expect_next(g, 1);
    assert_int_equal(cio_generator_close(g), CIO_ESTATE);
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_CLOSED);
    assert_int_equal(cio_generator_state(inner), CIO_GENERATOR_SUSPENDED);
    expect_free(g);
    expect_free(inner);
}

TEST(an_inner_one_that_catches_what_is_thrown_and_ends)
{
    void *value;
    cio_generator *inner = new (catch_and_end, NULL);
    cio_generator *g = new (wrap, inner);
    expect_next(g, 1);
    expect_next(g, 0);
    assert_int_equal(cio_generator_throw(g, -EPERM, &value), 1);
    assert_int_equal((intptr_t)value, 9);
    assert_int_equal(cio_generator_next(g, &value), 0);
    assert_int_equal((intptr_t)value, 5);
    expect_free(g);
    expect_free(inner);
}

TEST(delegation_to_one_that_has_ended_or_failed)
{
    cio_generator *inner = new (fail_at_once, NULL);
    cio_generator *g = new (wrap, inner);
    expect_next(g, 1);
    assert_int_equal(cio_generator_next(g, NULL), -EIO);
    expect_free(g);
    notes_clear();
    g = new (wrap, inner); /* now it has */
    expect_next(g, 1);
    expect_next(g, 9);
    assert_string_equal(noted(), "inner:0:0");
    expect_free(g);
    expect_free(inner);
}

static int delegate_to(cio_generator *g, void *arg)
{
    int rc = cio_generator_delegate(g, *(cio_generator **)arg, NULL);
    note("%s", cio_err_name(rc));
    return rc == CIO_EREENTERED ? cio_generator_yield(g, number(1), NULL) : rc;
}

TEST(delegation_in_a_circle)
{
    cio_generator *a, *b;
    a = new (delegate_to, &b);
    b = new (delegate_to, &a);
    expect_next(a, 1); /* b finds the circle, and yields by way of a */
    assert_string_equal(noted(), "CIO_EREENTERED");
    expect_free(a);
    expect_free(b);
    assert_string_equal(noted(), "CIO_EREENTERED CIO_ESHUTDOWN");
}

/* A tree walk: each node's generator delegates to those of its children. */
struct node {
    struct node *left, *right;
    int key;
};

static int walk(cio_generator *g, void *arg)
{
    struct node *node = arg;
    if (!node)
        return 0;
    cio_generator *left = new (walk, node->left), *right = new (walk, node->right);
    int rc = cio_generator_delegate(g, left, NULL);
    if (rc == 0)
        rc = cio_generator_yield(g, number(node->key), NULL);
    if (rc == 0)
        rc = cio_generator_delegate(g, right, NULL);
    cio_generator_free(left);
    cio_generator_free(right);
    return rc;
}

static struct node *insert(struct node *tree, struct node *node)
{
    if (!tree)
        return node;
    struct node **side = node->key < tree->key ? &tree->left : &tree->right;
    *side = insert(*side, node);
    return tree;
}

TEST(a_tree_walk_by_delegation)
{
    enum { N = 500 };
    static struct node nodes[N];
    struct node *tree = NULL;
    for (int i = 0; i < N; i++) {
        nodes[i].key = i * 7919 % N; /* each once, out of order */
        tree = insert(tree, &nodes[i]);
    }
    cio_generator *g = new (walk, tree);
    for (int i = 0; i < N; i++)
        expect_next(g, i);
    expect_end(g);
    expect_free(g);

    g = new (walk, tree); /* and one that is left in the middle frees all of them */
    for (int i = 0; i < N / 2; i++)
        expect_next(g, i);
    expect_free(g);
}

/* A chain of `arg` generators, each delegating to the next. */
static int chain(cio_generator *g, void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return count_down(g, number(3));
    cio_generator *inner = new (chain, number(depth - 1));
    int rc = cio_generator_delegate(g, inner, NULL);
    int freed = cio_generator_free(inner);
    return rc < 0 ? rc : freed;
}

TEST(deep_delegation)
{
    cio_generator *g = new (chain, number(test_scale(5000)));
    expect_next(g, 3);
    expect_next(g, 2);
    expect_next(g, 1);
    expect_end(g);
    expect_free(g);
    g = new (chain, number(test_scale(5000)));
    expect_next(g, 3);
    assert_int_equal(cio_generator_throw(g, -EIO, NULL), -EIO);
    expect_free(g);
    g = new (chain, number(test_scale(5000)));
    expect_next(g, 3);
    expect_free(g);
}

/* Plain recursion needs no delegation: the body yields from any depth of calls. */
static int recurse(cio_generator *g, int depth)
{
    if (depth == 0)
        return 0;
    int rc = recurse(g, depth - 1);
    if (rc == 0)
        rc = cio_generator_yield(g, number(depth), NULL);
    return rc < 0 ? rc : recurse(g, depth - 1);
}

static int ruler(cio_generator *g, void *arg)
{
    return recurse(g, (int)(intptr_t)arg);
}

TEST(yield_from_any_depth_of_calls)
{
    cio_generator *g = new (ruler, number(10));
    for (int i = 1; i < 1 << 10; i++)
        expect_next(g, __builtin_ctz((unsigned)i) + 1);
    expect_end(g);
    expect_free(g);
}

/* What the registers hold must survive on both sides. */
static int arithmetic(cio_generator *g, void *arg)
{
    long a = (long)(intptr_t)arg, b = a + 1, c = b + 1, d = c + 1, e = d + 1, f = e + 1;
    double x = (double)a + 0.5;
    void *sent;
    while (cio_generator_yield(g, number(a + b + c + d + e + f), &sent) == 0) {
        long n = (long)(intptr_t)sent;
        a += n, b += a, c ^= b, d += c, e ^= d, f += e;
        x += (double)n;
        a &= 0xffff, b &= 0xffff, c &= 0xffff, d &= 0xffff, e &= 0xffff, f &= 0xffff;
    }
    note("%.1f", x);
    return 0;
}

TEST(registers_survive_on_both_sides)
{
    cio_generator *g = new (arithmetic, number(1));
    long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
    double x = 1.5;
    expect_next(g, a + b + c + d + e + f);
    for (int n = 1; n < 1000; n++) {
        a += n, b += a, c ^= b, d += c, e ^= d, f += e;
        x += n;
        a &= 0xffff, b &= 0xffff, c &= 0xffff, d &= 0xffff, e &= 0xffff, f &= 0xffff;
        expect_send(g, n, a + b + c + d + e + f);
    }
    expect_free(g);
    char expected[32];
    snprintf(expected, sizeof expected, "%.1f", x);
    assert_string_equal(noted(), expected);
}
