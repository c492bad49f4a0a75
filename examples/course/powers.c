/*
 * powers: a generator that waits between its values (async for), and a filter over it (an
 * asynchronous comprehension). Two of them side by side take the time of one.
 */
#include <stdio.h>

#include <cio.h>

static int powers_of_two(cio_generator *g, void *stop)
{
    int rc = 0;
    for (intptr_t exponent = 0; exponent < (intptr_t)stop && rc >= 0; exponent++) {
        rc = cio_generator_yield(g, (void *)((intptr_t)1 << exponent), NULL);
        if (rc >= 0)
            rc = cio_sleep(0.02);
    }
    return rc;
}

/* The text of those that pass. */
struct list {
    bool (*passes)(intptr_t n);
    char text[64];
};

static bool all(intptr_t n)
{
    return n > 0;
}

static bool some(intptr_t n)
{
    return n / 3 % 5 == 0;
}

static int collect(void *arg)
{
    struct list *list = arg;
    cio_generator *g = cio_generator_new(powers_of_two, (void *)5);
    int used = 0, rc;
    void *n;
    while ((rc = cio_generator_next(g, &n)) > 0)
        if (list->passes((intptr_t)n))
            used += snprintf(list->text + used, sizeof list->text - (size_t)used, "%s%d",
                             used ? ", " : "", (int)(intptr_t)n);
    cio_generator_free(g);
    return rc;
}

static int main_task(void *arg)
{
    struct list lists[] = {{.passes = all}, {.passes = some}};
    (void)arg;
    int rc = cio_map(collect, lists, 2, sizeof lists[0], 2);
    for (int i = 0; i < 2; i++)
        printf("[%s]\n", lists[i].text);
    return rc;
}

int main(void)
{
    return cio_run(main_task, NULL) < 0;
}
