/* Queues between threads and tasks: every combination of the two, bounds, order, closing, cancellation. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs.h"

static cio_thread_queue *new_queue(size_t maxsize)
{
    cio_thread_queue *queue = cio_thread_queue_new(maxsize, sizeof(int));
    assert_non_null(queue);
    return queue;
}

static void free_queue(cio_thread_queue *queue)
{
    assert_int_equal(cio_thread_queue_free(queue), 0);
}

/* ---- all four combinations ---- */

struct pipe {
    cio_thread_queue *queue;
    int n;
};

static int put_all(void *arg)
{
    struct pipe *pipe = arg;
    for (int i = 0; i < pipe->n; i++)
        assert_int_equal(cio_thread_queue_put(pipe->queue, &i), 0);
    return cio_thread_queue_close(pipe->queue);
}

static int get_all(void *arg)
{
    struct pipe *pipe = arg;
    int item, n = 0, rc;
    while ((rc = cio_thread_queue_get(pipe->queue, &item)) == 0)
        assert_int_equal(item, n++);
    assert_int_equal(rc, CIO_ESHUTDOWN);
    assert_int_equal(n, pipe->n);
    return 0;
}

static void *put_in_thread(void *pipe)
{
    return (void *)(intptr_t)put_all(pipe);
}

static void *get_in_thread(void *pipe)
{
    return (void *)(intptr_t)get_all(pipe);
}

static void *put_in_loop(void *pipe)
{
    return (void *)(intptr_t)cio_run(put_all, pipe);
}

static void *get_in_loop(void *pipe)
{
    return (void *)(intptr_t)cio_run(get_all, pipe);
}

static void run_pair(void *(*putter)(void *), void *(*getter)(void *), size_t maxsize)
{
    struct pipe pipe = {new_queue(maxsize), test_scale(5000)};
    pthread_t thread = start_thread(putter, &pipe);
    assert_null(getter(&pipe));
    join(thread);
    free_queue(pipe.queue);
}

TEST(from_thread_to_thread)
{
    run_pair(put_in_thread, get_in_thread, 1);
    run_pair(put_in_thread, get_in_thread, 10);
}

TEST(from_thread_to_task)
{
    run_pair(put_in_thread, get_in_loop, 1);
    run_pair(put_in_thread, get_in_loop, 10);
}

TEST(from_task_to_thread)
{
    run_pair(put_in_loop, get_in_thread, 1);
    run_pair(put_in_loop, get_in_thread, 10);
}

TEST(from_task_to_task_of_another_loop)
{
    run_pair(put_in_loop, get_in_loop, 1);
    run_pair(put_in_loop, get_in_loop, 10);
}

static int both_ends(void *arg)
{
    cio_task *tasks[] = {cio_create_task(put_all, arg), cio_create_task(get_all, arg)};
    return cio_gather(tasks, 2, 0);
}

TEST(from_task_to_task_of_one_loop)
{
    struct pipe pipe = {new_queue(2), test_scale(5000)};
    assert_int_equal(cio_run(both_ends, &pipe), 0);
    free_queue(pipe.queue);
}

/* The seed's program: a job of the executor at the sync end, a task at the other. */
static int janus(void *arg)
{
    struct pipe *pipe = arg;
    cio_future *job = cio_run_in_executor(NULL, put_all, pipe);
    get_all(pipe);
    return cio_await(job);
}

TEST(from_a_job_of_the_executor_to_a_task)
{
    struct pipe pipe = {new_queue(3), 100};
    assert_int_equal(cio_run(janus, &pipe), 0);
    free_queue(pipe.queue);
}

/* ---- bounds and order ---- */

TEST(it_is_bounded_and_first_in_first_out)
{
    cio_thread_queue *queue = new_queue(3);
    int item;
    assert_int_equal(cio_thread_queue_get_nowait(queue, &item), -EAGAIN);
    assert_int_equal(cio_thread_queue_get_for(queue, &item, 0), CIO_ETIMEDOUT);
    assert_int_equal(cio_thread_queue_get_for(queue, &item, -1), CIO_ETIMEDOUT);
    assert_int_equal(cio_thread_queue_get_for(queue, &item, 0.001), CIO_ETIMEDOUT);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(cio_thread_queue_put_nowait(queue, &i), 0);
        assert_int_equal(cio_thread_queue_put_nowait(queue, &item), -EAGAIN);
        assert_int_equal(cio_thread_queue_put_for(queue, &item, 0.001), CIO_ETIMEDOUT);
        assert_int_equal(cio_thread_queue_size(queue), 3);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(cio_thread_queue_get(queue, &item), 0);
            assert_int_equal(item, i);
        }
    }
    free_queue(queue);
}

static int get_one(void *arg)
{
    int item = -1, rc = cio_thread_queue_get(arg, &item);
    return rc < 0 ? rc : item;
}

/* An item that is there is the first waiter's, also if somebody else comes before it runs. */
static int nobody_is_overtaken(void *arg)
{
    cio_thread_queue *queue = arg;
    cio_task *waiters[3];
    int item = 10, stolen;
    for (int i = 0; i < 3; i++)
        waiters[i] = cio_create_task(get_one, queue);
    cio_yield();
    assert_int_equal(cio_thread_queue_free(queue), -EBUSY);
    cio_thread_queue_put(queue, &item);
    assert_int_equal(cio_thread_queue_get_nowait(queue, &stolen), -EAGAIN);
    for (item = 11; item < 13; item++)
        cio_thread_queue_put(queue, &item);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_await(waiters[i]), 10 + i);
    return 0;
}

TEST(who_comes_first_is_served_first)
{
    cio_thread_queue *queue = new_queue(8);
    assert_int_equal(cio_run(nobody_is_overtaken, queue), 0);
    free_queue(queue);
}

/* ---- timeouts and cancellation in tasks ---- */

static int put_one(void *arg)
{
    int item = 77;
    return cio_thread_queue_put(arg, &item);
}

static int canceled_waits(void *arg)
{
    cio_thread_queue *queue = arg;
    int item;
    cio_task *getters[3];
    for (int i = 0; i < 3; i++)
        getters[i] = cio_create_task(get_one, queue);
    cio_yield();
    cio_cancel(getters[0]); /* while it waits */
    assert_int_equal(cio_await(getters[0]), CIO_ECANCELED);
    item = 5;
    cio_thread_queue_put(queue, &item); /* promised to the second ... */
    cio_cancel(getters[1]);             /* ... which passes it on */
    cio_cancel(getters[1]);
    assert_int_equal(cio_await(getters[2]), 5);
    assert_int_equal(cio_await(getters[1]), CIO_ECANCELED);

    cio_task *putters[3];
    for (int i = 0; i < 2; i++)
        cio_thread_queue_put(queue, &i);
    for (int i = 0; i < 3; i++)
        putters[i] = cio_create_task(put_one, queue);
    cio_yield();
    cio_cancel(putters[0]);
    assert_int_equal(cio_await(putters[0]), CIO_ECANCELED);
    cio_thread_queue_get(queue, &item); /* a place for the second, which passes it on */
    cio_cancel(putters[1]);
    assert_int_equal(cio_await(putters[1]), CIO_ECANCELED);
    assert_int_equal(cio_await(putters[2]), 0);
    assert_int_equal(cio_thread_queue_size(queue), 2);

    cio_cancel(cio_current_task()); /* before it waits */
    assert_int_equal(cio_thread_queue_put(queue, &item), CIO_ECANCELED);
    cio_uncancel(cio_current_task());
    assert_int_equal(cio_thread_queue_put_for(queue, &item, 0), CIO_ETIMEDOUT);
    assert_int_equal(cio_thread_queue_put_for(queue, &item, 0.001), CIO_ETIMEDOUT);
    assert_int_equal(cio_thread_queue_put_nowait(queue, &item), -EAGAIN);
    assert_int_equal(cio_thread_queue_size(queue), 2);
    return 0;
}

TEST(a_canceled_wait_passes_on_what_it_was_promised)
{
    cio_thread_queue *queue = new_queue(2);
    assert_int_equal(cio_run(canceled_waits, queue), 0);
    free_queue(queue);
}

/* ---- closing ---- */

static int closes(void *arg)
{
    cio_thread_queue *queue = arg;
    int item = 1;
    cio_task *getter = cio_create_task(get_one, queue);
    cio_yield();
    cio_thread_queue_put(queue, &item); /* promised */
    cio_task *second = cio_create_task(get_one, queue);
    cio_yield();
    cio_thread_queue_close(queue);
    assert_int_equal(cio_await(getter), 1);
    assert_int_equal(cio_await(second), CIO_ESHUTDOWN);
    assert_int_equal(cio_thread_queue_put(queue, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_thread_queue_put_nowait(queue, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_thread_queue_get(queue, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_thread_queue_get_nowait(queue, &item), CIO_ESHUTDOWN);
    return cio_thread_queue_close(queue);
}

static int closes_under_putters(void *arg)
{
    cio_thread_queue *queue = arg;
    int item = 1;
    cio_thread_queue_put(queue, &item);
    cio_task *putters[2] = {cio_create_task(put_one, queue), cio_create_task(put_one, queue)};
    cio_yield();
    cio_thread_queue_get(queue, &item); /* the first is promised a place */
    cio_thread_queue_close(queue);
    assert_int_equal(cio_await(putters[0]), CIO_ESHUTDOWN);
    assert_int_equal(cio_await(putters[1]), CIO_ESHUTDOWN);
    assert_int_equal(cio_thread_queue_size(queue), 0);
    return 0;
}

TEST(a_closed_queue_gives_out_what_it_has_and_tells_the_others)
{
    cio_thread_queue *queue = new_queue(1);
    assert_int_equal(cio_run(closes, queue), 0);
    free_queue(queue);
    queue = new_queue(1);
    assert_int_equal(cio_run(closes_under_putters, queue), 0);
    free_queue(queue);
}

/* ---- a loop is closed under a task that waits ---- */

static void ignore_report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

static cio_loop *loop_with_getters(cio_thread_queue *queue, int n)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_set_exception_handler(loop, ignore_report, NULL);
    while (n-- > 0)
        cio_detach(cio_create_task_with(&(cio_task_options){.loop = loop}, get_one, queue));
    cio_stop(loop);
    cio_run_forever(loop);
    return loop;
}

TEST(a_closed_loops_tasks_wait_no_longer)
{
    cio_thread_queue *queue = new_queue(2);
    int item = 4;
    cio_loop *loop = loop_with_getters(queue, 3);
    assert_int_equal(cio_thread_queue_put(queue, &item),
                     0); /* promised to a task that never comes */
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(cio_thread_queue_get_nowait(queue, &item), 0);
    assert_int_equal(item, 4);
    free_queue(queue);
}

static void *put_one_in_thread(void *queue)
{
    int item = 9;
    assert_int_equal(cio_thread_queue_put(queue, &item), 0);
    return NULL;
}

TEST(a_loop_is_closed_as_its_task_is_being_woken)
{
    for (int i = 0; i < test_scale(300); i++) {
        cio_thread_queue *queue = new_queue(2);
        int item = 0;
        cio_loop *loop = loop_with_getters(queue, 1);
        pthread_t thread = start_thread(put_one_in_thread, queue);
        for (int spins = i % 50 * 20; spins > 0; spins--)
            __asm__ volatile("" ::: "memory");
        assert_int_equal(cio_loop_free(loop), 0);
        join(thread);
        assert_int_equal(cio_thread_queue_get_nowait(queue, &item), 0);
        free_queue(queue);
    }
}

/* ---- random: nothing is lost, doubled or out of order ---- */

enum { N_PUTTERS = 4, N_GETTERS = 4 };

struct storm {
    cio_thread_queue *queue; /* of ints: putter << 24 | number */
    _Atomic int n_put, n_got, n_live;
    unsigned seed;
    int n;
};

struct end {
    struct storm *storm;
    int number;
};

static double random_patience(unsigned *seed)
{
    return (double)(rand_r(seed) % 4) * 1e-5;
}

static int storm_put(void *arg)
{
    struct end *end = arg;
    struct storm *storm = end->storm;
    unsigned seed = storm->seed + (unsigned)end->number;
    for (int i = 0; i < storm->n;) {
        int item = end->number << 24 | i;
        int rc = rand_r(&seed) % 4
                     ? cio_thread_queue_put(storm->queue, &item)
                     : cio_thread_queue_put_for(storm->queue, &item, random_patience(&seed));
        assert_true(rc == 0 || rc == CIO_ETIMEDOUT);
        i += rc == 0;
        storm->n_put += rc == 0;
    }
    if (--storm->n_live == 0)
        cio_thread_queue_close(storm->queue);
    return 0;
}

static int storm_get(void *arg)
{
    struct end *end = arg;
    struct storm *storm = end->storm;
    unsigned seed = storm->seed + 100 + (unsigned)end->number;
    int last[N_PUTTERS] = {-1, -1, -1, -1};
    for (;;) {
        int item;
        int rc = rand_r(&seed) % 4
                     ? cio_thread_queue_get(storm->queue, &item)
                     : cio_thread_queue_get_for(storm->queue, &item, random_patience(&seed));
        if (rc == CIO_ESHUTDOWN)
            return 0;
        if (rc == CIO_ETIMEDOUT)
            continue;
        assert_int_equal(rc, 0);
        storm->n_got++;
        int number = item & 0xffffff, putter = item >> 24;
        if (end->number % 2 == 0) /* a getter that runs alone sees each putter's order */
            assert_true(number > last[putter]);
        last[putter] = number;
    }
}

static int storm_tasks(void *arg)
{
    struct end *ends = arg;
    cio_task *tasks[2] = {cio_create_task(storm_put, &ends[0]),
                          cio_create_task(storm_get, &ends[1])};
    return cio_gather(tasks, 2, 0);
}

static void *storm_loop(void *arg)
{
    assert_int_equal(cio_run(storm_tasks, arg), 0);
    return NULL;
}

static void *storm_put_in_thread(void *arg)
{
    storm_put(arg);
    return NULL;
}

static void *storm_get_in_thread(void *arg)
{
    storm_get(arg);
    return NULL;
}

TEST(torture_of_threads_and_loops)
{
    for (unsigned seed = 1; seed <= 5; seed++) {
        struct storm storm = {new_queue(1 + seed % 3), 0, 0, N_PUTTERS, seed * 1000,
                              test_scale(1500)};
        struct end loops[2][2] = {{{&storm, 0}, {&storm, 0}}, {{&storm, 1}, {&storm, 1}}};
        struct end threads_[4] = {{&storm, 2}, {&storm, 3}, {&storm, 2}, {&storm, 3}};
        pthread_t threads[6] = {
            start_thread(storm_loop, loops[0]),
            start_thread(storm_loop, loops[1]),
            start_thread(storm_put_in_thread, &threads_[0]),
            start_thread(storm_put_in_thread, &threads_[1]),
            start_thread(storm_get_in_thread, &threads_[2]),
            start_thread(storm_get_in_thread, &threads_[3]),
        };
        for (int i = 0; i < 6; i++)
            join(threads[i]);
        if (storm.n_got != storm.n_put)
            print_error("seed %u\n", seed);
        assert_int_equal(storm.n_put, N_PUTTERS * storm.n);
        assert_int_equal(storm.n_got, storm.n_put);
        free_queue(storm.queue);
    }
}

/* ---- bad input ---- */

static void in_a_callback(void *arg)
{
    int item = 1;
    assert_int_equal(cio_thread_queue_put(arg, &item), CIO_ENOTASK);
    assert_int_equal(cio_thread_queue_get(arg, &item), CIO_ENOTASK);
    assert_int_equal(cio_thread_queue_put_nowait(arg, &item), 0);
    assert_int_equal(cio_thread_queue_get_nowait(arg, &item), 0);
}

static int with_a_callback(void *arg)
{
    cio_handle handle = {0};
    cio_call_soon(cio_get_running_loop(), &handle, in_a_callback, arg);
    return cio_yield();
}

TEST(bad_queue_calls_are_errors)
{
    int item = 0;
    assert_null(cio_thread_queue_new(0, 1));
    assert_int_equal(cio_last_error(), -EINVAL);
    assert_null(cio_thread_queue_new(1, 0));
    assert_int_equal(cio_last_error(), -EINVAL);
    assert_null(cio_thread_queue_new(SIZE_MAX, 2));
    assert_int_equal(cio_last_error(), -ENOMEM);
    cio_thread_queue *queue = new_queue(1);
    assert_int_equal(cio_thread_queue_put(NULL, &item), -EINVAL);
    assert_int_equal(cio_thread_queue_put(queue, NULL), -EINVAL);
    assert_int_equal(cio_thread_queue_put_for(queue, &item, NAN), -EINVAL);
    assert_int_equal(cio_thread_queue_put_nowait(NULL, &item), -EINVAL);
    assert_int_equal(cio_thread_queue_get(NULL, &item), -EINVAL);
    assert_int_equal(cio_thread_queue_get(queue, NULL), -EINVAL);
    assert_int_equal(cio_thread_queue_get_for(queue, &item, NAN), -EINVAL);
    assert_int_equal(cio_thread_queue_get_nowait(NULL, &item), -EINVAL);
    assert_int_equal(cio_thread_queue_close(NULL), -EINVAL);
    assert_int_equal(cio_thread_queue_free(NULL), 0);
    assert_int_equal(cio_thread_queue_size(NULL), 0);
    assert_int_equal(cio_run(with_a_callback, queue), 0);
    free_queue(queue);
}
