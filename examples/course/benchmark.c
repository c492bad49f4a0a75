/*
 * benchmark: what it costs to send an item into a coroutine, beside a call through a pointer of an
 * object that keeps the same state by hand.
 *
 *     benchmark [ITEMS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cio.h>

static int null_sink(cio_generator *g, void *sum)
{
    void *item;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &item)) >= 0)
        *(intptr_t *)sum += (intptr_t)item;
    return rc;
}

struct object {
    void (*send)(struct object *self, void *item);
    intptr_t sum;
};

static __attribute__((noinline)) void object_send(struct object *self, void *item)
{
    self->sum += (intptr_t)item;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    long items = argc > 1 ? strtol(argv[1], NULL, 10) : 10000000;
    intptr_t sum = 0;
    struct object *volatile object = &(struct object){object_send, 0};
    if (items < 1)
        return 2;

    cio_generator *g = cio_generator_new(null_sink, &sum);
    cio_generator_next(g, NULL);
    double began = now_ns();
    for (long i = 0; i < items; i++)
        cio_generator_send(g, (void *)i, NULL);
    double coroutine_ns = (now_ns() - began) / (double)items;
    cio_generator_free(g);

    began = now_ns();
    for (long i = 0; i < items; i++)
        object->send(object, (void *)i);
    double object_ns = (now_ns() - began) / (double)items;
    printf("a coroutine: %.1f ns a send; an object: %.1f ns; %ld items, sums %s\n", coroutine_ns,
           object_ns, items, sum == object->sum ? "equal" : "differ");
    return sum != object->sum;
}
