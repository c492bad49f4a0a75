/*
 * asyncio.Semaphore and BoundedSemaphore. A release hands its one to the first who waits: the value
 * stays as it was, and newcomers queue until that one has run.
 */
#include <errno.h>

#include "sync/waiters.h"

static int init(cio_semaphore *semaphore, int value, int bound)
{
    if (!semaphore || value < 0)
        return -EINVAL;
    *semaphore = (cio_semaphore){.value = value, .bound = bound};
    return 0;
}

int cio_semaphore_init(cio_semaphore *semaphore, int value)
{
    return init(semaphore, value, CIO__UNBOUNDED);
}

int cio_bounded_semaphore_init(cio_bounded_semaphore *semaphore, int value)
{
    return init(semaphore, value, value);
}

static inline bool nobody_in_line(const cio_semaphore *semaphore)
{
    return !semaphore->waiters.first && !semaphore->waiters.woken;
}

bool cio_semaphore_locked(const cio_semaphore *semaphore)
{
    if (!semaphore)
        return false;
    return semaphore->value <= 0 ||
           (!nobody_in_line(semaphore) && cio__waiters_in_line(&semaphore->waiters));
}

static bool hand_one_over(cio_semaphore *semaphore)
{
    if (!cio__waiters_wake_next(&semaphore->waiters))
        return false;
    semaphore->value--;
    semaphore->waiters.woken++;
    return true;
}

static void tell_semaphore(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_semaphore *semaphore = ((const struct cio__waiter *)wait)->object;
    cio__tell(tale, "semaphore %p, %d left", (const void *)semaphore, semaphore->value);
}

/* Those who queued only for the sake of order go on as soon as the one before them has run. */
static int wait_for_one(cio_semaphore *semaphore)
{
    static const struct cio__wait_kind kind = {.name = "cio_semaphore_acquire",
                                               .tell = tell_semaphore};
    int rc = cio__waiters_check(&semaphore->waiters);
    if (rc < 0)
        return rc;
    struct cio__waiter waiter = {.wait.kind = &kind, .object = semaphore};
    rc = cio__waiters_wait(&semaphore->waiters, &waiter);
    if (waiter.woken) {
        semaphore->waiters.woken--;
        if (rc < 0)
            semaphore->value++; /* not needed after all */
    }
    while (semaphore->value > 0 && hand_one_over(semaphore))
        ;
    return rc;
}

static __attribute__((noinline)) int acquire_slowly(cio_semaphore *semaphore)
{
    if (!semaphore || semaphore->value < 0)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (cio_semaphore_locked(semaphore))
        return wait_for_one(semaphore);
    semaphore->value--;
    return 0;
}

int cio_semaphore_acquire(cio_semaphore *semaphore)
{
    if (unlikely(!semaphore || !cio__current || semaphore->value <= 0 ||
                 !nobody_in_line(semaphore)))
        return acquire_slowly(semaphore);
    semaphore->value--;
    return 0;
}

int cio_semaphore_acquire_nowait(cio_semaphore *semaphore)
{
    if (!semaphore || semaphore->value < 0)
        return -EINVAL;
    if (cio_semaphore_locked(semaphore))
        return -EAGAIN;
    semaphore->value--;
    return 0;
}

static __attribute__((noinline)) int release_slowly(cio_semaphore *semaphore)
{
    int rc = cio__waiters_check_wake(&semaphore->waiters);
    if (rc < 0)
        return rc;
    semaphore->value++;
    hand_one_over(semaphore);
    return 0;
}

int cio_semaphore_release(cio_semaphore *semaphore)
{
    if (unlikely(!semaphore || semaphore->value < 0))
        return -EINVAL;
    if (unlikely(semaphore->value >= semaphore->bound))
        return CIO_ESTATE;
    if (unlikely(semaphore->waiters.first != NULL))
        return release_slowly(semaphore);
    semaphore->value++;
    return 0;
}

int cio_semaphore_value(const cio_semaphore *semaphore)
{
    return semaphore ? semaphore->value : 0;
}

int cio_semaphore_destroy(cio_semaphore *semaphore)
{
    if (!semaphore)
        return -EINVAL;
    return cio__waiters_are_there(&semaphore->waiters) ? -EBUSY : 0;
}
