/* Waking a loop out of its sleep: never too few wakes (trap T48), and no more than one. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "posts.h"

/* --- T48: no wake is lost -------------------------------------------------------------------- */

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
        assert_int_equal(
            cio_call_soon_threadsafe(me->other->loop, &me->other->ball, hit, me->other), 0);
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

/*
 * The narrow place, made wide: the post comes after the loop saw nothing to do and before it
 * sleeps.
 */
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

struct ticker {
    cio_loop *loop;
    cio_handle timer;
    double seconds;
};

/* Ends one wait after the other; longer ones, as a slow machine has no time for a short one. */
static void tick(void *arg)
{
    struct ticker *t = arg;
    cio_call_later(t->loop, &t->timer, t->seconds, tick, t);
    t->seconds *= 2;
}

/* And the one after it: what comes between the poll and the look at the inbox. */
TEST(t48_post_just_after_the_poll_is_seen)
{
    struct player me = {.loop = new_loop()};
    struct ticker ticker = {.loop = me.loop};
    cio_set_poll_hooks(me.loop, do_nothing, post_to_myself, &me);
    for (int i = 0; i < 20; i++) {
        me.n_left = 1;
        ticker.seconds = 0.0001;
        tick(&ticker);
        assert_int_equal(cio_run_forever(me.loop), 0);
        cio_handle_cancel(&ticker.timer);
    }
    free_loop(me.loop);
}

static struct {
    cio_loop *loop;
    cio_handle handle;
    _Atomic int n_received;
    int n;
} sniper;

static void receive_shot(void *arg)
{
    (void)arg;
    int n = atomic_fetch_add(&sniper.n_received, 1) + 1;
    if (n == sniper.n)
        stop_loop(sniper.loop);
}

/* Waits, without sleeping itself, until so many shots were received. */
static void wait_for_shot(int n)
{
    double end = cio_time(NULL) + 10.0;
    for (int i = 1; atomic_load(&sniper.n_received) < n; i++) {
        if (i % 10000 == 0) {
            assert_true(cio_time(NULL) < end); /* else the wake was lost */
            sched_yield();
        }
    }
}

static void *shoot(void *arg)
{
    (void)arg;
    for (int i = 0; i < sniper.n; i++) {
        wait_for_shot(i);
        for (volatile int delay = (i * 7919) % 700; delay > 0; delay--)
            ;
        assert_int_equal(cio_call_soon_threadsafe(sniper.loop, &sniper.handle, receive_shot, NULL),
                         0);
    }
    return NULL;
}

/*
 * The loop has just run its last callback and goes to sleep; every shot is aimed at another point
 * of the way there. A wake that is lost leaves both waiting.
 */
TEST(t48_posts_aimed_at_the_loop_as_it_falls_asleep)
{
    cio_handle timer = {0}; /* makes the way longer by a look at the clock */
    sniper.loop = new_loop();
    sniper.n = test_scale(30000);
    cio_call_later(sniper.loop, &timer, 3600.0, do_nothing, NULL);
    pthread_t thread = start_thread(shoot, NULL);
    assert_int_equal(cio_run_forever(sniper.loop), 0);
    join(thread);
    free_loop(sniper.loop);
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

/*
 * A post that came while the loop did not run is found by the next run, though the wake is long
 * over.
 */
TEST(t48_post_to_a_loop_that_does_not_run_waits)
{
    struct player p = {.loop = new_loop()};
    run_turn(p.loop);
    join(start_thread(post_stop, &p));
    assert_int_equal(cio_run_forever(p.loop), 0);
    free_loop(p.loop);
}

/* --- wakes coalesce -------------------------------------------------------------------------- */

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

static void *yield_and_count_writes(void *arg)
{
    long before = count_writes();
    for (int i = 0; i < N_WAKES; i++)
        sched_yield();
    atomic_fetch_add(&storm.n_writes, count_writes() - before);
    return arg;
}

static void run_writers(void *(*fn)(void *))
{
    pthread_t threads[N_WRITERS];
    for (int i = 0; i < N_WRITERS; i++)
        threads[i] = start_thread(fn, &storm.posters[i]);
    for (int i = 0; i < N_WRITERS; i++)
        join(threads[i]);
}

/* Runs in the loop's thread, which thus is neither asleep nor done until all have posted. */
static void post_from_all_threads(void *arg)
{
    (void)arg;
    if (storm.is_over)
        return;
    storm.is_over = true;
    run_writers(post_and_count_writes);
}

static void prepare_storm(void)
{
    if (count_writes() < 0)
        test_skip("the kernel does not count a thread's writes");
    run_writers(yield_and_count_writes);
    if (storm.n_writes > 0)
        test_skip("threads write though they do nothing: valgrind's do");
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
