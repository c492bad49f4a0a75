/*
 * Synchronisation between the tasks of one loop (asyncio's "Synchronization Primitives"): lock,
 * event, condition, semaphore, barrier; and what asyncio lacks, a read-write lock and a limiter.
 *
 * All are plain structs with an initialiser, at file scope, in other structs or on a stack. They
 * allocate nothing, also not to wait, and there is nothing to give back; they must stay where they
 * are while tasks wait for them. The fields are not for programs. A destroy call is for those who
 * are about to free one and are not sure: it frees nothing, and says -EBUSY if tasks wait or hold.
 *
 * Who waited longest is served first, and newcomers do not pass by those who wait. A wait that ends
 * with CIO_ECANCELED was in vain, always (total): what had been handed to the task just before went
 * on to the next who waits. To limit a wait in time, put it into a cio_timeout.
 *
 * They are for one loop's thread: not atomic, and not needed where no wait lies between. The first
 * wait binds one to the running loop until that loop is closed: a wait in another loop, and a call
 * in another loop that would wake somebody, is CIO_EWRONGLOOP and does nothing. Where nobody has to
 * wait any loop may use it, and calls that do not wait may also be made outside a task, by
 * callbacks, or while no loop runs.
 *
 * All return -EINVAL for NULL, and calls that may wait CIO_ENOTASK outside a task, also where they
 * would not have had to wait.
 */
#ifndef CIO_SYNC_H
#define CIO_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cio/export.h>
#include <cio/future.h>
#include <cio/waiters.h>

CIO_BEGIN

/* A lock (asyncio.Lock). Not recursive. */
typedef struct cio_lock {
    struct cio__waiters waiters;
    cio_task *owner; /* who has it, if owner_id is still that task's; NULL: a callback */
    uint64_t owner_id;
    bool locked;
} cio_lock;

#define CIO_LOCK_INIT                                                                              \
    {                                                                                              \
        CIO__WAITERS_INIT, 0, 0, 0                                                                 \
    }

/*
 * Waits until nobody has the lock, and takes it (lock.acquire). Returns 0, CIO_ECANCELED,
 * CIO_ENOTASK, CIO_EWRONGLOOP, -EINVAL.
 */
CIO_API int cio_lock_acquire(cio_lock *lock);

/*
 * Takes it if that needs no wait; also outside a task. Returns 0; -EAGAIN if somebody has it or
 * waits for it; -EINVAL. No asyncio counterpart.
 */
CIO_API int cio_lock_acquire_nowait(cio_lock *lock);

/*
 * Gives it back and lets the next one have it (lock.release). As in asyncio any task may, not only
 * the one that took it. Returns 0, CIO_ESTATE if it is not locked, CIO_EWRONGLOOP, -EINVAL.
 */
CIO_API int cio_lock_release(cio_lock *lock);

/*
 * Whether somebody has it (lock.locked). False for NULL, and, as in asyncio, from a release until
 * the task that is next has run.
 */
CIO_API bool cio_lock_locked(const cio_lock *lock);

/* The task that has it, borrowed; NULL if none has, or it has ended, or a callback took it. */
CIO_API cio_task *cio_lock_owner(const cio_lock *lock);

/* Returns 0, or -EBUSY if somebody has it or waits for it. */
CIO_API int cio_lock_destroy(cio_lock *lock);

/* Something that happens, for any number of tasks to wait for (asyncio.Event). */
typedef struct cio_event {
    struct cio__waiters waiters;
    bool set;
} cio_event;

#define CIO_EVENT_INIT                                                                             \
    {                                                                                              \
        CIO__WAITERS_INIT, 0                                                                       \
    }

/*
 * Waits until it is set; at once if it is (event.wait). Returns 0 also if it was cleared again
 * before the task came to run; CIO_ECANCELED, CIO_ENOTASK, CIO_EWRONGLOOP, -EINVAL.
 */
CIO_API int cio_event_wait(cio_event *event);

/*
 * Sets it and wakes all who wait, in order (event.set). They do not touch the event again, which
 * may go at once. Returns 0, CIO_EWRONGLOOP, -EINVAL.
 */
CIO_API int cio_event_set(cio_event *event);

CIO_API int cio_event_clear(cio_event *event);         /* (event.clear) 0 or -EINVAL */
CIO_API bool cio_event_is_set(const cio_event *event); /* (event.is_set) false for NULL */
CIO_API int cio_event_destroy(cio_event *event);       /* 0, or -EBUSY if somebody waits */

/*
 * A condition (asyncio.Condition): tasks that hold its lock wait until another one, that holds it
 * too, says that something has changed. The lock is its own, or one that several conditions share.
 */
typedef struct cio_condition {
    struct cio__waiters waiters;
    cio_lock *lock; /* NULL: its own */
    cio_lock own;
} cio_condition;

#define CIO_CONDITION_INIT                                                                         \
    {                                                                                              \
        CIO__WAITERS_INIT, 0, CIO_LOCK_INIT                                                        \
    }

/* With a lock of the caller's, a cio_lock *. */
#define CIO_CONDITION_INIT_WITH(shared_lock)                                                       \
    {                                                                                              \
        CIO__WAITERS_INIT, (shared_lock), CIO_LOCK_INIT                                            \
    }

/* What cio_lock's calls of the same name do, with the condition's lock. */
CIO_API int cio_condition_acquire(cio_condition *condition);
CIO_API int cio_condition_release(cio_condition *condition);
CIO_API bool cio_condition_locked(const cio_condition *condition);

/*
 * Gives the lock back, waits until notified, and takes the lock again (condition.wait). It may
 * return although what was waited for has been undone by somebody else: look, and wait again, or
 * use cio_condition_wait_for().
 *
 * Returns 0; CIO_ESTATE if the lock is not locked; CIO_ECANCELED, CIO_ENOTASK, CIO_EWRONGLOOP,
 * -EINVAL. In every case the lock is held again: canceled, it still waits for the lock, however
 * often it is canceled, and a notification that had reached it goes on to the next.
 */
CIO_API int cio_condition_wait(cio_condition *condition);

/*
 * Waits until predicate(arg), called with the lock held, is not 0, and returns what it gave
 * (condition.wait_for); below 0 it is an error of the caller's. Else as cio_condition_wait().
 */
CIO_API int cio_condition_wait_for(cio_condition *condition, int (*predicate)(void *arg),
                                   void *arg);

/*
 * Wakes up to n of those who wait; they go on when they get the lock (condition.notify). Returns
 * how many; CIO_ESTATE if the lock is not locked; CIO_EWRONGLOOP; -EINVAL for NULL or n < 0.
 */
CIO_API int cio_condition_notify(cio_condition *condition, int n);

/* The same for all who wait (condition.notify_all). */
CIO_API int cio_condition_notify_all(cio_condition *condition);

/* Returns 0, or -EBUSY if somebody waits, or has its own lock or waits for that. */
CIO_API int cio_condition_destroy(cio_condition *condition);

/* A number that acquire takes one from, if it is not 0, and release adds one to (Semaphore). */
typedef struct cio_semaphore {
    struct cio__waiters waiters;
    int value;
    int bound;
} cio_semaphore;

/* The same, never above the value that it began with (asyncio.BoundedSemaphore). */
typedef cio_semaphore cio_bounded_semaphore;

#define CIO__UNBOUNDED 0x7fffffff

#define CIO_SEMAPHORE_INIT(initial)                                                                \
    {                                                                                              \
        CIO__WAITERS_INIT, (initial), CIO__UNBOUNDED                                               \
    }

#define CIO_BOUNDED_SEMAPHORE_INIT(initial)                                                        \
    {                                                                                              \
        CIO__WAITERS_INIT, (initial), (initial)                                                    \
    }

/* The initialisers as calls: 0, or -EINVAL for NULL or a value below 0. */
CIO_API int cio_semaphore_init(cio_semaphore *semaphore, int value);
CIO_API int cio_bounded_semaphore_init(cio_bounded_semaphore *semaphore, int value);

/*
 * Waits until the value is not 0, and takes one (semaphore.acquire). Returns 0; CIO_ECANCELED,
 * CIO_ENOTASK, CIO_EWRONGLOOP; -EINVAL also if it was initialised with less than 0.
 */
CIO_API int cio_semaphore_acquire(cio_semaphore *semaphore);

/*
 * Takes one if that needs no wait; also outside a task. Returns 0; -EAGAIN if it is locked;
 * -EINVAL. No asyncio counterpart.
 */
CIO_API int cio_semaphore_acquire_nowait(cio_semaphore *semaphore);

/*
 * Adds one, and hands it to the next who waits (semaphore.release). Returns 0; CIO_ESTATE if a
 * bounded one would rise above what it began with, or any above INT_MAX; CIO_EWRONGLOOP; -EINVAL.
 */
CIO_API int cio_semaphore_release(cio_semaphore *semaphore);

/* Whether acquire would have to wait (semaphore.locked). False for NULL. */
CIO_API bool cio_semaphore_locked(const cio_semaphore *semaphore);

/* What is left, without what was handed to tasks that have not run yet. 0 for NULL. */
CIO_API int cio_semaphore_value(const cio_semaphore *semaphore);

/* Returns 0, or -EBUSY if somebody waits. */
CIO_API int cio_semaphore_destroy(cio_semaphore *semaphore);

/* Lets tasks go on when so many have come together, again and again (asyncio.Barrier). */
typedef struct cio_barrier {
    cio_condition changed;
    int parties;
    int count; /* who are inside */
    int state;
} cio_barrier;

#define CIO_BARRIER_INIT(parties)                                                                  \
    {                                                                                              \
        CIO_CONDITION_INIT, (parties), 0, 0                                                        \
    }

/* The initialiser as a call: 0, or -EINVAL for NULL or less than one party. */
CIO_API int cio_barrier_init(cio_barrier *barrier, int parties);

/*
 * Waits until all parties have come; those of the next round wait until this one has left
 * (barrier.wait). Returns the number of those who came before, 0 .. parties - 1; CIO_EBROKEN if the
 * barrier is broken, or is reset meanwhile; CIO_ECANCELED: this task has not come, the others wait
 * on; CIO_ENOTASK, CIO_EWRONGLOOP; -EINVAL also for less than one party.
 */
CIO_API int cio_barrier_wait(cio_barrier *barrier);

/*
 * Sends all who wait away with CIO_EBROKEN; the barrier is as new, also if it was broken
 * (barrier.reset). May have to wait its turn: 0, CIO_ECANCELED, and errors as above.
 */
CIO_API int cio_barrier_reset(cio_barrier *barrier);

/* The same, and all who come get CIO_EBROKEN, until it is reset (barrier.abort). */
CIO_API int cio_barrier_abort(cio_barrier *barrier);

CIO_API int cio_barrier_parties(const cio_barrier *barrier);   /* (barrier.parties) 0 for NULL */
CIO_API int cio_barrier_n_waiting(const cio_barrier *barrier); /* (barrier.n_waiting) 0 for NULL */
CIO_API bool cio_barrier_broken(const cio_barrier *barrier);   /* (barrier.broken) */

/* Returns 0, or -EBUSY if a task is inside. */
CIO_API int cio_barrier_destroy(cio_barrier *barrier);

/*
 * A lock that one writer has, or any number of readers. No asyncio counterpart.
 *
 * There is one line for both: a reader who comes while a writer waits stands behind it, so writers
 * are not starved, nor are readers; those who stand next to each other go in together. A task that
 * reads must therefore not ask to read again, nor to write: it may have to wait for itself.
 */
typedef struct cio_rwlock {
    struct cio__waiters waiters;
    size_t readers;
    cio_task *writer; /* as a lock's owner */
    uint64_t writer_id;
    bool writing;
} cio_rwlock;

#define CIO_RWLOCK_INIT                                                                            \
    {                                                                                              \
        CIO__WAITERS_INIT, 0, 0, 0, 0                                                              \
    }

/*
 * Wait until it may be read, or written, and take it so. Return 0, CIO_ECANCELED, CIO_ENOTASK,
 * CIO_EWRONGLOOP, -EINVAL.
 */
CIO_API int cio_rwlock_acquire_read(cio_rwlock *lock);
CIO_API int cio_rwlock_acquire_write(cio_rwlock *lock);

/* Take it if that needs no wait; also outside a task. Return 0, -EAGAIN, -EINVAL. */
CIO_API int cio_rwlock_acquire_read_nowait(cio_rwlock *lock);
CIO_API int cio_rwlock_acquire_write_nowait(cio_rwlock *lock);

/*
 * Give it back and let those in who are next. Return 0, CIO_ESTATE if nobody reads, or writes;
 * CIO_EWRONGLOOP, -EINVAL.
 */
CIO_API int cio_rwlock_release_read(cio_rwlock *lock);
CIO_API int cio_rwlock_release_write(cio_rwlock *lock);

/* How many have it for reading, those counted who were let in and have not run. 0 for NULL. */
CIO_API size_t cio_rwlock_readers(const cio_rwlock *lock);

/* Whether somebody has it for writing, counted likewise. False for NULL. */
CIO_API bool cio_rwlock_writing(const cio_rwlock *lock);

/* Returns 0, or -EBUSY if somebody has it or waits for it. */
CIO_API int cio_rwlock_destroy(cio_rwlock *lock);

/*
 * So many may do something at a time, each at most once, and one can ask who they are (anyio's
 * CapacityLimiter). The total may be changed at any time; if it falls below what is borrowed,
 * nobody is let in until enough was given back.
 *
 * What borrows is a task, or any object, named by its address. Each borrower brings a place for the
 * list of borrowers, a cio_borrow, zeroed before its first use, which must stay where it is until
 * given back.
 *
 * A limiter belongs to a loop for as long as anything is borrowed or waited for. If that loop is
 * closed meanwhile, all is as given back.
 */
typedef struct cio_borrow {
    struct cio_borrow *next;
    struct cio_limiter *limiter; /* NULL: not in use */
    const void *borrower;
    bool held; /* else it waits */
} cio_borrow;

#define CIO_BORROW_INIT                                                                            \
    {                                                                                              \
        0, 0, 0, 0                                                                                 \
    }

#define CIO__LIMITER_BUCKETS 32

typedef struct cio_limiter {
    struct cio__waiters waiters;
    int total;
    int borrowed;
    int waiting;
    struct cio_borrow *borrowers[CIO__LIMITER_BUCKETS]; /* by the borrower's address */
} cio_limiter;

/* For a limiter that limits nothing, and only counts. */
#define CIO_LIMITER_INFINITE 0x7fffffff

#define CIO_LIMITER_INIT(total)                                                                    \
    {                                                                                              \
        CIO__WAITERS_INIT, (total), 0, 0,                                                          \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* The initialiser as a call: 0, or -EINVAL for NULL or a total below 0. */
CIO_API int cio_limiter_init(cio_limiter *limiter, int total);

/*
 * Waits until fewer than the total have borrowed, and borrows for the current task, or for an
 * object. Returns 0; CIO_ESTATE if the borrower has borrowed already, or waits to, or the place is
 * in use; CIO_ECANCELED, CIO_ENOTASK, CIO_EWRONGLOOP; -EINVAL also for a NULL object and a total
 * below 0.
 */
CIO_API int cio_limiter_acquire(cio_limiter *limiter, cio_borrow *borrow);
CIO_API int cio_limiter_acquire_on_behalf_of(cio_limiter *limiter, cio_borrow *borrow,
                                             const void *borrower);

/*
 * The same if that needs no wait, else -EAGAIN. The second may be called outside a task, but not
 * outside a loop: CIO_ENOLOOP.
 */
CIO_API int cio_limiter_acquire_nowait(cio_limiter *limiter, cio_borrow *borrow);
CIO_API int cio_limiter_acquire_on_behalf_of_nowait(cio_limiter *limiter, cio_borrow *borrow,
                                                    const void *borrower);

/*
 * Gives back what was borrowed with this place; any task or callback may. Lets the next one in.
 * Returns 0, CIO_ESTATE if nothing is borrowed with it, CIO_EWRONGLOOP, -EINVAL.
 */
CIO_API int cio_limiter_release(cio_limiter *limiter, cio_borrow *borrow);

/*
 * Changes the total, and lets in whom that lets in. Returns 0, CIO_EWRONGLOOP, -EINVAL for NULL or
 * a total below 0.
 */
CIO_API int cio_limiter_set_total(cio_limiter *limiter, int total);

typedef struct cio_limiter_statistics {
    int total;
    int borrowed;
    int available; /* total - borrowed: below 0 after the total was lowered */
    int waiting;   /* who wait; not who were let in and have not run */
} cio_limiter_statistics;

/* All zeros for NULL. */
CIO_API cio_limiter_statistics cio_limiter_get_statistics(const cio_limiter *limiter);

/*
 * Calls fn(borrower, arg) for each that has borrowed, in no order, until it returns false; fn must
 * not change the limiter. fn may be NULL. Returns how many it was called for (NULL: how many there
 * are), or -EINVAL.
 */
CIO_API int cio_limiter_borrowers(const cio_limiter *limiter,
                                  bool (*fn)(const void *borrower, void *arg), void *arg);

/* Returns 0, or -EBUSY if anything is borrowed or somebody waits. */
CIO_API int cio_limiter_destroy(cio_limiter *limiter);

CIO_END

#endif
