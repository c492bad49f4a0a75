/* Ourselves: generators. */
#include "subject.h"
#include "subject_cio.h"

enum { VALUES = 20000000, LIVES = 2000000 };

static int count_up(cio_generator *g, void *arg)
{
    int rc = 0;
    (void)arg;
    for (intptr_t n = 0; rc >= 0; n++)
        rc = cio_generator_yield(g, (void *)n, NULL);
    return rc;
}

static int add_up(cio_generator *g, void *sum)
{
    void *item;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &item)) >= 0)
        *(intptr_t *)sum += (intptr_t)item;
    return rc;
}

void bench_generator_next(long n)
{
    cio_generator *g = cio_generator_new(count_up, NULL);
    void *value;
    intptr_t sum = 0;
    (void)n;
    check(cio_generator_next(g, &value), "cio_generator_next");
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < VALUES; i++) {
        cio_generator_next(g, &value);
        sum += (intptr_t)value;
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / VALUES + (sum < 0));
    check(cio_generator_free(g), "cio_generator_free");
}

static int send_main(void *arg)
{
    intptr_t sum = 0;
    cio_generator *g = cio_generator_new(add_up, &sum);
    (void)arg;
    check(cio_generator_next(g, NULL), "cio_generator_next");
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < VALUES; i++)
        cio_generator_send(g, (void *)i, NULL);
    subject_value("time", (double)(cpu_ns() - begin_ns) / VALUES + (sum < 0));
    return cio_generator_free(g);
}

/* In a task, as it usually is. */
void bench_generator_send(long n)
{
    (void)n;
    run_main(send_main, NULL);
}

static int live_main(void *arg)
{
    (void)arg;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < LIVES; i++) {
        cio_generator *g = cio_generator_new(count_up, NULL);
        cio_generator_next(g, NULL);
        cio_generator_free(g);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / LIVES);
    return 0;
}

void bench_generator_life(long n)
{
    (void)n;
    run_main(live_main, NULL);
}
