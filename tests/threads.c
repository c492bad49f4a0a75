/* Calls from other threads. Trap T48. */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

#include "posts.h"

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0)
        assert_int_equal(errno, EINTR);
}

TEST(posted_calls_run_in_order_after_those_queued_before)
{
    cio_loop *loop = new_loop();
    cio_handle a = {0}, b = {0}, c = {0};
    assert_int_equal(cio_call_soon(loop, &a, note, "a"), 0);
    assert_int_equal(cio_call_soon_threadsafe(loop, &b, note, "b"), 0);
    assert_int_equal(cio_call_soon_threadsafe(loop, &c, note, "c"), 0);
    assert_true(cio_handle_pending(&b));
    assert_trace("");
    run_turn(loop);
    assert_trace("abc");
    free_loop(loop);
}

enum { N_POSTERS = 8 };

/* T48: none is lost, none runs twice, and those of one thread keep their order. */
TEST(t48_posts_of_many_threads_all_arrive_in_their_order)
{
    struct poster posters[N_POSTERS] = {0};
    pthread_t threads[N_POSTERS];
    int n = test_scale(20000);
    _Atomic int n_missing = n * N_POSTERS;
    cio_loop *loop = new_loop();
    for (int i = 0; i < N_POSTERS; i++) {
        struct post *posts = calloc((size_t)n, sizeof *posts);
        posters[i] = (struct poster){.loop = loop, .posts = posts, .n = n, .n_missing = &n_missing};
        threads[i] = start_thread(post_all, &posters[i]);
    }
    assert_int_equal(cio_run_forever(loop), 0);
    for (int i = 0; i < N_POSTERS; i++) {
        join(threads[i]);
        assert_int_equal(posters[i].n_seen, n);
        free(posters[i].posts);
    }
    free_loop(loop);
}

/* --- canceling ------------------------------------------------------------------------------- */

struct canceler {
    cio_loop *loop;
    cio_handle handle;
    struct post *posts;
    sem_t posted;
    int n, n_ran, n_canceled;
};

static void count_run(void *arg)
{
    struct canceler *c = arg;
    c->n_ran++;
}

static void *post_for_canceler(void *arg)
{
    struct canceler *c = arg;
    for (int i = 0; i < c->n; i++) {
        assert_int_equal(cio_call_soon_threadsafe(c->loop, &c->posts[i].handle, count_run, c), 0);
        sem_post(&c->posted);
    }
    return NULL;
}

static void cancel_what_came(void *arg)
{
    struct canceler *c = arg;
    for (int i = 0; i < c->n; i++) {
        wait_for(&c->posted);
        if (i % 2 == 0 && cio_handle_cancel(&c->posts[i].handle)) {
            memset(&c->posts[i], 0xa5, sizeof c->posts[i]);
            c->n_canceled++;
        }
    }
    stop_loop(c->loop);
}

/* The loop's thread cancels posts while others are still being made. */
TEST(posts_are_canceled_while_more_arrive)
{
    struct canceler c = {.loop = new_loop(), .n = test_scale(5000)};
    c.posts = calloc((size_t)c.n, sizeof *c.posts);
    sem_init(&c.posted, 0, 0);
    cio_call_soon(c.loop, &c.handle, cancel_what_came, &c);
    pthread_t thread = start_thread(post_for_canceler, &c);
    assert_int_equal(cio_run_forever(c.loop), 0);
    join(thread);
    run_turn(c.loop);
    assert_int_equal(c.n_canceled, (c.n + 1) / 2);
    assert_int_equal(c.n_ran + c.n_canceled, c.n);
    free_loop(c.loop);
    sem_destroy(&c.posted);
    free(c.posts);
}

/* --- closing --------------------------------------------------------------------------------- */

struct closing {
    cio_loop *loop;
    struct post *posts;
    int n, n_posted;
    sem_t started;
};

static void *post_until_closed(void *arg)
{
    struct closing *c = arg;
    int rc = 0;
    for (int i = 0; rc == 0 && i < c->n; i++) {
        rc = cio_call_soon_threadsafe(c->loop, &c->posts[i].handle, do_nothing, NULL);
        if (rc == 0)
            c->n_posted++;
        if (i == 10)
            sem_post(&c->started);
    }
    assert_true(rc == 0 || rc == CIO_ECLOSED);
    return NULL;
}

/*
 * T48: whoever posts to a loop that is being closed is refused, or his handle is dropped; no third.
 */
TEST(t48_post_to_a_closing_loop_is_refused_or_dropped)
{
    for (int round = 0; round < 20; round++) {
        struct closing c = {.loop = new_loop(), .n = 100000};
        c.posts = calloc((size_t)c.n, sizeof *c.posts);
        sem_init(&c.started, 0, 0);
        pthread_t thread = start_thread(post_until_closed, &c);
        wait_for(&c.started);
        assert_int_equal(cio_loop_close(c.loop), 0);
        join(thread);
        for (int i = 0; i < c.n; i++)
            assert_false(cio_handle_pending(&c.posts[i].handle));
        assert_int_equal(cio_call_soon_threadsafe(c.loop, &c.posts[0].handle, do_nothing, NULL),
                         CIO_ECLOSED);
        free_loop(c.loop);
        sem_destroy(&c.started);
        free(c.posts);
    }
}

/* --- a loop a thread ------------------------------------------------------------------------- */

struct worker {
    cio_loop *loop;
    cio_handle handle, timer;
    int n_left, fds[2];
};

static void tick(void *arg)
{
    struct worker *w = arg;
    assert_ptr_equal(cio_get_running_loop(), w->loop);
    if (--w->n_left == 0)
        stop_loop(w->loop);
    else if (w->n_left % 10 == 0)
        cio_call_later(w->loop, &w->timer, 1e-5, tick, w);
    else
        cio_call_soon(w->loop, &w->handle, tick, w);
}

static void *work(void *arg)
{
    struct worker w = {.n_left = *(int *)arg};
    for (int round = 0; round < 3; round++) {
        w.loop = cio_loop_new(NULL);
        assert_non_null(w.loop);
        w.n_left = *(int *)arg;
        cio_call_soon(w.loop, &w.handle, tick, &w);
        assert_int_equal(cio_run_forever(w.loop), 0);
        assert_null(cio_get_running_loop());
        free_loop(w.loop);
    }
    return NULL;
}

TEST(each_thread_has_a_loop_of_its_own)
{
    enum { N = 16 };
    pthread_t threads[N];
    int n = test_scale(1000);
    for (int i = 0; i < N; i++)
        threads[i] = start_thread(work, &n);
    for (int i = 0; i < N; i++)
        join(threads[i]);
}
