/*
 * Queues between tasks of one loop (asyncio's "Queues"): first in, first out; last in, first out;
 * or by priority.
 *
 *     static struct job room[16];
 *     static cio_queue jobs = CIO_QUEUE_INIT(room);
 *
 *     cio_queue_put(&jobs, &job);             in one task: waits while there are 16
 *     cio_queue_get(&jobs, &job);             in others: waits while there is none
 *
 * Items are of one size, and are copied in and out. A queue of pointers holds items of the size of a
 * pointer, and is given the address of one: cio_queue_put(&q, &pointer). What items point to stays
 * the program's.
 *
 * A queue is bounded: its size must be said. CIO_UNBOUNDED must be asked for by name.
 *
 * Those who wait are woken in the order in which they came. As in asyncio a woken one looks again:
 * a task that comes first, without waiting, may take the item or the place, and the woken one then
 * waits anew, behind the others. Waiting does not allocate; nor does anything else but
 * cio_queue_init() and its like, and putting into an unbounded queue.
 *
 * A queue belongs to the loop whose tasks have waited in it, until that loop is closed; it is not
 * for several threads. It may lie anywhere, but must stay there; it must not go before the tasks
 * that wait in it do.
 *
 * The calls on a queue return -EINVAL for NULLs, also for a NULL item, and CIO_EWRONGLOOP where
 * tasks of another loop wait; those that may wait return CIO_ENOTASK outside a task.
 */
#ifndef CIO_QUEUE_H
#define CIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cio/export.h>
#include <cio/waiters.h>

CIO_BEGIN

/* A size without a limit. (Not the largest number, so that a -1 does not ask for it by mistake.) */
#define CIO_UNBOUNDED (SIZE_MAX / 2 + 1)

/*
 * Which of two items comes first: a if negative, b if positive, as qsort() has it. It must not wait
 * nor touch the queue.
 */
typedef int cio_compare(const void *a, const void *b);

/* The fields are the queue's. */
typedef struct cio_queue {
    void *slots;        /* where items are: the caller's storage or our own */
    size_t room;        /* slots that there are */
    size_t maxsize;     /* items */
    size_t limit;       /* below so many an item can be put in without further ado */
    size_t item_size;   /* bytes */
    size_t slot_size;   /* bytes */
    size_t item_offset; /* bytes, of the item in its slot */
    cio_compare *compare;
    uint8_t order;
    bool is_plain; /* first in, first out, of eight bytes: pointers, as a rule */
    bool owns_slots;
    bool is_shut_down;
    size_t count; /* items */
    size_t head;  /* the slot of the oldest item */
    size_t unfinished;
    uint64_t sequence; /* of the next item, where there are priorities */
    size_t inside;     /* tasks in a wait of this queue, woken or not */
    struct cio__waiters getters;
    struct cio__waiters putters;
    struct cio__waiters joiners;
} cio_queue;

#define CIO__FIFO 0
#define CIO__LIFO 1
#define CIO__PRIORITY 2
#define CIO__QUEUE_INIT(storage, item_size, item_offset, compare, order)                           \
    {                                                                                              \
        (storage), sizeof(storage) / sizeof((storage)[0]), sizeof(storage) / sizeof((storage)[0]), \
            sizeof(storage) / sizeof((storage)[0]), (item_size), sizeof((storage)[0]),             \
            (item_offset), (compare), (order), (order) == CIO__FIFO && (item_size) == 8, false,    \
            false, 0, 0, 0, 0, 0, CIO__WAITERS_INIT, CIO__WAITERS_INIT, CIO__WAITERS_INIT          \
    }

/*
 * Initialisers that use an array of the caller's: its elements are the items, and as many of them
 * are the queue's size. Such a queue never allocates and needs no end.
 *
 *     static cio_queue q = CIO_QUEUE_INIT(array);
 *     server->jobs = (cio_queue)CIO_QUEUE_INIT(server->room);
 *
 * That of a priority queue is an array of slots, which have a field of their own for the order:
 *
 *     static CIO_PRIORITY_SLOT(struct job) room[16];
 *     static cio_queue q = CIO_PRIORITY_QUEUE_INIT(room, by_deadline);
 */
#define CIO_QUEUE_INIT(storage) CIO__QUEUE_INIT(storage, sizeof((storage)[0]), 0, NULL, CIO__FIFO)
#define CIO_LIFO_QUEUE_INIT(storage)                                                               \
    CIO__QUEUE_INIT(storage, sizeof((storage)[0]), 0, NULL, CIO__LIFO)
#define CIO_PRIORITY_SLOT(type)                                                                    \
    struct {                                                                                       \
        uint64_t sequence;                                                                         \
        __typeof__(type) item;                                                                     \
    }
#define CIO_PRIORITY_QUEUE_INIT(storage, compare)                                                  \
    CIO__QUEUE_INIT(storage, sizeof((storage)[0].item), offsetof(__typeof__((storage)[0]), item),  \
                    compare, CIO__PRIORITY)

/*
 * A queue of its own memory (asyncio.Queue, LifoQueue, PriorityQueue) for maxsize items of item_size
 * bytes each: all of it is taken here, or as it grows if maxsize is CIO_UNBOUNDED. Ended by
 * cio_queue_destroy(). Items are aligned as malloc() aligns a block of their size.
 *
 * A priority queue gives out the item that compares lowest, and equal ones in the order in which
 * they were put in. (asyncio's does not promise that.)
 *
 * Returns 0; -EINVAL for NULLs, and sizes that are zero or negative; -ENOMEM.
 */
CIO_API int cio_queue_init(cio_queue *q, size_t maxsize, size_t item_size);
CIO_API int cio_lifo_queue_init(cio_queue *q, size_t maxsize, size_t item_size);
CIO_API int cio_priority_queue_init(cio_queue *q, size_t maxsize, size_t item_size,
                                    cio_compare *compare);

/*
 * Ends a queue and frees what it had allocated; items in it are dropped. It can then be initialised
 * anew; other calls but this one return CIO_ESTATE. Returns 0; -EINVAL for NULL; -EBUSY, and
 * nothing has happened, while a task waits in it or was woken and has not run yet: shut it down
 * first.
 */
CIO_API int cio_queue_destroy(cio_queue *q);

/*
 * Puts a copy of *item in, and waits while it is full (Queue.put). Returns 0; CIO_ESHUTDOWN if it is
 * shut down, before or while it waits; -ENOMEM (unbounded ones); CIO_ESTATE if it was never
 * initialised. After any error the item is not in. [total]
 */
CIO_API int cio_queue_put(cio_queue *q, const void *item);

/* The same without waiting, from anywhere in the loop's thread: -EAGAIN when it is full. */
CIO_API int cio_queue_put_nowait(cio_queue *q, const void *item);

/*
 * Takes the next item out into *item, and waits while there is none (Queue.get). Returns 0;
 * CIO_ESHUTDOWN if it is shut down and empty, before or while it waits; CIO_ESTATE if it was never
 * initialised. Canceled it has taken nothing. [total]
 */
CIO_API int cio_queue_get(cio_queue *q, void *item);

/* The same without waiting, from anywhere in the loop's thread: -EAGAIN when it is empty. */
CIO_API int cio_queue_get_nowait(cio_queue *q, void *item);

/*
 * Says that the work on an item that was taken out is done (Queue.task_done). Returns 0; CIO_ESTATE
 * if that was said for every item already.
 */
CIO_API int cio_queue_task_done(cio_queue *q);

/*
 * Waits until the work on every item that was put in is done (Queue.join); at once if none is
 * unfinished. An item that is put in after the last was done, but before the waiting task runs, does
 * not hold it up. Returns 0. [total]
 */
CIO_API int cio_queue_join(cio_queue *q);

/*
 * Nothing more is put in (Queue.shutdown, 3.13): all who wait to put have CIO_ESHUTDOWN; those who
 * get have what is still in it, then CIO_ESHUTDOWN. With immediate, what is in it is dropped and
 * counts as done, and a join ends if nothing else is unfinished. (To free what dropped items point
 * to, shut down without immediate and take them out by cio_queue_get_nowait().) Once more does no
 * harm. Returns 0.
 */
CIO_API int cio_queue_shutdown(cio_queue *q, bool immediate);

CIO_API size_t cio_queue_qsize(const cio_queue *q);   /* how many are in it; 0 for NULL */
CIO_API size_t cio_queue_maxsize(const cio_queue *q); /* or CIO_UNBOUNDED; 0 for NULL */
CIO_API bool cio_queue_empty(const cio_queue *q);     /* true for NULL */
CIO_API bool cio_queue_full(const cio_queue *q);      /* true for NULL */

CIO_END

#endif
