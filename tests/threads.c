/* Calls from other threads and from signal handlers. Trap T48. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

static pthread_t start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

static void join(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

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

struct post {
    cio_handle handle;
    struct poster *poster;
    int number;
};

struct poster {
    cio_loop *loop;
    struct post *posts;
    int n, n_seen;
    _Atomic int *n_missing;
};

static void receive(void *arg)
{
    struct post *p = arg;
    assert_int_equal(p->number, p->poster->n_seen++);
    if (atomic_fetch_sub(p->poster->n_missing, 1) == 1)
        stop_loop(p->poster->loop);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < poster->n; i++) {
        struct post *p = &poster->posts[i];
        *p = (struct post){.poster = poster, .number = i};
        assert_int_equal(cio_call_soon_threadsafe(poster->loop, &p->handle, receive, p), 0);
        if (i % 100 == 0)
            sched_yield();
    }
    return NULL;
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

/* --- T48: no wake is lost ------------------------------------------------------------------------ */

struct player {
    cio_loop *loop;
    cio_handle ball;
    struct player *other;
    int n_left;
};

static void hit(void *arg)
{
    struct player *me = arg;
    if (me->n_left-- > 0)
        assert_int_equal(cio_call_soon_threadsafe(me->other->loop, &me->other->ball, hit, me->other),
                         0);
    if (me->n_left <= 0)
        stop_loop(me->loop);
}

static void *play(void *arg)
{
    struct player *me = arg;
    assert_int_equal(cio_run_forever(me->loop), 0);
    return NULL;
}

/* Two loops that do nothing but wake each other: each sleeps as often as it is woken. */
TEST(t48_two_loops_play_ping_pong)
{
    int n = test_scale(20000);
    struct player a = {.loop = new_loop(), .n_left = n}, b = {.loop = new_loop(), .n_left = n};
    a.other = &b;
    b.other = &a;
    cio_call_soon(a.loop, &a.ball, hit, &a);
    pthread_t thread = start_thread(play, &b);
    play(&a);
    join(thread);
    free_loop(a.loop);
    free_loop(b.loop);
}

static void post_to_myself(void *arg)
{
    struct player *me = arg;
    if (me->n_left-- > 0)
        assert_int_equal(cio_call_soon_threadsafe(me->loop, &me->ball, stop_loop, me->loop), 0);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* The narrow place, made wide: the post comes after the loop saw nothing to do and before it sleeps. */
TEST(t48_post_just_before_the_poll_wakes)
{
    struct player me = {.loop = new_loop(), .n_left = 1};
    assert_int_equal(cio_set_poll_hooks(me.loop, post_to_myself, do_nothing, &me), 0);
    for (int i = 0; i < 100; i++) {
        me.n_left = 1;
        assert_int_equal(cio_run_forever(me.loop), 0);
    }
    free_loop(me.loop);
}

/* And the one after it: what comes between the poll and the look at the inbox. */
TEST(t48_post_just_after_the_poll_is_seen)
{
    struct player me = {.loop = new_loop()};
    cio_handle timer = {0};
    cio_set_poll_hooks(me.loop, do_nothing, post_to_myself, &me);
    for (int i = 0; i < 20; i++) {
        me.n_left = 1;
        cio_call_later(me.loop, &timer, 0.0005, do_nothing, NULL);
        assert_int_equal(cio_run_forever(me.loop), 0);
        cio_handle_cancel(&timer);
    }
    free_loop(me.loop);
}

static void *post_stop(void *arg)
{
    struct player *p = arg;
    usleep(2000);
    assert_int_equal(cio_call_soon_threadsafe(p->loop, &p->ball, stop_loop, p->loop), 0);
    return NULL;
}

TEST(t48_post_wakes_a_loop_that_sleeps_for_ever)
{
    struct player p = {.loop = new_loop()};
    for (int i = 0; i < 5; i++) {
        pthread_t thread = start_thread(post_stop, &p);
        assert_int_equal(cio_run_forever(p.loop), 0);
        join(thread);
    }
    free_loop(p.loop);
}

/* A post that came while the loop did not run is found by the next run, though the wake is long over. */
TEST(t48_post_to_a_loop_that_does_not_run_waits)
{
    struct player p = {.loop = new_loop()};
    run_turn(p.loop);
    join(start_thread(post_stop, &p));
    assert_int_equal(cio_run_forever(p.loop), 0);
    free_loop(p.loop);
}

/* --- wakes coalesce ------------------------------------------------------------------------------ */

enum { N_WRITERS = 4, N_WAKES = 500 };

static struct {
    cio_loop *loop;
    cio_handle handle;
    struct poster posters[N_WRITERS];
    struct post posts[N_WRITERS][N_WAKES];
    _Atomic int n_missing;
    _Atomic long n_writes;
    bool is_over;
} storm;

/* How many writes this thread has made, successful or not; -1 if the kernel does not say. */
static long count_writes(void)
{
    char text[512];
    int fd = open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[length < 0 ? 0 : length] = '\0';
    const char *line = strstr(text, "syscw: ");
    return line ? atol(line + strlen("syscw: ")) : -1;
}

static void *post_and_count_writes(void *arg)
{
    long before = count_writes();
    post_all(arg);
    atomic_fetch_add(&storm.n_writes, count_writes() - before);
    return NULL;
}

/* Runs in the loop's thread, which thus is neither asleep nor done until all have posted. */
static void post_from_all_threads(void *arg)
{
    (void)arg;
    if (storm.is_over)
        return;
    storm.is_over = true;
    pthread_t threads[N_WRITERS];
    for (int i = 0; i < N_WRITERS; i++)
        threads[i] = start_thread(post_and_count_writes, &storm.posters[i]);
    for (int i = 0; i < N_WRITERS; i++)
        join(threads[i]);
}

static void prepare_storm(void)
{
    if (count_writes() < 0)
        test_skip("the kernel does not count a thread's writes");
    storm.loop = new_loop();
    storm.n_missing = N_WRITERS * N_WAKES;
    for (int i = 0; i < N_WRITERS; i++) {
        storm.posters[i] = (struct poster){.loop = storm.loop,
                                           .posts = storm.posts[i],
                                           .n = N_WAKES,
                                           .n_missing = &storm.n_missing};
    }
}

/* While the loop is awake nobody needs to wake it. */
TEST(busy_loop_is_woken_once_at_most)
{
    prepare_storm();
    cio_call_soon(storm.loop, &storm.handle, post_from_all_threads, NULL);
    assert_int_equal(cio_run_forever(storm.loop), 0);
    assert_true(storm.n_writes <= 1);
    free_loop(storm.loop);
}

/* The release hook holds the loop where it has decided to sleep: all the threads wake it once. */
TEST(sleeping_loop_is_woken_once_by_many)
{
    prepare_storm();
    cio_set_poll_hooks(storm.loop, post_from_all_threads, do_nothing, NULL);
    assert_int_equal(cio_run_forever(storm.loop), 0);
    assert_true(storm.n_writes <= 1);
    free_loop(storm.loop);
}

/* --- canceling ----------------------------------------------------------------------------------- */

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

/* --- closing ------------------------------------------------------------------------------------- */

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

/* T48: whoever posts to a loop that is being closed is refused, or his handle is dropped; no third. */
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

/* --- a loop a thread ------------------------------------------------------------------------------ */

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

/* --- signal handlers ------------------------------------------------------------------------------ */

static struct {
    cio_loop *loop;
    cio_handle *handles;
    int n;
    volatile sig_atomic_t n_posted;
    int n_seen;
    int numbers[2000];
    cio_handle spinner;
} alarms;

static void hear_alarm(void *arg)
{
    assert_int_equal(*(int *)arg, alarms.n_seen);
    if (++alarms.n_seen == alarms.n)
        stop_loop(alarms.loop);
}

/* Interrupts the loop anywhere, and must find errno as it was. */
static void post_from_handler(int number)
{
    (void)number;
    int i = alarms.n_posted, saved = errno;
    if (i >= alarms.n)
        return;
    errno = 4711;
    if (cio_call_soon_threadsafe(alarms.loop, &alarms.handles[i], hear_alarm, &alarms.numbers[i]))
        abort();
    if (errno != 4711)
        abort();
    errno = saved;
    alarms.n_posted = i + 1;
}

static void prepare_alarms(int n)
{
    struct sigaction action = {.sa_handler = post_from_handler};
    alarms.loop = new_loop();
    alarms.n = n;
    alarms.handles = calloc((size_t)n, sizeof *alarms.handles);
    for (int i = 0; i < n; i++)
        alarms.numbers[i] = i;
    sigaction(SIGALRM, &action, NULL);
}

static void finish_alarms(void)
{
    signal(SIGALRM, SIG_IGN);
    assert_int_equal(alarms.n_seen, alarms.n);
    free_loop(alarms.loop);
    free(alarms.handles);
}

static void ring_every_100_us(void)
{
    struct itimerval interval = {{0, 100}, {0, 100}};
    setitimer(ITIMER_REAL, &interval, NULL);
}

static void stop_ringing(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
}

/* T48: the handler interrupts a loop that sleeps. */
TEST(t48_signal_handler_posts_to_a_sleeping_loop)
{
    prepare_alarms(test_scale(500));
    ring_every_100_us();
    assert_int_equal(cio_run_forever(alarms.loop), 0);
    stop_ringing();
    finish_alarms();
}

static void spin(void *arg)
{
    (void)arg;
    cio_call_soon(alarms.loop, &alarms.spinner, spin, NULL);
}

/* T48: the handler interrupts a loop that is busy with its own queue. */
TEST(t48_signal_handler_posts_to_a_busy_loop)
{
    prepare_alarms(test_scale(1000));
    cio_call_soon(alarms.loop, &alarms.spinner, spin, NULL);
    ring_every_100_us();
    assert_int_equal(cio_run_forever(alarms.loop), 0);
    stop_ringing();
    finish_alarms();
}

static void post_directly(void *arg)
{
    (void)arg;
    assert_int_equal(raise(SIGALRM), 0);
    if (alarms.n_posted < alarms.n)
        cio_call_soon(alarms.loop, &alarms.spinner, post_directly, NULL);
}

/* T48: the handler interrupts a callback of the loop itself. */
TEST(t48_signal_handler_posts_out_of_a_callback)
{
    prepare_alarms(test_scale(1000));
    cio_call_soon(alarms.loop, &alarms.spinner, post_directly, NULL);
    assert_int_equal(cio_run_forever(alarms.loop), 0);
    finish_alarms();
}
