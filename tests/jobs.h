/* For tests of threads that work for tasks: jobs that say when they have begun, and wait to be let go. */
#ifndef CIO_TESTS_JOBS_H
#define CIO_TESTS_JOBS_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "test.h"

static inline void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0)
        assert_int_equal(errno, EINTR);
}

static inline pthread_t start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

static inline void join(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A job behind a gate, which the test opens. */
struct gate {
    sem_t begun, open;
    _Atomic int n_ran;
    int rc;
};

static inline void gate_init(struct gate *gate, int rc)
{
    sem_init(&gate->begun, 0, 0);
    sem_init(&gate->open, 0, 0);
    gate->n_ran = 0;
    gate->rc = rc;
}

static inline int pass(void *arg)
{
    struct gate *gate = arg;
    sem_post(&gate->begun);
    wait_for(&gate->open);
    gate->n_ran++;
    return gate->rc;
}

static inline int count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

static inline int return_it(void *arg)
{
    return *(int *)arg;
}

/* An executor of so many threads. */
static inline cio_executor *new_executor(int max_threads)
{
    cio_executor *executor = cio_executor_new(
        &(cio_executor_options){.max_threads = max_threads, .name = "test"});
    assert_non_null(executor);
    return executor;
}

static inline void free_executor(cio_executor *executor)
{
    assert_int_equal(cio_executor_shutdown(executor, 0), 0);
    assert_int_equal(cio_executor_free(executor), 0);
}

/* A task that has a job done in an executor. */
struct errand {
    cio_executor *executor; /* NULL: the default one */
    cio_job *fn;
    void *arg;
};

static inline int run_errand(void *arg)
{
    struct errand *errand = arg;
    return cio_to_thread_in(errand->executor, errand->fn, errand->arg);
}

#endif
