/*
 * Signals. The system's handler, in whatever thread, walks the records of all loops that have to do
 * with the signal and posts to each, by its inbox; the rest happens in the loops' threads.
 *
 * The handler must find records whole, but may take no lock. So records are put into the list, and
 * taken out, by single stores, under a lock that only the loops' threads take; and who took one out
 * waits until no handler is walking before it frees the record or, later, its loop.
 */
#include "loop/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"
#include "os/memory.h"
#include "os/signals.h"

#define MOST 64 /* signals are numbered from 1 */

struct cio__signal {
    struct cio__signal *next;    /* atomic: those of other loops for the same number */
    struct cio__signal *sibling; /* those of the same loop */
    cio_loop *loop;
    int number;
    uint32_t users;      /* atomic: its handler, and who listens */
    uint32_t n_by_rule;  /* atomic: signals that the rule applied to */
    cio_callback *rule;  /* atomic */
    void *rule_arg;      /* set before the rule */
    cio_handle mail;     /* what the system's handler posts */
    cio_handle *handler; /* the user's, or NULL */
};

static struct {
    struct cio__signal *first; /* atomic */
    struct sigaction before;
} signals[MOST + 1];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t n_walking; /* atomic: handlers that may be touching records */
static pid_t owner;        /* atomic: the process that the records belong to */

static bool is_caught_here(int number)
{
    return number >= 1 && number <= MOST && number != SIGKILL && number != SIGSTOP &&
           number != SIGSEGV && number != SIGBUS && number != SIGFPE && number != SIGILL &&
           number != SIGCHLD;
}

/* ---- the arrival: in any thread, between any two instructions ---- */

static void deliver(void *arg);

static void notify(struct cio__signal *signal)
{
    bool by_rule = __atomic_load_n(&signal->rule, __ATOMIC_RELAXED) &&
                   __atomic_load_n(&signal->users, __ATOMIC_RELAXED) == 0;
    if (by_rule && __atomic_fetch_add(&signal->n_by_rule, 1, __ATOMIC_RELAXED) > 0) {
        cio__signal_default(signal->number);
        return;
    }
    cio__post(signal->loop, &signal->mail, deliver, signal); /* refused: it is on its way already */
}

static void on_signal(int number)
{
    int saved = errno;
    if (getpid() != __atomic_load_n(&owner, __ATOMIC_RELAXED)) {
        /* A child so young that it has not been told yet: the parent's loops are none of its. */
        cio__signal_restore(number, on_signal, &signals[number].before);
        cio__signal_raise(number);
    } else {
        __atomic_fetch_add(&n_walking, 1, __ATOMIC_SEQ_CST);
        struct cio__signal *signal = __atomic_load_n(&signals[number].first, __ATOMIC_SEQ_CST);
        for (; signal; signal = __atomic_load_n(&signal->next, __ATOMIC_ACQUIRE))
            notify(signal);
        __atomic_fetch_sub(&n_walking, 1, __ATOMIC_RELEASE);
    }
    errno = saved;
}

/* ---- records ---- */

static void wait_for_walkers(void)
{
    while (__atomic_load_n(&n_walking, __ATOMIC_SEQ_CST) > 0)
        sched_yield();
}

static bool is_only_record(const struct cio__signal *signal)
{
    return __atomic_load_n(&signals[signal->number].first, __ATOMIC_ACQUIRE) == signal &&
           !__atomic_load_n(&signal->next, __ATOMIC_ACQUIRE);
}

static bool unlink_record(struct cio__signal *signal)
{
    struct cio__signal **place = &signals[signal->number].first;
    while (*place && *place != signal)
        place = &(*place)->next;
    if (!*place)
        return false; /* forgotten by a fork */
    __atomic_store_n(place, signal->next, __ATOMIC_SEQ_CST);
    return true;
}

/* In the list first and only then caught, or one that comes in between would be lost. */
static int publish(struct cio__signal *signal)
{
    int number = signal->number;
    pthread_mutex_lock(&lock);
    __atomic_store_n(&owner, getpid(), __ATOMIC_RELAXED);
    signal->next = signals[number].first;
    __atomic_store_n(&signals[number].first, signal, __ATOMIC_SEQ_CST);
    int rc = cio__signal_catch(number, on_signal, &signals[number].before);
    if (rc < 0)
        unlink_record(signal);
    pthread_mutex_unlock(&lock);
    return rc;
}

/*
 * The reverse, in the reverse order. Returns whether this was the only record: then a signal that
 * it had in its mail has reached nobody.
 */
static bool withdraw(struct cio__signal *signal)
{
    int number = signal->number;
    pthread_mutex_lock(&lock);
    bool only = is_only_record(signal);
    if (only)
        cio__signal_restore(number, on_signal, &signals[number].before);
    unlink_record(signal);
    pthread_mutex_unlock(&lock);
    wait_for_walkers();
    return only;
}

static struct cio__signal *find(const cio_loop *loop, int number)
{
    struct cio__signal *signal = loop->signals;
    while (signal && signal->number != number)
        signal = signal->sibling;
    return signal;
}

/* The loop's record of the signal with one more user, or with a rule. Returns 0 or an error. */
static int use(cio_loop *loop, int number, cio_callback *rule, void *rule_arg)
{
    struct cio__signal *signal = find(loop, number);
    if (signal) {
        signal->rule_arg = rule ? rule_arg : signal->rule_arg;
        __atomic_store_n(&signal->rule, rule ? rule : signal->rule, __ATOMIC_RELAXED);
        __atomic_fetch_add(&signal->users, rule ? 0 : 1, __ATOMIC_RELAXED);
        return 0;
    }
    signal = cio__alloc(sizeof *signal);
    if (!signal)
        return -ENOMEM;
    *signal = (struct cio__signal){.loop = loop,
                                   .number = number,
                                   .users = rule ? 0 : 1,
                                   .rule = rule,
                                   .rule_arg = rule_arg,
                                   .sibling = loop->signals};
    int rc = publish(signal);
    if (rc < 0) {
        wait_for_walkers();
        cio__free(signal);
        return rc;
    }
    loop->signals = signal;
    return 0;
}

/* Returns whether a signal came that reached nobody. */
static bool free_record(struct cio__signal *signal)
{
    struct cio__signal **place = &signal->loop->signals;
    while (*place != signal)
        place = &(*place)->sibling;
    *place = signal->sibling;
    bool only = withdraw(signal);
    bool undelivered = cio_handle_cancel(&signal->mail);
    cio__free(signal);
    return only && undelivered;
}

/* One user less. Returns whether a signal came that reached nobody. */
static bool disuse(struct cio__signal *signal)
{
    if (__atomic_sub_fetch(&signal->users, 1, __ATOMIC_RELAXED) > 0 || signal->rule)
        return false;
    return free_record(signal);
}

/* ---- in the loop's thread ---- */

static int tell_listeners(cio_loop *loop, cio_signal_set bit)
{
    int n = 0;
    for (cio_signals *s = loop->listeners; s; s = s->next) {
        if (!(s->set & bit))
            continue;
        s->arrived |= bit;
        if (s->waiter && cio__handle_state(s->waiter) == CIO__IDLE)
            cio__ready_push(&loop->ready, s->waiter);
        n++;
    }
    return n;
}

static void note_only_one(cio_loop *loop, cio_signal_set bit, bool only)
{
    for (cio_signals *s = loop->listeners; s; s = s->next)
        s->only_here = only ? s->only_here | bit : s->only_here & ~bit;
}

/*
 * What the signal is for runs in the next turn, two after the arrival: as in asyncio, where a
 * callback reads a socket first.
 */
static void deliver(void *arg)
{
    struct cio__signal *signal = arg;
    cio_loop *loop = signal->loop;
    cio_signal_set bit = CIO_SIGNAL(signal->number);
    if (signal->handler && cio__handle_state(signal->handler) == CIO__WATCH)
        cio__ready_push_as(&loop->ready, signal->handler, CIO__WATCH);
    int n = tell_listeners(loop, bit);
    note_only_one(loop, bit, n == 1 && !signal->handler && is_only_record(signal));
    if (signal->users == 0 && signal->rule)
        signal->rule(signal->rule_arg);
}

static void detach_handler(struct cio__signal *signal)
{
    cio_handle *handle = signal->handler;
    signal->handler = NULL;
    if (cio__handle_state(handle) != CIO__WATCH)
        cio__ready_remove(&signal->loop->ready, handle);
    CIO__FORGET_VARS(handle);
    cio__handle_set_state(handle, CIO__IDLE);
}

int cio_add_signal_handler(cio_loop *loop, int number, cio_handle *handle, cio_callback *fn,
                           void *arg)
{
    if (!is_caught_here(number))
        return -EINVAL;
    int rc = cio__check_call(loop, handle, fn);
    if (rc < 0)
        return rc;
    if (cio__loop_inherited(loop))
        return CIO_EFORKED;
    rc = use(loop, number, NULL, NULL);
    if (rc < 0)
        return rc;
    struct cio__signal *signal = find(loop, number);
    if (signal->handler) {
        detach_handler(signal);
        disuse(signal);
    }
    signal->handler = handle;
    handle->fn = fn;
    handle->arg = arg;
    handle->loop = loop;
    handle->hint = cio__vars_hint(handle, CIO__HINT_STAYS);
    handle->when_ns = -number; /* so that cio_handle_cancel() finds it */
    cio__handle_set_state(handle, CIO__WATCH);
    return 0;
}

int cio__signal_unwatch(cio_loop *loop, int number)
{
    struct cio__signal *signal = find(loop, number);
    if (!signal || !signal->handler)
        return 0;
    detach_handler(signal);
    disuse(signal);
    return 1;
}

int cio_remove_signal_handler(cio_loop *loop, int number)
{
    return loop && is_caught_here(number) ? cio__signal_unwatch(loop, number) : -EINVAL;
}

int cio__signal_rule_begin(cio_loop *loop, int number, cio_callback *fn, void *arg)
{
    return use(loop, number, fn, arg);
}

void cio__signal_rule_end(cio_loop *loop, int number)
{
    struct cio__signal *signal = find(loop, number);
    if (!signal)
        return;
    __atomic_store_n(&signal->rule, NULL, __ATOMIC_RELAXED);
    if (signal->users == 0)
        free_record(signal);
}

/* ---- those who listen ---- */

static int check_set(cio_signal_set set)
{
    for (int number = 1; number <= MOST; number++)
        if ((set & CIO_SIGNAL(number)) && !is_caught_here(number))
            return -EINVAL;
    return set ? 0 : -EINVAL;
}

/* Ends the use of the set's signals below `end`. Returns those that reached nobody. */
static cio_signal_set disuse_set(cio_loop *loop, cio_signal_set set, int end)
{
    cio_signal_set lost = 0;
    for (int number = 1; number < end; number++)
        if ((set & CIO_SIGNAL(number)) && disuse(find(loop, number)))
            lost |= CIO_SIGNAL(number);
    return lost;
}

static void send_again(cio_signal_set set)
{
    for (int number = 1; set && number <= MOST; number++)
        if (set & CIO_SIGNAL(number))
            cio__signal_send(number);
}

int cio_signals_begin(cio_signals *s, cio_signal_set set)
{
    int rc = s ? check_set(set) : -EINVAL;
    if (rc < 0)
        return rc;
    cio_loop *loop = cio__running;
    if (!loop)
        return CIO_ENOLOOP;
    for (int number = 1; number <= MOST; number++) {
        rc = set & CIO_SIGNAL(number) ? use(loop, number, NULL, NULL) : 0;
        if (rc < 0) {
            send_again(disuse_set(loop, set, number));
            return rc;
        }
    }
    *s = (cio_signals){.loop = loop, .set = set, .next = loop->listeners};
    if (s->next)
        s->next->previous = s;
    loop->listeners = s;
    return 0;
}

void cio_signals_end(cio_signals *s)
{
    if (!s || !s->loop)
        return;
    cio_loop *loop = s->loop;
    if (s->previous)
        s->previous->next = s->next;
    else
        loop->listeners = s->next;
    if (s->next)
        s->next->previous = s->previous;
    s->loop = NULL;
    cio_signal_set lost = (s->arrived & s->only_here) | disuse_set(loop, s->set, MOST + 1);
    if (!cio__loop_inherited(loop))
        send_again(lost);
}

bool cio__signals_expected(const cio_loop *loop)
{
    for (const struct cio__signal *signal = loop->signals; signal; signal = signal->sibling)
        if (signal->users > 0)
            return true;
    return false;
}

bool cio__signal_is_ours(int number)
{
    return cio__signal_is_caught(number, on_signal);
}

/* ---- ends ---- */

void cio__signals_close(cio_loop *loop)
{
    while (loop->signals) {
        if (loop->signals->handler)
            detach_handler(loop->signals);
        free_record(loop->signals);
    }
    loop->listeners = NULL;
}

void cio__signals_forget_in_child(void)
{
    pthread_mutex_init(&lock, NULL); /* another thread of the parent may have held it */
    n_walking = 0;
    for (int number = 1; number <= MOST; number++) {
        if (signals[number].first)
            cio__signal_restore(number, on_signal, &signals[number].before);
        signals[number].first = NULL;
    }
}
