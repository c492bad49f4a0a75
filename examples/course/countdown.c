/*
 * countdown: the smallest generator. It stands still in each yield until the next value is asked
 * for; a for loop is all that a consumer needs. No event loop runs.
 */
#include <stdio.h>

#include <cio.h>

static int countdown(cio_generator *g, void *arg)
{
    intptr_t from = (intptr_t)arg;
    printf("Counting down from %d\n", (int)from);
    for (intptr_t n = from; n > 0; n--) {
        int rc = cio_generator_yield(g, (void *)n, NULL);
        if (rc < 0)
            return rc;
    }
    puts("Done counting down");
    return 0;
}

int main(void)
{
    cio_generator *g = cio_generator_new(countdown, (void *)10);
    void *n;
    while (cio_generator_next(g, &n) > 0)
        printf("%d\n", (int)(intptr_t)n);
    cio_generator_free(g);
    return 0;
}
