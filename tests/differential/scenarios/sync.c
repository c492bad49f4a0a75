/*
 * The synchronisation primitives. scenario_sync.py is the twin.
 *
 * Tasks play parts, strings of one-letter steps, and say how each step ended. What was canceled is
 * swallowed, and the part goes on. A digit cancels the actor of that number.
 */
#include <stdint.h>
#include <string.h>

#include "trace.h"

enum { ACTORS_MOST = 8, PART_MOST = 16 };

typedef struct stage {
    cio_lock lock;
    cio_event event;
    cio_condition condition;
    cio_semaphore semaphore;
    cio_bounded_semaphore bounded;
    cio_barrier barrier;
    cio_task *actors[ACTORS_MOST];
    int n;
} stage;

typedef struct actor {
    stage *stage;
    int number;
    char part[PART_MOST + 1];
} actor;

/* A number of those woken is not compared: asyncio does not say it. */
static int no_number(int rc)
{
    return rc < 0 ? rc : 0;
}

static int step(stage *s, char what)
{
    switch (what) {
    case '.': return cio_yield();
    case 'a': return cio_lock_acquire(&s->lock);
    case 'r': return cio_lock_release(&s->lock);
    case 'l': return cio_lock_locked(&s->lock);
    case 'w': return cio_event_wait(&s->event);
    case 's': return cio_event_set(&s->event);
    case 'c': return cio_event_clear(&s->event);
    case 'A': return cio_condition_acquire(&s->condition);
    case 'R': return cio_condition_release(&s->condition);
    case 'W': return cio_condition_wait(&s->condition);
    case 'n': return no_number(cio_condition_notify(&s->condition, 1));
    case 'N': return no_number(cio_condition_notify_all(&s->condition));
    case 'P': return cio_semaphore_acquire(&s->semaphore);
    case 'V': return cio_semaphore_release(&s->semaphore);
    case 'Q': return cio_semaphore_locked(&s->semaphore);
    case 'p': return cio_semaphore_acquire(&s->bounded);
    case 'v': return cio_semaphore_release(&s->bounded);
    case 'b': return cio_barrier_wait(&s->barrier);
    case 'x': return cio_barrier_reset(&s->barrier);
    case 'z': return cio_barrier_abort(&s->barrier);
    case 'q': return cio_barrier_n_waiting(&s->barrier) + 10 * cio_barrier_broken(&s->barrier);
    default: return what - '0' < s->n ? cio_cancel(s->actors[what - '0']) : 0;
    }
}

static int play(void *arg)
{
    actor *a = arg;
    for (const char *what = a->part; *what; what++)
        say("%d %c: %s", a->number, *what, how(step(a->stage, *what)));
    return 0;
}

static void open_stage(stage *s)
{
    *s = (stage){
        .lock = CIO_LOCK_INIT,
        .event = CIO_EVENT_INIT,
        .condition = CIO_CONDITION_INIT,
        .semaphore = CIO_SEMAPHORE_INIT(2),
        .bounded = CIO_BOUNDED_SEMAPHORE_INIT(1),
        .barrier = CIO_BARRIER_INIT(3),
    };
}

static bool all_done(const stage *s)
{
    for (int i = 0; i < s->n; i++)
        if (!cio_done(s->actors[i]))
            return false;
    return true;
}

static int notify(void *arg)
{
    stage *s = arg;
    int rc = cio_condition_acquire(&s->condition);
    if (rc < 0)
        return rc;
    cio_condition_notify_all(&s->condition);
    return cio_condition_release(&s->condition);
}

/* Lets all who wait go on. */
static void set_free(stage *s)
{
    cio_event_set(&s->event);
    if (cio_lock_locked(&s->lock))
        cio_lock_release(&s->lock);
    if (cio_condition_locked(&s->condition))
        cio_condition_release(&s->condition);
    cio_semaphore_release(&s->semaphore);
    cio_semaphore_release(&s->bounded);
    cio_barrier_abort(&s->barrier);
    cio_task *notifier = cio_create_task(notify, s);
    wait_turns(3);
    cio_cancel(notifier); /* an actor has ended with the lock: another time */
    cio_await(notifier);
}

/* Who waits with a condition needs its lock for that. */
static void cancel_all(stage *s)
{
    for (int i = 0; i < s->n; i++)
        if (!cio_done(s->actors[i]))
            cio_cancel(s->actors[i]);
    if (cio_condition_locked(&s->condition))
        cio_condition_release(&s->condition);
}

/* Those who still wait after so many turns are canceled or set free until they have ended. */
static void play_all(actor *actors, int n, int turns, bool cancels)
{
    stage s;
    open_stage(&s);
    s.n = n;
    for (int i = 0; i < n; i++) {
        actors[i].stage = &s;
        actors[i].number = i;
        s.actors[i] = cio_create_task(play, &actors[i]);
    }
    wait_turns(turns);
    while (!all_done(&s)) {
        if (cancels)
            cancel_all(&s);
        else
            set_free(&s);
        wait_turns(1);
    }
    for (int i = 0; i < n; i++)
        say("%d ends: %s", i, how(cio_await(s.actors[i])));
    say("left %d %d", cio_lock_locked(&s.lock), cio_condition_locked(&s.condition));
    say("left %d %d %d", cio_semaphore_value(&s.semaphore), cio_semaphore_value(&s.bounded),
        s.barrier.count);
}

#define PLAY(turns, ...)                                                                           \
    do {                                                                                           \
        const char *parts[] = {__VA_ARGS__};                                                       \
        int n = (int)(sizeof parts / sizeof *parts);                                               \
        actor actors[ACTORS_MOST];                                                                 \
        for (int i = 0; i < n; i++)                                                                \
            strcpy(actors[i].part, parts[i]);                                                      \
        play_all(actors, n, turns, true);                                                          \
    } while (0)

SCENARIO(lock_goes_to_who_waited_longest)
{
    PLAY(10, "a..r", "ar", "ar", "ar");
    PLAY(10, "a.r.ar", "a..r", ".al.r", "..a.r");
    return 0;
}

/* A newcomer between the release and the next one's step. */
SCENARIO(lock_is_not_taken_by_a_newcomer)
{
    PLAY(10, "a.rlar", "a.r", ".lar");
    PLAY(10, "a..rlar", "ar", "..lar");
    return 0;
}

SCENARIO(lock_canceled_waiters)
{
    PLAY(10, "a...r", "ar", "ar", ".1lar");    /* while it waits */
    PLAY(10, "a...r1l", "ar", "ar", "ar");     /* after it was woken */
    PLAY(10, "a...1r", "ar", "ar", "ar");      /* just before it would have been woken */
    PLAY(10, "a...12r", "ar", "ar", "ar");     /* and the next one too */
    PLAY(10, "a...r12", "ar", "ar", "ar");     /* the woken one and the next */
    PLAY(10, "a...12rl", "ar", "ar", "...al"); /* only canceled ones wait */
    PLAY(10, "a..0ar", "..r", "ar", "ar");     /* before it waits */
    PLAY(10, "a...1.1r", "aar", "ar");         /* twice */
    return 0;
}

SCENARIO(lock_released_too_often)
{
    PLAY(10, "r", "arr", ".a.r", "..r");
    return 0;
}

SCENARIO(event_wakes_all)
{
    PLAY(10, "w", "w.w", "..s.", "...w", "....cw", ".....s");
    return 0;
}

SCENARIO(event_set_and_cleared_at_once)
{
    PLAY(10, "ww", "ww", "..sc.sc", "w");
    PLAY(10, "ww", "ww", "..scsc", "...w", "....s");
    return 0;
}

SCENARIO(event_canceled_waiters)
{
    PLAY(10, "ww", "ww", "..0s", "w");
    PLAY(10, "ww", "ww", "..s0c", "w");
    PLAY(10, "0w", "ww", "..s");
    return 0;
}

SCENARIO(condition_notifies_in_order)
{
    PLAY(10, "AWR", "AWR", "AWR", "..An.R", "....ANR");
    PLAY(10, "AWR", "AWR", "AWR", "..AnnR", "....AnR");
    PLAY(10, "AWR", "AWR", "AWR", "..AN..R", "...AR", "A.R");
    return 0;
}

SCENARIO(condition_without_the_lock)
{
    PLAY(10, "W", "n", "N", "R", "AWR", "..n", "..AW");
    return 0;
}

SCENARIO(condition_canceled_waiters)
{
    PLAY(12, "AWR", "AWR", "..A0..nR");      /* not notified, and must wait for the lock */
    PLAY(12, "AWR", "..An0..R", "..A.R");    /* notified, while it takes the lock again */
    PLAY(12, "AWR", "..A0.0.0.R", "...A.R"); /* again and again */
    return 0;
}

SCENARIO(semaphore_lets_so_many_in)
{
    PLAY(14, "P..V", "P.V", "PV", "PV", "PV", ".QPQV");
    PLAY(14, "PP.V.V", "P", "P", "..QPQ");
    return 0;
}

SCENARIO(semaphore_is_handed_over)
{
    PLAY(10, "PP..VQPVV", "PQV", "..P.V", "..QPV");
    return 0;
}

SCENARIO(semaphore_canceled_waiters)
{
    PLAY(10, "PP.1V", "PV", "PV");   /* while it waits */
    PLAY(10, "PP..V1Q", "PV", "PV"); /* after it was woken */
    PLAY(10, "PP..1VQ", "PV", "PV");
    PLAY(10, "PP..12VQP", "PV", "PV");
    PLAY(10, "PP0PV", "PV", ".VV");
    return 0;
}

SCENARIO(bounded_semaphore_has_a_bound)
{
    PLAY(10, "v", "pvv", "p.v", "p.v", "....v");
    return 0;
}

SCENARIO(barrier_lets_all_go_together)
{
    PLAY(20, "bb", "bb", "bb");
    PLAY(20, "bq", "b", ".q", "..b", "..bq", "...b", "....b");
    return 0;
}

SCENARIO(barrier_canceled_waiters)
{
    PLAY(20, "b", "b", "..0q.bq", "...b");
    PLAY(20, "b", "b", "..b0q", "b");
    return 0;
}

SCENARIO(barrier_reset_and_aborted)
{
    PLAY(20, "bb", "bb", "..xqbq", "...q.");
    PLAY(20, "bb", "bb", "..zqb", "...q", "....xq", ".....b", ".....b", ".....b");
    PLAY(20, "x", "z", "qb", "xqz");
    return 0;
}

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % below;
}

/* Parts from such letters, drawn by chance: the twin draws the same. */
static void play_by_chance(const char *letters, int n_seeds)
{
    for (int i = 0; i < n_seeds; i++) {
        actor actors[ACTORS_MOST];
        seed = (uint32_t)i;
        int n = 2 + (int)draw(ACTORS_MOST - 2);
        for (int k = 0; k < n; k++) {
            uint32_t length = 1 + draw(PART_MOST);
            for (uint32_t at = 0; at < length; at++)
                actors[k].part[at] = letters[draw((uint32_t)strlen(letters))];
            actors[k].part[length] = '\0';
        }
        say("seed %d", i);
        play_all(actors, n, 20, strchr(letters, '0') != NULL);
    }
}

SCENARIO(lock_by_chance)
{
    play_by_chance("aaaarrrr..l01234567", 400);
    return 0;
}

SCENARIO(event_by_chance)
{
    play_by_chance("wwwwssscc..01234567", 400);
    return 0;
}

SCENARIO(condition_by_chance)
{
    play_by_chance("AAAAWWWWRRRRnN..", 400);
    return 0;
}

SCENARIO(semaphore_by_chance)
{
    play_by_chance("PPPPVVVV..Q01234567", 400);
    return 0;
}

SCENARIO(bounded_semaphore_by_chance)
{
    play_by_chance("ppppvvvv..01234567", 400);
    return 0;
}

SCENARIO(barrier_by_chance)
{
    play_by_chance("bbbbbbb...qxz", 400);
    return 0;
}

SCENARIO(all_primitives_by_chance)
{
    play_by_chance("aarrwsc..AAWRRNbbvp", 400);
    return 0;
}
