/* Ourselves: the lock and the semaphore. */
#include "subject.h"
#include "subject_cio.h"

enum { STEPS = 20000000, HAND_OVERS = 5000000 };

static cio_lock lock = CIO_LOCK_INIT;
static cio_semaphore semaphore = CIO_SEMAPHORE_INIT(1);

static int lock_main(void *arg)
{
    (void)arg;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++) {
        cio_lock_acquire(&lock);
        cio_lock_release(&lock);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS);
    return 0;
}

static int semaphore_main(void *arg)
{
    (void)arg;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++) {
        cio_semaphore_acquire(&semaphore);
        cio_semaphore_release(&semaphore);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS);
    return 0;
}

/* Two that always want it: each release wakes the other, each acquire waits for it. */
static int contender(void *arg)
{
    (void)arg;
    check(cio_lock_acquire(&lock), "cio_lock_acquire");
    for (long i = 0; i < HAND_OVERS / 2; i++) {
        if (i == 0)
            cio_yield();
        cio_lock_release(&lock);
        cio_lock_acquire(&lock);
    }
    return cio_lock_release(&lock);
}

static int hand_over_main(void *arg)
{
    (void)arg;
    int64_t begin_ns = cpu_ns();
    cio_task *one = cio_create_task(contender, NULL);
    cio_task *other = cio_create_task(contender, NULL);
    check(cio_await(one), "cio_await");
    check(cio_await(other), "cio_await");
    subject_value("time", (double)(cpu_ns() - begin_ns) / HAND_OVERS);
    return 0;
}

void bench_lock(long n)
{
    (void)n;
    run_main(lock_main, NULL);
}

void bench_lock_hand_over(long n)
{
    (void)n;
    run_main(hand_over_main, NULL);
}

void bench_semaphore(long n)
{
    (void)n;
    run_main(semaphore_main, NULL);
}
